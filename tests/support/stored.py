"""A store without containers, for plans: what a play would store, pods as rows."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kubeplay.apply import planning
from kubeplay.apply.model import Change, PlanOptions
from kubeplay.engine.store.applied import Applied
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.runtime import RUN, PodRow
from kubeplay.kube import check
from kubeplay.kube.check import Manifest
from kubeplay.plan import codec
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.play import given
from kubeplay.play.compile import CompileOptions
from kubeplay.play.stack import build

Json = dict[str, Any]
OPTIONS = PlanOptions(CompileOptions())
CONTAINER = {"name": "web", "image": "nginx:1"}


class Cluster:
    """A store, and what was applied to it."""

    def __init__(self, root: Path) -> None:
        self.store = Store(str(root / "db" / "state.db"))
        images = SimpleNamespace(resolve=lambda name: None)
        self.engine: Any = SimpleNamespace(store=self.store, images=images, clock=self.store.clock)

    def apply(self, *objects: Json) -> None:
        """Store what a play of these would store, pods and owners too."""
        manifests = read(*objects)
        stack = build(manifests)
        texts = {one.key: one.text for one in given.given(manifests, stack.objects)}
        plans = {ObjectKey("Pod", one.namespace, one.name): one for one in stack.pods}
        uids: dict[ObjectKey, str] = {}
        with self.store.write():
            for one in stack.objects:
                owner = uids.get(one.owner, "") if one.owner else ""
                uids[one.key] = self.store.objects.create(one.key, one.body, owner_uid=owner).uid
                if one.key in texts:
                    Applied(self.store).put(uids[one.key], 0, texts[one.key])
                if one.key in plans:
                    text = codec.dumps(plans[one.key])
                    self.store.runtime.add_pod(PodRow(uids[one.key], one.key.namespace, one.key.name, text, RUN, True, None, 0, False))

    def edit(self, kind: str, name: str, **spec: Any) -> None:
        """Somebody changes fields of an object's spec, as `scale` does."""
        key = ObjectKey(kind, "default", name)
        body = json.loads(self.store.objects.get(key).body)
        body["spec"].update(spec)
        self.store.objects.update(key, json.dumps(body, sort_keys=True, separators=(",", ":")))

    def stack(self, *objects: Json) -> Stack:
        """What a play of these would be."""
        return build(read(*objects))

    def plan(self, *objects: Json, removed: tuple[ObjectKey, ...] = ()) -> list[Change]:
        return list(planning.plan(self.engine, read(*objects), OPTIONS._replace(removed=removed)).changes)

    def one(self, *objects: Json) -> Change:
        (found,) = self.plan(*objects)
        return found


def read(*objects: Json) -> list[Manifest]:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    return check.read(text.encode(), "f.json")


def config(data: Json, **meta: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **meta}, "data": data}


def pod(**spec: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [CONTAINER], **spec}}


def deployment(container: Json = CONTAINER, **spec: Any) -> Json:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template, **spec}}  # fmt: skip


def autoscaler() -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
            "spec": {"scaleTargetRef": target, "maxReplicas": 9}}  # fmt: skip
