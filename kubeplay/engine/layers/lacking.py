"""What of a layer could not be made in this user namespace: device nodes, owners where there is one id only, xattrs that were refused.

It lies beside the layer's files (`lacking`), so that nothing is dropped in silence: a pull tells it in one sentence, `image inspect`
shows it. The layer is given back byte for byte all the same, for its tar's headers are kept (records.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.layers.tar import Entry

FILE = "lacking"
_NAMED = 1000  # devices kept by name; a hostile layer can have millions


class Lacking(Record):
    """`devices`: what `ls` would say of each (up to 1000), `device_count` all of them; `owners`: files whose owner became the own id;
    `xattrs`: (name, how often it was refused).
    """

    devices: tuple[str, ...] = ()
    device_count: int = 0
    owners: int = 0
    xattrs: tuple[tuple[str, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.device_count or self.owners or self.xattrs)


class Missed:
    """What one extraction has missed so far."""

    def __init__(self) -> None:
        self._devices: dict[bytes, str] = {}
        self._count = 0
        self._xattrs: dict[bytes, int] = {}

    def device(self, entry: Entry, path: bytes) -> None:
        """A device node, or another name of one."""
        self._count += 1
        if len(self._devices) < _NAMED:
            kind = {b"3": "c", b"4": "b"}.get(entry.type, "h")
            self._devices[path] = f"{kind} {entry.major}:{entry.minor} {os.fsdecode(path)}"

    def is_device(self, path: bytes) -> bool:
        return path in self._devices

    def xattr(self, name: bytes) -> None:
        self._xattrs[name] = self._xattrs.get(name, 0) + 1

    def found(self, owners: int) -> Lacking:
        xattrs = tuple((os.fsdecode(name), count) for name, count in sorted(self._xattrs.items()))
        return Lacking(tuple(self._devices.values()), self._count, owners, xattrs)


def write(directory: str, found: Lacking) -> None:
    """Keep it beside the layer made at `directory`; nothing is written when nothing is lacking."""
    if found:
        data = json.dumps(found._asdict()).encode("ascii")
        fd = os.open(f"{directory}/{FILE}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            file.write(data)


def read(directory: str) -> Lacking:
    """Of the layer at `directory`; what cannot be read counts as nothing."""
    try:
        with open(f"{directory}/{FILE}", "rb") as file:
            value: dict[str, Any] = json.load(file)
        xattrs = tuple((str(name), int(count)) for name, count in value["xattrs"])
        return Lacking(tuple(map(str, value["devices"])), int(value["device_count"]), int(value["owners"]), xattrs)
    except (OSError, ValueError, KeyError, TypeError):
        return Lacking()


def sentence(layers: Iterable[Lacking]) -> str:
    """What the layers of an image lack, for a person; "" when nothing."""
    devices = owners = 0
    names: dict[str, int] = {}
    for one in layers:
        devices, owners = devices + one.device_count, owners + one.owners
        for name, count in one.xattrs:
            names[name] = names.get(name, 0) + count
    parts = []
    if devices:
        parts.append(f"{_count(devices, 'device node')} left out, as only root can make them (containers get a /dev of their own)")
    if owners:
        parts.append(f"{_count(owners, 'file')} of other owners given to you, as you have no ids in /etc/subuid and /etc/subgid")
    if names:
        kinds = ", ".join(f"{name} ({count})" for name, count in sorted(names.items()))
        parts.append(f"extended attributes left out, as the kernel refused them: {kinds}")
    return "; ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
