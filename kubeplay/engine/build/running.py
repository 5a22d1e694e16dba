"""RUN: what is executed, with which environment, and its --mount options."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from kubeplay.engine.build.actions import joined
from kubeplay.engine.build.lexer import heredoc
from kubeplay.engine.build.model import Heredoc, Instruction, Mount, Origin, Run
from kubeplay.engine.build.report import Wrong, near
from kubeplay.engine.build.scope import DEFAULT_PATH, Scope, environment
from kubeplay.engine.build.syntax import value

NO_ORIGIN = Origin("none")
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_COMMON = ("type", "target")
_OPTIONS = {
    "bind": (*_COMMON, "source", "from", "readonly", "readwrite", "z", "Z", "relabel"),
    "cache": (*_COMMON, "id", "source", "from", "readonly", "readwrite", "sharing", "mode", "uid", "gid", "z", "Z", "relabel"),
    "tmpfs": (*_COMMON, "size", "mode"),
    "secret": (*_COMMON, "id", "source", "required", "env", "mode", "uid", "gid"),
    "ssh": (*_COMMON, "id", "required", "mode", "uid", "gid"),
}
_MODES = {"bind": 0, "cache": 0o755, "tmpfs": 0o1777, "secret": 0o400, "ssh": 0o600}
_SWITCHES = ("readonly", "readwrite", "required", "z", "Z")
_SIZE = r"(\d{1,15})(?:([kmgt])i?b?|b)?"


def run(instruction: Instruction, scope: Scope) -> Run:
    """Raises Wrong."""
    argv, script = _argv(instruction, scope)
    variables = scope.variables()
    named = {entry.split("=", 1)[0] for entry in scope.env}
    args = tuple((name, text) for name, text in scope.args if text is not None and name not in named)
    return Run(
        argv=argv,
        env=tuple(f"{name}={text}" for name, text in {**environment(scope.env), **dict(args), **_path(variables)}.items()),
        user=scope.user,
        workdir=scope.workdir,
        mounts=tuple(_mount(flag.value or "", instruction, scope) for flag in instruction.flags if flag.name == "mount"),
        network=_choice(instruction, scope, "network", ("default", "none", "host")),
        security=_choice(instruction, scope, "security", ("sandbox", "insecure")),
        script=script,
        args=args,
        proxy=tuple((name, text) for name, text in scope.proxy if name not in variables),
        stop_signal=scope.stop_signal,
    )


def _path(variables: Mapping[str, str]) -> dict[str, str]:
    return {} if "PATH" in variables else {"PATH": DEFAULT_PATH}


def mount_origins(instruction: Instruction, scope: Scope) -> list[Origin]:
    """What the --mount flags take from elsewhere; nothing else of them is looked at."""
    raw = scope._replace(strict=False)
    texts = [_options(flag.value or "", instruction, raw).get("from", "") for flag in instruction.flags if flag.name == "mount"]
    return [_origin(text, instruction, scope) for text in texts if text]


def _origin(text: str, instruction: Instruction, scope: Scope) -> Origin:
    name = scope.find(text, instruction.escape)
    if not name and scope.strict:
        raise Wrong("--mount: from is empty", "an ARG it names must be declared before, within the stage or before the first FROM")
    return scope.origin(name)


def _argv(instruction: Instruction, scope: Scope) -> tuple[tuple[str, ...], Heredoc | None]:
    """A heredoc alone is a script of its own (with #!) or the shell's text; among other words the shell reads it."""
    if instruction.json is not None:
        if not instruction.json:
            raise Wrong("RUN [] runs nothing")
        return instruction.json, None
    docs = instruction.heredocs
    alone = heredoc(instruction.text, instruction.escape) if len(docs) == 1 else None
    if alone and docs[0].content.startswith("#!"):
        return (f"/dev/pipes/{docs[0].name}",), docs[0]
    if alone:
        return (*scope.shell, docs[0].content), None
    return (*scope.shell, instruction.text + "".join(f"\n{doc.content}{doc.name}" for doc in docs)), None


def _choice(instruction: Instruction, scope: Scope, flag: str, known: tuple[str, ...]) -> str:
    chosen = scope.expand(value(instruction.flags, flag), instruction.escape) or known[0]
    if scope.strict and chosen not in known:
        raise Wrong(f"--{flag}={chosen[:50]} is none of {', '.join(known)}")
    return chosen


def _mount(text: str, instruction: Instruction, scope: Scope) -> Mount:
    options = _options(text, instruction, scope)
    kind = options.pop("type", "bind")
    if kind not in _OPTIONS:
        if not scope.strict and "$" in kind:
            return Mount(kind)
        raise Wrong(f"--mount type={kind[:30]} is none of {', '.join(_OPTIONS)}", near(kind, tuple(_OPTIONS)))
    for name in options:
        if name not in _OPTIONS[kind]:
            raise Wrong(f"--mount: {name[:30]!r} is no option of type={kind}", near(name, _OPTIONS[kind]))
    origin = _origin(options["from"], instruction, scope) if "from" in options else Origin() if kind == "bind" else NO_ORIGIN
    made = _typed(kind, options, scope, origin) if scope.strict else Mount(kind)
    if kind in ("bind", "cache", "tmpfs") and not options.get("target"):
        raise Wrong(f"--mount type={kind} needs a target", "as in target=/dir")
    return made


def _options(text: str, instruction: Instruction, scope: Scope) -> dict[str, str]:
    """KEY=VALUE, KEY ... as CSV; a bare switch is "true"."""
    import csv

    try:
        fields: Iterable[str] = next(csv.reader([text.replace("\n", " ")], strict=True), [])
    except csv.Error as error:
        raise Wrong(f"--mount={text[:80]} is no list of options: {error}") from None
    found: dict[str, str] = {}
    for field in fields:
        key, equals, raw = field.strip().partition("=")
        name = _ALIASES.get(key.lower(), key if key == "Z" else key.lower())
        if not equals and name not in _SWITCHES:
            raise Wrong(f"--mount: {key[:30]!r} has no value" if key else "--mount: an option is empty")
        if name in found:
            raise Wrong(f"--mount: {name} is given twice")
        found[name] = (scope.expand(raw, instruction.escape) if name != "from" else raw) if equals else "true"
        if scope.strict and name in _SWITCHES and found[name].lower() not in ("true", "false", "1", "0"):
            raise Wrong(f"--mount: {name}={found[name][:30]} is neither true nor false")
    return found


def _typed(kind: str, options: dict[str, str], scope: Scope, origin: Origin) -> Mount:
    target = options.get("target", "")
    target = joined(scope.workdir, target) if target else ""
    if kind in ("bind", "cache", "tmpfs") and target == "/":
        raise Wrong(f"--mount type={kind}: the target cannot be /")
    sharing = options.get("sharing", "shared")
    if sharing not in ("shared", "private", "locked"):
        raise Wrong(f"--mount: sharing={sharing[:30]} is none of shared, private, locked")
    made = Mount(
        kind, target, origin, sharing=sharing, readonly=_readonly(kind, options), required=_on(options, "required"),
        mode=_number(options, "mode", 8, _MODES[kind]), uid=_number(options, "uid", 10, 0), gid=_number(options, "gid", 10, 0),
        size=_size(options.get("size", "")), env=options.get("env", ""), relabel=_relabel(options),
    )  # fmt: skip
    if kind in ("bind", "cache"):
        return made._replace(source=joined("/", options.get("source", ""))[1:], id=options.get("id", target) if kind == "cache" else "")
    return made if kind == "tmpfs" else _handed(made, options)


def _handed(made: Mount, options: dict[str, str]) -> Mount:
    """secret and ssh: the id, and where it shows up."""
    if made.type == "ssh":
        return made._replace(id=options.get("id") or "default")
    name = options.get("id") or options.get("source") or posixpath.basename(made.target)
    if not name:
        raise Wrong("--mount type=secret needs an id or a target", "as in --mount=type=secret,id=NAME")
    if made.env and ("=" in made.env or "\0" in made.env):
        raise Wrong(f"--mount: env={made.env[:30]!r} is no name of a variable")
    if not made.target and not made.env and ("/" in name or name in (".", "..")):
        raise Wrong(f"--mount type=secret,id={name[:50]} needs a target", "as in target=/run/secrets/FILE")
    return made._replace(id=name, target=made.target or ("" if made.env else f"/run/secrets/{name}"))


def _readonly(kind: str, options: dict[str, str]) -> bool:
    if "readonly" in options and "readwrite" in options:
        raise Wrong("--mount: readonly and readwrite exclude each other")
    if "readwrite" in options:
        return not _on(options, "readwrite")
    return _on(options, "readonly") if "readonly" in options else kind == "bind"


def _on(options: dict[str, str], name: str) -> bool:
    return options.get(name, "false").lower() in ("true", "1")


def _relabel(options: dict[str, str]) -> str:
    if options.get("relabel", "shared") not in ("shared", "private"):
        raise Wrong("--mount: relabel is shared or private")
    return "Z" if _on(options, "Z") or options.get("relabel") == "private" else "z" if _on(options, "z") or "relabel" in options else ""


def _number(options: dict[str, str], name: str, base: int, default: int) -> int:
    text = options.get(name, "")
    if not text:
        return default
    limit = 0o7777 if base == 8 else 2147483647
    digits = "01234567" if base == 8 else "0123456789"
    if len(text) > 10 or text.strip(digits) or int(text, base) > limit:
        raise Wrong(f"--mount: {name}={text[:30]} is no number of 0 to {limit:o}" if base == 8 else f"--mount: {name}={text[:30]} is no id")
    return int(text, base)


def _size(text: str) -> int:
    if not text:
        return 0
    match = re.fullmatch(_SIZE, text, re.IGNORECASE)
    if not match:
        raise Wrong(f"--mount: size={text[:30]} is no size", "as in 64m")
    return int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[(match[2] or "").lower()]
