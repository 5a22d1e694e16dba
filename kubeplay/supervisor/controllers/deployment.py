"""Deployment: a ReplicaSet for each template, pods moved from the old ones to the new one step by step (DE1-DE6).

Level-triggered: every decision is made anew from the objects; a step is taken, and its results bring the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from kubeplay.kube import rollout
from kubeplay.kube.status import TERMINAL
from kubeplay.plan.stack import ObjectKey
from kubeplay.play.kinds import deployment as kinds
from kubeplay.supervisor.controllers import adoption, deployment_status, pods, replicaset, rolling
from kubeplay.supervisor.controllers.model import Action, Create, Decision, Delete, Note, Status, Thing, Update, World
from kubeplay.supervisor.controllers.rolling import Goal, Size, Sizes

KIND = "Deployment"
Json = dict[str, Any]


def decide(world: World, own: Thing, now: float) -> Decision:
    """The next step of whatever is not yet as it should be, and the status."""
    claimed = adoption.claim(world, own, "ReplicaSet")
    if claimed.changes:
        return Decision(claimed.changes)
    return _Rollout(world, own, [one for one in claimed.mine if one.deleted is None], now).decision()


def concerns(world: World, changed: Thing) -> Iterable[ObjectKey]:
    """A ReplicaSet that nobody owns may be adopted; the last pod of an old ReplicaSet that goes may be waited for (Recreate)."""
    if changed.key.kind == "ReplicaSet":
        return [one.key for one in adoption.concerned(world, changed, KIND)]
    if changed.key.kind != "Pod" or not changed.owner_uid:
        return []
    owner = world.by_uid(changed.owner_uid)
    above = world.by_uid(owner.owner_uid) if owner is not None and owner.owner_uid else None
    return [above.key] if above is not None and above.key.kind == KIND and rollout.recreates(above.body["spec"]) else []


class _Rollout:
    """One decision: the objects as they are, and the bodies that they are to have."""

    def __init__(self, world: World, own: Thing, sets: list[Thing], now: float) -> None:
        self.world, self.own, self.now = world, own, now
        self.spec: Json = own.body["spec"]
        self.sets = sorted(sets, key=lambda one: (one.created, one.key.name))
        self.new = next((one for one in self.sets if kinds.same_template(one.body["spec"]["template"], self.spec["template"])), None)
        self.olds = [one for one in self.sets if one is not self.new]
        self.goal = Goal(rollout.replicas(self.spec), rollout.surge(self.spec), rollout.unavailable(self.spec))
        self.recreate = rollout.recreates(self.spec)
        self.bodies: dict[str, Json] = {}  # of ReplicaSets that change, by name
        self.resized: set[str] = set()
        self.actions: list[Action] = []
        self.made = ""  # the ReplicaSet that this decision makes

    @cached_property
    def counts(self) -> dict[str, replicaset.Counts]:
        least = self.spec.get("minReadySeconds") or 0
        return {one.uid: replicaset.count(self.world, one, self.now, least) for one in self.sets}

    def decision(self) -> Decision:
        if not self.own.status and self.new is not None:  # what play has made in our name
            size = rollout.replicas(self.new.body["spec"])
            if size:
                self._tell(self.new.key.name, 0, size)
        paused = bool(self.spec.get("paused"))
        scaling = not paused and self._scaling()
        revision = self._revision()
        if paused or scaling:
            self._resize(self._scaled())
        elif self.recreate:
            self._recreate(revision)
        else:
            self._roll(revision)
        if paused or self._complete():
            self._clean()
        status, wake = deployment_status.status(self._seen(), progress=not (paused or scaling))
        updates = [Update(self._thing(name).key, body, name in self.resized) for name, body in self.bodies.items()]
        return Decision((*self._marked(), *updates, *self.actions, Status(self.own.key, status)), wake)

    # which step
    def _scaling(self) -> bool:
        """Whether the replicas have changed since the ReplicaSets were last sized."""
        marks = [kinds.mark(one.body, kinds.DESIRED) for one in self.sets if rollout.replicas(one.body["spec"])]
        return any(mark is not None and mark != self.goal.replicas for mark in marks)

    def _scaled(self) -> Sizes:
        """DE6: all of it in the only active ReplicaSet, or shared."""
        active = [one for one in self.sets if rollout.replicas(one.body["spec"])]
        latest = self.new or (self.olds[-1] if self.olds else None)
        only = active[0] if len(active) == 1 else latest if not active else None
        if only is not None:
            return {only.key.name: self.goal.replicas}
        if self.new is not None and self._saturated(self.new):
            return {old.key.name: 0 for old in self.olds if rollout.replicas(old.body["spec"])}
        if self.recreate or not active:
            return {}
        sizes = rolling.proportional(self.goal, [self._size(one) for one in self.sets])
        return {one.key.name: sizes.get(one.key.name, rollout.replicas(one.body["spec"])) for one in active}

    def _saturated(self, new: Thing) -> bool:
        full = self.goal.replicas
        asked = rollout.replicas(new.body["spec"]) == full == kinds.mark(new.body, kinds.DESIRED)
        return asked and self.counts[new.uid].available == full

    def _roll(self, revision: int) -> None:
        olds = [self._size(old) for old in self.olds]
        if self.new is None:
            self._make(rolling.first(self.goal, olds, False), revision)
        else:
            self._resize(rolling.step(self.goal, self._size(self.new), olds, False))

    def _recreate(self, revision: int) -> None:
        """Old pods are gone before new ones come, those that are ending included."""
        down = {old.key.name: 0 for old in self.olds if rollout.replicas(old.body["spec"])}
        if down:
            self._resize(down)
        elif any(pods.phase(pod) not in TERMINAL or pod.held for old in self.olds for pod in self.world.owned(old.uid, "Pod")):
            return
        elif self.new is None:
            self._make(self.goal.replicas, revision)
        else:
            self._resize({self.new.key.name: self.goal.replicas})

    # carrying it out
    def _make(self, size: int, revision: int) -> None:
        """The ReplicaSet of the present template (DE2); a name that is taken by another template counts the collisions up."""
        collisions = self.own.status.get("collisionCount") or 0
        while True:
            body = kinds.replica_set_of(self.own.body, kinds.code(self.spec["template"], collisions), size, revision)
            found = self.world.find(ObjectKey("ReplicaSet", self.own.key.namespace, body["metadata"]["name"]))
            if found is None:
                break
            if found.owner_uid == self.own.uid:
                return  # it is going: its name is free soon
            collisions += 1
        self.made = body["metadata"]["name"]
        self.collisions = collisions
        self.actions.append(Create(body, self.own.uid))
        if size:
            self._tell(self.made, 0, size)

    collisions: int | None = None

    def _resize(self, sizes: Sizes) -> None:
        for name, size in sizes.items():
            before = self.bodies.get(name) or self._thing(name).body
            old = rollout.replicas(before["spec"])
            body = kinds.resized(before, size, self.goal.replicas, self.goal.replicas + self.goal.surge)
            if body != before:
                self.bodies[name] = body
            if old != size:
                self.resized.add(name)
                self._tell(name, old, size)

    def _tell(self, name: str, old: int, size: int) -> None:
        word = "up" if size > old else "down"
        self.actions.append(Note(self.own.key, "Normal", "ScalingReplicaSet", f"Scaled {word} replica set {name} from {old} to {size}"))

    def _revision(self) -> int:
        """DE4: the new ReplicaSet has the highest revision; its number, and it kept in step with the Deployment."""
        number = max((kinds.revision(old.body) for old in self.olds), default=0) + 1
        if self.new is None:
            return number
        number = max(number, kinds.revision(self.new.body))
        body = kinds.synced(self.new.body, self.own.body, number)
        if body != self.new.body:
            self.bodies[self.new.key.name] = body
            if body["spec"] != self.new.body["spec"]:
                self.resized.add(self.new.key.name)
        return number

    def _marked(self) -> list[Action]:
        """The Deployment shows the revision of its template."""
        if self.new is None and not self.made:
            return []
        number = str(self._number())
        if (self.own.body["metadata"].get("annotations") or {}).get(kinds.REVISION) == number:
            return []
        return [Update(self.own.key, kinds.annotated(self.own.body, {kinds.REVISION: number}), False)]

    def _number(self) -> int:
        if self.new is not None:
            return kinds.revision(self.bodies.get(self.new.key.name) or self.new.body)
        return max((kinds.revision(old.body) for old in self.olds), default=0) + 1

    def _clean(self) -> None:
        """Old ReplicaSets beyond the limit go, those of the lowest revisions first (DE4)."""
        limit = self.spec.get("revisionHistoryLimit")
        if limit is None:
            return
        over = max(0, len(self.olds) - limit)
        for old in sorted(self.olds, key=lambda one: kinds.revision(one.body))[:over]:
            if not rollout.replicas(old.body["spec"]) and not self.counts[old.uid].replicas and old.key.name not in self.bodies:
                self.actions.append(Delete(old.key, old.uid))

    # looking
    def _thing(self, name: str) -> Thing:
        return next(one for one in self.sets if one.key.name == name)

    def _size(self, one: Thing) -> Size:
        found = self.counts[one.uid]
        most = kinds.mark(one.body, kinds.MAXIMUM) or 0
        return Size(one.key.name, one.created, rollout.replicas(one.body["spec"]), found.replicas, found.available, most)

    def _complete(self) -> bool:
        """Whether every pod there is is an available one of the new template."""
        if self.new is None:
            return not self.goal.replicas and not self.made
        found = self.counts[self.new.uid]
        whole = sum(count.replicas for count in self.counts.values())
        return found.replicas == found.available == whole == self.goal.replicas

    def _seen(self) -> deployment_status.Seen:
        counted = list(self.counts.values())
        return deployment_status.Seen(
            own=self.own,
            goal=self.goal,
            new=self.new.key.name if self.new else "",
            made=self.made,
            updated=self.counts[self.new.uid].replicas if self.new else 0,
            asked=sum(rollout.replicas(one.body["spec"]) for one in self.sets),
            replicas=sum(one.replicas for one in counted),
            ready=sum(one.ready for one in counted),
            available=sum(one.available for one in counted),
            terminating=sum(one.terminating for one in counted),
            complete=self._complete(),
            failure=self._failure(),
            collisions=self.collisions,
            now=self.now,
        )

    def _failure(self) -> Json | None:
        """DE5: the new ReplicaSet's failure to make pods, or any old one's."""
        for one in [*([self.new] if self.new else []), *self.olds]:
            found: list[Json] = one.status.get("conditions") or []
            for condition in found:
                if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                    return condition
        return None
