"""Writing files of images: below one directory (each complete or not there), or one after the other into a tar."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kubeplay.engine.images.transports.base import Reader
from kubeplay.engine.layers.limits import translated
from kubeplay.engine.layers.stream import CHUNK
from kubeplay.errors import AlreadyExists, InvalidInput


class DirectoryWriter:
    """Files below a directory that is made when missing. Until `finish`, `close` removes every file that was made."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._made: list[str] = []
        self._fresh = not os.path.exists(path)
        self._done = False
        with _saying(path):
            os.makedirs(path, exist_ok=True)

    def has(self, name: str, size: int) -> bool:
        try:
            return os.stat(f"{self.path}/{name}").st_size == size
        except OSError:
            return False

    def read(self, name: str, limit: int) -> bytes:
        """What is there already, b"" when nothing is."""
        try:
            with open(f"{self.path}/{name}", "rb") as file:
                return file.read(limit)
        except FileNotFoundError:
            return b""

    def put(self, name: str, data: bytes) -> None:
        from kubeplay.engine.images.transports.local import BytesReader

        self.write(name, BytesReader(data), len(data))

    def write(self, name: str, content: Reader, size: int) -> None:
        """Write one file under a temporary name, then rename it. Raises InvalidInput when `content` has another size."""
        path = f"{self.path}/{name}"
        temporary = _temporary(path)
        with _saying(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                pump(content, size, lambda data: _write_all(fd, data), name)
                fresh = not os.path.exists(path)
                os.rename(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
            finally:
                os.close(fd)
            if fresh:
                self._made.append(path)

    def finish(self) -> None:
        self._done = True

    def close(self) -> None:
        if self._done:
            return
        self._done = True
        for path in reversed(self._made):
            try:
                os.unlink(path)
            except OSError:
                pass
        if self._fresh:
            from kubeplay.engine.layers import tree

            tree.remove(self.path)


class TarWriter:
    """A tar written in one go to a file (without a name until `finish`) or to standard output (`path` "-").

    Times and owners are zero: the same images make the same archive.
    """

    def __init__(self, path: str, replace: bool = True) -> None:
        self._path, self._temporary = path, ""
        self._names: set[str] = set()
        self._unlinked = False
        if path == "-":
            self._fd = os.dup(1)
            return
        with _saying(path):
            there = os.stat(path) if os.path.exists(path) else None
            if there and stat.S_ISDIR(there.st_mode):
                raise InvalidInput(f"{path}: is a directory")
            if there and not stat.S_ISREG(there.st_mode):
                self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # a pipe or device
                return
            if there and there.st_size and not replace:
                raise AlreadyExists(f"{path}: docker-archive doesn't support modifying existing images", hint="remove the file first")
            self._fd, self._temporary = _unnamed(path)
            self._unlinked = not self._temporary

    def has(self, name: str) -> bool:
        return name in self._names

    def put(self, name: str, data: bytes) -> None:
        from kubeplay.engine.images.transports.local import BytesReader

        self.write(name, BytesReader(data), len(data))

    def write(self, name: str, content: Reader, size: int) -> None:
        """Append a file, once for each name."""
        if name in self._names:
            return
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        with _saying(self._path):
            _write_all(self._fd, info.tobuf(tarfile.PAX_FORMAT))
            pump(content, size, lambda data: _write_all(self._fd, data), name)
            _write_all(self._fd, bytes(-size % 512))
        self._names.add(name)

    def finish(self) -> None:
        with _saying(self._path):
            _write_all(self._fd, bytes(1024))
            if self._unlinked:
                self._temporary = _temporary(self._path)
                # a directory descriptor makes Python call linkat(2), which can follow; the absolute path makes it meaningless
                os.link(f"/proc/self/fd/{self._fd}", self._temporary, src_dir_fd=self._fd, follow_symlinks=True)
            if self._temporary:
                mask = os.umask(0)
                os.umask(mask)
                os.fchmod(self._fd, 0o666 & ~mask)
                os.rename(self._temporary, self._path)
        self._unlinked, self._temporary = False, ""

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._temporary:
            os.unlink(self._temporary)
            self._temporary = ""


def _temporary(path: str) -> str:
    return f"{path}.tmp-{os.getpid()}-{os.urandom(3).hex()}"


def _unnamed(path: str) -> tuple[int, str]:
    """A file beside `path` that is gone when its writer dies; with a temporary name where the file system cannot do without."""
    try:
        return os.open(os.path.dirname(path) or ".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600), ""
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
    name = _temporary(path)
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), name


def pump(content: Reader, size: int, put: Callable[[bytes], object], what: str) -> None:
    """Everything from `content` to `put`. Raises InvalidInput unless it is exactly `size` bytes."""
    done = 0
    while data := content.read(min(CHUNK, size - done + 1)):
        done += len(data)
        if done > size:
            break
        put(data)
    if done != size:
        raise InvalidInput(f"{what[:200]} has {'more' if done > size else done} bytes instead of {size}")


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """OSErrors as what a person is told; a reader of a pipe that went away stays one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise translated(error, what) from error


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
