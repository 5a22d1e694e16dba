"""Which images an archive holds: docker-archive (docker save, podman save, skopeo) and OCI layouts.

docker-archive: manifest.json lists configs and layers by member name. OCI image-layout: index.json leads by
digest to manifests, or through further indexes to the one for this machine.
"""

from __future__ import annotations

import json

from kubeplay.engine.images.archive import Archive, sha256
from kubeplay.engine.images.descriptor import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST
from kubeplay.engine.images.platforms import architecture as architecture  # known by this name to others
from kubeplay.engine.images.transports import dockerarchive, oci
from kubeplay.engine.images.transports.directory import DirSource
from kubeplay.engine.images.transports.local import LocalSource
from kubeplay.engine.images.transports.location import OCI, OCI_ARCHIVE
from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.record import Record


class Found(Record):
    """An image in an archive; `names` are those the archive gives it, normalised. The sources share the archive: do not close them."""

    source: LocalSource
    names: tuple[str, ...]


def images(archive: Archive, path: str = "", is_directory: bool = False) -> list[Found]:
    """All images of the archive, in its order. Raises InvalidInput or NotSupported."""
    if is_directory and archive.has("version") and archive.has("manifest.json"):
        return [Found(DirSource(path, archive), ())]
    if archive.has("manifest.json"):  # docker 25 and later write both formats at once
        found = dockerarchive.entries(archive)
        return [Found(dockerarchive.DockerArchiveSource(archive, path, "", entry), entry.names) for entry in found]
    if archive.has("index.json"):
        return _oci(archive, path, OCI if is_directory else OCI_ARCHIVE)
    if archive.has("repositories"):
        message = "the archive is of docker's version 1 format (only `repositories`)"
        raise NotSupported(message, hint="save it again with docker 1.10 or later")
    raise InvalidInput(
        "this is not an image archive: it has neither manifest.json nor index.json",
        hint="a root file system is imported with `kubeplay image import`",
    )


def docker_manifest(config: bytes, layers: list[tuple[str, int]]) -> bytes:
    """A schema 2 manifest over uncompressed layers, (digest, size) base first, for an image that came without one."""
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "size": len(config), "digest": sha256(config)},
        "layers": [{"mediaType": DOCKER_LAYER, "size": size, "digest": digest} for digest, size in layers],
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _oci(archive: Archive, path: str, transport: str) -> list[Found]:
    found: dict[str, Found] = {}
    for entry in oci.suitable(oci.entries(archive)):
        name = oci.name_of(entry)
        same = found.get(entry.digest)
        if same is None:
            found[entry.digest] = Found(oci.OciSource(archive, path, "", transport, entry), (name,) if name else ())
        elif name:  # one image under several names is listed once per name
            found[entry.digest] = same._replace(names=(*same.names, name))
    return list(found.values())
