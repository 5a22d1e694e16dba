"""What a stack has and its files have no more: what --prune takes away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kubeplay.apply import applyset
from kubeplay.errors import InvalidInput
from kubeplay.play import down as downs
from kubeplay.play import given
from kubeplay.play.progress import Progress
from kubeplay.play.stack import ORDER

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.kube.check import Manifest
    from kubeplay.plan.stack import ObjectKey, Origin

NAMELESS = "nothing says which objects were of these files before, so none can be pruned"
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


def foreseen(engine: Engine, origin: Origin, id: str, manifests: Sequence[Manifest]) -> list[ObjectKey]:
    """What --prune would take away: as `gone`, for whoever only looks. Nothing is stored. Raises InvalidInput where nothing says it."""
    from kubeplay.engine.store.applied import Applied
    from kubeplay.play.kinds import base

    if not (id or origin.name or origin.source):
        raise InvalidInput(NAMELESS, hint="--applyset NAME")
    keep = [base.key(one.object) for one in manifests if one.object["metadata"].get("name")]
    return gone(engine, given.found_id(Applied(engine.store), origin), id, keep)


def _free(engine: Engine, key: ObjectKey) -> bool:
    stored = engine.store.objects.find(key)
    return stored is not None and not stored.owner_uid and stored.deleted is None


def prune(engine: Engine, keys: list[ObjectKey], progress: Progress) -> tuple[ObjectKey, ...]:
    """Take them away, pods with their grace; volumes stay. The keys that are there no more: a Namespace with others in it stays."""
    if keys:
        downs.down(engine, keys, progress=progress)
    return tuple([key for key in keys if engine.store.objects.find(key) is None])
