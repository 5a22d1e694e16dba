"""rmi and image prune: what of names, lists, mounts and ancestors goes with an image (podman's rules over ImageStore.remove)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.images import family, mounts
from kubeplay.engine.images.lists import Lists
from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import Conflict, NotFound

if TYPE_CHECKING:
    from kubeplay.engine.host.paths import Paths
    from kubeplay.engine.images.store import ImageStore, Removed
    from kubeplay.engine.store.db import Store


class Removal:
    """Removals from one root's images."""

    def __init__(self, images: ImageStore, store: Store, paths: Paths) -> None:
        self._images, self._store, self._paths = images, store, paths

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> Removed:
        """Remove a name, an image or a manifest list; with `prune` also nameless ancestors that nothing else was made from.

        Raises NotFound, Conflict (in use by a container; mounted or of several names, without `force`).
        """
        from kubeplay.engine.images.store import Removed

        lists = Lists(self._store)
        found = lists.find(name)
        if found is not None:
            have = tuple(text for text, _ in self._store.images.names(found.id))
            named = self._images.is_name_of(name, have)
            if named and len(have) > 1:
                self._store.images.untag(named)
                return Removed((named,), ())
            return Removed(lists.delete(found), (found.id,))
        row = self._images.get(name)
        if force:
            self._unmount(row.id, name)
        elif not self._only_a_name(row, name):
            mounts.check_free(self._paths, row.id)
        above = self._ancestors(row) if prune else []
        done = self._images.remove(name, force)
        faults.point("rmi:removed")
        deleted = [*done.deleted]
        for one in above if done.deleted else ():
            if self._is_loose(one):
                deleted += self._images.remove(one.id).deleted
        return Removed(done.untagged, tuple(deleted))

    def prunable(self, every: bool, keep: Callable[[ImageRow], bool]) -> list[ImageRow]:
        """Images that `image prune` removes; `keep` says which stay.

        Unused and nameless ones that no other was made from; with `every` all that no container, mount or manifest list uses.
        """
        rows = self._store.images.list()
        named = {image_id for _, image_id in self._store.images.names()}
        used = {row.image_id for row in self._store.runtime.containers()} | set(mounts.mounted(self._paths)) | self._in_lists()
        found = [row for row in rows if row.id not in used and (every or row.id not in named) and not keep(row)]
        return found if every else [row for row in found if not family.children(row, rows)]

    def prune(self, rows: Sequence[ImageRow]) -> list[str]:
        """Remove these; one that came into use meanwhile stays. Returns the ids that went."""
        gone: list[str] = []
        for row in rows:
            try:
                gone += self._images.remove(row.id, force=True).deleted
            except (Conflict, NotFound):
                continue
            faults.point("prune:removed")
        self._images.collect()
        return gone

    def _only_a_name(self, row: ImageRow, name: str) -> bool:
        have = self._images.names(row.id)
        return len(have) > 1 and bool(self._images.is_name_of(name, have))

    def _unmount(self, image_id: str, name: str) -> None:
        row = self._images.get(name)
        if not self._only_a_name(row, name) and not self._images.users(image_id) and mounts.is_mounted(self._paths, image_id):
            mounts.unmount(self._paths, image_id, force=True)

    def _ancestors(self, row: ImageRow) -> list[ImageRow]:
        rows = self._store.images.list()
        found = []
        above = family.parent(row, rows)
        while above is not None:
            found.append(above)
            above = family.parent(above, rows)
        return found

    def _is_loose(self, row: ImageRow) -> bool:
        """Nameless, unused, and nothing is made from it."""
        rows = self._store.images.list()
        in_use = self._images.names(row.id) or self._images.users(row.id) or mounts.is_mounted(self._paths, row.id)
        return not in_use and row.id not in self._in_lists() and not family.children(row, rows)

    def _in_lists(self) -> set[str]:
        """Images that are members of manifest lists: pushing those needs them."""
        sources = [source for row in self._store.lists.all() for _, source in row.sources]
        return {source.removeprefix("containers-storage:") for source in sources}
