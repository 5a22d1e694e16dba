"""A container while it is being described, with what it asks of its pod; and what has to be known of the machine for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubeplay.play.imperative import words
from kubeplay.record import Record

Object = dict[str, Any]
Given = Mapping[str, Any]  # what was said, by the options' names


class Machine(Record):
    """What the flags are about, asked of the machine at the edge: tests give another one.

    `kind` says what is at a path of the host: Directory, File, Socket, CharDevice, BlockDevice, "" for nothing. `port` finds a free
    port of the host for (address, protocol). `secret` gives the keys of a Secret of the namespace. `lines` are those of a file. `claims`
    are the names of the namespace's volumes that already have a claim.
    """

    kind: Callable[[str], str]
    port: Callable[[str, str], int]
    lines: Callable[[str], list[str]]
    absolute: Callable[[str], str]
    environ: Mapping[str, str]
    claims: frozenset[str] = frozenset()
    secret: Callable[[str], tuple[str, ...]] = lambda name: ()


class Draft:
    """`container` and what goes beside it: `volumes` and `spec` of the pod, its metadata, claims, and what could not be kept to."""

    def __init__(self, name: str, taken: frozenset[str] = frozenset()) -> None:
        """`taken`: names of volumes that the pod has already."""
        self.name = name
        self.container: Object = {"name": name}
        self.volumes: list[Object] = []
        self.spec: Object = {}
        self.labels: dict[str, str] = {}
        self.annotations: dict[str, str] = {}
        self.claims: list[str] = []
        self.warnings: list[str] = []
        self._taken = set(taken)

    @property
    def security(self) -> Object:
        """The container's securityContext, made when it is first asked for."""
        made: Object = self.container.setdefault("securityContext", {})
        return made

    @property
    def pod_security(self) -> Object:
        made: Object = self.spec.setdefault("securityContext", {})
        return made

    def volume(self, wish: str, source: Object) -> str:
        """Add a volume; its name resembles `wish`."""
        base = words.label(wish, 50) or "volume"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        self.volumes.append({"name": name, **source})
        return name

    def mount(self, volume: str, path: str, **more: Any) -> None:
        self.container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": path, **more})
