"""The whole plan of one `play`: objects to store and pods to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.record import Record

if TYPE_CHECKING:  # the store needs ObjectKey alone: `ps` must not pay for every record of a plan
    from kubeplay.plan.pod import PodPlan
    from kubeplay.plan.service import ServicePlan


# kinds that live in no namespace
CLUSTER_WIDE = ("Namespace", "PersistentVolume", "StorageClass", "PriorityClass", "IngressClass", "ClusterRole", "ClusterRoleBinding")


class ObjectKey(Record):
    """Identity of a stored object; `namespace` "" for cluster-wide kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}"


class PlannedObject(Record):
    """One object to store: `body` is its canonical JSON text (defaulted, without status).

    `keep`: one that is there already is left as it is (a claim of a StatefulSet, ST1).
    """

    key: ObjectKey
    body: str
    owner: ObjectKey | None = None
    keep: bool = False


class ClaimPlan(Record):
    """A volume to make for a PersistentVolumeClaim: driver options come from volume.podman.io/* annotations."""

    namespace: str
    name: str
    options: tuple[tuple[str, str], ...] = ()


class Stack(Record):
    """What one play brings about. Objects come in apply order (VL9): Namespace, ConfigMap, Secret, PVC, Service, workloads, Pods."""

    objects: tuple[PlannedObject, ...] = ()
    claims: tuple[ClaimPlan, ...] = ()
    services: tuple[ServicePlan, ...] = ()
    pods: tuple[PodPlan, ...] = ()
    start: bool = True


class Given(Record):
    """One object as its file has it, JSON text without defaults: what the next apply takes for the last applied one."""

    key: ObjectKey
    text: str


class Played(Record):
    """What files came to: the stack, and their objects as they were given."""

    stack: Stack
    given: tuple[Given, ...] = ()


class Origin(Record):
    """Which stack a play belongs to: `name` as asked for ("" = by `source`, called `wish` where it is new), `source` what names it again
    ("" = nothing does)."""

    namespace: str
    name: str = ""
    source: str = ""
    wish: str = ""
