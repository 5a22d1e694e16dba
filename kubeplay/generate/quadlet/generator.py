"""What systemd runs at boot and at each daemon-reload (systemd.generator(7)): quadlet files in, units and links out.

One broken file keeps no other from its unit: faults are gathered, told, and the rest is written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from kubeplay.errors import Fault, InvalidInput
from kubeplay.generate.quadlet import kube, names, places, resources
from kubeplay.generate.quadlet.model import Machine, Service
from kubeplay.generate.quadlet.names import Neighbour, Neighbours
from kubeplay.generate.quadlet.places import Directory, Found
from kubeplay.generate.quadlet.unitfile import UnitFile
from kubeplay.record import Record

MAKERS = {"kube": kube.service, "network": resources.network, "volume": resources.volume}
SECTIONS = {"kube": kube.SECTION, "network": resources.NETWORK.section, "volume": resources.VOLUME.section}
THINGS = {"network": resources.NETWORK, "volume": resources.VOLUME}
OTHERS = {
    "container": "`kubeplay generate kube --from container` writes the file for a .kube unit from a container that podman runs",
    "pod": "write its containers into one Pod manifest, and that into Yaml= of a .kube file",
    "image": "images are pulled as imagePullPolicy says when a .kube unit starts",
    "build": "a directory of the image's name beside the manifest is built: PodmanArgs=--build",
}


class Result(Record):
    """The units of all files, why some files have none, and what else should be known."""

    services: tuple[Service, ...]
    faults: tuple[Fault, ...]
    notices: tuple[Fault, ...]


def generate(found: Sequence[Found], machine: Machine, alone: bool = False) -> Result:
    """The units for these files; `alone`: they may name others that are elsewhere, whose usual names are taken then."""
    units, faults = _read(found)
    known = None if alone else _neighbours(units)
    services: list[Service] = []
    made: dict[str, str] = {}
    for unit in units:
        try:
            service = MAKERS[_ending(unit.source)](unit, machine, known)
        except InvalidInput as error:
            faults += error.faults
            continue
        if service.name in made:
            message, hint = f"{service.name} is made from {made[service.name]} already", "ServiceName= gives one of them another name"
            faults.append(Fault("", "FieldValueDuplicate", message, hint, unit.source, 1, 1))
            continue
        made[service.name] = unit.source
        services.append(service)
    return Result(tuple(services), tuple(faults), tuple(one for service in services for one in service.notices))


def _read(found: Sequence[Found]) -> tuple[list[UnitFile], list[Fault]]:
    """The files that can be read, and why the others cannot."""
    units: list[UnitFile] = []
    faults: list[Fault] = []
    for one in found:
        ending = _ending(one.path)
        if ending not in MAKERS:
            message = f".{ending} files are podman's: kubeplay plays manifests"
            faults.append(Fault("", "NotSupported", message, OTHERS.get(ending, ""), one.path, 1, 1))
            continue
        try:
            units.append(places.read(one))
        except InvalidInput as error:
            faults += error.faults or [Fault("", "FieldValueInvalid", error.message, error.hint, one.path, 1, 1)]
    return units, faults


def _ending(path: str) -> str:
    return path.rpartition(".")[2]


def _neighbours(units: Sequence[UnitFile]) -> Neighbours:
    """Each file by its name, for those that name it."""
    found: Neighbours = {}
    for unit in units:
        ending = _ending(unit.source)
        try:
            thing = resources.called_by(unit, THINGS[ending]) if ending in THINGS else ""
            found[os.path.basename(unit.source)] = Neighbour(names.service(unit, SECTIONS[ending]), thing)
        except InvalidInput:
            continue  # told when its own unit is made
    return found


def looked_for(tops: Sequence[Directory], podmans: str) -> list[Directory]:
    """The directories that are ours to read: those shared with Podman only where no generator of Podman's reads them."""
    return [one for one in tops if not (one.shared and podmans)]


def write(services: Sequence[Service], directory: str) -> list[Fault]:
    """Units and links into the directory that systemd named; what could not be written."""
    faults = []
    for service in services:
        path = f"{directory}/{service.name}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with open(fd, "w", encoding="utf-8") as file:
                file.write(service.text)
            for link in service.links:
                _link(f"{directory}/{link.path}", link.target)
        except OSError as error:
            faults.append(Fault("", "FieldValueInvalid", error.strerror or str(error), "", error.filename or path, 1, 1))
    return faults


def _link(path: str, target: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.symlink(target, path)
    except FileExistsError:
        os.unlink(path)
        os.symlink(target, path)


def told(result: Result) -> list[str]:
    """A line for each fault and notice."""
    return [*map(str, result.faults), *(f"Warning: {one}" for one in result.notices)]
