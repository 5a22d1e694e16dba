"""Deployments and their ReplicaSets in virtual time: the real controllers decide, this carries out what they say and plays the kubelet.

A pod becomes ready `start` seconds after it was made (None = never) and is gone `grace` seconds after it was told to end. Each change is
carried out one object at a time, in any order of controllers (`seed`): what holds must hold between any two steps.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.kube import defaults, kinds
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor.controllers import deployment, model, pods, replicaset

Json = dict[str, Any]
EPOCH = 1_700_000_000.0
STEPS = 5000  # more without a moment's rest would never end
DECIDE: dict[str, Callable[[model.World, model.Thing, float], model.Decision]] = {
    "Deployment": deployment.decide,
    "ReplicaSet": replicaset.decide,
}


def deployed(replicas: int = 3, image: str = "a:1", name: str = "web", **spec: Any) -> Json:
    """A defaulted Deployment."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    body = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }  # fmt: skip
    kind = kinds.find("apps/v1", "Deployment")
    assert kind is not None
    return defaults.apply(body, kind)


def rolling(surge: int | str, unavailable: int | str) -> Json:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


class Cluster:
    """`things` by uid; `start(pod)` gives the seconds until it is ready, None for never."""

    def __init__(self, start: Callable[[model.Thing], float | None] = lambda pod: 1.0, grace: float = 1.0, seed: int = 0) -> None:
        self.things: dict[str, model.Thing] = {}
        self.now = EPOCH
        self.start, self.grace = start, grace
        self.random = random.Random(seed)
        self.number = 0
        self.events: list[str] = []
        self.made: list[str] = []
        self.wakes: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        self.after: Callable[[], None] = lambda: None

    # what a person does
    def apply(self, body: Json) -> model.Thing:
        """Make an object, or give it another body."""
        key = ObjectKey(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        found = self.find(key)
        if found is None:
            return self._add(body, "")
        marks = {**(found.body["metadata"].get("annotations") or {}), **(body["metadata"].get("annotations") or {})}
        body = {**body, "metadata": {**body["metadata"], "annotations": marks}}
        self.put(found._replace(body=body, generation=found.generation + (body["spec"] != found.body["spec"])))
        return found

    def edit(self, name: str = "web", **spec: Any) -> None:
        thing = self.deployment(name)
        self.apply({**thing.body, "spec": {**thing.body["spec"], **spec}})

    def image(self, image: str, name: str = "web") -> None:
        template = self.deployment(name).body["spec"]["template"]
        containers = [{**template["spec"]["containers"][0], "image": image}]
        self.edit(name, template={**template, "spec": {**template["spec"], "containers": containers}})

    # looking
    def find(self, key: ObjectKey) -> model.Thing | None:
        return next((one for one in self.things.values() if one.key == key), None)

    def deployment(self, name: str = "web") -> model.Thing:
        found = self.find(ObjectKey("Deployment", "default", name))
        assert found is not None
        return found

    def sets(self) -> list[model.Thing]:
        return sorted([one for one in self.things.values() if one.key.kind == "ReplicaSet"], key=lambda one: (one.created, one.version))

    def pods(self, of: model.Thing | None = None) -> list[model.Thing]:
        """Those that count."""
        found = [one for one in self.things.values() if one.key.kind == "Pod" and pods.active(one)]
        return [one for one in found if of is None or one.owner_uid == of.uid]

    def available(self) -> int:
        least = self.deployment().body["spec"].get("minReadySeconds") or 0
        return sum(pods.available(one, least, self.now) for one in self.pods())

    def images(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for pod in self.pods():
            image = pod.body["spec"]["containers"][0]["image"]
            found[image] = found.get(image, 0) + 1
        return found

    def condition(self, type: str, name: str = "web") -> tuple[str, str]:
        found = self.deployment(name).status.get("conditions") or []
        return next(((one["status"], one["reason"]) for one in found if one["type"] == type), ("", ""))

    # time
    def run(self, seconds: float = 60.0, until: Callable[[], bool] | None = None) -> Cluster:
        """Until nothing is due any more within `seconds`, or `until` holds."""
        end = self.now + seconds
        while True:
            self._settle(until)
            if until is not None and until():
                return self
            due = min((time for time in self._due() if time > self.now), default=end + 1)
            if due > end:
                assert until is None, "it has not come about"
                self.now = end
                return self
            self.now = due
            self._kubelet()

    def _due(self) -> list[float]:
        found = list(self.wakes.values())
        for one in self.things.values():
            if one.key.kind == "Pod":
                begin = self.start(one)
                found += [one.deleted] if one.deleted is not None else [one.created + begin] if begin is not None else []
        return found

    def _kubelet(self) -> None:
        for one in list(self.things.values()):
            if one.key.kind != "Pod":
                continue
            begin = self.start(one)
            if one.deleted is not None and one.deleted <= self.now:
                del self.things[one.uid]
            elif one.deleted is None and begin is not None and not one.status and one.created + begin <= self.now:
                self.become(one, "True")

    def become(self, pod: model.Thing, ready: str, phase: str = "Running") -> None:
        """The pod is ready, or no longer."""
        condition = {"type": "Ready", "status": ready, "lastTransitionTime": rfc3339(self.now)}
        self.put(self.things[pod.uid]._replace(status={"phase": phase, "conditions": [condition]}))

    def put(self, thing: model.Thing) -> None:
        self.number += 1
        self.things[thing.uid] = thing._replace(version=self.number)

    def _settle(self, until: Callable[[], bool] | None) -> None:
        """Decide of every object, in any order, until nobody changes anything."""
        for _ in range(STEPS):
            before = self.number
            order = [one for one in self.things.values() if one.key.kind in DECIDE]
            self.random.shuffle(order)
            for one in order:
                if one.uid in self.things and self.things[one.uid].deleted is None:
                    self._decide(self.things[one.uid])
                    if until is not None and until():
                        return
            if self.number == before:
                return
        raise AssertionError("it never settles")

    def _decide(self, own: model.Thing) -> None:
        world = model.World(self.things.values(), self.failures)
        decision = DECIDE[own.key.kind](world, own, self.now)
        self.wakes.pop(own.uid, None)
        if decision.wake_at is not None:
            self.wakes[own.uid] = decision.wake_at
        for action in decision.actions:
            self._act(action)
        self.after()

    def _act(self, action: model.Action) -> None:
        if isinstance(action, model.Create):
            if action.owner not in self.failures:
                self._add(action.body, action.owner)
        elif isinstance(action, model.Note):
            self.events.append(action.message)
        elif isinstance(action, model.Delete):
            found = self.things[action.uid]
            if found.key.kind == "Pod" and self.grace and found.deleted is None:
                self.put(found._replace(deleted=self.now + self.grace))
            elif found.key.kind != "Pod" or not self.grace:
                del self.things[action.uid]
                self.number += 1
        else:
            found = self.find(action.key)
            assert found is not None
            if isinstance(action, model.Status):
                if found.status != action.status:
                    self.put(found._replace(status=action.status))
            elif isinstance(action, model.Adopt):
                self.put(found._replace(owner_uid=action.owner))
            elif found.body != action.body:
                self.put(found._replace(body=action.body, generation=found.generation + action.spec))

    def _add(self, body: Json, owner: str) -> model.Thing:
        self.number += 1
        meta = dict(body["metadata"])
        name = meta.get("name") or f"{meta['generateName']}{self.number:05d}"
        made = {**body, "metadata": {**meta, "name": name}}
        thing = model.Thing(ObjectKey(body["kind"], "default", name), f"uid-{self.number}", self.number, 1, self.now, None, owner, made, {})
        assert self.find(thing.key) is None, f"{thing.key} is there already"
        self.things[thing.uid] = thing
        self.made.append(name)
        return thing
