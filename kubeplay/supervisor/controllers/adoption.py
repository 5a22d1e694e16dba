"""Whose objects are whose (RP1): a controller takes what its selector matches and nobody owns, and lets go what no longer matches."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import labels
from kubeplay.record import Record
from kubeplay.supervisor.controllers.model import Adopt, Thing, World

Json = dict[str, Any]


class Claim(Record):
    """`mine`: what is owned and matches; `changes`: whose ownership changes."""

    mine: tuple[Thing, ...]
    changes: tuple[Adopt, ...] = ()


def claim(world: World, own: Thing, kind: str) -> Claim:
    """The objects of `kind` that belong to `own` by its selector and by ownership."""
    selector = own.body["spec"].get("selector")
    mine, changes = [], []
    for thing in world.owned(own.uid, kind):
        if thing.deleted is not None or _fits(selector, thing):
            mine.append(thing)
        else:
            changes.append(Adopt(thing.key, thing.uid, ""))
    for thing in world.list(kind, own.key.namespace):
        if not thing.owner_uid and thing.deleted is None and labels.matches(selector, _labels(thing)) and not _controlled(thing):
            changes.append(Adopt(thing.key, thing.uid, own.uid))
    return Claim(tuple(mine), tuple(changes))


def concerned(world: World, changed: Thing, kind: str) -> list[Thing]:
    """Controllers of `kind` that may adopt an object which nobody owns."""
    if changed.owner_uid or changed.deleted is not None:
        return []
    have = _labels(changed)
    return [one for one in world.list(kind, changed.key.namespace) if labels.matches(one.body["spec"].get("selector"), have)]


_known: dict[str, tuple[Json, Json | None, bool]] = {}
_MOST = 10_000  # more than a machine has


def _fits(selector: Json | None, thing: Thing) -> bool:
    """Whether the selector picks an owned object; asked again only when either has changed."""
    found = _known.get(thing.uid)
    if found is not None and found[0] is thing.body and found[1] == selector:
        return found[2]
    if len(_known) >= _MOST:
        _known.clear()
    fits = labels.matches(selector, _labels(thing))
    _known[thing.uid] = thing.body, selector, fits
    return fits


def _labels(thing: Thing) -> dict[str, str]:
    return thing.body["metadata"].get("labels") or {}


def _controlled(thing: Thing) -> bool:
    return any(one.get("controller") for one in thing.body["metadata"].get("ownerReferences") or ())
