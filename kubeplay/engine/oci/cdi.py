"""Devices by their CDI name, `vendor.com/class=name`: what a container gets with one (Container Device Interface 0.8, SPEC.md).

Specs are files of an administrator below /etc/cdi and /var/run/cdi; they may name hooks that run on the host, so a file or directory that
anybody but root (or we) may write is refused. Of equal names the later directory's counts, in one directory they are a conflict.
`podman.io/device=/dev/X` is Podman's name for a device node of the host.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from kubeplay.errors import ContainerError
from kubeplay.record import Record

HOST_DEVICE = "podman.io/device="
_WORD, _END = "[A-Za-z0-9]", "[A-Za-z0-9])?"
NAME = re.compile(f"{_WORD}(?:[A-Za-z0-9.-]*{_END}/[A-Za-z](?:[A-Za-z0-9_-]*{_END}={_WORD}(?:[A-Za-z0-9_.:-]*{_END}")
_LIMIT = 4 << 20  # bytes of a spec; generated ones of large machines have some 100 KiB
_MOST = 4096  # entries of any list in a spec
_TYPES = ("", "bind", "none", "tmpfs")
_FLAGS = (
    "ro", "rw", "bind", "rbind", "nosuid", "nodev", "noexec", "suid", "dev", "exec", "private", "rprivate", "slave", "rslave",
    "shared", "rshared", "relatime", "noatime", "strictatime",
)  # fmt: skip
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


class Node(Record):
    """A device node: at `path` in the container the host's `host_path`; None = as the host has it."""

    path: str
    host_path: str
    access: str = "rwm"
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class Edits(Record):
    """What is added to a container. `mounts` and `hooks` are in the OCI runtime's form."""

    env: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    hooks: tuple[tuple[str, dict[str, Any]], ...] = ()
    groups: tuple[int, ...] = ()

    def plus(self, other: Edits) -> Edits:
        return Edits(
            self.env + other.env, self.nodes + other.nodes, self.mounts + other.mounts, self.hooks + other.hooks, self.groups + other.groups
        )


class Unusable(ValueError):
    """A spec, or a part of it, that says nothing we can act on."""


def names(resources: tuple[tuple[str, int], ...]) -> list[str]:
    """The devices among a container's other resources; how many are asked for means nothing (as Podman)."""
    return [name for name, _ in resources if "=" in name]


def resolve(wanted: list[str], directories: list[str]) -> Edits:
    """Everything that the named devices bring. Raises ContainerError for one that is not there."""
    found = Edits()
    known: dict[str, Edits | str] = {}
    commons: list[str] = []
    if any(not name.startswith(HOST_DEVICE) for name in wanted):
        known = _devices(directories)
    for name in wanted:
        if name.startswith(HOST_DEVICE):
            found = found.plus(Edits(nodes=(host_device(name.removeprefix(HOST_DEVICE)),)))
            continue
        device = known.get(name)
        if not isinstance(device, Edits):
            raise ContainerError("CreateContainerError", f"unresolvable CDI devices {name}: {_why(device, known, directories)}")
        kind = name.partition("=")[0]
        common = known.get(kind)
        if isinstance(common, Edits) and kind not in commons:
            commons.append(kind)
            found = found.plus(common)
        found = found.plus(device)
    return found


def _why(device: str | None, known: dict[str, Edits | str], directories: list[str]) -> str:
    broken = [why for path, why in known.items() if path.startswith("/") and isinstance(why, str)]
    return device or "; ".join([f"there is no description of it in {' or '.join(directories)}", *broken[:3]])


def host_device(text: str) -> Node:
    """`/dev/X[:/dev/Y[:rwm]]` (podman's --device). Raises ContainerError."""
    source, _, rest = text.partition(":")
    target, _, access = rest.partition(":")
    if target and not target.startswith("/"):
        target, access = "", target
    try:
        return Node(_absolute(target or source), _absolute(source), _access(access))
    except Unusable as error:
        raise ContainerError("CreateContainerError", f"device {text[:200]!r}: {error}") from error


def _devices(directories: list[str]) -> dict[str, Edits | str]:
    """Every known device by its full name, and each kind's own edits by the kind; a text says why a device cannot be used."""
    found: dict[str, Edits | str] = {}
    for directory in directories:
        here: dict[str, Edits | str] = {}
        for path in _files(directory):
            try:
                one = _spec(_load(path))
            except Unusable as error:
                here[path] = f"{path}: {error}"
                continue
            for name, edits in one.items():
                here[name] = f"it is in {path} and in another file of {directory}" if name in here else edits
        found.update(here)
    return found


