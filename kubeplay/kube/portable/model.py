"""One thing that a manifest asks for and that the other place does not give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeplay.record import Record

Object = dict[str, Any]
Path = tuple["str | int", ...]

CLUSTER, LOCAL = "cluster", "local"
TARGETS = (CLUSTER, LOCAL)

# ERROR: refused there, or it cannot run. WARNING: it means something else there, or runs only by luck. INFO: it works, and could be better.
ERROR, WARNING, INFO = "error", "warning", "info"
LEVELS = (ERROR, WARNING, INFO)

# The value that `generate` writes in place of a Secret's. Not base64, so that kubectl, an API server and `kubeplay play` refuse the
# file instead of storing nonsense.
PLACEHOLDER = "<hidden: generate again with --show-secrets>"


class Finding(Record):
    """`path` leads to the field (steps as of kube.document.Positions.at, which knows its line); `rule` is a stable word for tools."""

    path: Path
    level: str
    why: str
    remedy: str = ""
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.level}: {text(self.path)}: {self.why}" + (f" ({self.remedy})" if self.remedy else "")


class Facts(Record):
    """What is known beside the manifest.

    `unpublished`: image names, as manifests write them, that no registry is known to have; `node` the name of this machine's node.
    """

    unpublished: frozenset[str] = frozenset()
    node: str = ""


class Part(Record):
    """A PodSpec in an object: where its pod's record (metadata and spec) stands, and the two halves of that."""

    at: Path
    meta: Object
    spec: Object

    def containers(self) -> Iterator[tuple[Path, Object]]:
        """Every container, of all three lists, with its path."""
        for field in ("initContainers", "containers", "ephemeralContainers"):
            for index, container in enumerate(items(self.spec, field)):
                yield (*self.at, "spec", field, index), container


TEMPLATES: dict[str, Path] = {
    "Pod": (),
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"), ("spec", "template")),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}


def part(obj: Object) -> Part | None:
    """The pod that an object is or makes, if any. A manifest of any shape may be asked for."""
    at = TEMPLATES.get(str(obj.get("kind")))
    if at is None:
        return None
    inner = obj
    for step in at:
        inner = record(inner, str(step))
    return Part(at, record(inner, "metadata"), record(inner, "spec"))


def record(value: Object, field: str) -> Object:
    """A field that is a record; an empty one where it is anything else."""
    found = value.get(field)
    return found if isinstance(found, dict) else {}


def items(value: Object, field: str) -> list[Object]:
    """A field that is a list of records, others among them as empty ones: so that indexes stay right."""
    found = value.get(field)
    return [item if isinstance(item, dict) else {} for item in found] if isinstance(found, list) else []


_MAPS = frozenset(("limits", "requests", "labels", "annotations", "data", "nodeSelector", "matchLabels", "stringData", "binaryData"))


def text(path: Path) -> str:
    """A path as Kubernetes writes it: `spec.containers[0].env`, keys of maps in brackets."""
    made = ""
    for at, step in enumerate(path):
        if isinstance(step, int) or (at and path[at - 1] in _MAPS):
            made += f"[{step}]"
        else:
            made += f".{step}" if made else str(step)
    return made
