"""What a stack has and its files have no more: what --prune takes away."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubeplay.apply import applyset
from kubeplay.play import down as downs
from kubeplay.play.progress import Progress
from kubeplay.play.stack import ORDER

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import ObjectKey

_RANK = {kind: number for number, kind in enumerate(ORDER)}


def gone(engine: Engine, stack: int, id: str, keep: Iterable[ObjectKey]) -> list[ObjectKey]:
    """The stored objects of a stack (0 = none) and with an ApplySet's label ("" = none) that are not among `keep`.

    What an owner looks after goes with its owner, and is not named. The reverse of the apply order: users before what they use.
    """
    from kubeplay.engine.store.applied import Applied

    kept = set(keep)
    found = [key for key in Applied(engine.store).members(stack) if key not in kept] if stack else []
    if id:
        found += [one.key for one in engine.store.objects.list() if id in one.body and applyset.label_of(json.loads(one.body)) == id]
    free = [key for key in dict.fromkeys(found) if key not in kept and _free(engine, key)]
    return sorted(free, key=lambda key: (-_RANK.get(key.kind, 0), key))


def _free(engine: Engine, key: ObjectKey) -> bool:
    stored = engine.store.objects.find(key)
    return stored is not None and not stored.owner_uid and stored.deleted is None


def prune(engine: Engine, keys: list[ObjectKey], progress: Progress) -> tuple[ObjectKey, ...]:
    """Take them away, pods with their grace; volumes stay. The keys that are there no more: a Namespace with others in it stays."""
    if keys:
        downs.down(engine, keys, progress=progress)
    return tuple([key for key in keys if engine.store.objects.find(key) is None])
