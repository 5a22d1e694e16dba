"""What the server's admission refuses in a Pod before anyone validates it.

These name objects a machine without a cluster cannot have: service accounts, priority classes and
runtime classes of one's own. The two system priority classes and the account `default` always exist.
"""

from __future__ import annotations

from kubeplay.kube.defaults_pod import SYSTEM_PRIORITIES
from kubeplay.kube.validate.report import Faults, Object, record


def pod(faults: Faults, obj: Object) -> None:
    """A Pod, its defaults filled in."""
    spec = record(obj, "spec") or {}
    account = spec.get("serviceAccountName") or "default"
    if account != "default":
        where = f"{obj['metadata'].get('namespace') or 'default'}/{account}"
        faults.denied(
            "spec.serviceAccountName",
            f'error looking up service account {where}: serviceaccount "{account}" not found',
            "kubeplay has no service accounts but `default`: leave it out",
        )
    _priority(faults, spec)
    runtime = spec.get("runtimeClassName")
    if runtime:
        message = f'pod rejected: RuntimeClass "{runtime}" not found'
        faults.denied("spec.runtimeClassName", message, "choose the runtime with --runtime")
    elif record(spec, "overhead"):
        faults.denied("spec.overhead", "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead", "leave it out")


def _priority(faults: Faults, spec: Object) -> None:
    name = spec.get("priorityClassName") or ""
    if name and name not in SYSTEM_PRIORITIES:
        faults.denied("spec.priorityClassName", f"no PriorityClass with name {name} was found", "only the two system-* classes exist here")
        return
    computed = SYSTEM_PRIORITIES.get(name, 0)
    if spec.get("priority", computed) != computed:
        text = f"the integer value of priority ({spec['priority']}) must not be provided in pod spec"
        faults.denied(
            "spec.priority", f"{text}; priority admission controller computed {computed} from the given PriorityClass name", "leave it out"
        )
    policy = spec.get("preemptionPolicy", "PreemptLowerPriority")
    if policy != "PreemptLowerPriority":
        text = f"the string value of PreemptionPolicy ({policy}) must not be provided in pod spec"
        computed_policy = "priority admission controller computed PreemptLowerPriority from the given PriorityClass name"
        faults.denied("spec.preemptionPolicy", f"{text}; {computed_policy}", "leave it out")
