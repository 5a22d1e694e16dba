"""ImageStore: the images of one root by name, id and content.

An image's id is the digest of its configuration, as docker and podman have it. Layers are shared (layers/depot.py);
the bytes of manifests and indexes are kept in root/images, compressed blobs that were pulled in root/blobs (copying/blobs.py),
so that an image can be pushed as it came.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubeplay.clock import rfc3339
from kubeplay.engine.host import faults
from kubeplay.engine.host.paths import Paths, ensure_directory, hex_digest
from kubeplay.engine.images import config as configs
from kubeplay.engine.images import reference
from kubeplay.engine.images.config import ImageConfig
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.images import BlobRow, ImageRow, ImageRows, SignatureRow
from kubeplay.errors import Ambiguous, Conflict, Exhausted, InvalidInput, KubeplayError, NotFound
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.images.copying.blobs import BlobRoom
    from kubeplay.engine.images.copying.progress import Report
    from kubeplay.engine.images.transports.base import Document, Signature
    from kubeplay.engine.layers.depot import Depot

_SHORTEST_PREFIX = 3  # of an id: a shorter text is more likely a name
_HEX = frozenset("0123456789abcdef")


class ImageSummary(Record):
    """An image and all its names, for listings."""

    row: ImageRow
    names: tuple[str, ...]


class Loaded(Record):
    """An image that a load brought; `names` are those the archive gave it."""

    image_id: str
    names: tuple[str, ...]

    def lines(self) -> list[str]:
        """What `podman load` prints."""
        return [f"Loaded image: {name}" for name in self.names or (self.image_id,)]


class Removed(Record):
    """What a removal did: names taken away, images deleted."""

    untagged: tuple[str, ...]
    deleted: tuple[str, ...]

    def lines(self) -> list[str]:
        """What `podman rmi` prints."""
        return [f"Untagged: {name}" for name in self.untagged] + [f"Deleted: {hex_digest(image)}" for image in self.deleted]


class ImageStore:
    """Images of one root. Two processes may load, remove and use images at the same time."""

    def __init__(self, store: Store, paths: Paths) -> None:
        self._store = store
        self._paths = paths
        self._layers: Depot | None = None
        self._blobs: BlobRoom | None = None

    @property
    def layers(self) -> Depot:
        """The layers themselves; imported when first asked for, because resolving a name does not need them."""
        if self._layers is None:
            from kubeplay.engine.layers.depot import Depot

            self._layers = Depot(self._paths)
        return self._layers

    @property
    def blobs(self) -> BlobRoom:
        """Compressed blobs, as they came."""
        if self._blobs is None:
            from kubeplay.engine.images.copying.blobs import BlobRoom

            self._blobs = BlobRoom(self._paths)
        return self._blobs

    @property
    def spool(self) -> str:
        """Where unnamed files for what comes from pipes are made."""
        return f"{self._paths.root}/layers"

    @property
    def rows(self) -> ImageRows:
        """The tables."""
        return self._store.images

    # looking
    def normalise(self, name: str) -> str:
        return reference.normalise(name)

    def resolve(self, name: str) -> ImageRow | None:
        """The image of a name, an id or the beginning of one; None when there is none. Raises Ambiguous, InvalidInput.

        A short name is looked for under docker.io/library and then localhost; names win over ids.
        """
        rows = self._store.images
        if name.startswith("sha256:") and len(name) == 71:
            return rows.get(name)
        whole = rows.named(name)  # names are stored in full, so what is equal to one need not be parsed
        if whole is not None:
            return whole
        if not _is_hex64(name):
            found = self._by_name(name)
            if found is not None:
                return found
        prefix = name.removeprefix("sha256:")
        return self._by_prefix(prefix) if len(prefix) >= _SHORTEST_PREFIX and _HEX.issuperset(prefix) else None

    def get(self, name: str) -> ImageRow:
        """As resolve, but raises NotFound."""
        row = self.resolve(name)
        if row is None:
            raise NotFound(f"{name}: image not known", hint="`kubeplay images` lists what is here")
        return row

    def exists(self, name: str) -> bool:
        return self.resolve(name) is not None

    def list(self) -> list[ImageSummary]:
        """All images, newest first."""
        names: dict[str, list[str]] = {}
        for name, image_id in self._store.images.names():
            names.setdefault(image_id, []).append(name)
        return [ImageSummary(row, tuple(names.get(row.id, ()))) for row in self._store.images.list()]

    def names(self, image_id: str) -> tuple[str, ...]:
        return tuple(name for name, _ in self._store.images.names(image_id))

    def config(self, image_id: str) -> ImageConfig:
        """What the image says about running it. Raises NotFound, InvalidInput (a hostile configuration)."""
        row = self._store.images.get(image_id)
        if row is None:
            raise NotFound(f"{image_id}: image not known")
        return configs.parse(row.config, f"the configuration of image {image_id[7:19]}")

    def manifest(self, image_id: str) -> bytes:
        """The manifest's bytes: as it came, or for a docker-archive or an import the one made for it."""
        return self.document(self.get(image_id).manifest_digest)

    def document(self, digest: str) -> bytes:
        """The bytes of a manifest or index that an image came by. Raises NotFound."""
        try:
            with open(self._manifest_path(digest), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise NotFound(f"the manifest {digest} is missing") from None

    # names
    def tag(self, name: str, *new: str) -> None:
        """Give an image or a manifest list further names."""
        image_id = self._named(name)
        full = [_taggable(text) for text in new]
        with self._store.write():
            for text in full:
                self._store.images.tag(text, image_id)

    def untag(self, name: str, *names: str) -> tuple[str, ...]:
        """Take names from an image or a list, all of them when none is given; returns those taken. The image stays."""
        image_id = self._named(name)
        have = self.names(image_id)
        taken = tuple(self.is_name_of(text, have) or reference.normalise(text) for text in names) if names else have
        for text in taken:
            if text not in have:
                raise NotFound(f"{text}: tag not known for image {image_id[7:19]}")
        with self._store.write():
            for text in taken:
                self._store.images.untag(text)
        return taken

    # coming
    def load(self, path: str, report: Report | None = None, signature_policy: str = "") -> tuple[Loaded, ...]:
        """Load all images of a docker-archive, an OCI archive or an OCI layout directory; `-` is standard input.

        Raises NotFound, InvalidInput (damaged or hostile), NotSupported, TrustError, Exhausted (the disk is full; nothing is left).
        """
        from kubeplay.engine.images import archive as archives
        from kubeplay.engine.images import formats
        from kubeplay.engine.images.copying import progress, pull

        options = pull.PullOptions(keep=False, parallel=1, signature_policy=signature_policy)
        self.layers.sweep()
        found = []
        with archives.open_archive(path, self.spool) as archive:
            for image in formats.images(archive, path, os.path.isdir(path)):
                image_id = pull.bring(self, image.source, image.names, options, report or progress.silent)
                found.append(Loaded(image_id, image.names))
        return tuple(found)

    def import_tar(
        self, path: str, name: str = "", changes: Sequence[str] = (), message: str = "", signature_policy: str = "",
        platform: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Make an image of one layer from a root file system's tar (`-` is standard input); returns its id.

        `name` may be "" (an image without a name); `changes` are Dockerfile instructions; `platform` holds the configuration's os,
        architecture and variant where they are not this machine's. Raises as `load`.
        """
        from kubeplay.engine.images import archive as archives
        from kubeplay.engine.images import changes as instructions
        from kubeplay.engine.images import trust
        from kubeplay.engine.images.formats import architecture

        full = _taggable(name) if name else ""
        config = instructions.apply(changes)
        trust.allow(trust.load(signature_policy), "tarball", "", path)
        self.layers.sweep()
        fd = archives.open_source(path)
        try:
            with self.layers.reading():
                meta = self.layers.add(archives.as_blob(fd))
                created = rfc3339(self._store.clock.now())
                value = {
                    "created": created,
                    "architecture": architecture(),
                    "os": "linux",
                    **(platform or {}),
                    "config": config,
                    "rootfs": {"type": "layers", "diff_ids": [meta.diff_id]},
                    "history": [{"created": created, "created_by": "kubeplay import", "comment": message or f"Imported from {path}"}],
                }
                data = json.dumps(value, separators=(",", ":")).encode()
                return self.add(data, names=(full,) if full else ())
        finally:
            os.close(fd)

    # going
    def remove(self, name: str, force: bool = False, in_use: Callable[[str], Sequence[str]] | None = None) -> Removed:
        """Remove a name; with its last name the image, and then the layers no other image needs.

        `in_use` tells which containers use an image id (by default the store's); then the image stays and Conflict
        is raised, `force` or not: take the containers away first. An id with several names needs `force`.
        """
        row = self.get(name)
        have = self.names(row.id)
        named = self.is_name_of(name, have)
        if named and len(have) > 1:
            return Removed(self.untag(name, named), ())
        if not named and len(have) > 1 and not force:
            raise Conflict(f"image {row.id[7:19]} has several names: {', '.join(have)}", hint="remove the names one by one, or use --force")
        users = (in_use or self.users)(row.id)
        if users:
            raise Conflict(f"image {name} is in use by container {', '.join(users[:5])}", hint="remove the pods that use it first")
        with self._store.write():
            self._store.images.delete(row.id)
        faults.point("rmi:row")
        self.collect()
        return Removed(have, (row.id,))

    def users(self, image_id: str) -> tuple[str, ...]:
        """Ids of the containers made from an image."""
        return tuple(row.id for row in self._store.runtime.containers() if row.image_id == image_id)

    def collect(self) -> tuple[str, ...]:
        """Remove layers that neither an image nor the build cache has, blobs of such layers, and what crashed loads left."""
        self._store.builds.forget()
        removed = self.layers.collect(self._used)
        self.blobs.collect(lambda: self._store.images.forget_blobs(self._used()), self._forget_documents)
        return removed

    def _used(self) -> set[str]:
        return {layer for row in self._store.images.list() for layer in row.layers} | self._store.builds.layers()

    def add(
        self, config: bytes, manifest: bytes = b"", names: Sequence[str] = (), *, documents: Sequence[tuple[str, Document]] = (),
        blobs: Sequence[BlobRow] = (), signatures: Sequence[tuple[str, Signature]] = (),
    ) -> str:  # fmt: skip
        """Store an image whose layers are in the depot, under normalised `names`; returns its id.

        `manifest` b"" makes one over uncompressed layers. `documents` are all manifests and indexes it came by (digest, bytes), `blobs`
        how its layers were packed, `signatures` those of the documents, by digest. The caller has held `layers.reading()` since it
        looked for the layers.
        """
        from kubeplay.engine.images.archive import sha256
        from kubeplay.engine.images.formats import docker_manifest

        document = configs.read(config, "the image configuration")
        metas = [self.layers.meta(diff_id) for diff_id in document.diff_ids]
        came = bool(manifest)
        manifest = manifest or docker_manifest(config, [(meta.diff_id, meta.size) for meta in metas])
        digest, image_id = sha256(manifest), sha256(config)
        size = sum(meta.content for meta in metas)
        with self.blobs.reading():
            for other, one in ((digest, manifest), *((d, one.raw) for d, one in documents)):
                self._keep_document(other, one)
            with self._store.write():
                rows = self._store.images
                rows.add(ImageRow(image_id, document.text, document.diff_ids, size, digest, document.created))
                if came:
                    rows.set_manifest(image_id, digest)
                for other, kind in ((digest, ""), *((d, one.media_type) for d, one in documents)):
                    rows.add_document(other, image_id, kind)
                for row in blobs:
                    rows.add_blob(row)
                for signed, signature in signatures:
                    rows.add_signature(SignatureRow(signed, *signature))
                for name in names:
                    rows.tag(name, image_id)
        return image_id

    def _named(self, name: str) -> str:
        """The id of an image or manifest list."""
        from kubeplay.engine.images.lists import Lists

        found = Lists(self._store).find(name)
        return found.id if found else self.get(name).id

    def _listed(self, name: str) -> ImageRow | None:
        """This machine's image of a manifest list made here."""
        row = self._store.lists.named(name)
        if row is None:
            return None
        from kubeplay.engine.images.lists import chosen

        return chosen(self._store, row)

    def _by_name(self, name: str) -> ImageRow | None:
        try:
            wanted = reference.parse(name)
        except InvalidInput:
            if _HEX.issuperset(name.removeprefix("sha256:")):
                return None
            raise
        short = reference.is_short(name)
        for candidate in (wanted, reference.parse(name, "localhost")) if short else (wanted,):
            found = self._exactly(candidate)
            if found is not None:
                return found
        return self._elsewhere(name) if short else None

    def _exactly(self, wanted: reference.Reference) -> ImageRow | None:
        if wanted.digest:
            return self._by_digest(wanted)
        return self._store.images.named(str(wanted)) or self._listed(str(wanted))

    def _elsewhere(self, name: str) -> ImageRow | None:
        """A short name that a pull found under an alias or in a search registry (registries.conf)."""
        return next((found for candidate in _configured(name) if (found := self._exactly(candidate)) is not None), None)

    def _by_digest(self, wanted: reference.Reference) -> ImageRow | None:
        """NAME@DIGEST: an image of that repository whose manifest, or an index it came by, has the digest; a tag does not matter."""
        candidates = set(self._store.images.documented(wanted.digest))
        for name, image_id in self._store.images.names():
            if image_id in candidates and reference.parse(name).repository == wanted.repository:
                return self._store.images.get(image_id)
        return None

    def _by_prefix(self, prefix: str) -> ImageRow | None:
        found = [row for row in self._store.images.list() if row.id.startswith("sha256:" + prefix)]
        if len(found) > 1:
            some = ", ".join(row.id[7:19] for row in found[:5])
            raise Ambiguous(f"{prefix} fits {len(found)} images: {some}", hint="give more digits, or a name")
        return found[0] if found else None

    def is_name_of(self, name: str, have: Sequence[str]) -> str:
        """Which of an image's names the person meant, "" when it was an id."""
        try:
            candidates = [str(reference.parse(name)), str(reference.parse(name, "localhost"))]
        except InvalidInput:
            return ""
        found = next((text for text in candidates if text in have), "")
        if found or not have or not reference.is_short(name):
            return found
        return next((text for text in map(str, _configured(name)) if text in have), "")

    def _manifest_path(self, digest: str) -> str:
        return f"{self._paths.root}/images/{hex_digest(digest)}"

    def _keep_document(self, digest: str, data: bytes) -> None:
        path = self._manifest_path(digest)
        if os.path.exists(path):
            return
        try:
            ensure_directory(os.path.dirname(path))
            temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
            with open(temporary, "wb") as file:
                file.write(data)
            os.rename(temporary, path)
        except OSError as error:
            raise Exhausted(f"{path}: {error.strerror}", hint="free some space and try again") from error

    def _forget_documents(self) -> None:
        """Remove the documents of images that are gone, and what killed writers left. Under the blobs' lock: no one is adding."""
        directory = f"{self._paths.root}/images"
        known = {hex_digest(digest) for digest in self._store.images.document_digests()}
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if name not in known and len(name) >= 64:
                os.unlink(f"{directory}/{name}")


def _taggable(name: str) -> str:
    """A name to give: a short one is local, as podman has it; a digest cannot be given."""
    parsed = reference.parse(name, "localhost" if reference.is_short(name) else reference.DEFAULT_DOMAIN)
    if parsed.digest:
        raise InvalidInput(f"{name}: a name with a digest cannot be given to an image")
    return str(parsed)


def _is_hex64(name: str) -> bool:
    return len(name) == 64 and _HEX.issuperset(name)


def _configured(name: str) -> tuple[reference.Reference, ...]:
    """What registries.conf makes of a short name; nothing where it names several registries or is broken: whoever pulls is told."""
    from kubeplay.engine.images.registry import registries

    try:
        return registries.resolve(name)
    except KubeplayError:
        return ()
