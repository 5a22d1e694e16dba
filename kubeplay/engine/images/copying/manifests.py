"""Manifests made for what is sent: another form (OCI, docker's schema 2), layers packed otherwise (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kubeplay.engine.images.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
)
from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.record import Record

GZIP, ZSTD, PLAIN = "gzip", "zstd", ""
FORMATS = {"oci": OCI_MANIFEST, "v2s2": DOCKER_MANIFEST}


class Packed(Record):
    """A layer as it is sent: `blob` without its media type, `compression` gzip, zstd or "" (none)."""

    blob: Descriptor
    compression: str


def compression(layer: Descriptor) -> str:
    """How a layer claims to be packed."""
    for word in (GZIP, ZSTD):
        if layer.media_type.endswith(("+" + word, "." + word)):
            return word
    return PLAIN


def form(manifest: Manifest, wanted: str, packings: Sequence[str]) -> str:
    """The media type to write: the one asked for (oci, v2s2, "" = the manifest's own), OCI where docker's cannot tell of zstd.

    Raises InvalidInput, NotSupported.
    """
    if wanted == "v2s1":
        raise NotSupported("docker's schema 1 is not written any more", hint="use --format oci or v2s2")
    if wanted and wanted not in FORMATS:
        raise InvalidInput(f"unknown format {wanted[:50]!r}", hint="it is oci or v2s2")
    if wanted == "v2s2" and ZSTD in packings:
        raise InvalidInput("docker's schema 2 has no layers compressed with zstd", hint="use --format oci, or another compression")
    if not wanted and ZSTD in packings:
        return OCI_MANIFEST
    return FORMATS[wanted] if wanted else manifest.media_type


def built(manifest: Manifest, media_type: str, layers: Sequence[Packed]) -> bytes:
    """The bytes of the manifest over these layers; the very bytes it came with where nothing differs.

    The configuration's bytes, and with them the image's id, stay: docker's and OCI's differ in their media type and in fields that
    readers of the other kind pass over.
    """
    same = tuple((one.blob.digest, one.blob.size) for one in layers) == tuple((one.digest, one.size) for one in manifest.layers)
    if same and media_type == manifest.media_type:
        return manifest.raw
    is_oci = media_type == OCI_MANIFEST
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": OCI_CONFIG if is_oci else DOCKER_CONFIG,
            "digest": manifest.config.digest,
            "size": manifest.config.size,
        },
        "layers": [_layer(one, is_oci) for one in layers],
    }
    if is_oci and manifest.annotations:
        value["annotations"] = dict(manifest.annotations)
    return json.dumps(value, separators=(",", ":")).encode()


def _layer(one: Packed, is_oci: bool) -> dict[str, Any]:
    base, mark = (OCI_LAYER, "+") if is_oci else (DOCKER_LAYER, ".")
    media = base + (mark + one.compression if one.compression else "")
    value: dict[str, Any] = {"mediaType": media, "digest": one.blob.digest, "size": one.blob.size}
    if is_oci and one.blob.annotations:
        value["annotations"] = dict(one.blob.annotations)
    return value


def rebuilt(index: Index, members: Mapping[str, tuple[str, int, str]]) -> bytes:
    """The index over members that were written under another (digest, size, media type); its own bytes where none was."""
    if all(new[0] == old for old, new in members.items()):
        return index.raw
    value = json.loads(index.raw)
    for entry in value["manifests"]:
        entry["digest"], entry["size"], entry["mediaType"] = members[entry["digest"]]
    return json.dumps(value, separators=(",", ":")).encode()
