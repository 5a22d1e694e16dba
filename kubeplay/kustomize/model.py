"""What a kustomization is made of while it is built: resources, and what they were called on the way."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import Fault, InvalidInput
from kubeplay.kube import kinds
from kubeplay.kube.scalars import number_text
from kubeplay.record import Record

Tree = dict[str, Any]


class Id(Record):
    """What tells one resource from another. `namespace` is "" where none is given."""

    group: str
    version: str
    kind: str
    name: str
    namespace: str

    def __str__(self) -> str:
        """kustomize's form: `Deployment.v1.apps/web.[noNs]`."""
        kind = ".".join(part for part in (self.kind, self.version or "[noVer]", self.group or "[noGrp]"))
        return f"{kind}/{self.name or '[noName]'}.{self.namespace or '[noNs]'}"

    def same(self, other: Id) -> bool:
        """Whether both name one object: no namespace is the namespace `default`, and a cluster-wide kind has none."""
        if self[:4] != other[:4]:
            return False
        return cluster_wide(self) or (self.namespace or "default") == (other.namespace or "default")


class Resource(Record):
    """An object on its way. `value` is its own tree, which transformers change; `past` are the ids it had, oldest first."""

    value: Tree
    origin: str
    past: tuple[Id, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    hashed: bool = False
    behavior: str = ""

    @property
    def id(self) -> Id:
        return id_of(self.value)

    @property
    def original(self) -> Id:
        return self.past[0] if self.past else self.id

    @property
    def ids(self) -> tuple[Id, ...]:
        """Every id it had, the one it has last."""
        return (*self.past, self.id)

    @property
    def name(self) -> str:
        return self.id.name

    def remembering(self) -> Resource:
        """The same before a change of its id."""
        current = self.id
        return self if current in self.past else self._replace(past=(*self.past, current))


def id_of(value: Tree) -> Id:
    group, _, version = text(value.get("apiVersion")).rpartition("/")
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return Id(group, version, text(value.get("kind")), text(metadata.get("name")), text(metadata.get("namespace")))


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def plain(value: object) -> str:
    """A scalar as a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else number_text(value) if isinstance(value, (int, float)) else ""


def cluster_wide(id: Id) -> bool:
    """Whether the kind is known to live in no namespace; a kind that nobody knows lives in one."""
    kind = kinds.find(f"{id.group}/{id.version}" if id.group else id.version, id.kind)
    return kind is not None and not kind.namespaced


def copied(value: Any) -> Any:
    """A tree that shares nothing with another: aliases of a file would be changed in two places."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def fault(where: str, path: str, message: str, hint: str = "") -> InvalidInput:
    """An error of one place of a kustomization."""
    return InvalidInput(f"{where}: {path}: {message}" if path else f"{where}: {message}", hint=hint)


def faults(where: str, found: list[Fault]) -> InvalidInput:
    return InvalidInput(f"{where}: {len(found)} fault{'s' if len(found) > 1 else ''}", found)
