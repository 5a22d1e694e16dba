"""Pod: one plan."""

from __future__ import annotations

from kubeplay.play.compile import CompileOptions, compile_pod
from kubeplay.play.kinds.base import Object, Part, planned


def build(obj: Object, options: CompileOptions) -> Part:
    return Part((planned(obj),), pods=(compile_pod(obj, options),))
