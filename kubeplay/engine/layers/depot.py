"""root/layers: every layer once, by diff id, whichever image brought it.

    layers/HEX/fs/       the files
    layers/HEX/meta      a Meta as JSON
    layers/HEX/headers   every byte of the tar that is not file content, deflated: what `push` and `save` rebuild it from
    layers/HEX/replaced/ contents that later members of the same tar replaced, where there are any
    layers/HEX/root      there when the layer describes its root directory
    layers/HEX/opaque    there when the layer hides everything below it
    layers/HEX/lacking   there when not everything of it could be made (lacking.py)
    layers/.tmp-*        being made: its maker holds an flock on the directory, so a dead maker's is told apart
    layers/.del-*        being removed

A layer appears by rename(2), complete or not at all. Whoever relies on layers that no image row names yet
(a load in progress) holds the depot's lock shared; removal needs it exclusive and is put off while it is held.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.host.paths import Paths, ensure_directory, hex_digest
from kubeplay.engine.layers import lacking, temporaries, tree
from kubeplay.engine.layers.limits import MAX_LAYER, translated
from kubeplay.engine.layers.records import Headers, write_all, write_records
from kubeplay.engine.layers.records import Meta as Meta
from kubeplay.errors import InvalidInput, NotFound, NotSupported, StoreError

if TYPE_CHECKING:
    from kubeplay.engine.layers.stream import Blob, Incoming, Tee
    from kubeplay.engine.layers.walk import Skip
    from kubeplay.engine.layers.write import Pieces


class Depot:
    """The layers of one root."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._directory = f"{paths.root}/layers"

    def has(self, diff_id: str) -> bool:
        return os.path.exists(f"{self._paths.layer(diff_id)}/meta")

    def meta(self, diff_id: str) -> Meta:
        """Raises NotFound, or StoreError when the record cannot be read."""
        try:
            with open(f"{self._paths.layer(diff_id)}/meta", encoding="utf-8") as file:
                return Meta(**json.load(file))
        except FileNotFoundError:
            raise NotFound(f"layer {diff_id} is not in {self._directory}") from None
        except (ValueError, TypeError) as error:
            message = f"the record of layer {diff_id} in {self._directory} is damaged"
            raise StoreError(message, hint="remove the image and load it again") from error

    def lacking(self, diff_id: str) -> lacking.Lacking:
        """What of the layer could not be made."""
        return lacking.read(self._paths.layer(diff_id))

    def lacks(self, layers: Iterable[str]) -> str:
        """What these layers lack together, in a sentence; "" when nothing."""
        return lacking.sentence(map(self.lacking, layers))

    def list(self) -> list[str]:
        """The diff ids that are there."""
        try:
            return sorted("sha256:" + name for name in os.listdir(self._directory) if not name.startswith("."))
        except FileNotFoundError:
            return []

    def add(self, blob: Blob | Incoming, diff_id: str = "", *, limit: int = MAX_LAYER, tee: int | Tee | None = None) -> Meta:
        """Unpack `blob` unless its layer is there (then nothing is read); `diff_id` "" accepts whatever it turns out to be.

        `tee`, a descriptor or a callable, gets the stored bytes while they pass; they are only good once this returns.
        Several threads may add at once. Raises InvalidInput (damaged, hostile, wrong digest or size), Exhausted (disk
        full), StoreError, and what the reader or the tee raise.
        """
        if diff_id and self.has(diff_id):
            return self.meta(diff_id)
        try:
            with self._temporary() as temporary:
                meta = _unpack(blob, diff_id, temporary, limit, _tee(tee))
                self._install(temporary, meta.diff_id)
                return meta
        except OSError as error:
            raise translated(error, f"layer {diff_id or 'of the archive'}") from error

    def tar(self, diff_id: str) -> Pieces:
        """The layer's tar as it was unpacked, byte by byte: a Reader. Whoever reads it checks that its digest is the diff id.

        Raises NotFound, NotSupported (the layer was stored without what this needs); reading raises StoreError.
        """
        from kubeplay.engine.layers import write

        where = self._paths.layer(diff_id)
        if not self.meta(diff_id).reproducible:
            raise NotSupported(
                f"layer {diff_id} cannot be given back as it came: it replaces its own links, or its deletions have content",
                hint="write the image anew: kubeplay build --squash-all, or kubeplay export and kubeplay import",
            )
        return write.rebuilt(where)

    def commit(
        self,
        upper: str,
        *,
        move: bool = False,
        root: bool = False,
        timestamp: int | None = None,
        clamp: int | None = None,
        skip: Skip | None = None,
    ) -> Meta:
        """Make a layer out of the overlay upper directory at `upper`; what cannot be in a layer is left out (walk.py).

        `move` takes the directory itself instead of a copy: it must be mounted nowhere, and is gone afterwards, also
        after a failure. `root` writes what the root directory is like. `timestamp` (seconds) becomes every entry's time,
        `clamp` the latest one; `skip(path, status)` leaves a path out with all below it. Without `move` the directory may
        be in use. Hold `reading()` until a row names the layer. Raises InvalidInput, Exhausted, StoreError.
        """
        from kubeplay.engine.layers import commit
        from kubeplay.engine.layers.walk import Manner

        manner = Manner(True, root, timestamp, clamp, skip)
        try:
            if not move:
                return commit.copied(self.add, upper, manner)
            with self._temporary() as temporary:
                meta = commit.moved(upper, temporary, manner)
                if meta is None:  # another file system
                    meta = commit.copied(self.add, upper, manner)
                    tree.remove(upper)
                else:
                    self._install(temporary, meta.diff_id)
                return meta
        except OSError as error:
            raise translated(error, f"a layer of {upper}") from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold off removals: from before the first look for a layer until the image's row is written."""
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    def collect(self, used: Callable[[], Iterable[str]]) -> tuple[str, ...]:
        """Remove layers not `used` and what dead processes left; returns what was removed.

        Does nothing while a load is in progress: the next call will.
        """
        fd = self._open()
        removed: list[str] = []
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            keep = set(used())  # asked under the lock: a load that ended just now counts
            for diff_id in self.list():
                if diff_id not in keep:
                    temporaries.doom(self._directory, hex_digest(diff_id))
                    removed.append(diff_id)
                    faults.point("collect:doomed")
            if removed and os.path.isdir(f"{self._paths.root}/vfs"):
                from kubeplay.engine.layers import copies

                copies.collect(self._paths.root)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
        self.sweep()
        return tuple(removed)

    def sweep(self) -> None:
        """Remove what dead processes left half made or half removed."""
        ensure_directory(self._directory)
        temporaries.sweep(self._directory)

    def _open(self) -> int:
        ensure_directory(self._directory)
        return os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _temporary(self) -> AbstractContextManager[str]:
        return temporaries.temporary(self._directory)

    def _install(self, temporary: str, diff_id: str) -> None:
        try:
            os.rename(temporary, self._paths.layer(diff_id))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # else another load was first: theirs is as good


