"""Pod: one plan, and the claims of its ephemeral volumes."""

from __future__ import annotations

from kubeplay.play.compile import CompileOptions, compile_pod
from kubeplay.play.kinds import ephemeral
from kubeplay.play.kinds.base import Object, Part, admitted, planned


def build(obj: Object, options: CompileOptions) -> Part:
    obj = admitted(obj, options)
    owned = ephemeral.part(obj, options)
    return Part((planned(obj), *owned.objects), claims=owned.claims, pods=(compile_pod(obj, options),))
