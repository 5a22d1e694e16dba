"""What an apply of files would do: everything is computed, nothing is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kubeplay.apply import effects, fields, merging
from kubeplay.apply.model import CREATE, LEAVE, REFUSE, REMOVE, REPLACE, UPDATE, Change, FieldChange, Planned, PlanOptions
from kubeplay.kube import ephemeral
from kubeplay.kube.check import Manifest
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack
from kubeplay.play import change, children, update
from kubeplay.play.stack import build
from kubeplay.play.up import LASTING

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def plan(engine: Engine, manifests: Sequence[Manifest], options: PlanOptions) -> Planned:
    """Every object of the manifests against the store. Raises InvalidInput."""
    merged = merging.merge(engine, manifests)
    stack = build(merged.manifests, options.compile)
    left = children.left_out(engine, stack)
    compared = change.compare(engine, left)
    differ = {one.key: one.lines for one in compared.different}
    _, refused = update.judged(engine, left, compared.different)
    look = _Look(engine, stack, {one.key for one in compared.new}, differ, refused, merged.why)
    changes = [look.change(one) for one in left.objects if one.owner is None and not (one.keep and one.key in compared.same)]
    changes += [look.removal(key) for key in options.removed]
    return Planned(tuple(changes), stack, merged.manifests)


def fresh(manifests: Sequence[Manifest], options: PlanOptions) -> Planned:
    """The same where nothing is stored yet: everything is created."""
    stack = build(manifests, options.compile)
    changes = [_created(one, stack) for one in stack.objects if one.owner is None and not one.keep]
    return Planned(tuple(changes), stack, tuple(manifests))


def _created(one: PlannedObject, stack: Stack, why: tuple[str, ...] = ()) -> Change:
    return Change(one.key, api_version(one.body), CREATE, "", one.body, (), why, effects.created(one.key, stack))


class _Look:
    """One plan in the making."""

    def __init__(
        self, engine: Engine, stack: Stack, new: set[ObjectKey], differ: Mapping[ObjectKey, tuple[str, ...]],
        refused: Mapping[ObjectKey, Sequence[str]], why: Mapping[ObjectKey, tuple[str, ...]],
    ) -> None:  # fmt: skip
        self.engine, self.stack, self.new, self.differ, self.refused, self.why = engine, stack, new, differ, refused, why

    def change(self, one: PlannedObject) -> Change:
        key, why = one.key, self.why.get(one.key, ())
        version = api_version(one.body)
        if key in self.new:
            return _created(one, self.stack, why)
        if key not in self.differ:
            return Change(key, version, LEAVE, one.body, one.body, (), why)
        stored = change.as_written(ephemeral.without(self.engine.store.objects.get(key).body), one.body)
        old, new = effects.loaded(stored), effects.loaded(one.body)
        found = fields.changes(old, new)
        action = UPDATE if key not in self.refused else REFUSE if key.kind in LASTING else REPLACE
        done = effects.of(self.engine, key, action, old, new, self.stack)
        told = [*why, *(_unsaid(found, self.refused.get(key, ()))), *([] if found else self.differ[key]), *done.why]
        return Change(key, version, action, stored, one.body, found, tuple(dict.fromkeys(told)), done.effects)

    def removal(self, key: ObjectKey) -> Change:
        body = self.engine.store.objects.get(key).body
        done = effects.of(self.engine, key, REMOVE, effects.loaded(body), {}, self.stack)
        return Change(key, api_version(body), REMOVE, body, "", (), ("the files have it no more",), done.effects)


def _unsaid(found: Sequence[FieldChange], lines: Sequence[str]) -> list[str]:
    """The reasons of a refusal, without those that only tell the fields again."""
    paths = {one.path for one in found}
    return [line for line in lines if not (" -> " in line and line.partition(":")[0] in paths)]


def api_version(body: str) -> str:
    """The apiVersion of a canonical body, whose names are sorted: it comes first."""
    start = '{"apiVersion":"'
    return body[len(start) : body.index('"', len(start))] if body.startswith(start) else ""