def _tee(target: int | Tee | None) -> Tee | None:
    return (lambda data: write_all(target, data)) if isinstance(target, int) else target


def _unpack(blob: Blob | Incoming, diff_id: str, directory: str, limit: int, tee: Tee | None) -> Meta:
    from kubeplay.engine.layers.extract import Extractor  # here: a removal needs nothing of it
    from kubeplay.engine.layers.stream import Stream
    from kubeplay.engine.layers.tar import TarReader

    os.mkdir(f"{directory}/fs", 0o755)
    os.chmod(f"{directory}/fs", 0o755)
    root = os.open(f"{directory}/fs", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    headers = Headers(f"{directory}/headers")
    try:
        with Stream(blob, limit=limit, tee=tee) as stream:
            found = Extractor(root, f"{directory}/replaced").run(TarReader(stream, headers.add))
            actual = stream.finish(headers.add)
            headers.finish()
    finally:
        os.close(root)
        headers.close()
    if diff_id and actual != diff_id:
        raise InvalidInput(f"layer {diff_id} unpacks to {actual}", hint="the archive is damaged or was tampered with")
    stored = (stream.compression, stream.stored_digest, stream.stored)
    meta = Meta(actual, stream.size, found.size, found.entries, *stored, found.reproducible)
    write_records(directory, meta, found.has_root, found.opaque_root)
    lacking.write(directory, found.lacking)
    return meta
