"""A Deployment's status and conditions, and when its progress is overdue (DE5)."""

from __future__ import annotations

from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.record import Record
from kubeplay.supervisor.controllers.model import Thing
from kubeplay.supervisor.controllers.pods import seconds
from kubeplay.supervisor.controllers.rolling import Goal

Json = dict[str, Any]
NEW, FOUND, UPDATED, AVAILABLE = "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated", "NewReplicaSetAvailable"
OVERDUE, PAUSED, RESUMED = "ProgressDeadlineExceeded", "DeploymentPaused", "DeploymentResumed"
NEVER = 2147483647  # a progressDeadlineSeconds that means none


class Seen(Record):
    """A Deployment in numbers; `new` the ReplicaSet of its template, `made` the one that is made now, `asked` what all ask for."""

    own: Thing
    goal: Goal
    new: str
    made: str
    updated: int
    asked: int
    replicas: int
    ready: int
    available: int
    terminating: int
    complete: bool
    failure: Json | None
    collisions: int | None
    now: float


def status(seen: Seen, progress: bool) -> tuple[Json, float | None]:
    """The status, and when to look whether the deadline has passed; `progress`: it is neither paused nor being scaled."""
    before = seen.own.status
    made: Json = {"observedGeneration": seen.own.generation, "replicas": seen.replicas, "updatedReplicas": seen.updated}
    made.update(readyReplicas=seen.ready, availableReplicas=seen.available, unavailableReplicas=max(0, seen.asked - seen.available))
    made = {name: number for name, number in made.items() if number}
    made["terminatingReplicas"] = seen.terminating
    collisions = before.get("collisionCount") if seen.collisions is None else seen.collisions or None
    if collisions:
        made["collisionCount"] = collisions
    conditions = _Conditions(before.get("conditions") or (), seen.now)
    deadline = seen.own.body["spec"].get("progressDeadlineSeconds")
    if deadline is None or deadline >= NEVER:
        conditions.remove("Progressing")
        wake = None
    else:
        wake = _progressing(seen, conditions, made, deadline, progress)
    if seen.available >= seen.goal.replicas - seen.goal.unavailable:
        conditions.set("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        conditions.set("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    if seen.failure is not None:
        conditions.set("ReplicaFailure", "True", seen.failure.get("reason", ""), seen.failure.get("message", ""))
    else:
        conditions.remove("ReplicaFailure")
    made["conditions"] = conditions.found
    return made, wake


def _progressing(seen: Seen, conditions: _Conditions, made: Json, deadline: int, progress: bool) -> float | None:
    paused = bool(seen.own.body["spec"].get("paused"))
    now = conditions.get("Progressing")
    reason = now["reason"] if now else ""
    if paused and reason not in (OVERDUE, PAUSED):
        conditions.set("Progressing", "Unknown", PAUSED, "Deployment is paused")
    elif not paused and reason == PAUSED:
        conditions.set("Progressing", "Unknown", RESUMED, "Deployment is resumed")
    if seen.made:
        conditions.set("Progressing", "True", NEW, f'Created new replica set "{seen.made}"')
    elif now is None and seen.new and not paused:
        first = not seen.own.status  # play has made it in our name
        word = f'Created new replica set "{seen.new}"' if first else f'Found new replica set "{seen.new}"'
        conditions.set("Progressing", "True", NEW if first else FOUND, word)
    if not progress:
        return None
    now = conditions.get("Progressing")
    if now is not None and now["reason"] == AVAILABLE and seen.replicas == seen.updated and not seen.made:
        return None
    return _judged(seen, conditions, made, deadline)


def _judged(seen: Seen, conditions: _Conditions, made: Json, deadline: int) -> float | None:
    """Done, getting on, or overdue since the last step forward."""
    what = f'ReplicaSet "{seen.made or seen.new}"' if seen.made or seen.new else f'Deployment "{seen.own.key.name}"'
    if seen.complete:
        conditions.set("Progressing", "True", AVAILABLE, f"{what} has successfully progressed.")
        return None
    if _forward(seen.own.status, made):
        conditions.set("Progressing", "True", UPDATED, f"{what} is progressing.", again=True)
    now = conditions.get("Progressing")
    if now is None or now["reason"] in (AVAILABLE, OVERDUE):
        return None
    due = (seconds(now.get("lastUpdateTime")) or seen.now) + deadline
    if due < seen.now:
        conditions.set("Progressing", "False", OVERDUE, f"{what} has timed out progressing.")
        return None
    return due + 1.0  # times are whole seconds


def _forward(old: Json, new: Json) -> bool:
    def rest(status: Json) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grown = any(new.get(name, 0) > old.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return grown or rest(new) < rest(old)


class _Conditions:
    """Conditions by type; an equal status and reason changes nothing, an equal status keeps its time."""

    def __init__(self, found: Any, now: float) -> None:
        self.found: list[Json] = list(found)
        self.now = rfc3339(now)

    def get(self, type: str) -> Json | None:
        return next((one for one in self.found if one["type"] == type), None)

    def remove(self, type: str) -> None:
        self.found = [one for one in self.found if one["type"] != type]

    def set(self, type: str, status: str, reason: str, message: str, again: bool = False) -> None:
        """`again`: the time of the update is now even when nothing else has changed."""
        before = self.get(type)
        if before is not None and (before["status"], before["reason"]) == (status, reason) and not again:
            return
        since = before["lastTransitionTime"] if before is not None and before["status"] == status else self.now
        made = {
            "type": type, "status": status, "lastUpdateTime": self.now, "lastTransitionTime": since, "reason": reason, "message": message,
        }  # fmt: skip
        if before is None:
            self.found.append(made)
        else:
            self.found[self.found.index(before)] = made
