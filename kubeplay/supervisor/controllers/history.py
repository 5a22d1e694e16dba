"""The revisions of a StatefulSet or DaemonSet: which template is which, the present one stored, old ones forgotten (ST3, DS1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kubeplay.plan.stack import ObjectKey
from kubeplay.play.kinds import revisions
from kubeplay.record import Record
from kubeplay.supervisor.controllers.model import Action, Create, Delete, Thing, Update, World

KIND = "ControllerRevision"
Json = dict[str, Any]


class History(Record):
    """`update` is the revision of the present template; `actions` store it, or put it back on top (a rollback)."""

    stored: tuple[Thing, ...]
    update: Json
    collisions: int
    actions: tuple[Action, ...] = ()

    def body(self, name: str) -> Json | None:
        """The revision of a name, None when it is not kept any more."""
        if self.update["metadata"]["name"] == name:
            return self.update
        return next((one.body for one in self.stored if one.key.name == name), None)

    def superfluous(self, used: Collection[str], limit: int) -> list[Action]:
        """Revisions that nothing has any more, the oldest first, beyond so many."""
        idle = [one for one in self.stored if one.key.name not in used and one.key.name != self.update["metadata"]["name"]]
        return [Delete(one.key, one.uid) for one in idle[: max(0, len(idle) - limit)]]


def read(world: World, own: Thing) -> History:
    """The history, with the present template in it."""
    stored = sorted((one for one in world.owned(own.uid, KIND) if one.deleted is None), key=_number)
    newest = _number(stored[-1])[0] if stored else 0
    collisions = int(own.status.get("collisionCount") or 0)
    found = next((one for one in reversed(stored) if revisions.template_of(one.body) == own.body["spec"]["template"]), None)
    if found is None:
        body, collisions = _fresh(world, own, newest + 1, collisions)
        return History(tuple(stored), body, collisions, (Create(body, own.uid),))
    if _number(found)[0] == newest:
        return History(tuple(stored), found.body, collisions)
    body = {**found.body, "revision": newest + 1}
    return History(tuple(stored), body, collisions, (Update(found.key, body, False),))


def _number(one: Thing) -> tuple[int, float, str]:
    return int(one.body.get("revision") or 0), one.created, one.key.name


def _fresh(world: World, own: Thing, number: int, collisions: int) -> tuple[Json, int]:
    """A revision under a name that no other template has."""
    while True:
        body = revisions.body(own.body, number, collisions)
        meta = body["metadata"]
        if world.find(ObjectKey(KIND, meta["namespace"], meta["name"])) is None:
            return body, collisions
        collisions += 1
