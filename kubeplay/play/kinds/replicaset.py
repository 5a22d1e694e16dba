"""ReplicaSet: its pods."""

from __future__ import annotations

from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds import workload
from kubeplay.play.kinds.base import Object, Part, planned


def build(obj: Object, templates: list[Object], options: CompileOptions) -> Part:
    return workload.joined((planned(obj),), workload.pods_of(obj, templates, workload.podman_marks(obj), options))
