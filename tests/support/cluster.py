"""A cluster in virtual time: controllers decide over a World, and a kubelet whose pods do as the test says carries the pods.

Actions are applied as supervisor/controllers/act.py applies them to the store. `invariant` is asked after every single action.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from kubeplay.clock import rfc3339
from kubeplay.plan.stack import CLUSTER_WIDE, ObjectKey
from kubeplay.play.kinds import workload
from kubeplay.supervisor.controllers import garbage
from kubeplay.supervisor.controllers.model import Action, Adopt, Create, Delete, Note, Status, Thing, World

EPOCH = 1_000_000.0
ROUNDS = 500


class Behaviour(NamedTuple):
    """What a pod does: runs after `starts` seconds, is Ready `ready` seconds later (None = never), ends by itself after `runs` seconds
    with `code`; deleted, it is gone after `stops` seconds."""

    starts: float = 0.0
    ready: float | None = 0.0
    runs: float | None = None
    code: int = 0
    stops: float = 0.0


class Cluster(World):
    """`controllers` are modules with KIND and decide. `behave` says what each new pod does."""

    def __init__(self, *controllers: ModuleType, behave: Callable[[Thing], Behaviour] = lambda pod: Behaviour()) -> None:
        super().__init__()
        self.controllers = {module.KIND: module for module in controllers}
        self.behave = behave
        self.now = EPOCH
        self.notes: list[Note] = []
        self.invariant: Callable[[Cluster], None] = lambda cluster: None
        self.refuse: Callable[[dict[str, Any]], str] = lambda body: ""
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._wakes: dict[ObjectKey, float] = {}
        self._number = itertools.count(1)

    # what a person does
    def add(self, body: dict[str, Any], owner: str = "", status: dict[str, Any] | None = None) -> Thing:
        """Store an object, as a play does; pods begin to live."""
        meta = body["metadata"]
        number = next(self._number)
        if not meta.get("name"):
            body = {**body, "metadata": {**meta, "name": f"{meta['generateName']}{number:05d}"}}
        if owner:
            parent = self._uids[owner]
            body = {**body, "metadata": {**body["metadata"], "ownerReferences": [workload.owner_reference(parent.body)]}}
        namespace = "" if body["kind"] in CLUSTER_WIDE else meta.get("namespace") or "default"
        key = ObjectKey(body["kind"], namespace, body["metadata"]["name"])
        assert self.find(key) is None, f"{key} already exists"
        thing = Thing(key, f"uid-{number}", number, 1, self.now, None, owner, copy.deepcopy(body), status or {})
        self._put(thing)
        if key.kind == "Pod":
            self._live(thing)
        return thing

    def change(self, key: ObjectKey, edit: Callable[[dict[str, Any]], None]) -> Thing:
        """Edit an object's body in place; its generation grows."""
        thing = self._keys[key]
        body = copy.deepcopy(thing.body)
        edit(body)
        made = thing._replace(body=body, version=next(self._number), generation=thing.generation + 1)
        self._put(made)
        return made

    def delete(self, key: ObjectKey) -> None:
        self._apply(Delete(key, self._keys[key].uid))

    def pods(self) -> list[Thing]:
        return self.list("Pod")

    # time
    def settle(self) -> None:
        """Controllers decide until nothing is left to do now."""
        for _ in range(ROUNDS):
            actions = [*garbage.decide(self)]
            for action in actions:
                self._apply(action)
            did = bool(actions)
            for kind, module in self.controllers.items():
                for own in self.list(kind):
                    current = self.by_uid(own.uid)
                    if current is not None and current.deleted is None:
                        did = self._decide(module, current) or did
            if not did:
                return
        raise AssertionError("decisions do not settle")

    def run(self, seconds: float) -> None:
        """Let this much time go by."""
        self.run_until(lambda: False, seconds, strict=False)

    def run_until(self, done: Callable[[], bool], limit: float = 3600.0, strict: bool = True) -> float:
        """Until `done`, at most `limit` seconds; the seconds it took."""
        began, until = self.now, self.now + limit
        self.settle()
        while not done():
            times = [when for when, _, _ in self._timers] + list(self._wakes.values())
            following = min((when for when in times if when <= until), default=None)
            if following is None:
                assert not strict, f"not done after {limit} s"
                self.now = until
                return limit
            self.now = max(self.now, following)
            self._tick()
            self.settle()
        return self.now - began

    def _tick(self) -> None:
        for timer in sorted((t for t in self._timers if t[0] <= self.now), key=lambda t: t[:2]):
            self._timers.remove(timer)
            timer[2]()
        self._wakes = {key: when for key, when in self._wakes.items() if when > self.now}

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        self._timers.append((self.now + seconds, next(self._number), what))

    # controllers
    def _decide(self, module: ModuleType, own: Thing) -> bool:
        decision = module.decide(self, own, self.now)
        if decision.wake_at is not None:
            self._wakes[own.key] = max(decision.wake_at, self.now + 0.001)
        else:
            self._wakes.pop(own.key, None)
        did = False
        for action in decision.actions:
            if isinstance(action, Create) and (why := self.refuse(action.body)):
                self.failures[own.uid] = why
                self._wakes[own.key] = self.now + 1.0
                shown = [one for one in module.decide(self, own, self.now).actions if isinstance(one, Status)]
                for one in shown:
                    did = self._apply(one) or did
                return did
            self.failures.pop(own.uid, None)
            did = self._apply(action) or did
        return did

    def _apply(self, action: Action) -> bool:
        """As Actor does; False when nothing was to be changed."""
        did = self._applied(action)
        if did:
            self.invariant(self)
        return did

    def _applied(self, action: Action) -> bool:
        if isinstance(action, Create):
            self.add(action.body, action.owner)
            return True
        if isinstance(action, Note):
            self.notes.append(action)
            return False
        thing = self.find(action.key)
        if thing is None:
            return False
        if isinstance(action, Delete):
            return self._delete(thing, action)
        version = next(self._number)
        if isinstance(action, Adopt):
            self._put(thing._replace(owner_uid=action.owner, version=version))
            return True
        if isinstance(action, Status):
            if action.status == thing.status:
                return False
            self._put(thing._replace(status=copy.deepcopy(action.status), version=version))
            return True
        if action.body == thing.body:
            return False
        self._put(thing._replace(body=copy.deepcopy(action.body), version=version, generation=thing.generation + action.spec))
        return True

    def _delete(self, thing: Thing, action: Delete) -> bool:
        if thing.uid != action.uid or (thing.key.kind == "Pod" and thing.deleted is not None):
            return False
        if thing.key.kind == "Pod" and thing.status.get("phase") not in (None, "Succeeded", "Failed"):
            self._put(thing._replace(deleted=self.now))
            self._at(self.behave(thing).stops, lambda: self._gone(thing.uid))
        elif action.foreground:
            self._put(thing._replace(deleted=self.now))
        else:
            self._drop(thing.uid)
        return True

    def _gone(self, uid: str) -> None:
        self._drop(uid)

    # the kubelet
    def _live(self, pod: Thing) -> None:
        does = self.behave(pod)
        self.status(pod.uid, phase="Pending", ready=False)
        self._at(does.starts, lambda: self.status(pod.uid, phase="Running", ready=False))
        if does.ready is not None:
            self._at(does.starts + does.ready, lambda: self.status(pod.uid, phase="Running", ready=True))
        if does.runs is not None:
            self._at(does.starts + does.runs, lambda: self.end(pod.uid, does.code))

    def end(self, uid: str, code: int) -> None:
        """The pod's only container ends."""
        self.status(uid, phase="Failed" if code else "Succeeded", ready=False, code=code)

    def status(self, uid: str, phase: str, ready: bool, code: int | None = None, **more: Any) -> None:
        """Write a pod's status; the time of the Ready condition changes with it only."""
        thing = self.by_uid(uid)
        if thing is None or thing.status.get("phase") in ("Succeeded", "Failed"):
            return
        before = next((c for c in thing.status.get("conditions", []) if c["type"] == "Ready"), None)
        value = "True" if ready else "False"
        since = before["lastTransitionTime"] if before and before["status"] == value else rfc3339(self.now)
        status: dict[str, Any] = {"phase": phase, "conditions": [{"type": "Ready", "status": value, "lastTransitionTime": since}]}
        status["startTime"] = thing.status.get("startTime", rfc3339(self.now))
        if code is not None:
            name = thing.body["spec"]["containers"][0]["name"] if thing.body["spec"].get("containers") else "c"
            ended = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": rfc3339(self.now)}
            status["containerStatuses"] = [{"name": name, "restartCount": 0, "state": {"terminated": ended}}]
        self._put(thing._replace(status={**status, **more}, version=next(self._number)))
        self.invariant(self)
