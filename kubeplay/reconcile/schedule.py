"""The one-node scheduler's verdict (LR1): whether a pod may be bound to this machine, as pure functions of its plan and the room there is.

Only what one machine can honour is judged: scheduling gates, another node's name, claims without a volume, and resource fit. Node
selectors, affinity, tolerations and spreading are accepted with a notice. A pod that asks for nothing is never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubeplay.plan import amounts
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import Claim
from kubeplay.record import Record

GATED, UNSCHEDULABLE, ELSEWHERE = "SchedulingGated", "Unschedulable", "OtherNode"
GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"
_HUGE = "hugepages-"


class Room(Record):
    """What this machine has and what of it other bound pods have been promised, by resource: CPU in milli, the rest in bytes or counts.

    `claims`: what keeps the pod's claims from being mounted, in the scheduler's words; "" = nothing.
    """

    node: str
    capacity: Mapping[str, int] = {}
    used: Mapping[str, int] = {}
    claims: str = ""


class Verdict(Record):
    """`reason` "" = the pod fits; ELSEWHERE: it belongs to a node that is not this one and shows no condition at all (record 117).

    `refused`: it was assigned to this node by name, which passes the scheduler by, and the node does not take it.
    """

    reason: str = ""
    message: str = ""
    refused: bool = False


FITS = Verdict()


def asks(pod: PodPlan, node: str) -> bool:
    """Whether there is anything to decide on the machine `node`: everything else is bound at once."""
    return bool(pod.scheduling_gates or pod.assigned_node not in ("", node) or has_claims(pod) or countable(amounts.demand(pod)))


def has_claims(pod: PodPlan) -> bool:
    """Whether the pod mounts claims; the scheduler has no say in them once a node is named in the manifest."""
    return not pod.assigned_node and any(isinstance(volume.source, Claim) for volume in pod.volumes)


def countable(demand: Mapping[str, int]) -> dict[str, int]:
    """The part of a demand that is counted: a device by its CDI name may be given to any number of containers (as Podman)."""
    return {name: amount for name, amount in demand.items() if "=" not in name}


def verdict(pod: PodPlan, room: Room) -> Verdict:
    """Gates first, then an assigned node, then claims, then fit: the scheduler's own order."""
    if pod.assigned_node and pod.assigned_node != room.node:
        return Verdict(ELSEWHERE, f"the pod is assigned to node {pod.assigned_node}, and this machine is {room.node}")
    if pod.scheduling_gates:
        return Verdict(GATED, GATED_MESSAGE)
    if room.claims and has_claims(pod):
        return Verdict(UNSCHEDULABLE, _available(room.claims, helpless=True))
    wanted = countable(amounts.demand(pod))
    short = sorted(name for name, amount in wanted.items() if amount > room.capacity.get(name, 0) - room.used.get(name, 0))
    if not short:
        return FITS
    if pod.assigned_node:
        return _out_of(short[0], wanted[short[0]], room)
    helpless = any(wanted[name] > room.capacity.get(name, 0) for name in short)
    return Verdict(UNSCHEDULABLE, _available(", ".join(f"1 Insufficient {name}" for name in short), helpless))


def _available(reasons: str, helpless: bool) -> str:
    """The scheduler's text (record 115); `helpless`: not even an empty node would do."""
    why = "Preemption is not helpful for scheduling" if helpless else "No preemption victims found for incoming pod"
    return f"0/1 nodes are available: {reasons}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 {why}."


def _out_of(name: str, wanted: int, room: Room) -> Verdict:
    """The kubelet's refusal of a pod assigned to it by name [K: pkg/kubelet/lifecycle/predicate.go]."""
    used, capacity = room.used.get(name, 0), room.capacity.get(name, 0)
    text = f"Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}"
    return Verdict(f"OutOf{name}", f"Pod was rejected: {text}", refused=True)
