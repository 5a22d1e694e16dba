"""Members of manifest lists: finding what is to be added, and giving a list with all its members to whoever pushes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.images import config as configs
from kubeplay.engine.images import lists, platforms, reference
from kubeplay.engine.images.descriptor import OCI_MANIFEST, Descriptor, Index, Manifest, Platform, read
from kubeplay.engine.images.lists import STORED, Member
from kubeplay.engine.images.transports import location
from kubeplay.engine.images.transports.base import Document, ImageSink, ImageSource, Reader
from kubeplay.engine.images.transports.storage import StorageSource
from kubeplay.engine.store.lists import ListRow
from kubeplay.errors import InvalidInput, KubeplayError, NotFound, NotSupported

if TYPE_CHECKING:
    from kubeplay.engine.images.copying.progress import Report
    from kubeplay.engine.images.copying.push import PushOptions
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.engine.images.store import ImageStore
    from kubeplay.engine.store.db import Store

REMOTE = "docker://"


def find(
    images: ImageStore, store: Store, text: str, access: Access, *, every: bool = False, platform: Platform | None = None
) -> list[Member]:
    """What `text` names, as members: an image of this store, else one of a registry; with `every` all images of a list or index.

    Of an index the image for `platform` (None = this machine) is taken otherwise. Raises NotFound, NotSupported, RegistryError,
    InvalidInput.
    """
    place = location.parse(text)
    if place.transport in (location.BARE, location.STORAGE):
        found = _stored(images, store, place.name, every)
        if found:
            return found
        if place.transport == location.STORAGE:
            raise NotFound(f"{place.name}: image not known", hint="`kubeplay images` lists what is here")
    elif place.transport != location.DOCKER:
        raise NotSupported(f"{text[:300]}: only images of this store and of registries can be members", hint="load the image first")
    source = _asked(place, access)
    with source:
        return _remote(source, every, platform or platforms.machine())


def _stored(images: ImageStore, store: Store, name: str, every: bool) -> list[Member]:
    row = lists.Lists(store).find(name)
    if row is not None and every:
        index = read(lists.document(row, "oci"))
        assert isinstance(index, Index)
        sources = dict(row.sources)
        return [Member(one, sources.get(one.digest, "")) for one in index.manifests]
    image = images.resolve(name)
    if image is None:
        return []
    raw = images.manifest(image.id)
    manifest = read(raw)
    platform = _platform(configs.read(image.config.encode(), f"image {image.id[7:19]}"))
    return [Member(Descriptor(manifest.media_type, manifest.digest, len(raw), (), platform), STORED + image.id)]


def _asked(place: location.Location, access: Access) -> ImageSource:
    """The first candidate of a name that answers."""
    from kubeplay.engine.images.registry import registries
    from kubeplay.engine.images.registry.source import RegistrySource

    candidates = (reference.parse(place.name),) if place.transport == location.DOCKER else registries.resolve(place.name)
    failures: list[KubeplayError] = []
    for candidate in candidates:
        source = RegistrySource(candidate, access)
        try:
            source.manifest()
        except KubeplayError as error:
            source.close()
            failures.append(error)
            continue
        return source
    raise failures[0]


def _remote(source: ImageSource, every: bool, platform: Platform) -> list[Member]:
    document = source.manifest()
    found = read(document.raw, document.media_type)
    origin = REMOTE + reference.parse(source.reference).repository + "@"
    if isinstance(found, Index):
        chosen = found.manifests if every else (platforms.choose(found, platform, source.reference),)
        return [Member(one, origin + one.digest) for one in chosen]
    one = Descriptor(found.media_type or OCI_MANIFEST, found.digest, len(found.raw), (), _said(source, found))
    return [Member(one, origin + found.digest)]


def _said(source: ImageSource, manifest: Manifest) -> Platform | None:
    """The platform that an image's configuration tells; None for what is no image."""
    from kubeplay.engine.images.copying.pull import config_of

    try:
        return _platform(configs.read(config_of(source, manifest), f"the configuration of {source.reference}"))
    except InvalidInput:
        return None


def _platform(document: configs.Document) -> Platform:
    import json

    value = json.loads(document.text)
    variant, version = value.get("variant"), value.get("os.version")
    texts = [text if isinstance(text, str) else "" for text in (variant, version)]
    return Platform(document.os, document.architecture, *texts)


class ListSource(ImageSource):
    """A list of this root with its members, each from where it is. `form` oci or v2s2; "" as the members are."""

    transport = location.STORAGE

    def __init__(self, images: ImageStore, row: ListRow, access: Access, form: str = "") -> None:
        self._images, self._access = images, access
        self._raw = lists.document(row, form)
        self._sources = dict(row.sources)
        self._open: dict[str, ImageSource] = {}
        names = images.names(row.id)
        self.reference = self.scope = names[0] if names else ""

    def manifest(self, digest: str = "") -> Document:
        return self.member(digest).manifest(digest) if digest else Document(self._raw, read(self._raw).media_type)

    def blob(self, blob: Descriptor, offset: int = 0) -> Reader:
        raise NotFound(f"a manifest list has no blob {blob.digest}")

    def member(self, digest: str) -> ImageSource:
        """Where the image of that manifest is. Raises NotFound."""
        if digest not in self._open:
            self._open[digest] = self._opened(digest, self._sources.get(digest, ""))
        return self._open[digest]

    def _opened(self, digest: str, source: str) -> ImageSource:
        if source.startswith(STORED):
            row = self._images.rows.get(source.removeprefix(STORED))
            if row is not None:
                return StorageSource(self._images, row)
        elif source.startswith(REMOTE):
            from kubeplay.engine.images.registry.source import RegistrySource

            return RegistrySource(reference.parse(source.removeprefix(REMOTE)), self._access)
        raise NotFound(f"the image {digest} of the list is not stored any more", hint="add it again, or push with --all=false")

    def close(self) -> None:
        for source in self._open.values():
            source.close()
        self._open.clear()


def raw(images: ImageStore, name: str, access: Access) -> bytes:
    """The top document of an image: of this store, else of a registry. Raises NotFound, RegistryError."""
    place = location.parse(name)
    row = images.resolve(place.name) if place.transport in (location.BARE, location.STORAGE) else None
    if row is not None:
        return images.manifest(row.id)
    if place.transport not in (location.BARE, location.DOCKER):
        raise NotFound(f"{name}: no such manifest list")
    with _asked(place, access) as source:
        return source.manifest().raw


def push(images: ImageStore, source: ListSource, sink: ImageSink, options: PushOptions, report: Report, *, every: bool) -> str:
    """Write a list, with `every` its members first; the digest of the list as written. Raises as copying.push.copy."""
    from kubeplay.engine.images.copying.push import copy

    if every:
        return copy(images, source, sink, options, report)
    document = source.manifest()
    digest = read(document.raw).digest
    sink.put_manifest(document, digest, True)
    sink.finish()
    return digest
