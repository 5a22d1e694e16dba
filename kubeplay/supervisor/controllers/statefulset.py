"""StatefulSet: pods made, replaced and removed one after the other, each with its own claims (ST1-ST3).

Every decision is made anew from the objects, like [K: controller/statefulset/stateful_set_control.go]: pods that lack are made from the
lowest ordinal up, those beyond the size go from the highest down, and only then pods of an old revision are replaced, from the highest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeplay.kube import labels
from kubeplay.plan.stack import ObjectKey
from kubeplay.play.kinds import revisions
from kubeplay.play.kinds import statefulset as kinds
from kubeplay.supervisor.controllers import history, pods
from kubeplay.supervisor.controllers.model import Action, Adopt, Create, Decision, Delete, Note, Status, Thing, World

KIND, CLAIM = "StatefulSet", "PersistentVolumeClaim"
Json = dict[str, Any]
FAILED_WAIT = 10.0  # ours: a pod that fails as soon as it starts is not made anew faster than this


def decide(world: World, own: Thing, now: float) -> Decision:
    """The next steps and the status."""
    adopted = [Adopt(pod.key, pod.uid, own.uid) for pod in world.list("Pod", own.key.namespace) if _orphan(own, pod)]
    if adopted:
        return Decision(tuple(adopted))  # with them it looks again
    return _Set(world, own, now).decision()


def concerns(world: World, changed: Thing) -> Iterable[ObjectKey]:
    """A pod of the right name that nobody owns is adopted; a claim that is not there any more is made anew."""
    if changed.key.kind == CLAIM:
        return _claimants(world, changed)
    if changed.key.kind != "Pod" or changed.owner_uid:
        return []
    return [one.key for one in world.list(KIND, changed.key.namespace) if _orphan(one, changed)]


def _claimants(world: World, claim: Thing) -> list[ObjectKey]:
    sets = [one for one in world.list(KIND, claim.key.namespace) if one.body["spec"].get("volumeClaimTemplates")]
    return [one.key for one in sets if f"-{one.key.name}-" in claim.key.name]


def _orphan(own: Thing, pod: Thing) -> bool:
    free = not pod.owner_uid and pod.deleted is None and _ordinal(own, pod) >= 0
    return free and labels.matches(own.body["spec"].get("selector"), pod.body["metadata"].get("labels"))


def _ordinal(own: Thing, pod: Thing) -> int:
    """-1 for a pod whose name is not one of the set's."""
    base, _, number = pod.key.name.rpartition("-")
    return int(number) if base == own.key.name and number.isdecimal() and number.isascii() and len(number) < 12 else -1


