"""What a play would change: every object of the file against the store, every pod's plan and image against what runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import Conflict
from kubeplay.kube import ephemeral, notes
from kubeplay.plan import codec
from kubeplay.plan.container import EPHEMERAL
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

CONTROLLERS_OWN = "deployment.kubernetes.io/"  # annotations that the Deployment's controller writes (DE4)
PART_OF = "applyset.kubernetes.io/part-of"  # apply/applyset.py
_SHOWN = 20  # lines of difference a message shows


class Difference(Record):
    """One object that is not as the file has it."""

    key: ObjectKey
    lines: tuple[str, ...]


class Comparison(Record):
    """`same` holds the keys that are stored exactly so."""

    new: tuple[PlannedObject, ...]
    same: frozenset[ObjectKey]
    different: tuple[Difference, ...]


def compare(engine: Engine, stack: Stack) -> Comparison:
    """Every object of the stack against the store."""
    new: list[PlannedObject] = []
    same: set[ObjectKey] = set()
    different: list[Difference] = []
    for planned in stack.objects:
        found = engine.store.objects.find(planned.key)
        if found is None:
            new.append(planned)
        elif planned.keep or (stored := as_written(ephemeral.without(found.body), planned.body)) == planned.body:
            same.add(planned.key)
        else:
            different.append(Difference(planned.key, tuple(describe(planned.key.kind, stored, planned.body))))
    known = {d.key for d in different}
    for plan in stack.pods:
        key = ObjectKey("Pod", plan.namespace, plan.name)
        lines = _pod_lines(engine, plan) if key in same and key not in known else ()
        if lines:
            same.discard(key)
            different.append(Difference(key, lines))
    return Comparison(tuple(new), frozenset(same), tuple(different))


def refuse(compared: Comparison) -> None:
    """Raises Conflict with everything that differs."""
    lines = [f"  {d.key}: {line}" for d in compared.different for line in d.lines]
    raise Conflict(
        "these objects exist and differ from the files:\n" + "\n".join(lines),
        hint="play with --update to change them in place where that can be, with --replace to remove and make them anew",
    )


def as_written(stored: str, planned: str) -> str:
    """A stored body without what its controller, an ApplySet or `run` has written there: what the file does not say and cannot mean."""
    if CONTROLLERS_OWN not in stored and notes.LISTED not in stored and (PART_OF not in stored or PART_OF in planned):
        return stored
    body, wanted = json.loads(stored), json.loads(planned)["metadata"]
    changed = [
        _without(body["metadata"], wanted, "annotations", lambda name: name.startswith((CONTROLLERS_OWN, *notes.NOTES))),
        _without(body["metadata"], wanted, "labels", lambda name: name == PART_OF),
    ]
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if any(changed) else stored


def _without(meta: dict[str, Any], wanted: dict[str, Any], field: str, foreign: Callable[[str], bool]) -> bool:
    """Take out of a map what is foreign and not wanted; whether there was any."""
    given = wanted.get(field) or {}
    there = meta.get(field) or {}
    kept = {name: value for name, value in there.items() if not foreign(name) or name in given}
    if len(kept) == len(there):
        return False
    meta.pop(field)
    if kept or field in wanted:
        meta[field] = kept
    return True


def with_marks(stored: str, planned: str) -> str:
    """The other way: the file's body with the marks that its controller has written."""
    if CONTROLLERS_OWN not in stored and notes.LISTED not in stored:
        return planned
    made = json.loads(planned)
    marks = json.loads(stored)["metadata"].get("annotations") or {}
    own = {name: value for name, value in marks.items() if name.startswith((CONTROLLERS_OWN, *notes.NOTES))}
    made["metadata"]["annotations"] = {**own, **(made["metadata"].get("annotations") or {})}
    return json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _pod_lines(engine: Engine, plan: PodPlan) -> tuple[str, ...]:
    row = engine.store.runtime.find_pod(plan.namespace, plan.name)
    if row is None:
        return ("it has an object but was never made: a play of it was cut short",)
    lines: list[str] = []
    if notes.LISTED in row.plan:  # a plan that has none need not be decoded
        plan = noted(plan, codec.loads(row.plan))
    stored = row.plan if codec.dumps(plan) == row.plan else codec.dumps(played(codec.loads(row.plan)))
    if codec.dumps(plan) != stored and codec.loads(stored) != plan:
        lines += _differences(json.loads(stored), codec.encode(plan), "plan")
    newest: dict[str, ContainerRow] = {r.name: r for r in engine.store.runtime.containers(row.uid)}  # by attempt, so the last wins
    for container in plan.containers:
        runs = newest.get(container.name)
        image = engine.images.resolve(container.image) if runs is not None and runs.image_id else None
        if runs is not None and image is not None and image.id != runs.image_id:
            lines.append(f"image {container.image} is now {image.id[:19]}, container {container.name} runs {runs.image_id[:19]}")
    return tuple(lines)


def noted(plan: PodPlan, stored: PodPlan) -> PodPlan:
    """The plan of a file, with the notes of the pod that `run` made and that the file says nothing of."""
    if not any(key in notes.NOTES for key, _ in stored.annotations):
        return plan
    marks = notes.kept(dict(stored.annotations), dict(plan.annotations))
    return plan._replace(annotations=tuple(sorted(marks.items())), container_prefix=marks.get(notes.LISTED) != "false")


def played(plan: PodPlan) -> PodPlan:
    """A plan as it was before `debug` added to it."""
    return plan._replace(containers=tuple([c for c in plan.containers if c.kind != EPHEMERAL]))


def describe(kind: str, old: str, new: str) -> list[str]:
    """The fields that differ, one line each; a Secret's values are never shown."""
    from kubeplay.play.given import LAST_APPLIED

    lines = _differences(json.loads(old), json.loads(new), "", hide=kind == "Secret")
    if kind == "Secret":  # kubectl's annotation has the values once more
        lines = [f"{line.partition(':')[0]}: changed" if LAST_APPLIED in line else line for line in lines]
    return lines[:_SHOWN] + ([f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])


def plan_lines(old: PodPlan, new: PodPlan) -> list[str]:
    """The fields of two plans that differ."""
    return _differences(codec.encode(old), codec.encode(new), "plan")[:_SHOWN]


def _differences(old: Any, new: Any, path: str, hide: bool = False) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        lines: list[str] = []
        for key in sorted({*old, *new}):
            secret = hide and (path, key) != ("", "metadata")
            lines += _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key), secret)
        return lines
    if isinstance(old, list) and isinstance(new, list):
        pairs = [(_at(old, i), _at(new, i)) for i in range(max(len(old), len(new)))]
        return [line for i, (a, b) in enumerate(pairs) for line in _differences(a, b, f"{path}[{i}]", hide)]
    if old == new:
        return []
    return [f"{path}: changed" if hide else f"{path}: {_short(old)} -> {_short(new)}"]


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _short(value: Any) -> str:
    text = "(none)" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
