"""Carry out decisions: sandbox, volumes, images, containers side by side; every failure is noted with its kubelet reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.host.trace import trace
from kubeplay.engine.store.events import NORMAL, WARNING
from kubeplay.engine.store.runtime import CREATED, EXITED, RUNNING, BackoffRow, ContainerRow, SandboxRow
from kubeplay.errors import ContainerError, ImageError, KubeplayError, SandboxError, VolumeError
from kubeplay.kube.restarts import CHANGED
from kubeplay.kube.status import CRASH_LOOP
from kubeplay.plan.container import APP, EPHEMERAL, ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import Claim, ImageVolume
from kubeplay.reconcile import backoff, images, parallel, policies, room, schedule, system, terminate
from kubeplay.reconcile.model import (
    ACCEPTED,
    AGAIN,
    EVICTED,
    HOOK,
    IMAGE,
    KILLED,
    REJECTED,
    RESIZE,
    SANDBOX,
    START,
    UNSCHEDULED,
    VOLUMES,
    Action,
    Begin,
    Bind,
    Kill,
    KillPod,
    MakeSandbox,
    Note,
    Reject,
    Resize,
    RestartAll,
    Start,
    Unschedule,
)
from kubeplay.reconcile.observe import Look, key_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.reconcile.pulls import Result
    from kubeplay.reconcile.resolve import Resolver


class _Later(Exception):
    """An image has to be pulled first, and not while the pod's lock is held."""


