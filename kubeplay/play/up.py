"""Play a Stack: a transaction from "nothing of it" to "everything has started", undone when a part fails.

Steps, each with a fault point: hold the objects (record.py), undo or take over what a killed command left, compare, refuse or
replace, store objects and pods in one database transaction, make volumes, give Services their addresses, bring up the pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubeplay.engine.host import faults, threads
from kubeplay.engine.host.trace import trace
from kubeplay.engine.store.runtime import CREATE, RUN, STOP, PodRow
from kubeplay.errors import Interrupted, KubeplayError, PodError, Timeout
from kubeplay.kube.status import CRASH_LOOP, FAILED, SUCCEEDED, TERMINAL
from kubeplay.plan import codec
from kubeplay.plan.container import INIT
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.service import ServicePlan
from kubeplay.plan.stack import ClaimPlan, Given, ObjectKey, Origin, Stack
from kubeplay.play import change, children, companions, given, references
from kubeplay.play import down as downs
from kubeplay.play import record as records
from kubeplay.play.progress import Progress, ProgressEvent, silent
from kubeplay.play.runner import Job, Runner
from kubeplay.play.signals import Signals, watched
from kubeplay.reconcile import services
from kubeplay.reconcile.model import Failure, Outcome
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.play.update import Update
    from kubeplay.reconcile.pulls import Flags

_RUNNING = ("Pod", *children.WORKLOADS)
LASTING = ("Namespace", "PersistentVolumeClaim", "PersistentVolume", "StorageClass")  # not made anew where they have not changed
ROLLBACK_GRACE = 2.0  # TE2: the least a container gets; nobody waits for a play that has failed


class UpOptions(Record):
    """Flags of `play kube`. `update`: what differs is changed in place where that can be (play/update.py), and with `recreate` made
    anew where it cannot. `timeout` seconds bounds the whole start (and `wait_ready`), None = no bound. `pull`: how to reach registries.

    `origin`, `given`: the stack that this play is of, and its objects as their files have them.
    """

    replace: bool = False
    update: bool = False
    keep_on_failure: bool = False
    wait_ready: bool = False
    timeout: float | None = None
    pull: Flags | None = None
    recreate: bool = False
    origin: Origin | None = None
    given: tuple[Given, ...] = ()


class PodResult(Record):
    """One pod of the play; `containers` are (name, id) in file order; `failures` only where it was kept in spite of them."""

    namespace: str
    name: str
    uid: str
    containers: tuple[tuple[str, str], ...]
    phase: str = ""
    ready: bool = False
    failures: tuple[Failure, ...] = ()


class UpResult(Record):
    """`unchanged`: everything was there already, as the file has it."""

    unchanged: bool
    pods: tuple[PodResult, ...] = ()
    services: tuple[ServicePlan, ...] = ()
    created: tuple[ObjectKey, ...] = ()
    replaced: tuple[ObjectKey, ...] = ()
    updated: tuple[ObjectKey, ...] = ()


def up(engine: Engine, stack: Stack, options: UpOptions = UpOptions(), progress: Progress = silent) -> UpResult:  # noqa: B008
    """Bring the stack about. Raises InvalidInput (missing references), Conflict (differs from what is there), ImageError,
    PodError, Timeout, Interrupted and whatever the engine raises; then nothing that this call made is left.
    """
    references.check(engine, stack, options.keep_on_failure, progress)
    if engine.store.controllers.any(("ResourceQuota",)) or any(one.key.kind == "ResourceQuota" for one in stack.objects):
        from kubeplay.play import policies

        stack = policies.within_quota(engine, stack, options.replace, progress)
    hold = records.Record(engine, [planned.key for planned in stack.objects])
    with watched() as signals:
        left = hold.take()
        faults.point("play:held")
        try:
            if left:
                from kubeplay.play import takeover

                takeover.take_over(engine, stack, hold, left, ROLLBACK_GRACE)
            return _Play(engine, stack, options, progress, hold, signals).run()
        finally:
            hold.release()


def _threads(plan: PodPlan) -> int:
    """How many threads of their own a pod's making takes: namespaces, network, each container's start and, of several, their making."""
    count = len(plan.containers)
    return 2 + count + (count if count > 1 else 0)


class _Play:
    """One play in progress."""

    def __init__(
        self, engine: Engine, stack: Stack, options: UpOptions, progress: Progress, hold: records.Record, signals: Signals
    ) -> None:
        self.engine = engine
        self.whole = stack
        self.stack = stack  # without what belongs to stored workloads
        self.options = options
        self.progress = progress
        self.hold = hold
        self.signals = signals
        self.uids: dict[str, PodPlan] = {}
        self.services: list[ServicePlan] = []
        self.reported: set[str] = set()
        self.replaced: tuple[ObjectKey, ...] = ()
        self.recreated: dict[ObjectKey, list[str]] = {}  # what cannot be changed in place, and why, before it is removed
        self.updates: tuple[Update, ...] = ()
        self.touched: list[str] = []  # pods of others that show what this play changes
        self.awaited: list[ObjectKey] = []  # workloads whose controllers say when they are ready

    def run(self) -> UpResult:
        with trace("compare"):
            self.stack = children.left_out(self.engine, self.whole)
            compared = change.compare(self.engine, self.stack)
        if compared.different and self.options.update:
            compared = self._changes(compared)
        elif compared.different and not self.options.replace:
            change.refuse(compared)
        gone = [one.key for one in self.stack.objects] if self.options.replace else list(self.recreated)
        services.check(self.engine, self.stack.services, gone)
        self._images(compared)
        if self.recreated:
            compared = self._recreate()
        if compared.different or (self.options.replace and any(key.kind in _RUNNING for key in compared.same)):
            compared = self._replace(compared)
        fresh = {planned.key for planned in compared.new}
        _ = self.stack.pods and self.engine.host  # a machine without a runtime: nothing could be undone either
        try:
            with trace("store"):
                self._store(compared)
            if not fresh and not self.updates and self._all_up():
                if self.options.wait_ready:
                    self._pods()
                return self._result(unchanged=True, created=())
            notice = self.engine.unenforced(self.stack.pods)
            if notice:
                self.progress(ProgressEvent("warning", "limits", "", message=notice))
            self._volumes(fresh)
            self._services(fresh)
            self._pods()
        except BaseException as error:
            if isinstance(error, Timeout) and self._keeps():
                raise
            self._undo(error)
            raise
        return self._result(unchanged=False, created=tuple(fresh))

    def _keeps(self) -> bool:
        return self.options.keep_on_failure or all(plan.controlled for plan in self.uids.values())

    # what is there already
    def _changes(self, compared: change.Comparison) -> change.Comparison:
        from kubeplay.play import update

        self.updates, refused = update.judged(self.engine, self.stack, compared.different)
        update.refuse({key: why for key, why in refused.items() if not self.options.recreate or key.kind in LASTING})
        self.recreated = refused
        return compared._replace(different=(), same=compared.same | {one.key for one in self.updates})

    def _recreate(self) -> change.Comparison:
        """What may not change goes and comes anew."""
        self.replaced = tuple(self.recreated)
        for key, why in self.recreated.items():
            self.progress(ProgressEvent("object", "replaced", str(key), message=why[0]))
        downs.remove(self.engine, self.replaced, progress=self.progress)
        faults.point("play:recreated")
        self.stack = children.left_out(self.engine, self.whole)
        compared = change.compare(self.engine, self.stack)
        return self._changes(compared) if compared.different else compared

    def _images(self, compared: change.Comparison) -> None:
        """Pull what the pods to be made need, before anything that runs is removed for them."""
        from kubeplay.play import images

        if compared.different or self.options.replace:
            plans = list(self.whole.pods)
        else:
            changed = {one.key for one in self.updates}.union(self.recreated)
            same = compared.same - changed
            plans = [plan for plan in self.stack.pods if ObjectKey("Pod", plan.namespace, plan.name) not in same]
            plans += children.pods_of(self.whole, changed)
        with trace("images"):
            images.prepare(self.engine, self.whole, plans, self.options.pull, self.options.keep_on_failure, self.progress)
        faults.point("play:images")

    def _replace(self, compared: change.Comparison) -> change.Comparison:
        with trace("replace"):
            # What has not changed, too, as podman does; but others may live in a namespace, and a claim holds data.
            owned = {one.key for one in self.stack.objects if one.owner}  # the claims of ephemeral volumes go with their pods
            keep = {key for key in compared.same - owned if key.kind in LASTING}
            keep |= self._renewed(compared)
            keys = [planned.key for planned in self.stack.objects if planned.key not in keep]
            new = {planned.key for planned in compared.new}
            self.replaced = tuple([key for key in keys if key not in new])
            downs.remove(self.engine, keys, progress=self.progress)
        faults.point("play:replaced")
        self.stack = children.left_out(self.engine, self.whole)
        return change.compare(self.engine, self.stack)

    def _renewed(self, compared: change.Comparison) -> set[ObjectKey]:
        """Volumes and classes that differ are changed in place: claims may have them."""
        found = {one.key for one in compared.different if one.key.kind in LASTING[2:]}
        for planned in self.stack.objects:
            if planned.key in found:
                self.engine.store.objects.update(planned.key, planned.body)
        return found

    def _all_up(self) -> bool:
        """Whether every pod of an unchanged stack has come up: none stopped, of another boot, or left half made by a kill."""
        from kubeplay.reconcile.observe import look
        from kubeplay.reconcile.pod import outcome

        for plan_uid in self.uids:
            found = look(self.engine, plan_uid)
            if found.seen.void or found.row.desired == STOP or (found.row.desired == CREATE and self.stack.start):
                return False
            now = outcome(self.engine, found)
            if not (now.started or now.phase in TERMINAL or (found.row.desired == CREATE and now.phase)):
                return False
        return True

    # making
    def _store(self, compared: change.Comparison) -> None:
        """All objects and pods in one transaction: a kill leaves all of them or none."""
        plans = {ObjectKey("Pod", plan.namespace, plan.name): plan for plan in self.stack.pods}
        from kubeplay.reconcile.observe import remember

        owners: dict[ObjectKey, str] = {}
        desired = RUN if self.stack.start else CREATE
        changed = {one.key for one in self.updates}
        with self.engine.store.write():
            self._update(compared)
            for planned in self.stack.objects:
                plan = plans.get(planned.key)
                if planned.key in compared.same:
                    uid = self.engine.store.objects.get(planned.key).uid
                    self._known(uid)
                    if planned.key.kind in children.WORKLOADS and planned.key not in changed:
                        self._standing(planned.key)
                else:
                    self.hold.made(planned.key)
                    owner, body, plan = children.adopted(planned, plan, owners)
                    uid = self.engine.store.objects.create(planned.key, body, owner_uid=owner).uid
                    if plan is not None:
                        row = PodRow(uid, plan.namespace, plan.name, codec.dumps(plan), desired, True, None, 0, False)
                        self.engine.store.runtime.add_pod(row)
                        remember(uid, row.plan, plan)
                owners[planned.key] = uid
                if plan is not None:
                    self.uids[uid] = plan
            given.keep(self.engine, self.options.origin, self.options.given, owners)
        for planned in compared.new:
            if planned.key.kind not in ("Pod", "Service"):
                self.progress(ProgressEvent("object", "created", str(planned.key), owners[planned.key]))
        for one in self.updates:
            self.progress(ProgressEvent("object", "updated", str(one.key)))
        faults.point("play:stored")

    def _known(self, uid: str) -> None:
        """What is there already is not told as made."""
        self.reported.update((uid, *(row.id for row in self.engine.store.runtime.containers(uid) if row.started)))

    def _standing(self, key: ObjectKey) -> None:
        """The pods of a workload that is as the file has it: they are seen to run, as the play's own are."""
        for row in children.standing(self.engine, key):
            self.uids[row.uid] = codec.loads(row.plan)
            self._known(row.uid)

    def _update(self, compared: change.Comparison) -> None:
        """Changed objects, and a mark on each pod that shows one, or one that comes now."""
        data = [planned.key for planned in compared.new if planned.key.kind in ("ConfigMap", "Secret")]
        if self.updates:
            from kubeplay.play import update

            self.touched = update.store(self.engine, self.updates, data)
        elif data:
            from kubeplay.reconcile import live

            self.touched = live.mark(self.engine, data)

    def _volumes(self, fresh: set[ObjectKey]) -> None:
        """Bind and provision claims; one that still waits for a volume keeps its pods waiting (PV2)."""
        if not self.stack.claims and not any(one.key.kind in LASTING[2:] for one in self.stack.objects):
            return
        from kubeplay.reconcile import claims

        known = {(claim.namespace, claim.name) for claim in self.stack.claims if self._volume(claim)}
        for claim in self.stack.claims:
            if (claim.namespace, claim.name) not in known:
                self.hold.made(ObjectKey(records.VOLUME, claim.namespace, claim.name))
        made = claims.sync(self.engine)
        for claim in self.stack.claims:
            if (claim.namespace, claim.name) in known:
                continue
            if self._volume(claim) and (claim.namespace, claim.name) not in made:  # somebody else was quicker: it is not ours to remove
                self.hold.settle(ObjectKey(records.VOLUME, claim.namespace, claim.name))
            for event in claims.notices(self.engine, claim.namespace, claim.name):
                self.progress(ProgressEvent("warning", "claim", f"{claim.namespace}/{claim.name}", message=event))
        for namespace, name in made:
            self.progress(ProgressEvent("volume", "created", f"{namespace}/{name}"))
        faults.point("play:volume")

    def _volume(self, claim: ClaimPlan) -> bool:
        return self.engine.store.resources.volume(claim.namespace, claim.name) is not None

    def _services(self, fresh: set[ObjectKey]) -> None:
        changed = {(one.key.namespace, one.key.name) for one in self.updates if one.key.kind == "Service"}
        for made, known in services.give(self.engine, self.stack.services, changed):
            self.services.append(made)
            if known is None:
                self.progress(ProgressEvent("service", "created", f"{made.namespace}/{made.name}", made.cluster_ip))
            if made.pending and (known is None or known.pending != made.pending):
                self.progress(ProgressEvent("warning", "service", f"{made.namespace}/{made.name}", message=made.pending))
            faults.point("play:service")

    # running
    def _pods(self) -> None:
        clock = self.engine.clock
        deadline = None if self.options.timeout is None else clock.monotonic() + self.options.timeout
        if not (self.options.wait_ready and self.stack.start):
            self._run(deadline)
            return
        from kubeplay.play import awaited

        self.awaited = awaited.workloads(self.engine, self.stack)
        self._run(deadline)
        awaited.wait(self.engine, self.awaited, deadline, self.progress)

    def _run(self, deadline: float | None) -> None:
        jobs = [Job(uid, f"{p.namespace}/{p.name}", self.options.keep_on_failure or p.controlled) for uid, p in self.uids.items()]
        self._wake_existing()
        if any(not plan.sandbox.host_network for plan in self.uids.values()):
            self.engine.net.prepare()
        jobs = [*companions.jobs(self.engine, self.uids.values(), self.stack), *jobs]
        if self.touched:
            from kubeplay.reconcile import live

            live.bring(self.engine, [uid for uid in self.touched if uid not in self.uids])
        if not jobs:
            if self.services or companions.rules(self.stack):
                services.refresh(self.engine)
            return
        probed = [uid for uid, plan in self.uids.items() if any(container.probed for container in plan.containers)]
        runner = Runner(self.engine, jobs, self._check, self._seen, routes=self._networked(), probed=probed)
        threads.reserve(2 + sum(_threads(plan) for plan in self.uids.values()))
        try:
            self.signals.watch(runner)
            with trace("pods"):
                runner.run(self._started, deadline)
            companions.warn(self.engine, self.uids.values(), self.progress)
            faults.point("play:started")
            if self.options.wait_ready and self.stack.start:
                runner.run(self._ready, deadline)
                self._check_ready(runner.outcomes)
        except Timeout as error:
            from kubeplay.play import unready

            hint = "" if self._keeps() else "--keep-on-failure keeps what was made"
            raise Timeout(error.message + unready.explain(self.engine, runner.jobs), hint=hint) from error
        finally:
            self.signals.watch(None)
            runner.close()

    def _networked(self) -> bool:
        """Whether rules and names are needed: the bulk of them can be made while the pods are, only their own come after."""
        return bool(self.services) or companions.rules(self.stack) or any(not plan.sandbox.host_network for plan in self.uids.values())

    def _wake_existing(self) -> None:
        """Pods that a person stopped, or that another boot left, start again with the play."""
        from kubeplay.play import lifecycle
        from kubeplay.reconcile.observe import look

        for uid in self.uids:
            found = look(self.engine, uid)
            if self.stack.start and (found.seen.void or found.row.desired in (STOP, CREATE)):
                lifecycle.prepare_start(self.engine, found)

    def _started(self, job: Job, outcome: Outcome) -> bool:
        if outcome.gone or outcome.started or outcome.unscheduled or outcome.phase in TERMINAL:
            return True
        if not self.stack.start and not job.system:
            return True
        return job.tolerant and bool(outcome.failures)

    def _ready(self, job: Job, outcome: Outcome) -> bool:
        """Ready, or never to be; one that has succeeded has come to where its file wants it (docs/decisions/0012)."""
        return outcome.gone or outcome.ready or outcome.phase in TERMINAL or job.system or self._left(job.uid)

    def _left(self, uid: str) -> bool:
        """Whether a pod's controller says when enough of its like are ready."""
        return bool(self.awaited) and uid in self.uids and self.uids[uid].controlled

    def _check_ready(self, outcomes: Mapping[str, Outcome]) -> None:
        """A pod that has failed for good will never be ready, one that has succeeded neither: who waits must hear of both."""
        for uid, outcome in outcomes.items():
            if uid in self.uids and outcome.phase == SUCCEEDED:
                plan = self.uids[uid]
                self.progress(ProgressEvent("pod", "completed", f"{plan.namespace}/{plan.name}", uid))
        failed = [uid for uid, one in outcomes.items() if uid in self.uids and one.phase == FAILED and not self._left(uid)]
        if failed:
            names = ", ".join(f"{self.uids[uid].namespace}/{self.uids[uid].name}" for uid in failed)
            raise Timeout(f"these pods have ended and will never be ready: {names}")

    def _check(self, job: Job, outcome: Outcome) -> None:
        """Whether the play has failed with this pod (DESIGN: one that exits later is no failure of play)."""
        if job.tolerant:
            return
        if outcome.gone:
            raise PodError("Deleted", f"pod {job.name} was removed by another command while it was being played")
        plan = self.uids[job.uid]
        init = {c.name for c in plan.containers if c.kind == INIT}
        for failure in outcome.failures:
            crashed = failure.reason == CRASH_LOOP or (failure.container in init and outcome.phase == FAILED)
            if (crashed and failure.container not in init) or (outcome.started and failure.container):
                continue
            from kubeplay.play import failing

            raise failing.error(self.engine, job, failure, died=failure.container in init)

    def _seen(self, job: Job, outcome: Outcome) -> None:
        """Tell of new containers, once each."""
        if job.system:
            return
        if job.uid not in self.reported:
            self.reported.add(job.uid)
            self.progress(ProgressEvent("pod", "created", job.name, job.uid))
        done = "started" if self.stack.start else "created"
        for name, container_id in self._containers(job.uid, started=self.stack.start):
            if container_id not in self.reported:
                self.reported.add(container_id)
                self.progress(ProgressEvent("container", done, f"{job.name}/{name}", container_id))
        if outcome.unscheduled and job.uid + outcome.unscheduled not in self.reported:
            self.reported.add(job.uid + outcome.unscheduled)
            self.progress(ProgressEvent("warning", "FailedScheduling", job.name, message=f"stays Pending: {outcome.unscheduled}"))
        for failure in outcome.failures if job.tolerant else ():
            mark = f"{job.uid}{failure.container}{failure.reason}"
            if mark not in self.reported and failure.reason != CRASH_LOOP:
                self.reported.add(mark)
                where = f"{job.name}/{failure.container}" if failure.container else job.name
                self.progress(ProgressEvent("warning", failure.reason, where, message=failure.message))

    def _containers(self, uid: str, started: bool = False) -> list[tuple[str, str]]:
        newest = {row.name: row.id for row in self.engine.store.runtime.containers(uid) if row.started or not started}
        return [(c.name, newest[c.name]) for c in self.uids[uid].containers if c.name in newest]

    # the end
    def _undo(self, error: BaseException) -> None:
        """Remove what this call made; nothing when things are to be kept."""
        if self.options.keep_on_failure and not isinstance(error, (Interrupted, KeyboardInterrupt)):
            return
        with trace("undo"), self.signals.ignored():
            made = self.hold.made_keys()
            if made:
                self.progress(ProgressEvent("warning", "undo", "", message="removing what this play has made"))
            try:
                downs.remove(self.engine, made, timeout=ROLLBACK_GRACE)
            except KubeplayError as second:
                error.add_note(f"and undoing it failed: {second}")

    def _result(self, unchanged: bool, created: tuple[ObjectKey, ...]) -> UpResult:
        from kubeplay.reconcile.observe import look
        from kubeplay.reconcile.pod import outcome

        pods = []
        for uid, plan in self.uids.items():
            try:
                now = outcome(self.engine, look(self.engine, uid))
            except KubeplayError:
                continue  # removed by another command just now
            pods.append(PodResult(plan.namespace, plan.name, uid, tuple(self._containers(uid)), now.phase, now.ready, now.failures))
        given = self.services
        if unchanged and self.stack.services:
            wanted = {(s.namespace, s.name) for s in self.stack.services}
            given = [s for s in services.plans(self.engine) if (s.namespace, s.name) in wanted]
        return UpResult(unchanged, tuple(pods), tuple(given), created, self.replaced, tuple([one.key for one in self.updates]))
