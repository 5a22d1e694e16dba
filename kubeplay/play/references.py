"""Which ConfigMaps, Secrets and claims the pods of a Stack use, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubeplay.errors import InvalidInput
from kubeplay.plan.container import INIT, SIDECAR, ContainerPlan
from kubeplay.plan.env import EnvKeyRef
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.plan.volumes import ROOT_CA, Claim, ObjectFiles, Projected, Volume
from kubeplay.play.progress import Progress, ProgressEvent
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


class Reference(Record):
    """`user` (a pod) names `key` at the field `path`; with `optional` it may be missing (EN5, VO3)."""

    key: ObjectKey
    user: ObjectKey
    path: str
    optional: bool

    def __str__(self) -> str:
        return f"{self.user}: {self.path}: {self.key.kind} {self.key.name}"


def references(stack: Stack) -> list[Reference]:
    """Every reference of every pod, in order."""
    return [reference for pod in stack.pods for reference in of_pod(pod)]


def of_pod(pod: PodPlan) -> Iterator[Reference]:
    user = ObjectKey("Pod", pod.namespace, pod.name)
    counts = {"initContainers": 0, "containers": 0}
    for container in pod.containers:
        field = "initContainers" if container.kind in (INIT, SIDECAR) else "containers"
        for path, kind, name, optional in _of_container(container):
            yield Reference(ObjectKey(kind, pod.namespace, name), user, f"spec.{field}[{counts[field]}].{path}", optional)
        counts[field] += 1
    for index, volume in enumerate(pod.volumes):
        for path, kind, name, optional in _of_volume(volume):
            yield Reference(ObjectKey(kind, pod.namespace, name), user, f"spec.volumes[{index}].{path}", optional)


def _of_container(container: ContainerPlan) -> Iterator[tuple[str, str, str, bool]]:
    for index, source in enumerate(container.env_from):
        field = "configMapRef" if source.kind == "ConfigMap" else "secretRef"
        yield f"envFrom[{index}].{field}.name", source.kind, source.object_name, source.optional
    for index, entry in enumerate(container.env):
        if isinstance(entry, EnvKeyRef):
            field = "configMapKeyRef" if entry.kind == "ConfigMap" else "secretKeyRef"
            yield f"env[{index}].valueFrom.{field}.name", entry.kind, entry.object_name, entry.optional


def _of_volume(volume: Volume) -> Iterator[tuple[str, str, str, bool]]:
    source = volume.source
    if isinstance(source, ObjectFiles):
        field = "configMap.name" if source.kind == "ConfigMap" else "secret.secretName"
        yield field, source.kind, source.object_name, source.optional
    elif isinstance(source, Projected):
        for index, part in enumerate(source.sources):
            if isinstance(part, ObjectFiles) and (part.kind, part.object_name) != ROOT_CA:
                field = "configMap" if part.kind == "ConfigMap" else "secret"
                yield f"projected.sources[{index}].{field}.name", part.kind, part.object_name, part.optional
    elif isinstance(source, Claim):
        yield "persistentVolumeClaim.claimName", "PersistentVolumeClaim", source.claim_name, False


def missing(stack: Stack, exists: frozenset[ObjectKey] | set[ObjectKey]) -> list[Reference]:
    """References that neither the stack nor `exists` satisfies and that are not optional."""
    known = {planned.key for planned in stack.objects} | exists
    return [reference for reference in references(stack) if not reference.optional and reference.key not in known]


def check(engine: Engine, stack: Stack, keep: bool, progress: Progress) -> None:
    """Refuse references to nothing before anything is made; with `keep` the pods wait until it is there."""
    wanted = references(stack)
    gone = missing(stack, {r.key for r in wanted if _exists(engine, r.key)}) if wanted else []
    for reference in gone if keep else []:
        progress(ProgressEvent("warning", "missing", str(reference), message="the pod waits until it is there"))
    if gone and not keep:
        lines = "\n".join(f"  {reference} not found" for reference in gone)
        raise InvalidInput(
            f"the pods refer to objects that neither the files nor the store have:\n{lines}",
            hint="add them to the files, mark the references optional, or play with --keep-on-failure",
        )


def _exists(engine: Engine, key: ObjectKey) -> bool:
    if key.kind == "PersistentVolumeClaim" and engine.store.resources.volume(key.namespace, key.name):
        return True
    return engine.store.objects.find(key) is not None
