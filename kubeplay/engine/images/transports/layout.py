"""Writing OCI image layouts: into a directory (`oci:`), or straight into a tar (`oci-archive:`), one or several images."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


class OciArchive:
    """An oci-archive being written, of one or several images; `path` "-" is standard output. Leaving it with an error removes it."""

    def __init__(self, path: str) -> None:
        self.tar = TarWriter(path)
        self.tar.put("oci-layout", _LAYOUT)
        self.entries: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def finish(self) -> None:
        self.tar.put("index.json", _index(self.entries))
        self.tar.finish()

    def close(self) -> None:
        self.tar.close()

    def __enter__(self) -> OciArchive:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class OciArchiveSink(ImageSink):
    """One image of an oci-archive, named `ref` and `more`, one blob after the other. With an archive of its own (a path) finish
    completes it.
    """

    transport = OCI_ARCHIVE
    packing = COMPRESSED
    parallel = False

    def __init__(self, archive: OciArchive | str, ref: str = "", more: tuple[str, ...] = ()) -> None:
        self.reference, self._refs = "", (ref, *more)
        self._own = isinstance(archive, str)
        self._archive = OciArchive(archive) if isinstance(archive, str) else archive

    def has(self, blob: Descriptor) -> bool:
        return self._archive.tar.has(_member(blob.digest))

    def put_blob(self, blob: Descriptor, content: Reader) -> None:
        with self._archive.lock:
            self._archive.tar.write(_member(blob.digest), content, blob.size)

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        with self._archive.lock:
            self._archive.tar.put(_member(digest), document.raw)
            if top:
                self._archive.entries += [_entry(document, digest, ref) for ref in self._refs]

    def put_signatures(self, digest: str, signatures: tuple[Signature, ...]) -> None:
        raise NotSupported("an OCI archive has no place for signatures", hint="use --remove-signatures")

    def finish(self) -> None:
        if self._own:
            self._archive.finish()

    def close(self) -> None:
        if self._own:
            self._archive.close()


class DockerArchive:
    """A docker-archive being written, of one or several images. Leaving it with an error removes it."""

    def __init__(self, path: str) -> None:
        self.tar = TarWriter(path, replace=False)
        self.entries: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def finish(self) -> None:
        self.tar.put("manifest.json", json.dumps(self.entries, separators=(",", ":")).encode())
        self.tar.finish()

    def close(self) -> None:
        self.tar.close()

    def __enter__(self) -> DockerArchive:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class DockerArchiveSink(ImageSink):
    """One image of a docker-archive, under `names`; layers are uncompressed. With an archive of its own (`path`) finish completes it."""

    transport = "docker-archive"
    packing = PLAIN
    parallel = False

    def __init__(self, archive: DockerArchive | str, names: tuple[str, ...] = ()) -> None:
        self.reference = names[0] if names else ""
        self._own = isinstance(archive, str)
        self._archive = DockerArchive(archive) if isinstance(archive, str) else archive
        self._names = names

    def has(self, blob: Descriptor) -> bool:
        return self._archive.tar.has(_docker_member(blob))

    def put_blob(self, blob: Descriptor, content: Reader) -> None:
        with self._archive.lock:
            self._archive.tar.write(_docker_member(blob), content, blob.size)

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        from kubeplay.engine.images.descriptor import Manifest, read

        found = read(document.raw, document.media_type)
        if not isinstance(found, Manifest):
            raise NotSupported("a docker-archive holds images of one platform, no indexes")
        layers = [_docker_member(layer) for layer in found.layers]
        entry = {"Config": _docker_member(found.config), "RepoTags": list(self._names) or None, "Layers": layers}
        self._archive.entries.append(entry)

    def put_signatures(self, digest: str, signatures: tuple[Signature, ...]) -> None:
        raise NotSupported("a docker-archive has no place for signatures", hint="use --remove-signatures")

    def finish(self) -> None:
        if self._own:
            self._archive.finish()

    def close(self) -> None:
        if self._own:
            self._archive.close()


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
