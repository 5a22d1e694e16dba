"""DaemonSet: one pod on the one node; a changed template replaces it, before or after the old one has gone (DS1).

[K: controller/daemon]: failed pods are made anew after 1 s doubling to 15 min; how often in a row stands on the pod, so that it outlives
this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeplay.kube import rollout
from kubeplay.plan.stack import ObjectKey
from kubeplay.play.kinds import daemonset as kinds
from kubeplay.play.kinds import revisions
from kubeplay.supervisor.controllers import adoption, history, pods
from kubeplay.supervisor.controllers.model import Action, Create, Decision, Delete, Note, Status, Thing, World

KIND = "DaemonSet"
Json = dict[str, Any]
BACKOFF, BACKOFF_MOST = 1.0, 900.0
FORGIVEN = 2 * BACKOFF_MOST  # a pod that lived so long starts the count anew
FAILURES = "kubeplay.io/failures"


def decide(world: World, own: Thing, now: float) -> Decision:
    """The next step and the status."""
    claimed = adoption.claim(world, own, "Pod")
    if claimed.changes:
        return Decision(claimed.changes)  # with them it looks again
    return _Set(world, own, now).decision()


def concerns(world: World, changed: Thing) -> Iterable[ObjectKey]:
    """A pod that nobody owns may be adopted."""
    return [one.key for one in adoption.concerned(world, changed, KIND)] if changed.key.kind == "Pod" else []


class _Set:
    """One decision: `new` and `old` are the pods of the present template and of another one that live."""

    def __init__(self, world: World, own: Thing, now: float) -> None:
        self.world, self.own, self.now = world, own, now
        self.spec: Json = own.body["spec"]
        self.min_ready = float(self.spec.get("minReadySeconds") or 0)
        self.history = history.read(world, own)
        self.code: str = self.history.update["metadata"]["labels"][revisions.HASH_LABEL]
        self.mine = world.owned(own.uid, "Pod")
        living = [pod for pod in self.mine if pod.deleted is None]
        self.failed = [pod for pod in living if pods.failed(pod) or (not pod.held and pods.phase(pod) == "Succeeded")]
        there = sorted((pod for pod in living if pod not in self.failed), key=_age)
        self.new = [pod for pod in there if _code(pod) == self.code]
        self.old = [pod for pod in there if _code(pod) != self.code]
        self.actions: list[Action] = []
        self.wakes: list[float] = []

    def decision(self) -> Decision:
        if not self.own.status:  # what play has made in our name
            self.actions += [self._said("create", pod) for pod in self.new]
        rolling = (self.spec.get("updateStrategy") or {}).get("type") != "OnDelete"
        for pod in (*self.new[1:], *self.old[1:]):  # of several of one template the oldest stays
            self._end(pod)
        if rolling and self.old:
            self._roll(self.old[0])
        elif not self.new and not self.old:
            self._fill()
        elif self.new and self.old:
            self._end(self.old[0])
        dues = [pods.available_at(pod, self.min_ready) for pod in self.new] if self.min_ready else []
        self.wakes += [due for due in dues if due is not None and due > self.now]
        limit = self.spec.get("revisionHistoryLimit")
        used = [f"{self.own.key.name}-{_code(pod)}" for pod in self.mine]
        rest = self.history.superfluous(used, 10 if limit is None else int(limit))
        status = Status(self.own.key, self._status())
        return Decision((status, *self.history.actions, *self.actions, *rest), min(self.wakes, default=None))

    def _fill(self) -> None:
        """Make the pod, once the last one has gone and its failures are waited for."""
        if any(pod.deleted is not None for pod in self.mine):
            return
        due = max((_due(pod) for pod in self.failed), default=0.0)
        if due > self.now:
            self.wakes.append(due)
            return
        count = max((_failures(pod) for pod in self.failed), default=0)
        for pod in self.failed:
            text = f"Found failed daemon pod {self.own.key.namespace}/{pod.key.name}, will try to kill it"
            self.actions += [Note(self.own.key, "Warning", "FailedDaemonPod", text), Delete(pod.key, pod.uid)]
        self._make(count)

    def _make(self, failures: int = 0) -> None:
        template = self.spec["template"]
        if failures:
            marks = {**((template.get("metadata") or {}).get("annotations") or {}), FAILURES: str(failures)}
            template = {**template, "metadata": {**(template.get("metadata") or {}), "annotations": marks}}
        self.actions.append(Create(kinds.pod_of(self.own.body, self.code, template), self.own.uid))

    def _roll(self, old: Thing) -> None:
        """With a surge the new pod comes first and the old one goes when it is available; without, the old one goes first."""
        if not self._surges():
            self._end(old)
        elif not self.new:
            if not any(_code(pod) == self.code for pod in self.failed):
                self._make()
            else:
                self._again()
        elif self._available(self.new[0]) or not self._available(old):
            self._end(old)

    def _again(self) -> None:
        """The new pod has failed while the old one works: the old one stays."""
        due = max(_due(pod) for pod in self.failed)
        if due > self.now:
            self.wakes.append(due)
            return
        self.actions += [Delete(pod.key, pod.uid) for pod in self.failed]
        self._make(max(_failures(pod) for pod in self.failed))

    def _surges(self) -> bool:
        rolling = (self.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        return rollout.scaled(rolling.get("maxSurge"), 1, up=True) > 0

    def _end(self, pod: Thing) -> None:
        self.actions += [Delete(pod.key, pod.uid), self._said("delete", pod)]

    def _said(self, verb: str, pod: Thing) -> Note:
        return Note(self.own.key, "Normal", f"Successful{verb.capitalize()}", f"{verb.capitalize()}d pod: {pod.key.name}")

    def _available(self, pod: Thing) -> bool:
        return pod.deleted is None and pods.available(pod, self.min_ready, self.now)

    def _status(self) -> Json:
        """In nodes, of which there is one."""
        there = [*self.new, *self.old, *self.failed]
        ready = [pod for pod in there if pods.ready(pod)]
        available = [pod for pod in ready if self._available(pod)]
        made: Json = {"currentNumberScheduled": min(1, len(there)), "numberMisscheduled": 0, "desiredNumberScheduled": 1}
        made.update(numberReady=min(1, len(ready)), observedGeneration=self.own.generation)
        counts = {"updatedNumberScheduled": len(self.new), "numberAvailable": len(available)}
        made.update({name: 1 for name, count in counts.items() if count})
        if not available:
            made["numberUnavailable"] = 1
        if self.history.collisions:
            made["collisionCount"] = self.history.collisions
        return made


def _age(pod: Thing) -> tuple[float, str]:
    return pod.created, pod.key.name


def _code(pod: Thing) -> str:
    return str((pod.body["metadata"].get("labels") or {}).get(revisions.HASH_LABEL) or "")


def _failures(pod: Thing) -> int:
    """How many pods in a row have failed with this one."""
    text = str((pod.body["metadata"].get("annotations") or {}).get(FAILURES) or "0")
    before = int(text) if text.isdecimal() and len(text) < 6 else 0
    return 1 if pods.ended_at(pod) - pod.created >= FORGIVEN else before + 1


def _due(pod: Thing) -> float:
    """When it may be made anew."""
    count = _failures(pod)
    return pods.ended_at(pod) + min(BACKOFF_MOST, BACKOFF * 2.0 ** min(count - 1, 20))
