"""A source's files written to a directory of ours: nothing that they name lies outside of it, and all of it is bounded.

Repositories and artifacts are somebody else's. Their files come as a tar stream, which the reader of layers takes apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.engine.layers.stream import Blob, Incoming
    from kubeplay.engine.layers.tar import Entry, TarReader

# Ours. etcd takes objects of 1.5 MiB, so a stack is a few MiB; a repository may hold the whole application beside it.
MAX_FILES = 50_000
MAX_BYTES = 512 << 20  # of all files together
MAX_PATH = 4096  # PATH_MAX


class Tree:
    """Files being written below `directory`, which is empty and nobody else's. Links are made by `finish`, when every file lies there."""

    def __init__(self, directory: str, what: str) -> None:
        self.directory, self.what = directory, what
        self._links: list[tuple[str, str]] = []
        self._files = 0
        self._bytes = 0

    def file(self, name: str, pieces: Iterable[bytes | memoryview]) -> None:
        """One regular file. Raises InvalidInput: a name that leads out, one that is there already, too much."""
        path = self._path(name)
        self._count(name)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(path, "xb") as made:
                for piece in pieces:
                    self._bytes += len(piece)
                    if self._bytes > MAX_BYTES:
                        raise InvalidInput(f"{self.what}: its files are larger than {MAX_BYTES >> 20} MiB")
                    made.write(piece)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise InvalidInput(f"{self.what}: {name!r} is there twice") from None

    def folder(self, name: str) -> None:
        """A directory. Raises InvalidInput."""
        path = self._path(name)
        self._count(name)
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InvalidInput(f"{self.what}: {name!r} is there twice") from None

    def link(self, name: str, target: str) -> None:
        """One symbolic link, made at the end."""
        self._path(name)
        self._count(name)
        self._links.append((name, target))

    def finish(self) -> None:
        """Make the links. Raises InvalidInput for one that leads out of the tree, by whatever way."""
        top = os.path.realpath(self.directory)
        for name, target in sorted(self._links):
            path = f"{top}/{name}"
            # asked before anything is made: a link that is there already may lead anywhere
            if os.path.realpath(os.path.dirname(path)) != os.path.dirname(path) or os.path.lexists(path):
                raise InvalidInput(f"{self.what}: {name!r} is there twice")
            try:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise InvalidInput(f"{self.what}: {name!r} is there twice") from None
            os.symlink(target, path)
        for name, target in self._links:
            real = os.path.realpath(f"{top}/{name}")
            if os.path.isabs(target) or not (real == top or real.startswith(f"{top}/")):
                raise InvalidInput(f"{self.what}: the link {name!r} leads out of the source, to {target[:200]!r}",
                                   hint="a source may link to its own files only")  # fmt: skip

    def _count(self, name: str) -> None:
        self._files += 1
        if self._files > MAX_FILES:
            raise InvalidInput(f"{self.what}: it has more than {MAX_FILES} files")

    def _path(self, name: str) -> str:
        parts = name.split("/")
        if not name or "\0" in name or len(os.fsencode(name)) > MAX_PATH or any(_bad(part) for part in parts):
            raise InvalidInput(f"{self.what}: {name[:200]!r} cannot be the name of a file")
        return f"{self.directory}/{name}"


def _bad(part: str) -> bool:
    return part in ("", ".", "..") or part.lower() == ".git" or len(os.fsencode(part)) > 255  # NAME_MAX


def unpack(blob: Blob | Incoming, tree: Tree) -> None:
    """The members of an archive, plain or compressed, into `tree`; devices and hard links are refused.

    Raises InvalidInput: damaged, hostile, too large, or not what its digest says.
    """
    from kubeplay.engine.layers.stream import Stream
    from kubeplay.engine.layers.tar import TarReader

    with Stream(blob, limit=2 * MAX_BYTES) as stream:  # headers and padding come on top of the files
        reader = TarReader(stream)
        while (entry := reader.next()) is not None:
            _member(entry, reader, tree)
        stream.finish()


def _member(entry: Entry, reader: TarReader, tree: Tree) -> None:
    name = os.fsdecode(entry.name).removeprefix("./").rstrip("/")
    if entry.type == b"5":
        if name not in ("", "."):
            tree.folder(name)
    elif entry.type == b"2":
        tree.link(name, os.fsdecode(entry.link))
    elif entry.type == b"0" and entry.sparse is None:
        tree.file(name, reader.content())
    else:
        raise InvalidInput(f"{tree.what}: {name[:200]!r} is neither a file, a directory nor a symbolic link")
