"""Descriptors, manifests and indexes (OCI image-spec descriptor.md, manifest.md, image-index.md; docker schema 2).

Pure: bytes in, records out. A manifest is believed only for what its own bytes say: a document that could be read both
as a manifest and as an index is refused (CVE-2021-41190), every digest is checked by pattern before it becomes a path
(CVE-2024-3727), sizes are non-negative integers.
"""

from __future__ import annotations

from typing import Any

from kubeplay.engine.host.paths import hex_digest
from kubeplay.engine.images.config import decode
from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.record import Record

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"  # with +gzip or +zstd
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"  # with .gzip or .zstd
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_LIST)
SCHEMA_1 = ("application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws")
_MAX_LAYERS = 4096  # far beyond overlayfs and every other tool; a manifest is at most 4 MiB anyway
_MAX_ENTRIES = 1000


class Platform(Record):
    """What an image is for, in Go's words: `linux/arm64/v8`. "" is unsaid."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(Record):
    """Content by digest. `size` in bytes; `annotations` sorted pairs; `urls` is not empty for foreign layers."""

    media_type: str
    digest: str
    size: int
    annotations: tuple[tuple[str, str], ...] = ()
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    artifact_type: str = ""


class Manifest(Record):
    """An image's manifest, checked. `raw` are its very bytes."""

    raw: bytes
    digest: str
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    artifact_type: str = ""


class Index(Record):
    """A manifest list or index, checked."""

    raw: bytes
    digest: str
    media_type: str
    manifests: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


def read(raw: bytes, claimed: str = "") -> Manifest | Index:
    """The document that `raw` is; `claimed` is the media type its carrier gave ("" when it gave none).

    Raises InvalidInput (no manifest, confusing, hostile) and NotSupported (schema 1).
    """
    from kubeplay.engine.images.archive import sha256

    digest = sha256(raw)
    value = _object(decode(raw, f"manifest {digest[:19]}"), digest)
    own = _string(value.get("mediaType"), f"{digest}: mediaType")
    if claimed.partition(";")[0].strip() in SCHEMA_1 or value.get("schemaVersion") == 1:
        raise NotSupported(
            "the image has a manifest of docker's schema 1, which nothing writes since 2017", hint="push it again with a current tool"
        )
    if ("manifests" in value) == ("config" in value or "layers" in value):
        raise InvalidInput(f"{digest} is neither clearly a manifest nor clearly an index")
    is_index = "manifests" in value
    kinds = INDEXES if is_index else MANIFESTS
    media = own or (claimed.partition(";")[0].strip() if claimed.partition(";")[0].strip() in (*MANIFESTS, *INDEXES) else kinds[0])
    if media not in kinds:
        raise InvalidInput(f"{digest} calls itself {media[:200]} but has the form of {'an index' if is_index else 'a manifest'}")
    notes = _annotations(value, digest)
    if is_index:
        return Index(raw, digest, media, _descriptors(value, "manifests", digest, _MAX_ENTRIES), notes)
    config = descriptor(value.get("config"), f"{digest}: config")
    layers = _descriptors(value, "layers", digest, _MAX_LAYERS)
    return Manifest(raw, digest, media, config, layers, notes, _string(value.get("artifactType"), digest))


def descriptor(value: Any, where: str) -> Descriptor:
    """Check one descriptor. Raises InvalidInput naming `where`."""
    item = _object(value, where)
    digest, size = item.get("digest"), item.get("size")
    if not isinstance(digest, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidInput(f"{where} lacks its digest or size")
    hex_digest(digest)
    urls = item.get("urls") or []
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise InvalidInput(f"{where}: urls must be a list of strings")
    given = item.get("platform")
    media, artifact = _string(item.get("mediaType"), where), _string(item.get("artifactType"), where)
    return Descriptor(media, digest, size, _annotations(item, where), _platform(given, where) if given else None, tuple(urls), artifact)


def is_foreign(layer: Descriptor) -> bool:
    """Whether a layer must be fetched from elsewhere (image-spec: non-distributable) or is encrypted."""
    return any(word in layer.media_type for word in ("nondistributable", "foreign", "encrypted"))


def _platform(value: Any, where: str) -> Platform:
    item = _object(value, f"{where}: platform")
    keys = ("os", "architecture", "variant", "os.version")
    return Platform(*[_string(item.get(key), f"{where}: platform.{key}") for key in keys])


def _descriptors(value: dict[str, Any], key: str, where: str, limit: int) -> tuple[Descriptor, ...]:
    items = value.get(key) or []
    if not isinstance(items, list):
        raise InvalidInput(f"{where}: {key} must be a list")
    if len(items) > limit:
        raise InvalidInput(f"{where}: {key} has {len(items)} entries (the limit is {limit})")
    return tuple([descriptor(item, f"{where}: {key}[{index}]") for index, item in enumerate(items)])


def _annotations(value: dict[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    notes = _object(value.get("annotations"), f"{where}: annotations")
    return tuple(sorted((key, _string(text, f"{where}: annotations")) for key, text in notes.items()))


def _object(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{where[:200]} must be an object")
    return value


def _string(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"{where[:200]} must be a string")
    return value
