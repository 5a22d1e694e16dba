"""A pod's own user namespace: `hostUsers: false`, Podman's annotation, `--userns` (which writes the annotation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.plan.pod import AUTO, KEEP, NOMAP, Users
from kubeplay.play.compile.numbers import is_number

ANNOTATION = "io.podman.annotations.userns"  # for every pod; ANNOTATION/NAME for the pod NAME
_HINT = "host, auto[:size=N], keep-id[:uid=N,gid=N] or nomap"
_OPTIONS = {AUTO: ("size",), KEEP: ("uid", "gid"), NOMAP: (), "host": (), "private": ()}
_MOST = 2**31 - 1  # ids above are not used (systemd's UIDS-GIDS)


def parse(text: str) -> Users | None:
    """What `text` asks for; None = the host's users. Raises InvalidInput."""
    mode, _, rest = text.partition(":")
    if mode not in _OPTIONS:
        raise InvalidInput(f"user namespace mode {text!r} is not supported", hint=_HINT)
    found: dict[str, int] = {}
    for option in filter(None, rest.split(",")):
        key, _, value = option.partition("=")
        if key not in _OPTIONS[mode] or not is_number(value) or int(value) > _MOST or (key == "size" and not int(value)):
            raise InvalidInput(f"user namespace mode {text!r}: {option!r} is not known", hint=_HINT)
        found[key] = int(value)
    return None if mode == "host" else Users(AUTO if mode == "private" else mode, **found)


def of(meta: Mapping[str, Any], spec: Mapping[str, Any]) -> Users | None:
    """A pod's: the annotation, else hostUsers (podman-kube-facts 2.3). Raises InvalidInput."""
    marks = meta.get("annotations") or {}
    said = marks.get(f"{ANNOTATION}/{meta.get('name')}") or marks.get(ANNOTATION)
    found = parse(said) if said else Users(AUTO) if spec.get("hostUsers") is False else None
    shared = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    if found and shared:
        what = f"pod {meta.get('name')}: a user namespace of its own ({said or 'hostUsers: false'}) and {' and '.join(shared)}: not both"
        raise InvalidInput(what, hint="the machine's namespaces belong to the machine's users")
    return found
