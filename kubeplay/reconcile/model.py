"""What reconcile sees of a pod, what it may do about it, and what came of it: records only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.kube.status import Instance
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.reconcile.schedule import Room
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.reconcile.images import Wanted

# Keys of the back-off table. A container's own name holds its crash back-off (RB1): `delay` and the `since` of its last
# restart; its message is what it belongs to (RB3). The others:
START = "start:"  # why the last start attempt of a container failed (CS3), and when to try again
IMAGE = "image:"  # pull back-off of an image (RB4)
AGAIN = "again:"  # a person asked to start it whatever its policy says
HOLD = "hold:"  # a person stopped it: do not start it
HOOK = "hook:"  # its postStart hook is not through yet (LH1)
FILES = "files"  # the files of its volumes are to be written anew at `since` + `delay` (reconcile/live.py)
SANDBOX = "sandbox"  # the sandbox could not be made
VOLUMES = "volumes"  # a volume could not be set up (CS5)
REJECTED = "rejected"  # the pod was not admitted
UNSCHEDULED = "unscheduled"  # no room on this machine, or a gate (LR1), by reason and message; nothing is made until it goes
ACCEPTED = "accepted"  # `since` is when a person started the pod again; without it the pod was accepted when it was created (CO5, AD1)
RESIZE = "resize"  # the object asks for other resources than the plan has (RS8); reason and message say what stands in its way
EVICTED = "evicted"  # the pod must end and is Failed with this row's reason and message (PH3); anybody may ask for it by setting the row
KILLED = "killed:"  # we killed the instance whose id is the row's message: its policy decides, not its exit rules (RR1)


class Health(Record):
    """What probes and hooks say of the newest instance (CS9, PR10): all is well where there are none.

    `failed` is "liveness" or "startup" when that probe wants this very instance killed; `message` what the probe said.
    """

    started: bool = True
    ready: bool = True
    failed: str = ""
    message: str = ""


class Seen(Record):
    """A container: its newest two instances; `here` = the newest one belongs to the present sandbox, `killed` = why we ended it."""

    plan: ContainerPlan
    current: Instance | None = None
    previous: Instance | None = None
    here: bool = False
    health: Health = Health()
    killed: str = ""


class Observed(Record):
    """One look at a pod. `void`: it ran under another boot, so only a person starts it again.

    `bound`: the scheduler's part is done; else `room` is what it decides by. `resizable`: a resize is asked for and worth a try (RS8).
    """

    uid: str
    plan: PodPlan
    desired: str
    created: float = 0.0
    accepted: float = 0.0
    phase: str = ""
    deleted: bool = False
    initialized: bool = False
    void: bool = False
    sandbox: str = ""
    sandbox_ready: bool = False
    sandbox_attempts: int = 0
    addresses: tuple[str, ...] = ()
    host_ip: str = ""
    host_ip6: str = ""  # only where the pod, or the whole root, has IPv6
    containers: tuple[Seen, ...] = ()
    backoffs: Mapping[str, BackoffRow] = {}
    generation: int = 1
    bound: bool = True
    room: Room = Room("")
    resizable: bool = False


class Bind(Record):
    """Promise the pod its part of the machine, if that is still there."""


class Unschedule(Record):
    """Note why the pod waits without being bound (LR1)."""

    reason: str
    message: str


class Resize(Record):
    """Give the pod the resources that its object asks for now (RS8)."""


class Reject(Record):
    """Never run the pod: it becomes Failed for this reason."""

    reason: str
    message: str


class KillPod(Record):
    """Stop every container and remove the sandbox; `finish`: for good, the pod's phase becomes terminal.

    With a `reason` the pod becomes Failed whatever its containers' exit codes, and shows reason and message (PH3, AD1). `grace`
    seconds replace the pod's own (TE3).
    """

    finish: bool = False
    reason: str = ""
    message: str = ""
    grace: float | None = None


class Kill(Record):
    """Stop the running instance of one container; then its policy applies, without its exit rules (RR1). `reason` is what asks for it
    (liveness, startup, changed), `message` the text of the event, `grace` the probe's own seconds or None for the pod's (PR10, TE3).
    """

    name: str
    reason: str
    message: str
    grace: float | None = None


class RestartAll(Record):
    """Stop and remove all containers and begin anew in the same sandbox, because `trigger` ended as its rule says (RR2)."""

    trigger: str


class MakeSandbox(Record):
    """Make sandbox number `attempt`."""

    attempt: int


class Start(Record):
    """Create and start instance `attempt`; `delay` is the crash back-off that now counts, 0 = none (RB1).

    `run` False: create only (play --start=false).
    """

    name: str
    attempt: int
    delay: float = 0.0
    run: bool = True


class Begin(Record):
    """Start an instance that has been created."""

    name: str


class Note(Record):
    """Remember what a container waits for: CrashLoopBackOff (CS6, RB3) or ImagePullBackOff (RB4)."""

    name: str
    reason: str
    message: str


Action = Bind | Unschedule | Resize | Reject | KillPod | Kill | RestartAll | MakeSandbox | Start | Begin | Note


class Decision(Record):
    """What to do now, and when to look again if nothing happens until then (None = never)."""

    actions: tuple[Action, ...] = ()
    wake_at: float | None = None


class Failure(Record):
    """Why a container (or, with name "", the pod) does not start."""

    container: str
    reason: str
    message: str


class Outcome(Record):
    """What a reconcile left behind. `busy`: somebody else holds the pod. `routes`: address or readiness changed.

    `unscheduled`: why it is bound to no node (LR1), "" = it is.

    `pulls`: images to be pulled before it can go on, which is done without the pod's lock; reconcile() itself sees to it.
    """

    phase: str = ""
    ready: bool = False
    initialized: bool = False
    started: bool = False
    wake_at: float | None = None
    failures: tuple[Failure, ...] = ()
    busy: bool = False
    gone: bool = False
    routes: bool = False
    pulls: tuple[Wanted, ...] = ()
    unscheduled: str = ""
