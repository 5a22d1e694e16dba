"""An in-memory copy of the objects that controllers look at, brought up to date from the watch log (Kubernetes: an informer)."""

from __future__ import annotations

import json

from kubeplay.engine.store.db import Store
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import CREATE, STOP
from kubeplay.supervisor.controllers.model import Thing, World

# No controller reads them, they may be large, and secrets stay out of a process that lives on.
UNSEEN = frozenset(("ConfigMap", "Secret"))


class Mirror(World):
    """`version` is the resourceVersion up to which it is true."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.version = -1
        self.held: frozenset[str] = frozenset()

    def refresh(self) -> list[Thing]:
        """Take up what has changed; the changed things, gone ones as they were last."""
        newest = self.store.controllers.newest()
        if self.version < 0 or self.store.controllers.oldest() > self.version + 1:
            return [*self._reload(newest), *self._hold()]
        changed: dict[str, Thing] = {}
        for _, _, key, uid in self.store.objects.changes(self.version) if newest > self.version else []:
            if key.kind in UNSEEN or uid in changed:
                continue
            stored = self.store.objects.by_uid(uid)
            if stored is None:
                gone = self._drop(uid)
                if gone is not None:
                    changed[uid] = gone
            else:
                thing = thing_of(stored, self._uids.get(uid))
                self._put(thing)
                changed[uid] = thing
        self.version = max(self.version, newest)
        return [*changed.values(), *self._hold()]

    def stale(self) -> bool:
        """Whether anything has changed since the last refresh, as far as one query tells."""
        return self.store.controllers.newest() != self.version or self._held() != self.held

    def _reload(self, newest: int) -> list[Thing]:
        before = dict(self._uids)
        found = {stored.uid: stored for stored in self.store.objects.list() if stored.key.kind not in UNSEEN}
        gone = [self._drop(uid) for uid in before if uid not in found]
        for stored in found.values():
            self._put(thing_of(stored, before.get(stored.uid)))
        self.version = newest
        return [*self._uids.values(), *[thing for thing in gone if thing is not None]]

    def _held(self) -> frozenset[str]:
        return frozenset(self.store.runtime.desired(STOP, CREATE))

    def _hold(self) -> list[Thing]:
        """Pods that a person stops or starts: that is no change of their objects."""
        held = self._held()
        turned = [uid for uid in held ^ self.held if uid in self._uids]
        for uid in turned:
            self._put(self._uids[uid]._replace(held=uid in held))
        self.held = held
        return [self._uids[uid] for uid in turned]


def thing_of(stored: StoredObject, before: Thing | None = None) -> Thing:
    """A stored object as controllers see it; `before` as they saw it last."""
    return Thing(
        stored.key, stored.uid, stored.resource_version, stored.generation, stored.created, stored.deleted, stored.owner_uid,
        json.loads(stored.body), json.loads(stored.status) if stored.status else {}, before.held if before else False,
    )  # fmt: skip
