"""`.kube` files: `[Kube]` becomes the `[Service]` that plays the file and stays as its main process. Pure.

The keys are Podman's (podman-kube-facts.md 1.5), so that a file written for it works here. What they do is ours: the main process ends
when every pod of the file has ended, with the exit status of the container that failed (docs/decisions/0707).
"""

from __future__ import annotations

import os

from kubeplay.errors import Fault, InvalidInput
from kubeplay.generate.quadlet import install, names
from kubeplay.generate.quadlet.model import Link, Machine, Service
from kubeplay.generate.quadlet.names import Neighbours
from kubeplay.generate.quadlet.sections import faulty, literal, program, rest, unit_section, unknown
from kubeplay.generate.quadlet.unitfile import Setting, UnitFile, boolean, quoted, refused, words

SECTION = "Kube"
PROPAGATION = ("all", "any", "none")
KEYS = (
    *("Yaml", "AutoUpdate", "ConfigMap", "ExitCodePropagation", "GlobalArgs", "KubeDownForce", "LogDriver"),
    *("Network", "PodmanArgs", "PublishPort", "ServiceName", "SetWorkingDirectory", "UserNS"),
)
# Podman's that have no meaning here, and what to write instead.
REFUSED = {
    "ContainersConfModule": "kubeplay reads no containers.conf; global options go into GlobalArgs=",
    "RemapUsers": "write UserNS=",
    "RemapUid": "write UserNS=keep-id:uid=N",
    "RemapGid": "write UserNS=keep-id:gid=N",
    "RemapUidSize": "write UserNS=auto:size=N",
}
TYPES = ("notify", "oneshot")
URL = ("http://", "https://")


def service(unit: UnitFile, machine: Machine, known: Neighbours | None = None) -> Service:
    """The service for a `.kube` file. Raises InvalidInput with every fault of it."""
    faults = unknown(unit, SECTION, KEYS, REFUSED)
    name, links = "", tuple[Link, ...]()
    parts: list[list[str]] = []
    notices: list[Fault] = []
    for step in (_unit_lines, _service_lines, _notices):
        try:
            parts.append(step(unit, machine, known, notices))
        except InvalidInput as error:
            faults += error.faults
    try:
        name = names.service(unit, SECTION)
        links = install.links(unit, name)
    except InvalidInput as error:
        faults += error.faults
    if faults:
        raise faulty(unit, faults)
    return Service(name, "\n".join([*parts[0], "", *parts[1], *rest(unit, SECTION)]), links, tuple(notices))


def _unit_lines(unit: UnitFile, machine: Machine, known: Neighbours | None, notices: list[Fault]) -> list[str]:
    files = _yaml(unit)
    networks = [one for one in unit.all(SECTION, "Network") if names.is_network(one.value)]
    needed = [names.neighbour(one, one.value.partition(":")[0], known).unit for one in networks]
    mounts = [path for _, path in files if path.startswith("/")]
    return unit_section(unit, machine, known, "kubeplay: " + " ".join(word for word, _ in files), needed, mounts)


def _service_lines(unit: UnitFile, machine: Machine, known: Neighbours | None, notices: list[Fault]) -> list[str]:
    """[Service]: what is not set in the file, its own settings, and the commands."""
    if taken := [one for one in unit.keys("Service") if one.key == "ExecStart"]:
        raise refused(taken[0], "what is started is said by [Kube]", "a unit that runs a program of its own is a .service file")
    kind = unit.last("Service", "Type")
    if kind is not None and kind.value not in TYPES:
        raise refused(kind, f"a .kube file makes a service of type notify or oneshot, not {kind.value}")
    stays = kind is None or kind.value == "notify"
    # Containers, their monitors and the supervisor are in groups of their own; what else is in the unit's is not ours to kill.
    defaults = [("KillMode", "process"), ("SyslogIdentifier", "%N")]
    defaults += [("Type", "notify"), ("NotifyAccess", "all")] if stays else [("Type", "oneshot"), ("RemainAfterExit", "yes")]
    lines = ["[Service]", *(f"{key}={value}" for key, value in defaults if unit.last("Service", key) is None)]
    lines += [f"{one.key}={one.value}" for one in unit.keys("Service")]
    command = program(unit, machine, SECTION)
    flags = "".join(f" {quoted(word)}" for word in _flags(unit, known, stays))
    files = " ".join(quoted(path) for _, path in _yaml(unit, "$$"))
    force = " --force" if boolean(unit.last(SECTION, "KubeDownForce"), False) else ""
    lines += [f"{key}={value}" for key, value in _directory(unit) if unit.last("Service", key) is None]
    return [*lines, f"ExecStart={command} kube play --replace{flags} {files}", f"ExecStopPost={command} kube down{force} {files}"]


