"""The API server's validation of each kind, as kube-apiserver 1.36 does it (VL1-VL8).

`validate` takes an object with its defaults (kube/defaults.py), already checked for types and unknown
fields (kube/schema.py) and admitted (kube/admission.py), and returns every fault, in the order in which the server lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeplay.errors import Fault
from kubeplay.kube.validate import claim, data, pod, service, workload
from kubeplay.kube.validate.report import Faults, Object

if TYPE_CHECKING:
    from kubeplay.kube.kinds import Kind


def validate(obj: Object, kind: Kind) -> list[Fault]:
    """Every fault of a defaulted object; none for a kind that has no rules here."""
    faults = Faults()
    if not isinstance(obj.get("metadata"), dict):
        obj = {**obj, "metadata": {}}
    for check in _KINDS.get((kind.group, kind.kind), ()):
        check(faults, obj)
    return faults.items


_KINDS: dict[tuple[str, str], tuple[Callable[[Faults, Object], None], ...]] = {
    ("", "Pod"): (pod.pod,),
    ("", "ConfigMap"): (data.config_map,),
    ("", "Secret"): (data.secret,),
    ("", "Namespace"): (data.namespace,),
    ("", "PersistentVolumeClaim"): (claim.claim,),
    ("", "Service"): (service.service,),
    ("apps", "Deployment"): (workload.deployment,),
    ("apps", "ReplicaSet"): (workload.replica_set,),
}
