"""An image, or an index with all its members, out of the store or another source into a sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.engine.images import config as configs
from kubeplay.engine.images import platforms
from kubeplay.engine.images.copying import manifests
from kubeplay.engine.images.copying.layers import parallel
from kubeplay.engine.images.copying.manifests import Packed
from kubeplay.engine.images.copying.progress import BLOB, CONFIG, DONE, MANIFEST, SIGNATURES, SKIPPED, START, Progress, Report, silent
from kubeplay.engine.images.copying.sending import Packer, Packing, Verified
from kubeplay.engine.images.descriptor import Descriptor, Index, Manifest, Platform, is_foreign, read
from kubeplay.engine.images.transports import layout
from kubeplay.engine.images.transports.base import Document, ImageSink, ImageSource, Signature
from kubeplay.engine.images.transports.local import BytesReader
from kubeplay.engine.images.transports.storage import StorageSource
from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.images.store import ImageStore
    from kubeplay.engine.images.trust import Signers

_MAX_NESTING = 4


class PushOptions(Record):
    """`format` oci, v2s2 or "" (as it is); `compression` gzip, zstd or "" (as it is); `level` None = the usual one.

    `force`: layers that are packed otherwise are packed anew; else `compression` is for those that have to be packed anyway.
    `all`: an index with all its members, else the member for `platform`. `signers`: sign what is written as `sign_name`.
    `signature_policy` is asked about images that are not of the store ("" = policy.json); `policy` is one that is loaded already.
    """

    format: str = ""
    compression: str = ""
    level: int | None = None
    force: bool = True
    remove_signatures: bool = False
    signers: Signers | None = None
    sign_name: str = ""
    all: bool = False
    platform: Platform | None = None
    parallel: int = 0
    policy: Any = None
    signature_policy: str = ""


def push(images: ImageStore, name: str, sink: ImageSink, options: PushOptions | None = None, report: Report = silent) -> str:
    """Write the image `name` of the store to `sink` and finish it; the digest of the manifest that was written.

    Raises NotFound, and what the sink raises; then nothing of it is visible in the sink.
    """
    return copy(images, StorageSource(images, images.get(name)), sink, options, report)


def copy(images: ImageStore, source: ImageSource, sink: ImageSink, options: PushOptions | None = None, report: Report = silent) -> str:
    """As `push`, from any source. A source that has `member(digest) -> ImageSource` gives the members of its index by that."""
    work = _Copy(images, sink, options or PushOptions(), report)
    with images.layers.reading(), images.blobs.reading():  # nobody takes away what is being sent
        written = work.top(source)
        sink.finish()
    return written


class _Written(Record):
    digest: str
    size: int
    media_type: str


class _Copy:
    def __init__(self, images: ImageStore, sink: ImageSink, options: PushOptions, report: Report) -> None:
        self._images, self._sink, self._options, self._report = images, sink, options, report
        self._policy = options.policy
        self._source: ImageSource | None = None

    def top(self, source: ImageSource) -> str:
        self._source = source
        document = source.manifest()
        found = read(document.raw, document.media_type)
        self._report(Progress(SIGNATURES))
        if isinstance(found, Index) and self._options.all:
            return self._index(source, document, found, 0).digest
        depth = 0
        while isinstance(found, Index):
            if (depth := depth + 1) > _MAX_NESTING:
                raise InvalidInput(f"{found.digest}: indexes nested more than {_MAX_NESTING} deep")
            member = platforms.choose(found, self._options.platform or platforms.machine(), source.reference)
            source = _member_source(source, member)
            found = self._read(source, member)
        self._ask(source, document, found)
        return self._image(source, found, True).digest

    def _ask(self, source: ImageSource, top: Document, found: Manifest) -> None:
        """The trust policy, about an image that has not passed it on its way into the store. Raises TrustError."""
        if isinstance(source, StorageSource):
            return
        from kubeplay.engine.images import trust

        if self._policy is None:
            self._policy = trust.load(self._options.signature_policy)
        member = Document(found.raw, found.media_type)
        documents = (member,) if top.raw == member.raw or source is not self._source else (top, member)
        trust.check(self._policy, source, *documents)

    def _read(self, source: ImageSource, member: Descriptor) -> Manifest | Index:
        document = source.manifest(member.digest)
        found = read(document.raw, member.media_type or document.media_type)
        if found.digest != member.digest:
            raise InvalidInput(f"{member.digest} does not match its digest", hint="its source is damaged or was tampered with")
        return found

    def _index(self, source: ImageSource, document: Document, index: Index, depth: int) -> _Written:
        """All members, then the index over what they became."""
        if depth >= _MAX_NESTING:
            raise InvalidInput(f"{index.digest}: indexes nested more than {_MAX_NESTING} deep")
        members: dict[str, tuple[str, int, str]] = {}
        for member in index.manifests:
            if member.digest in members:
                continue
            inner = _member_source(source, member)
            found = self._read(inner, member)
            if isinstance(found, Index):
                members[member.digest] = self._index(inner, Document(found.raw, found.media_type), found, depth + 1)
            else:
                self._ask(inner, document, found)
                members[member.digest] = self._image(inner, found, False)
        raw = manifests.rebuilt(index, members)
        return self._write(source, index.digest, raw, index.media_type, depth == 0)

    def _image(self, source: ImageSource, manifest: Manifest, top: bool) -> _Written:
        for layer in manifest.layers:
            if is_foreign(layer):
                raise NotSupported(f"{manifest.digest} has a layer of type {layer.media_type[:200]}", hint="foreign layers are not copied")
        if isinstance(source, StorageSource):
            raw, media = self._out_of_store(source, manifest)
        else:
            raw, media = manifest.raw, manifest.media_type
            if self._options.format and manifests.FORMATS.get(self._options.format) != media:
                raise NotSupported("only images of the store can be converted", hint="pull the image first, then push it")
            for layer in manifest.layers:
                self._raw(source, layer)
        self._config(source, manifest)
        return self._write(source, manifest.digest, raw, media, top)

    def _out_of_store(self, source: StorageSource, manifest: Manifest) -> tuple[bytes, str]:
        options = self._options
        packing: str = getattr(self._sink, "packing", layout.COMPRESSED)
        signed = not options.remove_signatures and bool(source.signatures(manifest.digest))
        packing_as = Packing(options.compression, options.level, options.force, signed and packing != layout.PLAIN)
        packer = Packer(self._images, self._sink, packing_as, self._report)
        at_once = (options.parallel or parallel()) if getattr(self._sink, "parallel", True) else 1
        packed = _each(packer, list(zip(manifest.layers, source.row.layers)), at_once)
        wanted = "v2s2" if packing == layout.PLAIN else options.format
        media = manifests.form(manifest, wanted, [one.compression for one in packed])
        return manifests.built(manifest, media, packed), media

    def _raw(self, source: ImageSource, blob: Descriptor) -> None:
        """A blob as it is, verified on its way."""
        if self._sink.has(blob):
            self._report(Progress(BLOB, blob.digest, SKIPPED, 0, blob.size))
            return
        self._report(Progress(BLOB, blob.digest, START, 0, blob.size))
        reader = Verified(lambda: source.blob(blob), blob, self._report)
        try:
            self._sink.put_blob(blob, reader)
        finally:
            reader.close()
        self._report(Progress(BLOB, blob.digest, DONE, blob.size, blob.size))

    def _config(self, source: ImageSource, manifest: Manifest) -> None:
        from kubeplay.engine.images.copying.pull import config_of

        blob = manifest.config
        self._report(Progress(CONFIG, blob.digest, START, 0, blob.size))
        if not self._sink.has(blob):
            if blob.size > configs.MAX_CONFIG:
                raise InvalidInput(f"the image configuration has {blob.size} bytes (the limit is {configs.MAX_CONFIG})")
            self._sink.put_blob(blob, BytesReader(config_of(source, manifest)))
        self._report(Progress(CONFIG, blob.digest, DONE, blob.size, blob.size))

    def _write(self, source: ImageSource, old: str, raw: bytes, media_type: str, top: bool) -> _Written:
        """A manifest and its signatures; signing comes first, so that a missing key leaves nothing half pushed."""
        from kubeplay.engine.images.archive import sha256

        options, digest = self._options, sha256(raw)
        kept: tuple[Signature, ...] = () if options.remove_signatures else source.signatures(old)
        if kept and digest != old:
            message = "the image is signed, and writing it in another form would make its signatures void"
            raise InvalidInput(message, hint="use --remove-signatures, or write it as it is")
        if options.signers is not None and any(options.signers):
            from kubeplay.engine.images import trust

            kept += trust.sign(options.signers, options.sign_name or self._sink.reference, digest)
        if kept:
            self._sink.expect_signatures(kept)
        if top:
            self._report(Progress(MANIFEST))
        self._sink.put_manifest(Document(raw, media_type), digest, top)
        if kept:
            self._sink.put_signatures(digest, kept)
        return _Written(digest, len(raw), media_type)


def _member_source(source: ImageSource, member: Descriptor) -> ImageSource:
    give: Any = getattr(source, "member", None)
    found: ImageSource = give(member.digest) if give else source
    return found


def _each(packer: Packer, layers: list[tuple[Descriptor, str]], at_once: int) -> list[Packed]:
    """Send every layer once, some side by side; the first failure is raised when the others have ended."""
    once = list(dict.fromkeys(layers))
    if at_once <= 1 or len(once) <= 1:
        done = {pair: packer.send(*pair) for pair in once}
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(at_once, "layer") as pool:
            futures = {pair: pool.submit(packer.send, *pair) for pair in once}
            try:
                done = {pair: future.result() for pair, future in futures.items()}
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return [done[pair] for pair in layers]
