"""Archives as ADD and a context on standard input bring them: unpacked by the layers' own extractor, below one directory."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from kubeplay.engine.layers.extract import Extractor, clean
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.engine.layers.lacking import Lacking
    from kubeplay.engine.layers.tar import Entry, TarReader

_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_USTAR = 257  # where a tar header says `ustar` (POSIX.1-1988)


def looks_like_archive(fd: int) -> bool:
    """Whether an open file is a tar archive, plain or compressed. A compressed file that holds no archive is told apart by unpacking."""
    head = os.pread(fd, 512, 0)
    if head[_USTAR : _USTAR + 5] == b"ustar":
        return True
    return head.startswith(_MAGIC) and _holds_tar(fd)


def _holds_tar(fd: int) -> bool:
    from kubeplay.engine.layers.stream import Blob, Stream
    from kubeplay.errors import KubeplayError

    try:
        with Stream(Blob(fd, 0, os.fstat(fd).st_size)) as stream:
            return stream.take(512)[_USTAR : _USTAR + 5] == b"ustar"
    except KubeplayError:
        return False


class _Unpacking(Extractor):
    """Below the directory `prefix` of a root file system: links of that file system are followed within it."""

    def __init__(self, root: int, prefix: bytes, owner: tuple[int, int] | None) -> None:
        super().__init__(root)
        self._prefix = prefix
        self._owner = owner

    def _member(self, entry: Entry, reader: TarReader) -> None:
        name = clean(entry.name)
        if not name:
            return  # what the archive says of its root: the target directory stays as it is
        link = entry.link
        if self._prefix:
            name = self._prefix + b"/" + name
            if entry.type == b"1":
                link = self._prefix + b"/" + clean(entry.link)
        entry = entry._replace(name=name, link=link)
        if self._owner is not None:
            entry = entry._replace(uid=self._owner[0], gid=self._owner[1])
        super()._member(entry, reader)

    def _whiteout(self, parent: bytes, name: bytes) -> None:
        raise InvalidInput(f"{name.decode(errors='replace')}: image layers cannot hold files whose names begin with .wh.")


def unpack(fd: int, root: int, directory: str, *, digest: str = "", owner: tuple[int, int] | None = None) -> Lacking:
    """Unpack the archive open at `fd` into `directory` (a true path) of the root file system open at `root`; what could not be made.

    `digest` is what its bytes must have. Raises InvalidInput (damaged, hostile, changed), Exhausted.
    """
    from kubeplay.engine.layers.stream import Blob, Stream
    from kubeplay.engine.layers.tar import TarReader

    status = os.fstat(fd)
    whole = stat.S_ISREG(status.st_mode)
    blob = Blob(fd, 0 if whole else -1, status.st_size if whole else -1, digest)
    with Stream(blob) as stream:
        found = _Unpacking(root, os.fsencode(directory.strip("/")), owner).run(TarReader(stream))
        stream.finish()
    return found.lacking