def _files(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            names_ = sorted(e.name for e in entries if e.name.endswith((".json", ".yaml")))
    except OSError:
        return
    yield from (f"{directory}/{name}" for name in names_)


def _load(path: str) -> Any:
    """A spec's content; JSON is YAML."""
    import yaml

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            for status in (os.fstat(fd), os.stat(os.path.dirname(path))):
                if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWOTH | (stat.S_IWGRP if status.st_gid else 0)):
                    raise Unusable("others than root may write it")
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Unusable("it is not a file")
            text = file.read(_LIMIT + 1)
        if len(text) > _LIMIT:
            raise Unusable(f"it is larger than {_LIMIT} bytes")
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unusable(str(error).partition("\n")[0]) from error


def _spec(data: Any) -> dict[str, Edits | str]:
    top = _record(data, "the file")
    kind = _text(top.get("kind"), "kind")
    found: dict[str, Edits | str] = {kind: _edits(top.get("containerEdits"))}
    for item in _list(top.get("devices"), "devices"):
        device = _record(item, "a device")
        name = f"{kind}={_text(device.get('name'), 'name')}"
        if not NAME.fullmatch(name):
            raise Unusable(f"{name[:200]!r} is no device name")
        found[name] = _edits(device.get("containerEdits"))
    return found


def _edits(data: Any) -> Edits:
    if data is None:
        return Edits()
    edits = _record(data, "containerEdits")
    for field in ("intelRdt", "netDevices"):
        if edits.get(field):
            raise Unusable(f"containerEdits.{field} is not supported")
    groups = _list(edits.get("additionalGids"), "additionalGids")
    if any(not isinstance(group, int) or not 0 <= group < 1 << 32 for group in groups):
        raise Unusable("additionalGids are group numbers")
    return Edits(
        tuple([_variable(one) for one in _list(edits.get("env"), "env")]),
        tuple([_node(_record(one, "deviceNodes")) for one in _list(edits.get("deviceNodes"), "deviceNodes")]),
        tuple([_mount(_record(one, "mounts")) for one in _list(edits.get("mounts"), "mounts")]),
        tuple([_hook(_record(one, "hooks")) for one in _list(edits.get("hooks"), "hooks")]),
        tuple([group for group in groups if group]),
    )


def _node(data: dict[str, Any]) -> Node:
    path = _absolute(data.get("path"))
    values = [data.get(name) for name in ("fileMode", "uid", "gid")]
    if any(value is not None and not (type(value) is int and 0 <= value < 1 << 32) for value in values):
        raise Unusable(f"deviceNodes {path}: fileMode, uid and gid are numbers")
    return Node(path, _absolute(data.get("hostPath") or path), _access(data.get("permissions") or ""), *values)


def _mount(data: dict[str, Any]) -> dict[str, Any]:
    kind, options = data.get("type") or "", [_text(one, "mounts[].options") for one in _list(data.get("options"), "mounts[].options")]
    if kind not in _TYPES:
        raise Unusable(f"mounts of type {str(kind)[:50]!r} are not supported")
    for option in options:
        if option not in _FLAGS and not re.fullmatch(r"(size|mode)=[0-9]+[kKmMgG%]?", option):
            raise Unusable(f"mount option {option[:50]!r} is not supported")
    source = "tmpfs" if kind == "tmpfs" else _absolute(data.get("hostPath"))
    kind = "tmpfs" if kind == "tmpfs" else "bind"
    if kind == "bind" and not {"bind", "rbind"} & set(options):
        options.insert(0, "rbind")
    return {"destination": _absolute(data.get("containerPath")), "type": kind, "source": source, "options": options}


def _hook(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = data.get("hookName")
    if name not in _HOOKS:
        raise Unusable(f"hook {str(name)[:50]!r} is not known")
    hook: dict[str, Any] = {"path": _absolute(data.get("path"))}
    for field in ("args", "env"):
        if data.get(field):
            hook[field] = [_text(one, field) for one in _list(data[field], field)]
    if isinstance(data.get("timeout"), int):
        hook["timeout"] = data["timeout"]
    return str(name), hook


def _variable(value: Any) -> str:
    text = _text(value, "env")
    if text.find("=") < 1:
        raise Unusable(f"env {text[:50]!r} has no value")
    return text


def _access(text: Any) -> str:
    if not isinstance(text, str) or set(text) - set("rwm"):
        raise Unusable(f"permissions {str(text)[:50]!r} are not of rwm")
    return text or "rwm"


def _absolute(value: Any) -> str:
    text = _text(value, "path")
    if not text.startswith("/") or ".." in text.split("/"):
        raise Unusable(f"{text[:200]!r} is not an absolute path")
    return os.path.normpath(text)


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise Unusable(f"{field} is not a text")
    return value


def _list(value: Any, field: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MOST:
        raise Unusable(f"{field} is not a list, or too long")
    return value


def _record(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(f"{field} is not a record")
    return value
