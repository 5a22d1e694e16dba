"""`image import --change`: Dockerfile instructions applied to an image's `config` object.

An instruction is KEYWORD ARGUMENTS or KEYWORD=ARGUMENTS. CMD, ENTRYPOINT and VOLUME take JSON lists too;
their shell form is run by /bin/sh -c, as a Dockerfile's is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from kubeplay.engine.images.config import absolute, is_port
from kubeplay.errors import InvalidInput

_SHELL = ["/bin/sh", "-c"]
Config = dict[str, Any]  # the JSON object of the image specification, not a record of ours


def apply(changes: Sequence[str], base: Config | None = None) -> Config:
    """The `config` object that the instructions make of `base` (which stays), in order. Raises InvalidInput naming the instruction."""
    config: Config = {key: value for key, value in json.loads(json.dumps(base or {})).items() if value is not None}
    for change in changes:
        keyword, arguments = _split(change)
        instruction = _INSTRUCTIONS.get(keyword.upper())
        if instruction is None or not arguments:
            what = "has no arguments" if instruction else f"is not one of {', '.join(sorted(_INSTRUCTIONS))}"
            raise InvalidInput(f"--change {change[:200]!r}: {keyword[:50]!r} {what}", hint="as in: --change 'ENV PATH=/bin'")
        try:
            instruction(config, arguments)
        except ValueError as error:
            raise InvalidInput(f"--change {change[:200]!r}: {error}") from None
    return config


def _split(change: str) -> tuple[str, str]:
    text = change.strip()
    end = next((at for at, letter in enumerate(text) if not letter.isalpha()), len(text))
    if text[end : end + 1] not in ("", "=", " ", "\t"):
        return text, ""
    return text[:end], text[end + 1 :].strip()


def _command(key: str) -> Callable[[Config, str], None]:
    def instruction(config: Config, text: str) -> None:
        config[key] = _json_list(text) or [*_SHELL, text]

    return instruction


def _env(config: Config, text: str) -> None:
    merged = dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)
    merged.update(_pairs(text))
    config["Env"] = [f"{name}={value}" for name, value in merged.items()]


def _label(config: Config, text: str) -> None:
    config.setdefault("Labels", {}).update(_pairs(text))


def _expose(config: Config, text: str) -> None:
    for port in text.split():
        number, _, protocol = port.partition("/")
        if not is_port(port):
            raise ValueError(f"{port!r} is not a port")
        config.setdefault("ExposedPorts", {})[f"{number}/{protocol or 'tcp'}"] = {}


def _onbuild(config: Config, text: str) -> None:
    if text.split(None, 1)[0].upper() in ("ONBUILD", "FROM", "MAINTAINER"):
        raise ValueError(f"{text.split(None, 1)[0]} cannot be triggered")
    config.setdefault("OnBuild", []).append(text)


def _volume(config: Config, text: str) -> None:
    for path in _json_list(text) or text.split():
        config.setdefault("Volumes", {})[absolute(path)] = {}


def _workdir(config: Config, text: str) -> None:
    config["WorkingDir"] = absolute(text if text.startswith("/") else f"{config.get('WorkingDir', '/')}/{text}")


def _text(key: str) -> Callable[[Config, str], None]:
    def instruction(config: Config, text: str) -> None:
        config[key] = text

    return instruction


def _pairs(text: str) -> dict[str, str]:
    """NAME=VALUE ... with shell quoting, or the old form NAME VALUE."""
    import shlex

    words = shlex.split(text)
    if words and "=" not in words[0]:
        name, _, value = text.partition(" ")
        words = [f"{name}={value.strip()}"] if value.strip() else []
    found = dict(word.split("=", 1) for word in words if word.find("=") > 0)
    if len(found) == 0 or any(word.find("=") < 1 for word in words):
        raise ValueError("expected NAME=VALUE")
    return found


def _json_list(text: str) -> list[str]:
    if not text.startswith("["):
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []  # `[ -f x ] && y` is a shell command
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("the JSON form is a list of strings")
    return value


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _text("StopSignal"),
    "USER": _text("User"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
