"""Layers of the store on their way out: which packed form of each is sent, made when there is none, and everything verified."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.images.copying.manifests import GZIP, PLAIN, Packed, compression
from kubeplay.engine.images.copying.progress import BLOB, BYTES, DONE, SKIPPED, START, Progress, Report
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.transports import layout
from kubeplay.engine.images.transports.base import ImageSink, Reader
from kubeplay.engine.images.transports.local import FileReader
from kubeplay.engine.layers.limits import translated
from kubeplay.engine.layers.stream import CHUNK, Blob, Digester, Stream
from kubeplay.engine.store.images import BlobRow
from kubeplay.errors import InvalidInput, NotSupported, StoreError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.images.store import ImageStore


class Packing(Record):
    """How layers are to be packed. `kind` gzip, zstd or "" (as they are); `level` None is the usual one; `force`: see PushOptions.

    `exact`: as the manifest says, whatever the sink likes better, because signatures are kept.
    """

    kind: str = ""
    level: int | None = None
    force: bool = True
    exact: bool = False


class Packer:
    """Packs the layers of one image for a sink."""

    def __init__(self, images: ImageStore, sink: ImageSink, packing: Packing, report: Report) -> None:
        self._images, self._sink, self._wish, self._report = images, sink, packing, report
        self._packing = getattr(sink, "packing", layout.COMPRESSED)

    def send(self, layer: Descriptor, diff_id: str) -> Packed:
        """See that the layer is in the sink; the form it has there. Raises what the sink raises, NotSupported, Exhausted."""
        for packed in self._candidates(layer, diff_id):
            blob = packed.blob
            here = blob.digest == diff_id or (self._holds(blob, diff_id) and self._images.blobs.has(blob.digest))
            if self._sink.has(blob):
                self._report(Progress(BLOB, blob.digest, SKIPPED, 0, blob.size))
                return packed
            if here:
                self._put(blob, partial(self._stored, blob, diff_id))
                return packed
        if self._wish.exact:
            message = f"the blob {layer.digest} was not kept, and packing layer {diff_id} anew would make the image's signatures void"
            raise NotSupported(message, hint="use --remove-signatures")
        return self._compress(layer, diff_id)

    def _holds(self, blob: Descriptor, diff_id: str) -> bool:
        """Whether the blob is known to hold the layer: a manifest may name any blob for a layer that was here when it came."""
        return any(row.digest == blob.digest for row in self._images.rows.blobs(diff_id))

    def _candidates(self, layer: Descriptor, diff_id: str) -> list[Packed]:
        """The forms to try, the manifest's own first."""
        plain = layer._replace(digest=diff_id, size=self._images.layers.meta(diff_id).size, annotations=())
        if self._packing == layout.PLAIN:
            return [Packed(plain, PLAIN)]
        rows = self._images.rows.blobs(diff_id)
        kinds = {row.digest: row.compression for row in rows}
        own = Packed(layer, PLAIN if layer.digest == diff_id else kinds.get(layer.digest, compression(layer)))
        if self._wish.exact:
            return [own]
        others = [Packed(layer._replace(digest=row.digest, size=row.size, annotations=()), row.compression) for row in rows]
        known = [own, *(one for one in others if one.blob.digest != layer.digest)]
        if self._wish.kind and self._wish.force:
            return [one for one in known if one.compression == self._wish.kind]
        if self._packing == layout.COMPRESSED:
            return [one for one in known if one.compression != PLAIN]
        return [own, Packed(plain, PLAIN)]

    def _stored(self, blob: Descriptor, diff_id: str) -> Reader:
        stored = self._images.blobs.open(blob.digest)
        return FileReader(stored, owned=True) if stored is not None else self._plain(diff_id)

    def _plain(self, diff_id: str) -> Reader:
        """The layer's tar; where it cannot be rebuilt, a compressed blob that was kept, unpacked."""
        try:
            return self._images.layers.tar(diff_id)
        except NotSupported:
            for row in self._images.rows.blobs(diff_id):
                stored = self._images.blobs.open(row.digest)
                if stored is not None:
                    return _Unpacked(stored)
            raise

    def _put(self, blob: Descriptor, content: Callable[[], Reader]) -> None:
        self._report(Progress(BLOB, blob.digest, START, 0, blob.size))
        reader = Verified(content, blob, self._report)
        try:
            self._sink.put_blob(blob, reader)
        finally:
            reader.close()
        self._report(Progress(BLOB, blob.digest, DONE, blob.size, blob.size))

    def _compress(self, layer: Descriptor, diff_id: str) -> Packed:
        """Pack the layer into an unnamed file, note how it came out, and send that."""
        from kubeplay.engine.layers.compress import Compressed

        kind = self._wish.kind or GZIP
        plain = layer._replace(digest=diff_id, size=self._images.layers.meta(diff_id).size, annotations=())
        directory = ensure_directory(self._images.blobs.directory)
        try:
            fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise translated(error, directory) from error
        try:
            tar = self._plain(diff_id)
            packed = Compressed(tar, kind, self._wish.level)
            try:
                while data := packed.read(CHUNK):
                    _write_all(fd, data)
            except OSError as error:
                raise translated(error, directory) from error
            finally:
                packed.close()
                tar.close()
            if packed.content_digest != diff_id:
                raise StoreError(f"layer {diff_id} is not as it was stored", hint="remove the image and load it again")
            row = BlobRow(diff_id, packed.digest, packed.size, kind)
            self._images.rows.add_blob(row)
            blob = plain._replace(digest=row.digest, size=row.size)
            if self._sink.has(blob):
                self._report(Progress(BLOB, blob.digest, SKIPPED, 0, blob.size))
            else:
                self._put(blob, lambda: FileReader(Blob(fd, 0, row.size)))
            return Packed(blob, kind)
        finally:
            os.close(fd)


class Verified:
    """A Reader that lets exactly what the descriptor says pass, and tells how far it is.

    The end comes only when size and digest are right; else InvalidInput is raised in its place. `content` opens the bytes.
    """

    def __init__(self, content: Callable[[], Reader], blob: Descriptor, report: Report) -> None:
        self._open, self._blob, self._report = content, blob, report
        self._content = content()
        self._hash: Digester | None = Digester()
        self._done = 0

    def rewind(self) -> None:
        """Begin again: the other side lost what it had got."""
        self.close()
        self._content = self._open()
        self._hash, self._done = Digester(), 0
        self._report(Progress(BLOB, self._blob.digest, BYTES, 0, self._blob.size))

    def read(self, count: int, /) -> bytes:
        data = self._content.read(count)
        self._done += len(data)
        if self._hash is None:
            return data
        if data and self._done <= self._blob.size:
            self._hash.update(data)
            self._report(Progress(BLOB, self._blob.digest, BYTES, self._done, self._blob.size))
            return data
        actual, self._hash = self._hash.finish(), None
        if self._done != self._blob.size or actual != self._blob.digest:
            message = f"the blob's content does not match its digest {self._blob.digest}"
            raise InvalidInput(message, hint="its source is damaged or was tampered with")
        return data

    def close(self) -> None:
        if self._hash is not None:
            self._hash.close()
            self._hash = None
        self._content.close()


class _Unpacked:
    """The tar inside a compressed blob."""

    def __init__(self, blob: Blob) -> None:
        self._fd = blob.fd
        self._stream = Stream(blob)

    def read(self, count: int, /) -> bytes:
        if self._stream.at_end():
            return b""
        return self._stream.take(min(count, self._stream.ready()))

    def close(self) -> None:
        if self._fd >= 0:
            self._stream.__exit__()
            os.close(self._fd)
            self._fd = -1


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