class _Set:
    """One decision: `here` are the pods that should be there by ordinal, `beyond` those that should not, highest first."""

    def __init__(self, world: World, own: Thing, now: float) -> None:
        self.world, self.own, self.now = world, own, now
        self.spec: Json = own.body["spec"]
        self.ordered = self.spec.get("podManagementPolicy") != "Parallel"
        self.min_ready = float(self.spec.get("minReadySeconds") or 0)
        self.start = kinds.first_ordinal(own.body)
        count = self.spec.get("replicas")
        self.wanted = range(self.start, self.start + (1 if count is None else int(count)))
        mine = {_ordinal(own, pod): pod for pod in world.owned(own.uid, "Pod") if _ordinal(own, pod) >= 0}
        self.here = {number: pod for number, pod in mine.items() if number in self.wanted}
        self.beyond = [mine[number] for number in sorted(mine, reverse=True) if number not in self.wanted]
        self.history = history.read(world, own)
        self.update: str = self.history.update["metadata"]["name"]
        current = str(own.status.get("currentRevision") or "")
        self.current = current if self.history.body(current) else self.update
        self.actions: list[Action] = list(self.history.actions)
        self.wakes: list[float] = []

    def decision(self) -> Decision:
        if not self.own.status:  # what play has made in our name
            self.actions += [_said(self.own, pod.key.name, "create") for pod in self.here.values()]
        self._retention()
        if self._fill() and self._shrink():
            self._renew()
        dues = [pods.available_at(pod, self.min_ready) for pod in self.here.values()] if self.min_ready else []
        self.wakes += [due for due in dues if due is not None and due > self.now]
        status = self._status()
        used = {self.current, str(status["currentRevision"]), *(_revision(pod) for pod in (*self.here.values(), *self.beyond))}
        limit = self.spec.get("revisionHistoryLimit")
        self.actions += self.history.superfluous(used, 10 if limit is None else int(limit))
        return Decision((Status(self.own.key, status), *self.actions), min(self.wakes, default=None))

    # from the lowest ordinal up
    def _fill(self) -> bool:
        """Make what lacks; False: something has to happen first (ST2)."""
        settled = True
        for number in self.wanted:
            pod = self.here.get(number)
            if pod is None:
                self._make(number)
                settled = False
            elif pod.deleted is None and not pod.held and pods.phase(pod) in ("Failed", "Succeeded"):
                self._replace(pod)
                settled = False
            else:
                self._claims(number)
                if self._available(pod) or not self.ordered:
                    continue
                return False
            if self.ordered:
                return False
        return settled or not self.ordered

    def _make(self, number: int) -> None:
        if not self._claims(number):
            return
        revision = self._revision_for(number)
        body = self.history.body(revision) or self.history.update
        pod = kinds.pod_of(self.own.body, number, revision, revisions.template_of(body))
        self.actions += [Create(pod, self.own.uid), _said(self.own, pod["metadata"]["name"], "create")]

    def _revision_for(self, number: int) -> str:
        """ST3: what lies below the partition keeps the revision that the set had."""
        strategy = self.spec.get("updateStrategy") or {}
        if strategy.get("type") != "RollingUpdate" or number >= self.start + self._partition():
            return self.update
        return self.current

    def _partition(self) -> int:
        return int(((self.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0)

    def _replace(self, pod: Thing) -> None:
        """A pod that has ended goes; the next look makes it anew, under its name."""
        ended = pods.ended_at(pod)
        due = ended if ended - pod.created >= FAILED_WAIT else ended + FAILED_WAIT
        if due > self.now:
            self.wakes.append(due)
            return
        text = f"StatefulSet {self.own.key.namespace}/{self.own.key.name} is recreating {pods.phase(pod).lower()} Pod {pod.key.name}"
        self.actions += [Delete(pod.key, pod.uid), Note(self.own.key, "Warning", "RecreatingFailedPod", text)]

    # claims
    def _claims(self, number: int) -> bool:
        """Make the claims that lack; False: one is still going and must be gone first."""
        for body in kinds.claims_of(self.own.body, number):
            key = ObjectKey(CLAIM, self.own.key.namespace, body["metadata"]["name"])
            found = self.world.find(key)
            if found is not None and found.deleted is not None:
                return False
            if found is None:
                self.actions.append(Create(body, self.own.uid if self._goes_with_set() else ""))
                text = f"create Claim {key.name} Pod {self.own.key.name}-{number} in StatefulSet {self.own.key.name} success"
                self.actions.append(Note(self.own.key, "Normal", "SuccessfulCreate", text))
        return True

    def _goes_with_set(self) -> bool:
        return kinds.retention(self.own.body)[0] == "Delete"

    def _retention(self) -> None:
        """Whose end is the claims' end: the set's (whenDeleted), that of a pod which is scaled away (whenScaled), nobody's."""
        owner = self.own.uid if self._goes_with_set() else ""
        for number in self.here:
            self._own_claims(number, owner)
        for pod in self.beyond:
            scaled = kinds.retention(self.own.body)[1] == "Delete"
            self._own_claims(_ordinal(self.own, pod), pod.uid if scaled else owner)

    def _own_claims(self, number: int, owner: str) -> None:
        for template in self.spec.get("volumeClaimTemplates") or ():
            name = kinds.claim_name(self.own.body, template, number)
            found = self.world.find(ObjectKey(CLAIM, self.own.key.namespace, name))
            if found is not None and found.deleted is None and found.owner_uid != owner:
                self.actions.append(Adopt(found.key, found.uid, owner))

    # from the highest ordinal down
    def _shrink(self) -> bool:
        """Remove what is too many; False: an ordered set waits (ST2)."""
        first = self._first_unhealthy()
        for pod in self.beyond:
            if pod.deleted is not None:
                if self.ordered:
                    return False
                continue
            if self.ordered and pod is not first and not self._available(pod):
                if pods.ready(pod) and self.min_ready:
                    self.wakes += [due for due in (pods.available_at(pod, self.min_ready),) if due is not None]
                return False
            self._end(pod)
            if self.ordered:
                return False
        return True

    def _first_unhealthy(self) -> Thing | None:
        everybody = sorted((*self.here.values(), *self.beyond), key=lambda pod: _ordinal(self.own, pod))
        return next((pod for pod in everybody if not _healthy(pod)), None)

    def _end(self, pod: Thing) -> None:
        self.actions += [Delete(pod.key, pod.uid), _said(self.own, pod.key.name, "delete")]

    # the update
    def _renew(self) -> None:
        """ST3: replace one pod of an old revision, once those above it are available."""
        if (self.spec.get("updateStrategy") or {}).get("type") == "OnDelete":
            return
        for number in range(self.wanted.stop - 1, self.start + self._partition() - 1, -1):
            pod = self.here.get(number)
            if pod is None:
                return
            if _revision(pod) != self.update and pod.deleted is None:
                self._end(pod)
                return
            if not self._available(pod):
                return

    def _available(self, pod: Thing) -> bool:
        return _healthy(pod) and pods.available(pod, self.min_ready, self.now)

    # what is told
    def _status(self) -> Json:
        everybody = [*self.here.values(), *self.beyond]
        living = [pod for pod in everybody if pod.deleted is None]
        made: Json = {"observedGeneration": self.own.generation, "replicas": len(everybody)}
        made["readyReplicas"] = sum(1 for pod in everybody if pods.phase(pod) == "Running" and pods.ready(pod))
        made["availableReplicas"] = sum(1 for pod in living if self._available(pod))
        made["currentReplicas"] = sum(1 for pod in living if _revision(pod) == self.current)
        made["updatedReplicas"] = sum(1 for pod in living if _revision(pod) == self.update)
        made.update(currentRevision=self.current, updateRevision=self.update, collisionCount=self.history.collisions)
        if self._complete(made):
            made.update(currentReplicas=made["updatedReplicas"], currentRevision=self.update)
        return made

    def _complete(self, made: Json) -> bool:
        """Every pod is of the present revision and ready."""
        rolling = (self.spec.get("updateStrategy") or {}).get("type") != "OnDelete"
        return rolling and all(made[name] == len(self.wanted) for name in ("replicas", "updatedReplicas", "readyReplicas"))


def _healthy(pod: Thing) -> bool:
    return pod.deleted is None and pods.phase(pod) == "Running" and pods.ready(pod)


def _revision(pod: Thing) -> str:
    return str((pod.body["metadata"].get("labels") or {}).get(revisions.HASH_LABEL) or "")


def _said(own: Thing, name: str, verb: str) -> Note:
    text = f"{verb} Pod {name} in StatefulSet {own.key.name} successful"
    return Note(own.key, "Normal", f"Successful{verb.capitalize()}", text)
