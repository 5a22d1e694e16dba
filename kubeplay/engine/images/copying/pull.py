"""One image out of a source into the store: which one, whether it may be used, its layers, its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host import faults
from kubeplay.engine.images import config as configs
from kubeplay.engine.images import platforms
from kubeplay.engine.images.copying.layers import Layers, parallel
from kubeplay.engine.images.copying.progress import CONFIG, DONE, MANIFEST, SIGNATURES, WARNING, Progress, Report, silent
from kubeplay.engine.images.descriptor import INDEXES, OCI_CONFIG, Descriptor, Index, Manifest, Platform, is_foreign, read
from kubeplay.engine.images.transports.base import Document, ImageSource, Signature
from kubeplay.errors import Exhausted, InvalidInput, NotSupported, RegistryError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.images.store import ImageStore

_MAX_NESTING = 4
_IMAGE_CONFIGS = (OCI_CONFIG, "application/vnd.docker.container.image.v1+json", "application/octet-stream", "")


class PullOptions(Record):
    """`platform` None is this machine's; `parallel` layers at a time, 0 = as the setting says. `keep`: keep compressed blobs,
    for pushing the image on byte for byte.

    `digest` is what the top document must have ("" = anything); `policy` a loaded trust policy, None loads the one at `signature_policy`.
    """

    platform: Platform | None = None
    parallel: int = 0
    keep: bool = True
    digest: str = ""
    signature_policy: str = ""
    policy: Any = None


class Choice(Record):
    """The image chosen from a source: the documents that led to it, outermost first, the last one its manifest."""

    documents: tuple[Document, ...]
    manifest: Manifest
    digests: tuple[str, ...]


def bring(
    images: ImageStore, source: ImageSource, names: Sequence[str], options: PullOptions | None = None, report: Report = silent
) -> str:
    """Bring the image of `source` into the store under `names` (normalised); returns its id.

    Raises TrustError (before any layer is read), NotFound (also: no image for the platform), InvalidInput (damaged, hostile),
    NotSupported, RegistryError, Exhausted (disk full; nothing is left).
    """
    options = options or PullOptions()
    choice = choose(source, options.platform or platforms.machine(), options.digest)
    signatures = accepted(source, choice, options, report)
    try:
        with images.layers.reading(), images.blobs.reading():
            return _into(images, source, names, options, report, choice, signatures)
    except Exhausted:
        images.collect()  # the layers that had come before the disk was full
        raise


def choose(source: ImageSource, platform: Platform, digest: str = "") -> Choice:
    """Follow indexes to the manifest for `platform`; everything is verified against the digest that named it."""
    documents = [source.manifest()]
    try:
        found = read(documents[0].raw, documents[0].media_type)
    except NotSupported as error:
        raise NotSupported(f"{source.reference or source.scope}: {error.message}", hint=error.hint) from None
    if digest and found.digest != digest:
        raise InvalidInput(f"the manifest has digest {found.digest}, {digest} was asked for", hint="its source is broken or lies")
    digests = [found.digest]
    while isinstance(found, Index):
        if len(documents) > _MAX_NESTING:
            raise InvalidInput(f"{found.digest}: indexes nested more than {_MAX_NESTING} deep")
        member = platforms.choose(found, platform, source.reference)
        documents.append(source.manifest(member.digest))
        found = _member(documents[-1], member)
        digests.append(found.digest)
    return Choice(tuple(documents), found, tuple(digests))


def _member(document: Document, claimed: Descriptor) -> Manifest | Index:
    found = read(document.raw, claimed.media_type or document.media_type)
    if found.digest != claimed.digest or len(document.raw) != claimed.size:
        raise InvalidInput(f"{claimed.digest} does not match its digest or size", hint="the archive is damaged or was tampered with")
    if isinstance(found, Manifest) and claimed.media_type in INDEXES:
        raise InvalidInput(f"{claimed.digest} is listed as an index but is a manifest")
    return found


def accepted(source: ImageSource, choice: Choice, options: PullOptions, report: Report) -> tuple[tuple[str, Signature], ...]:
    """Ask the trust policy; the signatures to keep with the image, each with the digest it is for. Raises TrustError."""
    from kubeplay.engine.images import trust

    report(Progress(SIGNATURES))
    policy = options.policy if options.policy is not None else trust.load(options.signature_policy)
    found = trust.check(policy, source, choice.documents[0], *choice.documents[1:][-1:])
    digest, signatures = found.digest, found.signatures
    if not found.signers:  # nobody asked for them, but they belong to the image, and go along when it is pushed
        digest = choice.manifest.digest
        try:
            signatures = source.signatures(digest)
        except (InvalidInput, RegistryError) as error:
            report(Progress(WARNING, f"the image's signatures cannot be read and are not kept: {error.message}"))
    return tuple((digest, signature) for signature in signatures)


def config_of(source: ImageSource, manifest: Manifest) -> bytes:
    """The configuration blob, whole and verified."""
    from kubeplay.engine.images.archive import sha256

    config = manifest.config
    if config.media_type not in _IMAGE_CONFIGS:
        raise InvalidInput(f"this is no container image: its configuration is of type {config.media_type[:200]}")
    if config.size > configs.MAX_CONFIG:
        raise InvalidInput(f"the image configuration has {config.size} bytes (the limit is {configs.MAX_CONFIG})")
    reader = source.blob(config)
    try:
        data = b""
        while len(data) <= config.size and (piece := reader.read(config.size - len(data) + 1)):
            data += piece
    finally:
        reader.close()
    if len(data) != config.size or sha256(data) != config.digest:
        message = f"the image configuration does not match its digest {config.digest}"
        raise InvalidInput(message, hint="the archive is damaged or was tampered with")
    return data


def _into(
    images: ImageStore, source: ImageSource, names: Sequence[str], options: PullOptions, report: Report, choice: Choice,
    signatures: tuple[tuple[str, Signature], ...],
) -> str:  # fmt: skip
    manifest, made_up = choice.manifest, getattr(source, "made_up", False)
    for layer in manifest.layers:
        if is_foreign(layer):
            message = f"{source.reference or source.scope}: the image has a layer of type {layer.media_type[:200]}"
            raise NotSupported(message, hint="foreign and encrypted layers cannot be used")
    config = config_of(source, manifest)
    document = configs.read(config, "the image configuration")
    if len(document.diff_ids) != len(manifest.layers):
        raise InvalidInput(f"the image has {len(manifest.layers)} layers, its configuration names {len(document.diff_ids)}")
    if options.platform and (document.os, document.architecture) != options.platform[:2] and document.architecture:
        have = f"{document.os}/{document.architecture}"
        report(Progress(WARNING, f"image platform ({have}) does not match the expected platform ({options.platform})"))
    images.layers.sweep()
    new = [diff_id for diff_id in dict.fromkeys(document.diff_ids) if not images.layers.has(diff_id)]
    work = Layers(images.layers, images.blobs, source, report, options.keep)
    blobs = work.bring(list(zip(manifest.layers, document.diff_ids)), options.parallel or parallel())
    faults.point("pull:layers")
    if lacks := images.layers.lacks(new):
        report(Progress(WARNING, lacks))
    report(Progress(CONFIG, manifest.config.digest, DONE, manifest.config.size, manifest.config.size))
    report(Progress(MANIFEST))
    came = () if made_up else tuple(zip(choice.digests, choice.documents))
    image_id = images.add(config, b"" if made_up else manifest.raw, names, documents=came, blobs=blobs, signatures=signatures)
    faults.point("pull:done")
    return image_id
