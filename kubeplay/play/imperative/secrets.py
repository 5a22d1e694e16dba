"""--secret: podman's secrets hold one value, Kubernetes' several; one of several keys is mounted as a directory of them."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput, NotFound, NotSupported
from kubeplay.play.compile.numbers import is_number
from kubeplay.play.imperative.draft import Draft, Given, Machine

DIRECTORY = "/run/secrets"  # podman's


def fill(draft: Draft, given: Given, machine: Machine) -> None:
    """Raises InvalidInput, NotFound, NotSupported."""
    for text in given.get("secret", ()):
        name, *options = text.split(",")
        values = dict(option.partition("=")[::2] for option in options)
        if unknown := set(values) - {"type", "target", "mode"}:
            raise NotSupported(f"--secret {text}: {', '.join(sorted(unknown))} is not supported", hint="known: type, target, mode")
        keys = machine.secret(name)
        if not keys:
            raise NotFound(f"--secret {name}: there is no such Secret, or nothing is in it", hint="kubeplay secret ls")
        key = name if name in keys else keys[0] if len(keys) == 1 else ""
        if values.get("type", "mount") == "env":
            _variable(draft, name, key, values.get("target") or name)
        elif values.get("type", "mount") == "mount":
            _file(draft, name, key, values)
        else:
            raise InvalidInput(f"--secret {text}: type is mount or env")


def _variable(draft: Draft, name: str, key: str, target: str) -> None:
    if not key:
        raise InvalidInput(f"--secret {name}: it has several keys and none is called as it", hint="--secret mounts them all")
    source = {"secretKeyRef": {"name": name, "key": key}}
    draft.container.setdefault("env", []).append({"name": target, "valueFrom": source})


def _file(draft: Draft, name: str, key: str, values: dict[str, str]) -> None:
    """A file of the one value, or a directory of all."""
    target = values.get("target") or name
    path = target if target.startswith("/") else f"{DIRECTORY}/{target}"
    source: dict[str, Any] = {"secretName": name}
    if values.get("mode"):
        if not is_number(values["mode"]) or set(values["mode"]) - set("01234567"):
            raise InvalidInput(f"--secret {name}: mode {values['mode']!r} is not octal")
        source["defaultMode"] = int(values["mode"], 8)
    else:
        source["defaultMode"] = 0o444
    if key:
        source["items"] = [{"key": key, "path": "value"}]
    volume = draft.volume(f"{name}-secret", {"secret": source})
    draft.mount(volume, path, readOnly=True, **({"subPath": "value"} if key else {}))
