"""Names: of quadlet files, and of the units and networks they make. Pure."""

from __future__ import annotations

import os

from kubeplay.errors import Fault, InvalidInput
from kubeplay.generate.quadlet.unitfile import Setting, UnitFile, refused
from kubeplay.record import Record

# unit-name.c of systemd: VALID_CHARS_WITH_AT, UNIT_NAME_MAX
_VALID = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@")
_LONGEST = 255
TYPES = frozenset(("service", "socket", "target", "timer", "path", "slice", "scope", "mount", "automount", "swap", "device"))
# What a file of each ending is called as a unit: NAME, NAME-network and so on (podman-systemd.unit(5)).
SUFFIXES = {"kube": "", "container": "", "pod": "-pod", "volume": "-volume", "network": "-network", "image": "-image", "build": "-build"}
OWN = ("kube", "network", "volume")  # the files that we make units of; others are Podman's, which go by their usual names


def service(unit: UnitFile, section: str) -> str:
    """The unit that a quadlet file makes. Raises InvalidInput for one that systemd would not load."""
    given = unit.last(section, "ServiceName")
    if given is not None:
        name = given.value if given.value.endswith(".service") else f"{given.value}.service"
        if not valid(name):
            raise refused(given, f"{given.value!r} is no name for a unit")
        return name
    name = of_file(os.path.basename(unit.source))
    if not valid(name):
        hint = "rename the file; `systemd-escape` shows how"
        fault = Fault("", "FieldValueInvalid", f"{name!r} is no name for a unit", hint, unit.source, 1, 1)
        raise InvalidInput(f"{unit.source}: 1 fault", [fault])
    return name


def of_file(name: str) -> str:
    """`web.kube` → `web.service`, `back.network` → `back-network.service`."""
    stem, _, ending = name.rpartition(".")
    return f"{stem}{SUFFIXES.get(ending, '')}.service"


def valid(name: str) -> bool:
    """Whether systemd takes it as a unit's name."""
    stem, _, kind = name.rpartition(".")
    named = bool(stem) and not stem.startswith("@") and stem.count("@") <= 1
    return named and kind in TYPES and len(name) <= _LONGEST and set(name) <= _VALID


def template(name: str) -> tuple[str, str | None]:
    """`web@blue.service` → (`web@.service`, `blue`); no template: (name, None)."""
    stem, dot, kind = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    return (f"{prefix}@{dot}{kind}", instance) if at else (name, None)


def is_network(value: str) -> bool:
    """Whether a value of Network= names a quadlet file."""
    return value.partition(":")[0].endswith(".network")


class Neighbour(Record):
    """Another quadlet file: the unit it makes, and what its network or volume is called."""

    unit: str
    thing: str = ""


Neighbours = dict[str, Neighbour]  # by the names of their files


def neighbour(setting: Setting, file: str, known: Neighbours | None) -> Neighbour:
    """The file that a setting names; None = nothing is known of others, which go by their usual names. Raises InvalidInput."""
    if known is None or file.rpartition(".")[2] not in OWN:
        return Neighbour(of_file(file), f"systemd-{file.rpartition('.')[0]}")
    if file not in known:
        raise refused(setting, f"there is no file {file}, or it is faulty")
    return known[file]


def translated(setting: Setting, known: Neighbours | None) -> str:
    """A list of units in which quadlet files stand for the units they make."""
    found = []
    for word in setting.value.split():
        stem, _, ending = word.rpartition(".")
        found.append(neighbour(setting, word, known).unit if stem and ending in SUFFIXES else word)
    return " ".join(found)
