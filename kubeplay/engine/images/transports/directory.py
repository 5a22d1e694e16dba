"""`dir:PATH`: a directory with manifest.json, blobs named by their digest's digits, and signature-N. Reading and writing.

The form is containers/image's: members of an index are HEX.manifest.json, their signatures HEX.signature-N.
"""

from __future__ import annotations

import os

from kubeplay.engine.host.paths import hex_digest
from kubeplay.engine.images.archive import Archive, DirectoryArchive
from kubeplay.engine.images.config import MAX_CONFIG
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.transports.base import Document, ImageSink, Reader, Signature
from kubeplay.engine.images.transports.files import DirectoryWriter
from kubeplay.engine.images.transports.local import LocalSource
from kubeplay.engine.images.transports.location import DIR
from kubeplay.engine.layers.stream import Blob
from kubeplay.errors import Conflict, NotFound

VERSION = b"Directory Transport Version: 1.1\n"


class DirSource(LocalSource):
    """The image of a directory."""

    def __init__(self, path: str, archive: Archive | None = None) -> None:
        if archive is None:
            try:
                archive = DirectoryArchive(path)
            except OSError as error:
                raise NotFound(f"{path}: cannot be read: {error.strerror}") from None
        super().__init__(archive, DIR, path)

    def manifest(self, digest: str = "") -> Document:
        return Document(self._archive.read(f"{hex_digest(digest)}.manifest.json" if digest else "manifest.json", MAX_CONFIG))

    def place(self, blob: Descriptor) -> Blob:
        return self._archive.blob(hex_digest(blob.digest), blob.digest, blob.size)

    def signatures(self, digest: str) -> tuple[Signature, ...]:
        from kubeplay.engine.images.archive import sha256
        from kubeplay.engine.images.trust import blobs

        prefix = "" if sha256(self.manifest().raw) == digest else f"{hex_digest(digest)}."
        found = []
        for number in range(1, blobs.MAX_SIGNATURES + 1):
            name = f"{prefix}signature-{number}"
            if not self._archive.has(name):
                break
            found.append(blobs.decode(self._archive.read(name, blobs.MAX_SIGNATURE), name))
        return tuple(found)


class DirSink(ImageSink):
    """Writes one image into a directory that is empty or holds another image of this form (which is replaced)."""

    transport = DIR
    packing = "any"
    parallel = True

    def __init__(self, path: str) -> None:
        self.reference = ""
        if os.path.isdir(path) and os.listdir(path) and not os.path.exists(f"{path}/version"):
            raise Conflict(f"{path}: is neither empty nor an image directory")
        self._files = DirectoryWriter(path)
        self._top = ""

    def has(self, blob: Descriptor) -> bool:
        return self._files.has(hex_digest(blob.digest), blob.size)

    def put_blob(self, blob: Descriptor, content: Reader) -> None:
        self._files.write(hex_digest(blob.digest), content, blob.size)

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        self._files.put("manifest.json" if top else f"{hex_digest(digest)}.manifest.json", document.raw)
        self._top = digest if top else self._top

    def put_signatures(self, digest: str, signatures: tuple[Signature, ...]) -> None:
        from kubeplay.engine.images.trust import blobs

        prefix = "" if digest == self._top else f"{hex_digest(digest)}."
        for number, one in enumerate(signatures, 1):
            self._files.put(f"{prefix}signature-{number}", blobs.encode(one))

    def finish(self) -> None:
        self._files.put("version", VERSION)
        self._files.finish()

    def close(self) -> None:
        self._files.close()
