"""What a plan says: frozen records, with their JSON in show.py."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.check import Manifest
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.play.compile import CompileOptions
from kubeplay.record import Record

# Actions of a Change, in the order in which a summary counts them.
CREATE, UPDATE, REPLACE, REMOVE, LEAVE = "create", "update", "replace", "remove", "unchanged"
REFUSE = "refuse"  # it may neither change so nor be made anew, as there may be data in it: an apply touches nothing at all
ACTIONS = (CREATE, UPDATE, REPLACE, REMOVE, LEAVE, REFUSE)


class PlanOptions(Record):
    """`compile`: the flags of play. `removed`: stored objects that the files have no more and --prune takes away (prune.py)."""

    compile: CompileOptions
    removed: tuple[ObjectKey, ...] = ()


class FieldChange(Record):
    """One field that differs: `path` as people write it (`spec.containers[name=web].image`); None where it is not there.

    `secret`: its values must not be shown.
    """

    path: str
    old: Any
    new: Any
    secret: bool = False


class Effect(Record):
    """What comes of a change for a pod: `action` is `restart` (containers, in place), `replace` (a new pod), `create`, `remove` or
    `refresh` (its files). `containers` are those that restart, () = all."""

    pod: ObjectKey
    action: str
    containers: tuple[str, ...] = ()


class Change(Record):
    """What becomes of one object, and why.

    `live` and `merged` are bodies as JSON text: what is stored ("" for a new one) and what would be (`""` for one that goes).
    `why` are sentences beside the fields: what may not change in place, who else owns a field that is left.
    """

    key: ObjectKey
    api_version: str
    action: str
    live: str
    merged: str
    fields: tuple[FieldChange, ...] = ()
    why: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()


class Planned(Record):
    """The changes in apply order, removals last; `stack` and `manifests` are what has to be played: the files merged with what is there."""

    changes: tuple[Change, ...]
    stack: Stack
    manifests: tuple[Manifest, ...]

    def of(self, action: str) -> tuple[Change, ...]:
        """The changes of one action."""
        return tuple([change for change in self.changes if change.action == action])

    @property
    def differs(self) -> bool:
        """Whether anything would change."""
        return any(change.action != LEAVE for change in self.changes)
