"""What goes because its owner goes: dependants of owners that are gone or being deleted (TE6). Pure."""

from __future__ import annotations

from kubeplay.supervisor.controllers import OWNERS
from kubeplay.supervisor.controllers.model import Delete, Thing, World


def decide(world: World) -> tuple[Delete, ...]:
    """Deletions that follow from the owners. An owner that is marked deleted goes after what it owns, and so all the way down."""
    found: list[Delete] = []
    for thing in world.all():
        if thing.deleted is not None:
            if thing.key.kind in OWNERS and not world.owned(thing.uid):
                found.append(Delete(thing.key, thing.uid))
        elif thing.owner_uid and _leaving(world.by_uid(thing.owner_uid)):
            found.append(Delete(thing.key, thing.uid, foreground=bool(world.owned(thing.uid)) and thing.key.kind in OWNERS))
    return tuple(found)


def _leaving(owner: Thing | None) -> bool:
    """Whether an owner is gone, or waits for what it owns to go. A pod that ends needs its claims until it has gone."""
    return owner is None or (owner.deleted is not None and owner.key.kind in OWNERS)
