"""Signatures of an image in a registry: sigstore's as attachments in the registry itself, simple signing's in a lookaside beside it.

An attachment is an image manifest at the tag sha256-HEX.sig, each of whose layers is a signed payload; its annotations hold the
signature (cosign's SIGNATURE_SPEC.md, containers/image docker/docker_image_src.go and docker_image_dest.go). Whether attachments and
which lookaside are used is registries.d's to say. Nothing here is verified: trust/ does that.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any, Protocol

from kubeplay.engine.images import descriptor
from kubeplay.engine.images.descriptor import Descriptor, Manifest
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.transports.base import Document, Signature
from kubeplay.engine.images.trust import blobs, lookaside, registriesd
from kubeplay.errors import InvalidInput, NotFound, NotSupported

if TYPE_CHECKING:
    from kubeplay.engine.images.registry.repository import Repository

_MAX_ALL = 8 << 20  # bytes of all payloads together


class Place(Protocol):
    """A RegistrySource or RegistrySink: `name` is the image's logical name, `repository()` the one that serves it."""

    name: Reference

    def repository(self) -> Repository: ...


def signatures(place: Place, digest: str) -> tuple[Signature, ...]:
    """Every signature of the manifest of `digest`. Raises RegistryError, InvalidInput (what cannot be read)."""
    config = registriesd.load()
    repository = place.repository()
    found = lookaside.find(lookaside.base(config, place.name), digest, repository.client.get_url)
    if registriesd.attachments(config, str(place.name)):
        found = (*found, *_attached(repository, digest))
    return found


def expect(place: Place, given: tuple[Signature, ...]) -> None:
    """Whether there is a place for such signatures. Raises NotSupported where registries.d names none."""
    config = registriesd.load()
    kinds = {one.kind for one in given}
    if "sigstore" in kinds and not registriesd.attachments(config, str(place.name)):
        hint = f"set use-sigstore-attachments: true for it in {config.directory}"
        raise NotSupported(f"sigstore signatures are not kept in the registry of {place.name}", hint=hint)
    if "simple" in kinds:
        lookaside.check_writable(lookaside.base(config, place.name, write=True))


def store(place: Place, digest: str, given: tuple[Signature, ...]) -> None:
    """Keep signatures with the image, beside those that are there. Raises NotSupported as `expect`."""
    expect(place, given)
    simple = [one for one in given if one.kind == "simple"]
    attached = [one for one in given if one.kind == "sigstore"]
    if simple:
        lookaside.store(lookaside.base(registriesd.load(), place.name, write=True), digest, simple)
    if attached:
        _attach(place.repository(), digest, attached)


def tag(digest: str) -> str:
    """The tag at which the attachments of a manifest are."""
    return f"{digest.replace(':', '-')}.sig"


def _attached(repository: Repository, digest: str) -> tuple[Signature, ...]:
    manifest = _manifest(repository, digest)
    if manifest is None:
        return ()
    layers = [layer for layer in manifest.layers if layer.media_type == blobs.COSIGN_PAYLOAD]  # attestations are of other types
    if len(layers) > blobs.MAX_SIGNATURES or sum(layer.size for layer in layers) > _MAX_ALL:
        raise InvalidInput(f"{repository.name}:{tag(digest)} has {len(layers)} signatures (the limit is {blobs.MAX_SIGNATURES})")
    return tuple([Signature("sigstore", _payload(repository, layer), layer.annotations) for layer in layers])


def _manifest(repository: Repository, digest: str) -> Manifest | None:
    try:
        document = repository.manifest(tag(digest))
    except NotFound:
        return None
    found = descriptor.read(document.raw, document.media_type)
    if not isinstance(found, Manifest):
        raise InvalidInput(f"{repository.name}:{tag(digest)} is an index, not a manifest of signatures")
    return found


def _payload(repository: Repository, layer: Descriptor) -> bytes:
    where = f"the signature {repository.name}@{layer.digest}"
    if layer.size > blobs.MAX_SIGNATURE:
        raise InvalidInput(f"{where} has {layer.size} bytes (the limit is {blobs.MAX_SIGNATURE})")
    reader = repository.blob(layer)
    data = bytearray()
    try:
        while len(data) <= layer.size:
            piece = reader.read(min(65536, layer.size + 1 - len(data)))
            if not piece:
                break
            data += piece
    finally:
        reader.close()
    if len(data) != layer.size or _digest(bytes(data)) != layer.digest:
        raise InvalidInput(f"{where} does not have the digest or size that its manifest says")
    return bytes(data)


def _attach(repository: Repository, digest: str, signatures: list[Signature]) -> None:
    """Add to what is there: other signers' signatures stay."""
    there = _manifest(repository, digest)
    layers = [_raw(layer) for layer in there.layers] if there else []
    for signature in signatures:
        one = Descriptor(blobs.COSIGN_PAYLOAD, _digest(signature.payload), len(signature.payload), signature.annotations)
        if _raw(one) in layers:
            continue
        _put(repository, one, signature.payload)
        layers.append(_raw(one))
    # cosign and containers/image read the configuration as an image's
    config = {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}
    data = json.dumps(config, separators=(",", ":")).encode()
    about = Descriptor(descriptor.OCI_CONFIG, _digest(data), len(data))
    _put(repository, about, data)
    manifest = {"schemaVersion": 2, "mediaType": descriptor.OCI_MANIFEST, "config": _raw(about), "layers": layers}
    repository.put_manifest(Document(json.dumps(manifest, separators=(",", ":")).encode(), descriptor.OCI_MANIFEST), tag(digest))


def _put(repository: Repository, blob: Descriptor, data: bytes) -> None:
    if not repository.has(blob):
        repository.put_blob(blob, io.BytesIO(data))


def _raw(one: Descriptor) -> dict[str, Any]:
    made: dict[str, Any] = {"mediaType": one.media_type, "size": one.size, "digest": one.digest}
    return {**made, "annotations": dict(one.annotations)} if one.annotations else made


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
