"""The one call: what of a manifest does not carry over to a cluster, or from one to this machine."""

from __future__ import annotations

from kubeplay.kube.portable.model import CLUSTER, LEVELS, Facts, Finding, Object

NOTHING = Facts()


def findings(obj: Object, target: str = CLUSTER, facts: Facts = NOTHING) -> list[Finding]:
    """What a manifest asks for that `target` (CLUSTER or LOCAL) does not give, the worst first.

    `obj` is a manifest as written, without defaults; nothing of its shape is taken for granted. What the API server would refuse is
    kube.check's to say, what kubeplay does not support play.fields'.
    """
    if target == CLUSTER:
        from kubeplay.kube.portable import objects, pod

        found = [*pod.findings(obj, facts), *objects.findings(obj)]
    else:
        from kubeplay.kube.portable import local

        found = local.findings(obj, facts)
    return sorted(found, key=lambda one: LEVELS.index(one.level))
