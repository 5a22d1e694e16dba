"""An Instruction within a Scope to the Action it is: words expanded, values checked. Raises report.Wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

from kubeplay.engine.build import model
from kubeplay.engine.build.expand import expand_words
from kubeplay.engine.build.model import Action, Instruction
from kubeplay.engine.build.report import Wrong
from kubeplay.engine.build.scope import Scope
from kubeplay.engine.build.syntax import value
from kubeplay.engine.build.words import json_list, pairs, raw_words, unquote

_MAX_ID = 2147483647  # as images/config.py: a larger number wraps around in some runtimes (CVE-2024-40635)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIGNAL = r"(SIG)?RTM(IN(\+\d{1,2})?|AX(-\d{1,2})?)"
_DURATION = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}


def action(instruction: Instruction, scope: Scope) -> Action:
    """What `instruction` does. FROM has none."""
    return _ACTIONS[instruction.name](instruction, scope)


def _run(instruction: Instruction, scope: Scope) -> Action:
    from kubeplay.engine.build.running import run

    return run(instruction, scope)


def _copy(instruction: Instruction, scope: Scope) -> Action:
    from kubeplay.engine.build.copying import copy

    return copy(instruction, scope)


def _pairs(instruction: Instruction, scope: Scope) -> tuple[tuple[str, str], ...]:
    found = pairs(instruction.text, instruction.escape, instruction.name)
    expanded = tuple((scope.expand(name, instruction.escape), scope.expand(text, instruction.escape)) for name, text in found)
    if scope.strict and any(not name for name, _ in expanded):
        raise Wrong("a name is empty after expansion")
    return expanded


def _env(instruction: Instruction, scope: Scope) -> Action:
    found = _pairs(instruction, scope)
    for name, _ in found:
        if "=" in name:
            raise Wrong(f"the variable's name {name[:50]!r} holds a =")
    return model.Env(found)


def _label(instruction: Instruction, scope: Scope) -> Action:
    return model.Label(_pairs(instruction, scope))


def _arg(instruction: Instruction, scope: Scope) -> Action:
    """Each default may use the ARGs before it on the same line."""
    from kubeplay.engine.build.scope import declare

    found: list[tuple[str, str | None]] = []
    for word in raw_words(instruction.text, instruction.escape):
        raw, equals, default = word.partition("=")
        name = unquote(raw, instruction.escape)
        if not _NAME.fullmatch(name):
            raise Wrong(f"{name[:50]!r} is no name of a variable", "as in ARG VERSION=1")
        pair = (name, scope.expand(default, instruction.escape) if equals else None)
        scope = scope._replace(args=declare(scope, (pair,)))
        found.append((name, dict(scope.args)[name]))
    return model.Arg(tuple(found))


def _command(instruction: Instruction, scope: Scope) -> tuple[str, ...] | None:
    if instruction.json is not None:
        return instruction.json or None
    return (*scope.shell, instruction.text) if instruction.text else None


def _cmd(instruction: Instruction, scope: Scope) -> Action:
    return model.Cmd(_command(instruction, scope))


def _entrypoint(instruction: Instruction, scope: Scope) -> Action:
    return model.Entrypoint(_command(instruction, scope), scope.cmd_set)


def _expose(instruction: Instruction, scope: Scope) -> Action:
    if not scope.strict:
        return model.Expose(())
    ports: list[str] = []
    for word in expand_words(instruction.text, scope.variables(), instruction.escape):
        ports += _ports(word)
    if not ports:
        raise Wrong("no port is left after expansion")
    return model.Expose(tuple(dict.fromkeys(ports)))


def _ports(word: str) -> list[str]:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", word, re.IGNORECASE | re.ASCII)
    if not match:
        hint = "a host's port is given when the image runs" if ":" in word else "as in 80, 53/udp or 8000-8010"
        raise Wrong(f"{word[:50]!r} is no port", hint)
    low, high = int(match[1]), int(match[2] or match[1])
    if not 0 < low <= high < 65536:
        raise Wrong(f"{word[:50]!r}: ports are 1 to 65535, the lower first")
    return [f"{port}/{(match[3] or 'tcp').lower()}" for port in range(low, high + 1)]


def _user(instruction: Instruction, scope: Scope) -> Action:
    user = scope.expand(instruction.text, instruction.escape).strip()
    if scope.strict:
        check_user(user)
    return model.User(user)


def check_user(user: str) -> None:
    """USER[:GROUP]. Raises Wrong."""
    if not user or user.startswith(":") or "\n" in user:
        raise Wrong(f"{user[:50]!r} is no user", "as in USER name, USER 1000 or USER 1000:1000")
    for part in user.split(":", 1):
        if part.lstrip("+-").isdigit() and not (part.isascii() and part.isdigit() and len(part) <= 10 and int(part) <= _MAX_ID):
            raise Wrong(f"{part[:50]!r} is out of range 0..{_MAX_ID}")


def _workdir(instruction: Instruction, scope: Scope) -> Action:
    path = scope.expand(instruction.text, instruction.escape)
    if scope.strict and not path:
        raise Wrong("the path is empty after expansion")
    return model.Workdir(joined(scope.workdir, path), scope.user)


def joined(base: str, path: str) -> str:
    """`path` seen from directory `base`, absolute and normal."""
    from kubeplay.engine.images.config import absolute

    return absolute(path if path.startswith("/") else f"{base}/{path}")


def _volume(instruction: Instruction, scope: Scope) -> Action:
    words = instruction.json if instruction.json is not None else tuple(instruction.text.split())
    paths = [scope.expand(word, instruction.escape) for word in words]
    if not paths or (scope.strict and not all(paths)):
        raise Wrong("a path is empty")
    volumes = tuple(joined("/", path) for path in paths)
    if "/" in volumes:
        raise Wrong("/ cannot be a volume")
    return model.Volume(volumes)


def _stop_signal(instruction: Instruction, scope: Scope) -> Action:
    import signal

    name = scope.expand(instruction.text, instruction.escape)
    if not scope.strict:
        return model.StopSignal(name)
    known = name.upper().removeprefix("SIG")
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 4 else 0
    if not (0 < number < 65 or f"SIG{known}" in signal.Signals.__members__ or re.fullmatch(_SIGNAL, name.upper())):
        raise Wrong(f"{name[:50]!r} is no signal", "as in SIGTERM or 15")
    return model.StopSignal(name)


def _healthcheck(instruction: Instruction, scope: Scope) -> Action:
    kind, _, rest = instruction.text.partition(" ")
    kind, rest = kind.upper(), rest.strip()
    if kind == "NONE":
        if rest or instruction.flags:
            raise Wrong("HEALTHCHECK NONE takes nothing else")
        return model.Healthcheck(("NONE",))
    if kind != "CMD":
        raise Wrong(f"{kind[:30]!r} is neither CMD nor NONE", "as in HEALTHCHECK --interval=30s CMD curl -f http://localhost/")
    words = json_list(rest)
    if not (rest if words is None else words):
        raise Wrong("HEALTHCHECK CMD has no command")
    test = ("CMD-SHELL", rest) if words is None else ("CMD", *words)
    times = [_duration(instruction, name) for name in ("interval", "timeout", "start-period", "start-interval")]
    retries = value(instruction.flags, "retries") or "0"
    if not (retries.isascii() and retries.isdigit() and len(retries) < 10):
        raise Wrong(f"--retries={retries[:30]} is no number of 0 or more")
    interval, timeout, start_period, start_interval = times
    return model.Healthcheck(test, interval, timeout, start_period, start_interval, int(retries))


def _duration(instruction: Instruction, flag: str) -> int:
    """Nanoseconds of a Go duration (1m30s); 0 without the flag."""
    text = value(instruction.flags, flag)
    if text in ("", "0"):
        return 0
    parts = re.findall(_DURATION, text[:50])
    total = round(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if "".join(number + unit for number, unit in parts) != text or total > 1 << 62:
        raise Wrong(f"--{flag}={text[:30]} is no duration", "as in 30s or 1m30s")
    if 0 < total < 1_000_000:
        raise Wrong(f"--{flag}={text[:30]} is less than 1ms")
    return total


def _shell(instruction: Instruction, scope: Scope) -> Action:
    if not instruction.json:
        raise Wrong("SHELL wants a JSON list", 'as in SHELL ["/bin/bash", "-c"]')
    return model.Shell(instruction.json)


def _onbuild(instruction: Instruction, scope: Scope) -> Action:
    return model.Onbuild(instruction.text + "".join(f"\n{doc.content}{doc.name}" for doc in instruction.heredocs))


def _maintainer(instruction: Instruction, scope: Scope) -> Action:
    return model.Maintainer(instruction.text)


_ACTIONS: dict[str, Callable[[Instruction, Scope], Action]] = {
    "ADD": _copy,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
