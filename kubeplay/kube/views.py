"""What is known of a pod and its containers when their status is written: records only."""

from __future__ import annotations

from typing import Any

from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.record import Record

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
TERMINAL = (SUCCEEDED, FAILED)
CRASH_LOOP = "CrashLoopBackOff"
RESTARTING_ALL = "RestartingAllContainers"  # RR2, CS7

Json = dict[str, Any]


class Instance(Record):
    """One container instance as seen; `state` is created, running, exited or unknown; times are epoch seconds."""

    id: str
    attempt: int
    state: str
    image: str = ""
    image_id: str = ""
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    user: str = ""


class ContainerView(Record):
    """A planned container, its last two instances, and why its last start attempt failed ("" = it did not).

    `started` and `ready` are what its probes say of an instance that runs (CS9); `killed` is why we ended the newest one ourselves.
    """

    plan: ContainerPlan
    current: Instance | None = None
    previous: Instance | None = None
    waiting: str = ""
    message: str = ""
    started: bool = True
    ready: bool = True
    killed: str = ""


class PodView(Record):
    """What is known of a pod.

    `finished`: everything is torn down, so a terminal phase may be shown. `ending`: being deleted or stopped by a
    person, so nothing will start again. `reason` and `message` are the pod's own (a refused pod: SysctlForbidden);
    `failed`: they are why it must end, whatever its containers did (DeadlineExceeded, Evicted). `created` is when it was accepted (CO5).
    `unscheduled`: reason and message of a pod that this machine has no place for (LR1), both "" when it shows nothing of it.
    `resize`: what stands in the way of a resize (RS8).
    """

    plan: PodPlan
    created: float
    containers: tuple[ContainerView, ...]
    sandbox_ready: bool = False
    addresses: tuple[str, ...] = ()
    host_ip: str = ""
    host_ip6: str = ""
    initialized: bool = False
    ending: bool = False
    finished: bool = False
    rejected: bool = False
    failed: bool = False
    reason: str = ""
    message: str = ""
    generation: int = 1
    unscheduled: tuple[str, str] | None = None
    resize: tuple[str, str] = ("", "")
