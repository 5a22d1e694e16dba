"""OCI image layouts, as a directory (`oci:`) or a tar of one (`oci-archive:`): reading (image-spec image-layout.md)."""

from __future__ import annotations

from kubeplay.engine.host.paths import hex_digest
from kubeplay.engine.images import platforms
from kubeplay.engine.images.archive import Archive
from kubeplay.engine.images.config import MAX_CONFIG
from kubeplay.engine.images.descriptor import INDEXES, OCI_INDEX, Descriptor, Index, read
from kubeplay.engine.images.transports.base import Document
from kubeplay.engine.images.transports.local import LocalSource
from kubeplay.engine.images.transports.location import OCI, local_name
from kubeplay.engine.layers.stream import Blob
from kubeplay.errors import InvalidInput, NotFound

NAME, CONTAINERD_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"
_MAX_IMAGES = 1000


class OciSource(LocalSource):
    """One entry of a layout's index.json. `ref` "" is the only image there is, or else the only one for this machine."""

    def __init__(self, archive: Archive, path: str, ref: str = "", transport: str = OCI, entry: Descriptor | None = None) -> None:
        super().__init__(archive, transport, path)
        self.entry = entry or _find(archive, ref, path)
        if ref and transport == OCI:
            self.scope += f":{ref}"
        self.reference = name_of(self.entry)

    def manifest(self, digest: str = "") -> Document:
        if not digest or digest == self.entry.digest:
            data = self._archive.read(_member(self.entry.digest), MAX_CONFIG, self.entry.digest, self.entry.size)
            return Document(data, self.entry.media_type)
        return Document(self._archive.read(_member(digest), MAX_CONFIG, digest))

    def place(self, blob: Descriptor) -> Blob:
        return self._archive.blob(_member(blob.digest), blob.digest, blob.size)


def entries(archive: Archive) -> Index:
    """index.json, checked. It may name other kinds of things, and images of several platforms."""
    found = read(archive.read("index.json", MAX_CONFIG), OCI_INDEX)
    if not isinstance(found, Index):
        raise InvalidInput("index.json is a manifest, not an index")
    return found


def suitable(index: Index) -> list[Descriptor]:
    """Entries for this machine and those that name no platform; failing that a single one."""
    here = platforms.machine()
    real = [item for item in index.manifests if not platforms.is_attestation(item)]
    ours = [d for d in real if d.platform and (d.platform.os, d.platform.architecture) == (here.os, here.architecture)]
    unsaid = [d for d in real if d.platform is None or not d.platform.architecture]
    found = ours + unsaid or (real if len(real) == 1 else [])
    if not found:
        raise NotFound(f"no image for linux/{here.architecture} in the archive")
    return found[:_MAX_IMAGES]


def name_of(entry: Descriptor) -> str:
    """The name in the annotations; a short one is local, as podman has it. A bare tag names nothing."""
    notes = dict(entry.annotations)
    for key in (CONTAINERD_NAME, NAME):
        text = notes.get(key)
        if text and (key == CONTAINERD_NAME or ":" in text or "/" in text):
            return local_name(text)
    return ""


def _find(archive: Archive, ref: str, path: str) -> Descriptor:
    index = entries(archive)
    if not ref:
        found = suitable(index)
        if len({item.digest for item in found}) > 1 and not _one_per_platform(found):
            names = ", ".join(sorted({dict(item.annotations).get(NAME, item.digest) for item in found})[:10])
            raise InvalidInput(f"{path}: there is more than one image", hint=f"name one, as in oci:{path}:NAME; there are: {names}")
        return found[0]
    if ref.startswith("@") and ref[1:].isdigit() and int(ref[1:]) < len(index.manifests):
        return index.manifests[int(ref[1:])]
    named = [item for item in index.manifests if ref in (dict(item.annotations).get(key) for key in (NAME, CONTAINERD_NAME))]
    if not named:
        there = sorted({dict(item.annotations).get(NAME, "") for item in index.manifests} - {""})
        raise NotFound(f"{path}: no image {ref[:200]!r} in the layout", hint=f"there are: {', '.join(there[:10])}" if there else "")
    single = [item for item in named if item.media_type in INDEXES]
    return single[0] if single else suitable(Index(b"", "", OCI_INDEX, tuple(named)))[0]


def _one_per_platform(found: list[Descriptor]) -> bool:
    return all(item.platform and item.platform.architecture for item in found)


def _member(digest: str) -> str:
    return f"blobs/sha256/{hex_digest(digest)}"
