"""Writing OCI image layouts: into a directory (`oci:`), or straight into a tar (`oci-archive:`), one or several images."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from kubeplay.engine.host.paths import hex_digest
from kubeplay.engine.images.config import MAX_CONFIG, decode
from kubeplay.engine.images.descriptor import OCI_INDEX, Descriptor
from kubeplay.engine.images.transports.base import Document, ImageSink, Reader, Signature
from kubeplay.engine.images.transports.files import DirectoryWriter, TarWriter
from kubeplay.engine.images.transports.location import OCI, OCI_ARCHIVE
from kubeplay.engine.images.transports.oci import NAME
from kubeplay.errors import InvalidInput, NotSupported

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
COMPRESSED, PLAIN, ANY = "compressed", "plain", "any"  # how a sink wants layers to be packed


class OciSink(ImageSink):
    """Adds an image to the layout in a directory, made when missing, named `ref` and `more`; other images lose these names."""

    transport = OCI
    packing = COMPRESSED
    parallel = True

    def __init__(self, path: str, ref: str = "", more: tuple[str, ...] = ()) -> None:
        self.reference, self._refs = "", (ref, *more)
        if os.path.isdir(path) and os.listdir(path) and not os.path.exists(f"{path}/oci-layout"):
            raise InvalidInput(f"{path}: is neither empty nor an OCI layout")
        self._files = DirectoryWriter(path)
        self._top: list[dict[str, Any]] = []

    def has(self, blob: Descriptor) -> bool:
        return self._files.has(_member(blob.digest), blob.size)

    def put_blob(self, blob: Descriptor, content: Reader) -> None:
        self._files.write(_member(blob.digest), content, blob.size)

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        self._files.put(_member(digest), document.raw)
        if top:
            self._top = [_entry(document, digest, ref) for ref in self._refs]

    def put_signatures(self, digest: str, signatures: tuple[Signature, ...]) -> None:
        raise NotSupported("an OCI layout has no place for signatures", hint="use --remove-signatures")

    def finish(self) -> None:
        with self._locked():
            self._files.put("oci-layout", _LAYOUT)
            old = self._files.read("index.json", MAX_CONFIG + 1)
            value = decode(old, "index.json") if old else {}
            manifests = value.get("manifests") if isinstance(value, dict) else None
            kept = [entry for entry in manifests or [] if not self._replaces(entry)]
            self._files.put("index.json", _index([*kept, *self._top]))
        self._files.finish()

    def close(self) -> None:
        self._files.close()

    def _replaces(self, entry: Any) -> bool:
        name = (entry.get("annotations") or {}).get(NAME, "") if isinstance(entry, dict) else ""
        if not isinstance(entry, dict):
            return True
        return name in self._refs and (bool(name) or any(entry.get("digest") == top["digest"] for top in self._top))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two writers must not lose each other's entry."""
        fd = os.open(self._files.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


class _Archive:
    """A tar being written, of one or several images; `path` "-" is standard output. Leaving it with an error removes it."""

    def __init__(self, tar: TarWriter) -> None:
        self.tar = tar
        self.entries: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def finish(self) -> None:
        """Write what lists the images, and end the tar."""
        self.tar.put(*self._list())
        self.tar.finish()

    def close(self) -> None:
        self.tar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _list(self) -> tuple[str, bytes]:
        """The member that lists the images: its name and content."""
        raise NotImplementedError


class OciArchive(_Archive):
    """An oci-archive."""

    def __init__(self, path: str) -> None:
        super().__init__(TarWriter(path))
        self.tar.put("oci-layout", _LAYOUT)

    def _list(self) -> tuple[str, bytes]:
        return "index.json", _index(self.entries)


class DockerArchive(_Archive):
    """A docker-archive."""

    def __init__(self, path: str) -> None:
        super().__init__(TarWriter(path, replace=False))

    def _list(self) -> tuple[str, bytes]:
        return "manifest.json", json.dumps(self.entries, separators=(",", ":")).encode()


class _ArchiveSink(ImageSink):
    """One image of an archive, one blob after the other. With an archive of its own finish completes it."""

    parallel = False
    _what: str  # as an error calls it

    def __init__(self, archive: _Archive, own: bool) -> None:
        self._archive, self._own = archive, own

    def has(self, blob: Descriptor) -> bool:
        return self._archive.tar.has(self._place(blob))

    def put_blob(self, blob: Descriptor, content: Reader) -> None:
        with self._archive.lock:
            self._archive.tar.write(self._place(blob), content, blob.size)

    def put_signatures(self, digest: str, signatures: tuple[Signature, ...]) -> None:
        raise NotSupported(f"{self._what} has no place for signatures", hint="use --remove-signatures")

    def finish(self) -> None:
        if self._own:
            self._archive.finish()

    def close(self) -> None:
        if self._own:
            self._archive.close()

    def _place(self, blob: Descriptor) -> str:
        """The name of a blob's member."""
        raise NotImplementedError


class OciArchiveSink(_ArchiveSink):
    """One image of an oci-archive, named `ref` and `more`."""

    transport = OCI_ARCHIVE
    packing = COMPRESSED
    _what = "an OCI archive"

    def __init__(self, archive: OciArchive | str, ref: str = "", more: tuple[str, ...] = ()) -> None:
        own = isinstance(archive, str)
        super().__init__(OciArchive(archive) if isinstance(archive, str) else archive, own)
        self.reference, self._refs = "", (ref, *more)

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        with self._archive.lock:
            self._archive.tar.put(_member(digest), document.raw)
            if top:
                self._archive.entries += [_entry(document, digest, ref) for ref in self._refs]

    def _place(self, blob: Descriptor) -> str:
        return _member(blob.digest)


class DockerArchiveSink(_ArchiveSink):
    """One image of a docker-archive, under `names`; layers are uncompressed."""

    transport = "docker-archive"
    packing = PLAIN
    _what = "a docker-archive"

    def __init__(self, archive: DockerArchive | str, names: tuple[str, ...] = ()) -> None:
        own = isinstance(archive, str)
        super().__init__(DockerArchive(archive) if isinstance(archive, str) else archive, own)
        self.reference = names[0] if names else ""
        self._names = names

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        from kubeplay.engine.images.descriptor import Manifest, read

        found = read(document.raw, document.media_type)
        if not isinstance(found, Manifest):
            raise NotSupported("a docker-archive holds images of one platform, no indexes")
        layers = [_docker_member(layer) for layer in found.layers]
        entry = {"Config": _docker_member(found.config), "RepoTags": list(self._names) or None, "Layers": layers}
        self._archive.entries.append(entry)

    def _place(self, blob: Descriptor) -> str:
        return _docker_member(blob)


def _entry(document: Document, digest: str, ref: str) -> dict[str, Any]:
    from kubeplay.engine.images.descriptor import read

    entry: dict[str, Any] = {
        "mediaType": read(document.raw, document.media_type).media_type, "digest": digest, "size": len(document.raw)
    }  # fmt: skip
    return {**entry, "annotations": {NAME: ref}} if ref else entry


def _index(entries: list[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, separators=(",", ":")).encode()


def _member(digest: str) -> str:
    return f"blobs/sha256/{hex_digest(digest)}"


def _docker_member(blob: Descriptor) -> str:
    """podman's names of members."""
    is_config = "json" in blob.media_type
    return f"{hex_digest(blob.digest)}.{'json' if is_config else 'tar'}"