def _flags(unit: UnitFile, known: Neighbours | None, stays: bool) -> list[str]:
    """The options of `kube play`, in the order of Podman's generator; PodmanArgs last, so that they win."""
    flags = ["--service-container"] if stays else []
    code = unit.last(SECTION, "ExitCodePropagation")
    if code is not None:
        if code.value not in PROPAGATION:
            raise refused(code, f"{code.value!r} is none of {', '.join(PROPAGATION)}")
        if not stays:
            raise refused(code, "a unit of Type=oneshot has no process whose exit status could be the containers'", "leave Type= out")
        flags.append(f"--service-exit-code-propagation={code.value}")
    flags += _one(unit, "UserNS", "--userns")
    flags += [f"--network={_network(one, known)}" for one in unit.all(SECTION, "Network")]
    for one in unit.all(SECTION, "ConfigMap"):
        flags += [f"--configmap={_path(unit, word, '$$')}" for word in words([one])]
    flags += [f"--publish={one.value}" for one in unit.all(SECTION, "PublishPort")]
    flags += _one(unit, "LogDriver", "--log-driver")
    return flags + words(unit.all(SECTION, "PodmanArgs"))


def _one(unit: UnitFile, key: str, flag: str) -> list[str]:
    found = unit.last(SECTION, key)
    return [f"{flag}={found.value}"] if found else []


def _network(setting: Setting, known: Neighbours | None) -> str:
    """The name of the network that another quadlet file makes, or the value as it is."""
    name, colon, options = setting.value.partition(":")
    return f"{names.neighbour(setting, name, known).thing}{colon}{options}" if names.is_network(setting.value) else setting.value


def _yaml(unit: UnitFile, dollar: str = "$") -> list[tuple[str, str]]:
    """Each file of Yaml=, as written and as a whole path. Raises InvalidInput when there is none."""
    found = words(unit.all(SECTION, "Yaml"))
    if not found:
        fault = Fault(f"[{SECTION}] Yaml", "FieldValueRequired", "the file to play is not named", "Yaml=app.yaml", unit.source, 1, 1)
        raise InvalidInput(f"{unit.source}: 1 fault", [fault])
    return [(word, _path(unit, word, dollar)) for word in found]


def _path(unit: UnitFile, word: str, dollar: str) -> str:
    """A file, relative to the unit's; a URL, and a path that begins with a specifier, as they are. `dollar`: what says `$` there."""
    if word.startswith(("/", "%", *URL)):
        return word
    return os.path.normpath(os.path.join(literal(os.path.dirname(unit.source), dollar), word))


def _directory(unit: UnitFile) -> list[tuple[str, str]]:
    """SetWorkingDirectory: that of the file which is played, or of the unit."""
    found = unit.last(SECTION, "SetWorkingDirectory")
    if found is None:
        return []
    if found.value.lower() not in ("yaml", "unit"):
        raise refused(found, f"{found.value!r} is neither yaml nor unit")
    path = _yaml(unit)[0][1] if found.value.lower() == "yaml" else literal(unit.source)
    if path.startswith(URL):
        raise refused(found, "the file that is played is a URL, and in no directory")
    return [("WorkingDirectory", os.path.dirname(path))]


def _notices(unit: UnitFile, machine: Machine, known: Neighbours | None, notices: list[Fault]) -> list[str]:
    """What works otherwise than its writer may think."""
    for one in unit.all(SECTION, "AutoUpdate"):
        if one.value.rpartition("/")[2] not in ("registry", "local"):
            raise refused(one, f"{one.value!r} is neither registry nor local, with or without CONTAINER/ before it")
        hint = "`imagePullPolicy: Always` looks for newer images at each start; `kubeplay sync` follows files"
        notices.append(one.fault("nothing looks for newer images while the service runs", hint))
    return []
