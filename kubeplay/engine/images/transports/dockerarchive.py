"""docker-archives (docker save, podman save, skopeo): reading.

There is no manifest in them, so one is made up over the layers' diff ids; the store makes a right one of it when the
layers are known.
"""

from __future__ import annotations

from typing import Any

from kubeplay.engine.images import config as configs
from kubeplay.engine.images import reference
from kubeplay.engine.images.archive import Archive, sha256
from kubeplay.engine.images.config import MAX_CONFIG, decode
from kubeplay.engine.images.descriptor import DOCKER_MANIFEST, Descriptor
from kubeplay.engine.images.transports.base import Document
from kubeplay.engine.images.transports.local import LocalSource
from kubeplay.engine.images.transports.location import DOCKER_ARCHIVE
from kubeplay.engine.layers.stream import Blob
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.record import Record

_MAX_IMAGES = 1000


class Entry(Record):
    """An image of manifest.json: its member names."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


class DockerArchiveSource(LocalSource):
    """One image of the archive; `ref` is one of its names, @N the Nth image, "" the only one."""

    made_up = True

    def __init__(self, archive: Archive, path: str, ref: str = "", entry: Entry | None = None) -> None:
        from kubeplay.engine.images.formats import docker_manifest

        super().__init__(archive, DOCKER_ARCHIVE, path)
        entry = entry or _find(entries(archive), ref, path)
        self.names = entry.names
        self.scope = ""  # containers-policy.json(5): this transport has no scopes
        self.reference = ref if ref and not ref.startswith("@") else entry.names[0] if entry.names else ""
        self._config = archive.read(entry.config, MAX_CONFIG)
        self._config_member = entry.config
        diff_ids = configs.read(self._config, "the image configuration").diff_ids
        if len(diff_ids) != len(entry.layers):
            raise InvalidInput(f"the image has {len(entry.layers)} layers, its configuration names {len(diff_ids)}")
        self._members = dict(reversed(list(zip(diff_ids, entry.layers))))
        self._manifest = docker_manifest(self._config, [(d, archive.blob(self._members[d]).size) for d in diff_ids])

    def manifest(self, digest: str = "") -> Document:
        if digest and digest != sha256(self._manifest):
            raise NotFound(f"there is no manifest {digest} in a docker-archive")
        return Document(self._manifest, DOCKER_MANIFEST)

    def place(self, blob: Descriptor) -> Blob:
        member = self._members.get(blob.digest)
        if member is not None:
            return self._archive.blob(member)
        return self._archive.blob(self._config_member, blob.digest, blob.size)


def entries(archive: Archive) -> list[Entry]:
    """All images of the archive, in its order. Raises InvalidInput."""
    items = decode(archive.read("manifest.json", MAX_CONFIG), "manifest.json")
    if not isinstance(items, list) or not all(isinstance(entry, dict) for entry in items):
        raise InvalidInput("manifest.json must be a list of objects")
    if not 0 < len(items) <= _MAX_IMAGES:
        raise InvalidInput(f"manifest.json lists {len(items)} images")
    found = []
    for item in items:
        tags, layers = _list(item.get("RepoTags"), "RepoTags"), _list(item.get("Layers"), "Layers")
        if not all(isinstance(text, str) for text in (item.get("Config"), *tags, *layers)):
            raise InvalidInput("manifest.json: Config, RepoTags and Layers must be strings")
        found.append(Entry(item["Config"], tuple(reference.normalise(tag) for tag in tags), tuple(layers)))
    return found


def _find(found: list[Entry], ref: str, path: str) -> Entry:
    if not ref and len(found) == 1:
        return found[0]
    if ref.startswith("@") and ref[1:].isdigit() and int(ref[1:]) < len(found):
        return found[int(ref[1:])]
    named = [entry for entry in found if ref in entry.names] if ref else []
    if named:
        return named[0]
    there = ", ".join([name for entry in found for name in entry.names][:10])
    if not ref:
        raise InvalidInput(f"{path}: there is more than one image", hint=f"name one: {there}")
    raise NotFound(f"{path}: no image {ref[:200]!r} in the archive", hint=f"there are: {there}" if there else "")


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list | None):
        raise InvalidInput(f"manifest.json: {where} must be a list")
    return value or []
