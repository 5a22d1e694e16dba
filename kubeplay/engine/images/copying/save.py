"""Sinks for what people name: archives of one or several images, directories, registries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from kubeplay.engine.images import reference
from kubeplay.engine.images.copying.progress import Report, silent
from kubeplay.engine.images.copying.push import PushOptions, copy, push
from kubeplay.engine.images.transports import location
from kubeplay.engine.images.transports.base import ImageSink
from kubeplay.engine.images.transports.location import Location
from kubeplay.engine.images.transports.storage import StorageSource
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.engine.images.store import ImageStore

FORMATS = ("docker-archive", "oci-archive", "oci-dir", "docker-dir")


def save(
    images: ImageStore, names: Sequence[str], path: str, form: str = "docker-archive", *, several: bool = False, compress: bool = False,
    uncompressed: bool = False, report: Report = silent,
) -> None:  # fmt: skip
    """Write images to `path` ("-" is standard output). Without `several`, `names` after the first are further names of the first image.

    Raises InvalidInput, NotFound, AlreadyExists (a docker-archive is not changed), Exhausted.
    """
    if form not in FORMATS:
        raise InvalidInput(f"unknown format {form[:50]!r}", hint=f"it is one of {', '.join(FORMATS)}")
    if form == "docker-dir" and len(names) > 1:
        raise InvalidInput("a docker-dir holds one image, without a name", hint="an oci-dir can hold several")
    if compress and form != "docker-dir":
        raise InvalidInput("--compress can only be set when --format is 'docker-dir'")
    if path == "-" and form.endswith("-dir"):
        raise InvalidInput(f"{form} is a directory", hint="say where with --output")
    if form == "docker-archive":
        _docker_archive(images, _grouped(images, names, several), path, report)
        return
    if form == "docker-dir":
        with sink(Location(location.DIR, path, ""), None) as out:
            push(images, names[0], out, PushOptions("v2s2", "gzip" if compress else "", remove_signatures=True), report)
        return
    _oci(images, _grouped(images, names, several), path, form, uncompressed, report)


def _grouped(images: ImageStore, names: Sequence[str], several: bool) -> dict[str, list[str]]:
    """The images to write, by id, and what they are called there."""
    groups: dict[str, list[str]] = {}
    first = images.get(names[0])
    for at, name in enumerate(names):
        row = images.get(name) if several or at == 0 else first
        have = groups.setdefault(row.id, [])
        have += [full for full in (_names(images, name) if several or at == 0 else (_tag(name),)) if full not in have]
    return groups


def _oci(images: ImageStore, groups: dict[str, list[str]], path: str, form: str, uncompressed: bool, report: Report) -> None:
    """An OCI layout; of an image that was asked for by its id it says no name."""
    from kubeplay.engine.images.transports.layout import ANY, OciArchive, OciArchiveSink, OciSink

    with ExitStack() as stack:
        archive = stack.enter_context(OciArchive(path)) if form == "oci-archive" else None
        for image_id, tags in groups.items():
            ref, *more = tags or [""]
            out = OciArchiveSink(archive, ref, tuple(more)) if archive else OciSink(path, ref, tuple(more))
            stack.enter_context(out)
            if uncompressed:
                out.packing = ANY
            copy(images, StorageSource(images, images.get(image_id)), out, PushOptions("oci", remove_signatures=True), report)
        if archive:
            archive.finish()


def _docker_archive(images: ImageStore, groups: dict[str, list[str]], path: str, report: Report) -> None:
    from kubeplay.engine.images.transports.layout import DockerArchive, DockerArchiveSink

    with DockerArchive(path) as archive:
        for image_id, tags in groups.items():
            with DockerArchiveSink(archive, tuple(tags)) as out:
                copy(images, StorageSource(images, images.get(image_id)), out, PushOptions(remove_signatures=True), report)
        archive.finish()


def _names(images: ImageStore, name: str) -> tuple[str, ...]:
    """The name by which an image was asked for, in full; none for an id."""
    have = images.names(images.get(name).id)
    for domain in (reference.DEFAULT_DOMAIN, "localhost"):
        try:
            full = str(reference.parse(name, domain))
        except InvalidInput:
            return ()
        if full in have and "@" not in full:
            return (full,)
    return ()


def _tag(name: str) -> str:
    parsed = reference.parse(name, "localhost" if reference.is_short(name) else reference.DEFAULT_DOMAIN)
    if parsed.digest:
        raise InvalidInput(f"{name}: an image in a docker-archive cannot be named by digest")
    return str(parsed)


def sink(place: Location, access: Access | None, images: ImageStore | None = None) -> ImageSink:
    """A sink for a place; a registry's knows which repositories there have blobs already. Use it as a context manager."""
    from kubeplay.engine.images.transports import layout

    if place.transport in (location.DOCKER, location.BARE):
        from kubeplay.engine.images.registry.access import Access
        from kubeplay.engine.images.registry.sink import RegistrySink

        name = reference.parse(place.name)
        return RegistrySink(name, access or Access(), mounts=_mounts(images, name.domain) if images else None)
    if place.transport == location.OCI:
        return layout.OciSink(place.path, place.name)
    if place.transport == location.OCI_ARCHIVE:
        return layout.OciArchiveSink(place.path, place.name)
    if place.transport == location.DOCKER_ARCHIVE:
        return layout.DockerArchiveSink(place.path, (place.name,) if place.name else ())
    if place.transport == location.DIR:
        from kubeplay.engine.images.transports.directory import DirSink

        return DirSink(place.path)
    raise InvalidInput(f"{place}: cannot be pushed to", hint="`kubeplay tag` gives an image of this store another name")


def _mounts(images: ImageStore, domain: str) -> dict[str, list[str]]:
    """blob -> repositories of the registry that this store's images with that blob are named by."""
    packed: dict[str, list[str]] = {}
    for row in images.rows.blobs():
        packed.setdefault(row.diff_id, []).append(row.digest)
    found: dict[str, list[str]] = {}
    for name, image_id in images.rows.names():
        parsed = reference.parse(name)
        image = images.rows.get(image_id) if parsed.domain == domain else None
        for digest in {digest for layer in image.layers for digest in packed.get(layer, ())} if image else ():
            found.setdefault(digest, []).append(parsed.repository)
    return found
