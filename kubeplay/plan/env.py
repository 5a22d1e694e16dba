"""Environment of a container as the plan knows it: literals and references, in order (EN1)."""

from __future__ import annotations

from kubeplay.record import Record


class EnvLiteral(Record):
    """`name: value`; `value` still holds its `$(VAR)` references (EN2)."""

    name: str
    value: str


class EnvKeyRef(Record):
    """One key of a ConfigMap or Secret; `kind` is "ConfigMap" or "Secret" (EN5)."""

    name: str
    kind: str
    object_name: str
    key: str
    optional: bool = False


class EnvField(Record):
    """A field of the pod known only at run time or copied from it (DA1), as written: `status.podIP`."""

    name: str
    path: str


class EnvResource(Record):
    """A resource of a container (DA3): `container` "" means the one this env belongs to."""

    name: str
    resource: str
    container: str = ""
    divisor: str = "0"


class EnvFrom(Record):
    """All keys of a ConfigMap or Secret, each with `prefix` before it (EN1)."""

    kind: str
    object_name: str
    prefix: str = ""
    optional: bool = False


class EnvFileKey(Record):
    """The variable `key` of an env file in the pod's volume `volume` (EN5)."""

    name: str
    volume: str
    path: str
    key: str
    optional: bool = False


EnvEntry = EnvLiteral | EnvKeyRef | EnvField | EnvResource | EnvFileKey
