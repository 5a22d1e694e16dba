"""ConfigMap, Secret and Namespace: stored, nothing to run."""

from __future__ import annotations

from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds.base import Object, Part, planned


def build(obj: Object, options: CompileOptions) -> Part:
    return Part((planned(obj),))
