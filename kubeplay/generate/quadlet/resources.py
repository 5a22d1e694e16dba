"""`.network` and `.volume` files: a service that makes the thing once. Pure."""

from __future__ import annotations

import os

from kubeplay.errors import InvalidInput
from kubeplay.generate.quadlet import install, names
from kubeplay.generate.quadlet.model import Link, Machine, Service
from kubeplay.generate.quadlet.names import Neighbours
from kubeplay.generate.quadlet.sections import faulty, literal, program, rest, unit_section, unknown
from kubeplay.generate.quadlet.unitfile import UnitFile, boolean, quoted, words
from kubeplay.record import Record

VALUE, WORDS, YES = "value", "words", "yes"


class Key(Record):
    """What a key is on the command line: `form` VALUE (one flag each), WORDS (one flag a word), YES (a flag without a value)."""

    flag: str
    form: str = VALUE


class Thing(Record):
    """A kind of file: its section, what its command is called, its keys, and Podman's that we refuse with a reason."""

    section: str
    noun: str
    name_key: str
    keys: dict[str, Key]
    refused: dict[str, str]
    own: tuple[str, ...] = ()


NETWORK = Thing(
    "Network", "network", "NetworkName",
    {
        "DisableDNS": Key("--disable-dns", YES), "Driver": Key("--driver"), "Gateway": Key("--gateway"), "IPRange": Key("--ip-range"),
        "IPv6": Key("--ipv6", YES), "Internal": Key("--internal", YES), "Label": Key("--label", WORDS), "Options": Key("--opt"),
        "Subnet": Key("--subnet"),
    },
    {
        "ContainersConfModule": "kubeplay reads no containers.conf", "DNS": "pods ask the cluster's DNS; spec.dnsConfig has other servers",
        "IPAMDriver": "addresses are always given out by kubeplay", "InterfaceName": "the bridge's name follows from the root",
    },
    ("NetworkDeleteOnStop",),
)  # fmt: skip
VOLUME = Thing(
    "Volume", "volume", "VolumeName",
    {"Driver": Key("--driver"), "Label": Key("--label", WORDS), "User": Key("--opt=uid="), "Group": Key("--opt=gid=")},
    {
        "ContainersConfModule": "kubeplay reads no containers.conf", "Copy": "volumes begin empty",
        "Device": "write a PersistentVolume of type local",
        "Image": "write an image volume into the pod", "Options": "write a PersistentVolume with mountOptions",
        "Type": "write a PersistentVolume of type local",
    },
)  # fmt: skip


def network(unit: UnitFile, machine: Machine, known: Neighbours | None = None) -> Service:
    """The service that makes a network. Raises InvalidInput with every fault."""
    return _service(unit, machine, known, NETWORK)


def volume(unit: UnitFile, machine: Machine, known: Neighbours | None = None) -> Service:
    """The service that makes a volume. Raises InvalidInput with every fault."""
    return _service(unit, machine, known, VOLUME)


def _service(unit: UnitFile, machine: Machine, known: Neighbours | None, thing: Thing) -> Service:
    common = ("GlobalArgs", "PodmanArgs", "ServiceName", thing.name_key, *thing.own)
    faults = unknown(unit, thing.section, (*thing.keys, *common), thing.refused)
    name, flags = "", list[str]()
    links: tuple[Link, ...] = ()
    try:
        name = names.service(unit, thing.section)
        links = install.links(unit, name)
        flags = _flags(unit, thing)
    except InvalidInput as error:
        faults += error.faults
    if faults:
        raise faulty(unit, faults)
    called = called_by(unit, thing)
    command = f"{program(unit, machine, thing.section)} {thing.noun}"
    defaults = [("Type", "oneshot"), ("RemainAfterExit", "yes"), ("SyslogIdentifier", "%N")]
    lines = [*unit_section(unit, machine, known, f"kubeplay: {thing.noun} {called}"), "", "[Service]"]
    lines += [f"{key}={value}" for key, value in defaults if unit.last("Service", key) is None]
    lines += [f"{one.key}={one.value}" for one in unit.keys("Service")]
    lines.append(" ".join([f"ExecStart={command} create --ignore", *map(quoted, flags), quoted(called)]))
    if thing.own and boolean(unit.last(thing.section, thing.own[0]), False):
        lines.append(f"ExecStopPost={command} rm {quoted(called)}")
    return Service(name, "\n".join([*lines, *rest(unit, thing.section)]), links)


def called_by(unit: UnitFile, thing: Thing) -> str:
    """What the file's network or volume is called."""
    given = unit.last(thing.section, thing.name_key)
    return given.value if given else f"systemd-{literal(os.path.basename(unit.source).rpartition('.')[0], '$$')}"


def _flags(unit: UnitFile, thing: Thing) -> list[str]:
    """The options of the command, PodmanArgs last. Raises InvalidInput."""
    found: list[str] = []
    for key, row in thing.keys.items():
        settings = unit.all(thing.section, key)
        if row.form == YES:
            found += [row.flag] if boolean(settings[-1] if settings else None, False) else []
            continue
        values = words(settings) if row.form == WORDS else [one.value for one in settings]
        found += [f"{row.flag}{'' if row.flag.endswith('=') else '='}{value}" for value in values]
    return found + words(unit.all(thing.section, "PodmanArgs"))
