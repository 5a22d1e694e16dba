"""What an apply of files would do: everything is computed, nothing is touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.apply.model import CREATE, LEAVE, REMOVE, UPDATE, Change, Planned, PlanOptions
from kubeplay.kube.check import Manifest

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def plan(engine: Engine, manifests: Sequence[Manifest], options: PlanOptions) -> Planned:
    """Every object of the manifests against the store. Raises InvalidInput."""
    import json

    from kubeplay.apply import merging
    from kubeplay.play import change, children
    from kubeplay.play.stack import build

    merged = merging.merge(engine, manifests)
    stack = build(merged.manifests, options.compile)
    compared = change.compare(engine, children.left_out(engine, stack))
    new = {one.key for one in compared.new}
    differ = {one.key for one in compared.different}
    changes = []
    for one in stack.objects:
        found = engine.store.objects.find(one.key)
        action = CREATE if one.key in new else UPDATE if one.key in differ else LEAVE
        changes.append(Change(one.key, json.loads(one.body)["apiVersion"], action, found.body if found else "", one.body))
    for key in options.removed:
        body = engine.store.objects.get(key).body
        changes.append(Change(key, json.loads(body)["apiVersion"], REMOVE, body, ""))
    return Planned(tuple(changes), stack, merged.manifests)
