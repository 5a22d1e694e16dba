"""What sources in files share: blobs that lie ready, read in place."""

from __future__ import annotations

import os

from kubeplay.engine.images.archive import Archive
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.transports.base import ImageSource, Reader
from kubeplay.engine.layers.stream import Blob


class FileReader:
    """A Reader over a place in an open file; the file is closed with it when `owned`."""

    def __init__(self, blob: Blob, offset: int = 0, owned: bool = False) -> None:
        self._fd, self._at = blob.fd, blob.offset + offset
        self._end = blob.offset + blob.size
        self._owned = owned

    def read(self, count: int, /) -> bytes:
        data = os.pread(self._fd, min(count, self._end - self._at), self._at) if self._at < self._end else b""
        self._at += len(data)
        return data

    def close(self) -> None:
        if self._owned:
            os.close(self._fd)
            self._owned = False


class BytesReader:
    """A Reader over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, count: int, /) -> bytes:
        piece = self._data[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        self._data = b""


class LocalSource(ImageSource):
    """Blobs that lie in files: `place` says where, so that they need not pass through a Reader.

    `made_up`: the manifest was made for this reading; its layers' digests are diff ids, not those of the bytes as stored.
    """

    made_up = False

    def __init__(self, archive: Archive, transport: str, path: str) -> None:
        self._archive = archive
        self.transport, self.scope, self.reference = transport, os.path.realpath(path) if path not in ("", "-") else "", ""

    def place(self, blob: Descriptor) -> Blob:
        """Where the bytes are; its `digest` is what they must have, "" when only the diff id is known."""
        raise NotImplementedError

    def blob(self, blob: Descriptor, offset: int = 0) -> Reader:
        return FileReader(self.place(blob), offset)

    def close(self) -> None:
        self._archive.close()
