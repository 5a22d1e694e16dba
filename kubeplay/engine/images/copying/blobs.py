"""root/blobs: compressed blobs as they came, so that an image can be pushed on byte for byte.

    blobs/HEX          a whole, verified blob
    blobs/.part-HEX    a download: its holder has an flock on it; after a crash the next pull goes on where it ended

A blob appears by rename(2). Whoever relies on blobs that no row names yet holds the room's lock shared; removal needs
it exclusive and is put off while it is held.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kubeplay.engine.host.paths import Paths, ensure_directory, hex_digest
from kubeplay.engine.layers.limits import CHUNK, translated

if TYPE_CHECKING:
    from kubeplay.engine.layers.stream import Blob

_PART = ".part-"
_POLL = 0.05  # seconds between two looks at a lock that is held: flock(2) itself cannot be given up by a thread
_STALE = 24 * 3600  # seconds: a download that nobody took up again for a day is given up


def _nothing() -> None:
    """Neither told nor asked."""


class Part:
    """A download that this thread alone works on. `have` bytes of it are there already, from an earlier try."""

    def __init__(self, fd: int, path: str) -> None:
        self.fd, self.path = fd, path
        self.have = os.fstat(fd).st_size

    def read(self, count: int, at: int) -> bytes:
        return os.pread(self.fd, count, at)

    def write(self, data: bytes) -> None:
        while data:
            written = os.pwrite(self.fd, data, self.have)
            self.have += written
            data = data[written:]

    def digest(self) -> str:
        """sha256:HEX of what is there."""
        from hashlib import sha256

        found, at = sha256(), 0
        while data := self.read(CHUNK, at):
            found.update(data)
            at += len(data)
        return "sha256:" + found.hexdigest()

    def forget(self) -> None:
        """What came is worthless: start anew."""
        os.ftruncate(self.fd, 0)
        self.have = 0

    def discard(self) -> None:
        os.unlink(self.path)


class BlobRoom:
    """The blobs of one root."""

    def __init__(self, paths: Paths) -> None:
        self.directory = f"{paths.root}/blobs"

    def path(self, digest: str) -> str:
        return f"{self.directory}/{hex_digest(digest)}"

    def has(self, digest: str) -> bool:
        return os.path.exists(self.path(digest))

    def has_part(self, digest: str) -> bool:
        """Whether a download was begun."""
        return os.path.exists(f"{self.directory}/{_PART}{hex_digest(digest)}")

    def open(self, digest: str) -> Blob | None:
        """The blob, open: close its descriptor. None when it is not here."""
        from kubeplay.engine.layers.stream import Blob

        try:
            fd = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        return Blob(fd, 0, os.fstat(fd).st_size, digest)

    def whole(self) -> list[tuple[str, int]]:
        """(digest, bytes on disk) of every whole blob."""
        return [("sha256:" + name, size) for name, size in self._files() if not name.startswith(".")]

    def partial(self) -> list[tuple[str, int]]:
        """(digest, bytes so far) of downloads that were begun."""
        return [("sha256:" + name.removeprefix(_PART), size) for name, size in self._files() if name.startswith(_PART)]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold off removals: until the rows that name the blobs are written."""
        fd = self._lock_file()
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def claim(self, digest: str, waiting: Callable[[], object] = _nothing, check: Callable[[], object] = _nothing) -> Iterator[Part]:
        """The download of a blob, for this thread alone. `waiting` is called when someone else is at it; then that is waited for,
        and `check` called again and again, which may raise."""
        path = f"{self.directory}/{_PART}{hex_digest(digest)}"
        ensure_directory(self.directory)
        while True:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                raise translated(error, path) from error
            try:
                _lock(fd, waiting, check)
                if _is(fd, path):
                    break
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # it was completed or given up while we waited
        try:
            yield Part(fd, path)
        finally:
            if os.fstat(fd).st_nlink and not os.fstat(fd).st_size and _is(fd, path):
                os.unlink(path)  # nothing came
            os.close(fd)

    def complete(self, part: Part, digest: str) -> None:
        """The part is whole and verified: it becomes the blob."""
        os.rename(part.path, self.path(digest))

    def collect(self, keep: Callable[[], Set[str]], also: Callable[[], object] = lambda: None) -> list[str]:
        """Remove blobs not in `keep` and downloads nobody goes on with; `also` runs under the same lock. Returns what was removed.

        Does nothing while a pull is in progress: the next call will.
        """
        removed: list[str] = []
        fd = self._lock_file()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            wanted = keep()
            for digest, _ in self.whole():
                if digest not in wanted:
                    os.unlink(self.path(digest))
                    removed.append(digest)
            for digest, _ in self.partial():
                self._give_up(f"{self.directory}/{_PART}{hex_digest(digest)}", _STALE)
            also()
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
        return removed

    def drop_partial(self) -> None:
        """Give up every download that no process is at."""
        for digest, _ in self.partial():
            self._give_up(f"{self.directory}/{_PART}{hex_digest(digest)}", -1)

    def _give_up(self, path: str, older: float) -> None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(fd).st_mtime > older and _is(fd, path):
                os.unlink(path)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)

    def _files(self) -> Iterator[tuple[str, int]]:
        try:
            names = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return
        for name in names:
            if len(name.removeprefix(_PART)) != 64:
                continue
            try:
                yield name, os.stat(f"{self.directory}/{name}", follow_symlinks=False).st_size
            except FileNotFoundError:
                continue

    def _lock_file(self) -> int:
        ensure_directory(self.directory)
        return os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _lock(fd: int, waiting: Callable[[], object], check: Callable[[], object]) -> None:
    told = False
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not told:
                waiting()
                told = True
            check()
            time.sleep(_POLL)


def _is(fd: int, path: str) -> bool:
    """Whether `path` is still the open file."""
    try:
        here, there = os.fstat(fd), os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
