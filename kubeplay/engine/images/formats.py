"""Which images an archive holds: docker-archive (docker save, podman save, skopeo) and OCI layouts.

docker-archive: manifest.json lists configs and layers by member name. OCI image-layout: index.json leads by
digest to manifests, or through further indexes to the one for this machine. Every digest is a sha256 checked
by pattern before it becomes a path (CVE-2024-3727), and a manifest that could also be read as an index is
refused (CVE-2021-41190).
"""

from __future__ import annotations

import json
import os
from typing import Any

from kubeplay.engine.host.paths import hex_digest
from kubeplay.engine.images import reference
from kubeplay.engine.images.archive import Archive, sha256
from kubeplay.engine.images.config import MAX_CONFIG, decode
from kubeplay.errors import InvalidInput, NotFound, NotSupported
from kubeplay.record import Record

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}  # others are called alike
_MAX_IMAGES = 1000
_MAX_NESTING = 4
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class LayerBlob(Record):
    """A layer's place in the archive; `digest` and `size` as claimed ("" and -1 when nothing is)."""

    member: str
    digest: str = ""
    size: int = -1


class Candidate(Record):
    """An image in an archive. `manifest` is "" when the format has none of its own."""

    config: bytes
    names: tuple[str, ...]
    layers: tuple[LayerBlob, ...]
    manifest: bytes = b""


def images(archive: Archive) -> list[Candidate]:
    """All images of the archive, in its order. Raises InvalidInput or NotSupported."""
    if archive.has("manifest.json"):  # docker 25 and later write both formats at once
        return _docker(archive)
    if archive.has("index.json"):
        return _oci(archive)
    if archive.has("repositories"):
        message = "the archive is of docker's version 1 format (only `repositories`)"
        raise NotSupported(message, hint="save it again with docker 1.10 or later")
    raise InvalidInput(
        "this is not an image archive: it has neither manifest.json nor index.json",
        hint="a root file system is imported with `kubeplay image import`",
    )


def architecture() -> str:
    """This machine in GOARCH's words."""
    return _MACHINES.get(os.uname().machine, os.uname().machine)


def docker_manifest(config: bytes, layers: list[tuple[str, int]]) -> bytes:
    """A schema 2 manifest over uncompressed layers, (digest, size) base first, for an image that came without one."""
    value = {
        "schemaVersion": 2,
        "mediaType": _DOCKER_MANIFEST,
        "config": {"mediaType": _DOCKER_CONFIG, "size": len(config), "digest": sha256(config)},
        "layers": [{"mediaType": _DOCKER_LAYER, "size": size, "digest": digest} for digest, size in layers],
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _docker(archive: Archive) -> list[Candidate]:
    entries = decode(archive.read("manifest.json", MAX_CONFIG), "manifest.json")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput("manifest.json must be a list of objects")
    if not 0 < len(entries) <= _MAX_IMAGES:
        raise InvalidInput(f"manifest.json lists {len(entries)} images")
    found = []
    for entry in entries:
        tags, layers = entry.get("RepoTags") or [], entry.get("Layers") or []
        if not all(isinstance(text, str) for text in (entry.get("Config"), *_list(tags, "RepoTags"), *_list(layers, "Layers"))):
            raise InvalidInput("manifest.json: Config, RepoTags and Layers must be strings")
        config = archive.read(entry["Config"], MAX_CONFIG)
        found.append(Candidate(config, tuple(reference.normalise(tag) for tag in tags), tuple(LayerBlob(layer) for layer in layers)))
    return found


def _oci(archive: Archive) -> list[Candidate]:
    index = _object(decode(archive.read("index.json", MAX_CONFIG), "index.json"), "index.json")
    found: list[Candidate] = []
    for descriptor in _suitable(_descriptors(index, "manifests")):
        name = _name(descriptor)
        candidate = _manifest(archive, descriptor, 0)
        same = next((c for c in found if c.manifest == candidate.manifest), None)
        if same is None:
            found.append(candidate._replace(names=(name,) if name else ()))
        elif name:  # one image under several names is listed once per name
            found[found.index(same)] = same._replace(names=(*same.names, name))
    return found


def _manifest(archive: Archive, descriptor: dict[str, Any], depth: int) -> Candidate:
    member, digest, size = _place(descriptor)
    data = archive.read(member, MAX_CONFIG, digest, size)
    value = _object(decode(data, digest), digest)
    if ("manifests" in value) == ("config" in value or "layers" in value):
        raise InvalidInput(f"{digest} is neither clearly a manifest nor clearly an index")
    if "manifests" in value:
        if depth >= _MAX_NESTING:
            raise InvalidInput(f"{digest}: indexes nested more than {_MAX_NESTING} deep")
        return _manifest(archive, _suitable(_descriptors(value, "manifests"))[0], depth + 1)
    member, config_digest, config_size = _place(_object(value.get("config"), digest))
    config = archive.read(member, MAX_CONFIG, config_digest, config_size)
    layers = []
    for layer in _descriptors(value, "layers"):
        media = str(layer.get("mediaType"))
        if "nondistributable" in media or "foreign" in media or "encrypted" in media:
            raise NotSupported(f"{digest} has a layer of type {media[:200]}", hint="foreign and encrypted layers cannot be used")
        layers.append(LayerBlob(*_place(layer)))
    return Candidate(config, (), tuple(layers), data)


def _suitable(descriptors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those for this machine; failing that those that name no platform; failing that a single one."""
    wanted = architecture()
    real = [d for d in descriptors if "vnd.docker.reference.type" not in _object(d.get("annotations"), "annotations")]
    platforms = [_object(d.get("platform"), "platform") for d in real]
    ours = [d for d, p in zip(real, platforms) if p.get("os") == "linux" and p.get("architecture") == wanted]
    unknown = [d for d, p in zip(real, platforms) if not p]
    found = ours + unknown or (real if len(real) == 1 else [])
    if not found:
        raise NotFound(f"no image for linux/{wanted} in the archive")
    return found[:_MAX_IMAGES]


def _name(descriptor: dict[str, Any]) -> str:
    """The name in the annotations; a short one is local, as podman has it. A bare tag names nothing."""
    annotations = _object(descriptor.get("annotations"), "annotations")
    for key in _NAME_ANNOTATIONS:
        text = annotations.get(key)
        if isinstance(text, str) and text and (key == _NAME_ANNOTATIONS[0] or ":" in text or "/" in text):
            return str(reference.parse(text, "localhost" if reference.is_short(text) else reference.DEFAULT_DOMAIN))
    return ""


def _place(descriptor: dict[str, Any]) -> tuple[str, str, int]:
    """Member name, digest and size of a descriptor."""
    digest, size = descriptor.get("digest"), descriptor.get("size")
    if not isinstance(digest, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidInput("a descriptor in the archive lacks its digest or size")
    return f"blobs/sha256/{hex_digest(digest)}", digest, size


def _descriptors(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [_object(item, key) for item in _list(value.get(key) or [], key)]


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(f"{where} must be a list")
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{where[:200]} must be an object")
    return value
