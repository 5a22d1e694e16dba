"""What controllers see and what they ask for: records only, so that every decision is a table in virtual time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record

Json = dict[str, Any]


class Thing(Record):
    """One stored object. `created` and `deleted` (deletionTimestamp) are epoch seconds.

    `held`: a pod that a person stopped, or had made without starting it; it counts as there.
    """

    key: ObjectKey
    uid: str
    version: int
    generation: int
    created: float
    deleted: float | None
    owner_uid: str
    body: Json
    status: Json
    held: bool = False


class World:
    """The objects that exist, for reading. Made of Things; mirror.py keeps one up to date with the store."""

    def __init__(self, things: Iterable[Thing] = (), failures: dict[str, str] | None = None) -> None:
        self._keys: dict[ObjectKey, Thing] = {}
        self._uids: dict[str, Thing] = {}
        self._owned: dict[str, dict[str, None]] = {}
        self._kinds: dict[str, dict[str, None]] = {}
        self.failures: dict[str, str] = failures or {}
        self.usage: dict[str, dict[str, Any]] = {}  # what containers use (metrics.Usage), by pod's uid and container; for autoscalers
        self.memory: dict[str, Any] = {}  # what an autoscaler (by uid) remembers while this process lives (LR5)
        for thing in things:
            self._put(thing)

    def find(self, key: ObjectKey) -> Thing | None:
        return self._keys.get(key)

    def by_uid(self, uid: str) -> Thing | None:
        return self._uids.get(uid)

    def owned(self, uid: str, kind: str = "") -> list[Thing]:
        """What an object controls, by kind, namespace and name."""
        found = [self._uids[one] for one in self._owned.get(uid, ())]
        return sorted((t for t in found if kind in ("", t.key.kind)), key=lambda t: t.key)

    def list(self, kind: str, namespace: str = "") -> list[Thing]:
        """Of a kind, in a namespace ("" = all), by namespace and name."""
        found = [self._uids[uid] for uid in self._kinds.get(kind, ())]
        return sorted((t for t in found if namespace in ("", t.key.namespace)), key=lambda t: t.key)

    def failed(self, uid: str) -> str:
        """Why the last Create for this owner failed, "" when it did not."""
        return self.failures.get(uid, "")

    def all(self) -> Iterable[Thing]:
        return self._uids.values()

    def _put(self, thing: Thing) -> None:
        self._drop(thing.uid)
        self._keys[thing.key] = self._uids[thing.uid] = thing
        self._kinds.setdefault(thing.key.kind, {})[thing.uid] = None
        if thing.owner_uid:
            self._owned.setdefault(thing.owner_uid, {})[thing.uid] = None

    def _drop(self, uid: str) -> Thing | None:
        thing = self._uids.pop(uid, None)
        if thing is None:
            return None
        if self._keys.get(thing.key) is thing:
            del self._keys[thing.key]
        del self._kinds[thing.key.kind][uid]
        if thing.owner_uid:
            self._owned[thing.owner_uid].pop(uid, None)
            if not self._owned[thing.owner_uid]:
                del self._owned[thing.owner_uid]
        return thing


class Create(Record):
    """Make an object. `owner` is a uid; with generateName instead of a name it gets five random characters (DE2)."""

    body: Json
    owner: str = ""


class Delete(Record):
    """Remove an object, if it is still the one of this uid. A pod ends with its grace, or with `grace` seconds.

    What it owns follows it; with `foreground` it is marked deleted now and goes after what it owns (TE6).
    """

    key: ObjectKey
    uid: str
    grace: int | None = None
    foreground: bool = False


class Update(Record):
    """Give an object a whole new body; `spec` False when only its metadata changes (VL9)."""

    key: ObjectKey
    body: Json
    spec: bool = True


class Adopt(Record):
    """Make `owner` (a uid, "" = nobody) the controller of an object (RP1)."""

    key: ObjectKey
    uid: str
    owner: str


class Status(Record):
    """Set an object's status; nothing is written when it is the same."""

    key: ObjectKey
    status: Json


class Note(Record):
    """An event about an object; `type` is Normal or Warning."""

    key: ObjectKey
    type: str
    reason: str
    message: str


Action = Create | Delete | Update | Adopt | Status | Note


class Decision(Record):
    """What is to be done now, and when to decide again (epoch seconds) though nothing changes."""

    actions: tuple[Action, ...] = ()
    wake_at: float | None = None