class Actor:
    """Acts for one pod whose lock is held. What it leaves in `wanted` is to be pulled before it can go on."""

    def __init__(self, engine: Engine, look: Look, wait_net: bool = True, grace: float | None = None) -> None:
        self.engine = engine
        self.look = look
        self.uid = look.row.uid
        self.plan: PodPlan = look.seen.plan
        self.wait_net = wait_net
        self.grace = grace
        self.wanted: list[images.Wanted] = []
        self._told: list[tuple[str, str, str, float]] = []

    def carry_out(self, actions: tuple[Action, ...]) -> None:
        """All actions of one decision; containers in parallel. Their events are stored at the end, in one transaction."""
        try:
            self._carry_out(actions)
        finally:
            self._tell_all()

    def _carry_out(self, actions: tuple[Action, ...]) -> None:
        containers: list[Start | Begin] = []
        kills: list[Kill] = []
        for action in actions:
            if isinstance(action, (Start, Begin)):
                containers.append(action)
            elif isinstance(action, MakeSandbox):
                self._make_sandbox(action.attempt)
            elif isinstance(action, KillPod):
                self._kill_pod(action)
            elif isinstance(action, Kill):
                kills.append(action)
            elif isinstance(action, RestartAll):
                self._restart_all(action.trigger)
            elif isinstance(action, Note):
                self._note(action)
            elif isinstance(action, Bind):
                self._bind()
            elif isinstance(action, Unschedule):
                self._unschedule(action)
            elif isinstance(action, Resize):
                self._resize()
            elif isinstance(action, Reject):
                self._remember(REJECTED, 0.0, action.reason, action.message)
                self._event(action.reason, action.message, WARNING)
                room.give_back(self.engine, self.uid)
        if kills:
            parallel.each(self._kill, kills)
        if containers:
            self._run(containers)

    def _bind(self) -> None:
        """Another pod may have been quicker: then the next look says so."""
        if not room.book(self.engine, self.uid, self.plan).reason:
            if UNSCHEDULED in self.look.seen.backoffs:
                self._remember(ACCEPTED, 0.0)  # it is from now on that it is active (CO5, AD1)
                self._forget(UNSCHEDULED)
            self._event("Scheduled", f"Successfully assigned {self.plan.namespace}/{self.plan.name} to {self.engine.node_name}")
        faults.point("reconcile:bound")

    def _resize(self) -> None:
        from kubeplay.reconcile import resizing

        parallel.each(
            lambda change: self._kill(Kill(change.name, CHANGED, f"Container {change.name} resize requires restart")),
            [change for change in resizing.step(self.engine, self.look) if self.look.rows.get(change.name)],
        )
        why = self.engine.store.runtime.backoffs(self.uid).get(RESIZE)
        if why is None:
            self._event("ResizeCompleted", "Pod resize completed")
        elif why.reason:
            self._event(f"Resize{why.reason}", why.message, WARNING)

    def _unschedule(self, action: Unschedule) -> None:
        self._remember(UNSCHEDULED, 0.0, action.reason, action.message)
        if action.reason == schedule.UNSCHEDULABLE:
            self._event("FailedScheduling", action.message, WARNING)

    def _make_sandbox(self, attempt: int) -> None:
        """Volumes first, as on a kubelet: without them there is no sandbox (CS5, record 045)."""
        if any(container.probed for container in self.plan.containers):
            from kubeplay.reconcile import rouse

            rouse.rouse(self.engine)  # who is to ask the probes takes as long to come up as the pod
        if not self._volumes():
            return
        if attempt:
            self._event("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        try:
            with trace(f"sandbox {self.plan.name}"):
                made = self.engine.create_sandbox(self.uid, self.plan)
                policies.before_start(self.engine, made)
        except KubeplayError as error:
            reason = error.reason if isinstance(error, SandboxError) else "FailedCreatePodSandBox"
            self._remember(SANDBOX, backoff.RETRY, reason, str(error))
            self._event(reason, f"Failed to create pod sandbox: {error.message}", WARNING)
            return
        faults.point("reconcile:sandbox")
        self._forget(SANDBOX)
        self.engine.store.runtime.set_pod(self.uid, initialized=0)

    def _kill_pod(self, action: KillPod) -> None:
        if action.reason and EVICTED not in self.look.seen.backoffs:  # before anything is stopped: a kill -9 must not lose why (PH3)
            self._remember(EVICTED, 0.0, action.reason, action.message)
            self._event(action.reason, action.message, WARNING)
        terminate.stop_all(self.engine, self.look, self.grace, action.grace)
        terminate.release(self.engine, self.look, wait_net=self.wait_net)
        if action.finish:
            self.engine.volumes.teardown(self.uid)
            faults.point("terminate:volumes")

    def _kill(self, action: Kill) -> None:
        """Stop one instance; which one is noted first, so that its policy decides alone what follows (RR1)."""
        row = self.look.rows[action.name][-1]
        self._remember(KILLED + action.name, 0.0, action.reason, row.id)
        terminate.stop_one(self.engine, self.look, row, action.grace, action.message)

    def _restart_all(self, trigger: str) -> None:
        """RR2: what asks for it goes last, so that a crash of ours is followed by the rest. They belong to no sandbox then: init again."""
        from kubeplay.kube.status import RESTARTING_ALL

        self._event("RestartingAllContainers", f"Container {trigger} ended as its rule says; all containers are restarted")
        terminate.stop_all(self.engine, self.look)
        runtime = self.engine.store.runtime
        runtime.set_pod(self.uid, initialized=0)
        newest = [rows[-1] for rows in self.look.rows.values() if rows]
        for row in sorted(newest, key=lambda row: row.name == trigger):
            if row.kind == EPHEMERAL or not row.sandbox_id:
                continue
            self.engine.remove_container(row, keep_row=True)
            ended = f"; it had ended with {row.exit_code}" if row.state == EXITED else ""
            message = f"restarted with all containers of the pod{ended}"
            runtime.set_container(row.id, sandbox_id="", reason=RESTARTING_ALL, exit_code=137, message=message)
            faults.point("reconcile:restarting-all")

    def _note(self, action: Note) -> None:
        known = self.look.seen.backoffs.get(START + action.name)
        if action.reason != CRASH_LOOP:
            since, delay = (known.since, known.delay) if known else (self.engine.clock.now(), 0.0)
            self.engine.store.runtime.set_backoff(BackoffRow(self.uid, START + action.name, delay, since, action.reason, action.message))
            self._event("BackOff", action.message.partition(": ")[0], NORMAL)
            self._event("Failed", f"Error: {action.reason}", WARNING)
            return
        self._remember(START + action.name, 0.0, action.reason, action.message)
        where = f"{self.plan.name}_{self.plan.namespace}({self.uid})"
        self._event("BackOff", f"Back-off restarting failed container {action.name} in pod {where}", WARNING)

    # containers
    def _run(self, actions: list[Start | Begin]) -> None:
        sandbox = self.look.sandboxes[-1]
        if all(isinstance(a, Begin) for a in actions):
            parallel.each(self._begin, actions)  # type: ignore[arg-type]
            return
        from kubeplay.reconcile.resolve import Resolver

        resolver = Resolver(self.engine, self.uid, self.plan, sandbox.addresses, (self.look.seen.host_ip, self.look.seen.host_ip6))
        runs = [a for a in actions if isinstance(a, Begin) or a.run]
        if any(self._plan_of(a.name).kind == APP for a in runs) and not self.look.row.initialized:
            self.engine.store.runtime.set_pod(self.uid, initialized=1)

        def one(action: Start | Begin) -> None:
            if isinstance(action, Begin):
                self._begin(action)
            else:
                self._start(action, sandbox, resolver)

        parallel.each(one, actions)

    def volumes(self) -> bool:
        """Set up what a container that joins has brought; False when it cannot be, noted as FailedMount."""
        try:
            return self._volumes()
        finally:
            self._tell_all()

    def _volumes(self) -> bool:
        """Set up the pod's volumes; False when one cannot be, noted as FailedMount (CS5)."""
        if not self.plan.volumes:
            return True
        if not self._volume_images():
            return False
        from kubeplay.reconcile import live

        try:
            with trace(f"volumes {self.plan.name}"):
                if any(isinstance(volume.source, Claim) for volume in self.plan.volumes):
                    from kubeplay.reconcile import claims

                    claims.attach(self.engine, self.uid, self.plan)
                live.setup(self.engine, self.uid, self.plan)
        except (VolumeError, ImageError) as error:
            self._failed_mount(error)
            return False
        faults.point("reconcile:volumes")
        self._forget(VOLUMES)
        return True

    def _volume_images(self) -> bool:
        """Whether the images of all image volumes are there; a pull that failed is noted (VO12)."""
        for volume in self.plan.volumes:
            source = volume.source
            if not isinstance(source, ImageVolume):
                continue
            try:
                self._image(images.wanted(self.plan, source.reference, source.pull_policy, source.pull_policy_set), volume.name)
            except ImageError as error:
                delay = self._pull_delay(source.reference) if error.reason in images.PULL_REASONS else None
                self._failed_mount(error, delay)
                return False
            except _Later:
                pass
        return not self.wanted

    def _failed_mount(self, error: VolumeError | ImageError, delay: float | None = None) -> None:
        if delay is None:
            delay = backoff.next_mount(self.look.seen.backoffs.get(VOLUMES))
        self._remember(VOLUMES, delay, error.reason, error.message)
        self._event(error.reason, error.message, WARNING)
        if isinstance(error, ImageError):  # an image volume's failure is shown by the containers (VO12)
            for container in self.plan.containers:
                self._failed(container.name, error)

    def _start(self, action: Start, sandbox: SandboxRow, resolver: Resolver) -> None:
        plan = self._plan_of(action.name)
        try:
            if not plan.imageless:
                self._image(images.wanted(self.plan, plan.image, plan.pull_policy, plan.pull_policy_set), plan.name)
        except _Later:
            return
        except ImageError as error:
            self._restarting(action)
            self._failed(action.name, error)
            return
        self._restarting(action)
        try:
            with trace(f"resolve {action.name}"):
                resolved = resolver.resolve(plan)
            with trace(f"create {action.name}"):
                row = self.engine.create_container(self.uid, sandbox, self.plan, plan, resolved, action.attempt)
        except VolumeError as error:
            self._failed_mount(error)
            return
        except (ContainerError, ImageError) as error:
            self._failed(action.name, error)
            return
        faults.point("reconcile:created")
        self._event("Created", f"Created container: {action.name}")
        self._forget(AGAIN + action.name)
        if row.state == EXITED:
            self._failed(action.name, ContainerError("RunContainerError", row.message), instance=True)
        elif action.run:
            self._begin_row(row)
        else:
            self._forget(START + action.name)

    def _restarting(self, action: Start) -> None:
        """Note the crash back-off that counts from now on, before the start: a kill -9 must not make it start twice as often."""
        if action.delay:
            self._remember(action.name, action.delay, message=backoff.stamp(self._plan_of(action.name)))

    def _image(self, want: images.Wanted, user: str) -> None:
        """See that the image is there for `user`, a container or volume. Raises ImageError, _Later."""
        try:
            row, pull = images.look(self.engine, want)
        except ImageError as error:
            if error.reason == images.PULL:
                self._failed_pull(want.image, error)
            else:
                self._event(images.NEVER_PULL if error.reason == images.NEVER_PULL else "InspectFailed", error.message, WARNING)
            raise
        known = images.known.get(self.engine)
        result = known.brought(want.image) if known is not None and pull is None else None
        if pull is not None:
            self._pulled(pull, user, present=row is not None)
        elif result is not None:
            self._event("Pulling", f'Pulling image "{want.image}"')
            self._tell(want, result)
        else:
            self._event("Pulled", f'Container image "{want.image}" already present on machine and can be accessed by the pod')
        self._forget(IMAGE + want.image)

    def _pulled(self, want: images.Wanted, user: str, present: bool) -> None:
        """What came of the pull of `want`; asks for it when there was none. Raises ImageError, _Later."""
        from kubeplay.reconcile import pulls

        known = pulls.of(self.engine)
        result = known.result(want)
        if result is None or (self.uid, user) not in known.announced:
            self._event("Pulling", f'Pulling image "{want.image}"')
        if result is None:
            known.announced.add((self.uid, user))
            self.wanted.append(want)
            raise _Later
        known.announced.discard((self.uid, user))
        self._tell(want, result)
        if result.error is None:
            known.brought(want.image)
        elif images.suffices(want.chosen, present, result.error.reason):
            message = f'Failed to pull image "{want.image}": {result.error.message}; the image that is present is used'
            self._event("Failed", message, WARNING)
        else:
            self._failed_pull(want.image, result.error)
            raise result.error

    def _tell(self, want: images.Wanted, result: Result) -> None:
        """The events of a pull, but for its failure."""
        if result.missing:
            why = f"Unable to retrieve some image pull secrets ({', '.join(result.missing)}); attempting to pull the image may not succeed."
            self._event("FailedToRetrieveImagePullSecret", why, WARNING)
        if result.error is None:
            took = f"{result.seconds:.3g}s ({result.seconds:.3g}s including waiting)"
            self._event("Pulled", f'Successfully pulled image "{want.image}" in {took}. Image size: {result.size} bytes.')

    def _failed_pull(self, image: str, error: ImageError) -> None:
        self._remember(IMAGE + image, self._pull_delay(image), error.reason, error.message)
        self._event("Failed", f'Failed to pull image "{image}": {error.message}', WARNING)

    def _pull_delay(self, image: str) -> float:
        return backoff.next_pull(self.look.seen.backoffs.get(IMAGE + image), self.engine.clock.now())

    def _begin(self, action: Begin) -> None:
        rows = self.look.rows[action.name]
        if self._plan_of(action.name).kind == APP and not self.look.row.initialized:
            self.engine.store.runtime.set_pod(self.uid, initialized=1)
        if rows and rows[-1].state == CREATED:
            self._forget(AGAIN + action.name)
            self._begin_row(rows[-1])
        elif rows and rows[-1].state == RUNNING:  # whoever started it was killed in the middle of its hook
            self._post_start(rows[-1])

    def _begin_row(self, row: ContainerRow) -> None:
        if system.needs_dns(self.plan):
            system.await_dns(self.engine)
            if why := system.fault(self.engine):
                self._event("MissingClusterDNS", why, WARNING)
        plan = self._plan_of(row.name)
        hooked = plan.post_start is not None
        if plan.probed:  # before it runs: a kill of ours must not leave it unprobed
            from kubeplay.reconcile import rouse
            from kubeplay.reconcile.probes import state

            state.begin(self.engine, plan, row.id)
        if hooked:  # until it is through the container counts as not started yet (LH1)
            self._remember(HOOK + row.name, 0.0)
        try:
            with trace(f"start {row.name}"):
                row = self.engine.start_container(row)
        except ContainerError as error:
            self._failed(row.name, error, instance=True)
            return
        faults.point("reconcile:started")
        self._event("Started", f"Started container {row.name}")
        if hooked:
            self._post_start(row)
        else:
            self._forget(START + row.name)
        if plan.probed:
            rouse.rouse(self.engine)

    def _post_start(self, row: ContainerRow) -> None:
        """LH1: a container whose hook fails is killed, and its policy decides; one whose pod ends meanwhile is left to that."""
        from kubeplay.reconcile import hooks

        self._tell_all()
        try:
            if not hooks.post_start(self.engine, self.look, row, self._plan_of(row.name)):
                return
            self._forget(START + row.name)
        except hooks.HookFailed as failed:
            self._event(hooks.FAILED_POST_START, hooks.POST_START_FAILED, WARNING)
            self._remember(START + row.name, 0.0, hooks.POST_START_ERROR, str(failed))
            self._tell_all()
            terminate.stop_one(self.engine, self.look, row, None, hooks.FAILED_POST_START)
        self.engine.store.runtime.clear_backoff(self.uid, HOOK + row.name)

    def _failed(self, name: str, error: ContainerError | ImageError, instance: bool = False) -> None:
        """Note why a start failed; one that left an instance is delayed by the crash back-off alone (RB1)."""
        known = self.look.seen.backoffs.get(START + name)
        # a person's `kubeplay start` is tried once; a failed image keeps its own back-off (RB4)
        delay = 0.0 if instance or error.reason in images.PULL_REASONS else backoff.next_start(known)
        self._remember(START + name, delay, error.reason, error.message)
        self._event("Failed", f"Error: {error.message if not isinstance(error, ImageError) else error.reason}", WARNING)

    # notes
    def _plan_of(self, name: str) -> ContainerPlan:
        return next(c for c in self.plan.containers if c.name == name)

    def _remember(self, key: str, delay: float, reason: str = "", message: str = "") -> None:
        self.engine.store.runtime.set_backoff(BackoffRow(self.uid, key, delay, self.engine.clock.now(), reason, message))

    def _forget(self, key: str) -> None:
        if key in self.look.seen.backoffs:
            self.engine.store.runtime.clear_backoff(self.uid, key)

    def _event(self, reason: str, message: str, type_: str = NORMAL) -> None:
        self._told.append((reason, message, type_, self.engine.clock.now()))

    def _tell_all(self) -> None:
        if not self._told:
            return
        with self.engine.store.write():  # one thread at a time
            while self._told:
                self.engine.store.events.add(key_of(self.look.row), self.uid, *self._told.pop(0))
