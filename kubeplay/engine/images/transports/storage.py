"""This root's own store as a source (`containers-storage:NAME`). Its images were checked when they came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.transports.base import Document, ImageSource, Reader, Signature
from kubeplay.engine.images.transports.local import BytesReader, FileReader
from kubeplay.engine.images.transports.location import STORAGE
from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import NotFound

if TYPE_CHECKING:
    from kubeplay.engine.images.store import ImageStore


class StorageSource(ImageSource):
    """An image of the store. Blobs are those kept since the pull, else the layers' tars, uncompressed."""

    transport = STORAGE

    def __init__(self, images: ImageStore, row: ImageRow) -> None:
        self.images, self.row = images, row
        names = images.names(row.id)
        self.reference = names[0] if names else ""
        self.scope = self.reference

    def manifest(self, digest: str = "") -> Document:
        wanted = digest or self.row.manifest_digest
        known = dict(self.images.rows.documents(self.row.id))
        if wanted not in known:
            raise NotFound(f"image {self.row.id[7:19]} has no manifest {wanted}")
        return Document(self.images.document(wanted), known[wanted])

    def blob(self, blob: Descriptor, offset: int = 0) -> Reader:
        if blob.digest == self.row.id:
            return BytesReader(self.row.config.encode()[offset:])
        stored = self.images.blobs.open(blob.digest)
        if stored is not None:
            return FileReader(stored, offset, owned=True)
        if offset or blob.digest not in self.row.layers:
            raise NotFound(f"the blob {blob.digest} was not kept")
        return self.images.layers.tar(blob.digest)

    def signatures(self, digest: str) -> tuple[Signature, ...]:
        return tuple(Signature(row.kind, row.payload, row.annotations) for row in self.images.rows.signatures(digest))
