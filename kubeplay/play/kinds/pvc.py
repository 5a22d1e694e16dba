"""PersistentVolumeClaim: a named volume, made from Podman's annotations (podman-kube-facts.md section 3)."""

from __future__ import annotations

from kubeplay.plan.stack import ClaimPlan, ObjectKey
from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds.base import Object, Part, key, planned

PREFIX = "volume.podman.io/"


def build(obj: Object, options: CompileOptions, owner: ObjectKey | None = None) -> Part:
    name = key(obj)
    marks = obj["metadata"].get("annotations") or {}
    chosen = tuple(sorted((mark.removeprefix(PREFIX), value) for mark, value in marks.items() if mark.startswith(PREFIX)))
    return Part((planned(obj, owner),), claims=(ClaimPlan(name.namespace, name.name, chosen),))
