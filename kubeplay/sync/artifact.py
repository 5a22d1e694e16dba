"""An OCI artifact as a source: a tag's digest now, and the manifests that the artifact holds.

Flux's form (`flux push artifact`) is one layer that is a tar archive; ORAS's is a layer for each file, named by its title.
What the registry sends is believed only for its digest, and only if the trust policy accepts it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.sync.model import Spec
from kubeplay.sync.tree import MAX_BYTES, MAX_FILES, Tree, unpack

if TYPE_CHECKING:
    from kubeplay.engine.images.descriptor import Descriptor, Manifest
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.engine.images.registry.source import RegistrySource
    from kubeplay.engine.images.transports.base import Reader

PREFIX = "oci://"
_TITLE = "org.opencontainers.image.title"  # image-spec annotations.md
_PIECE = 1 << 16


def is_artifact(text: str) -> bool:
    return text.startswith(PREFIX)


class Artifact:
    """One artifact of a registry."""

    def __init__(self, spec: Spec, access: Access) -> None:
        from kubeplay.engine.images import reference

        self.spec = spec
        self.access = access
        self.name = reference.parse(spec.source.removeprefix(PREFIX))
        if spec.tag:
            self.name = self.name._replace(tag=spec.tag, digest="")

    def revision(self) -> str:
        """What the name stands for now, in Flux's form: `1.0@sha256:HEX`. Raises NotFound, RegistryError."""
        if self.name.digest:
            return self.name.digest
        with self._source() as source:
            return f"{self.name.tag}@{source.digest()}"

    def files(self, revision: str, directory: str) -> None:
        """The files of a revision into `directory`, which is empty. Raises KubeplayError."""
        from kubeplay.engine.images import trust
        from kubeplay.engine.images.descriptor import Manifest, read

        digest = revision.rpartition("@")[2]
        with self._source() as source:
            document = source.manifest(digest)
            trust.check(trust.load(), source, document)
            manifest = read(document.raw, document.media_type)
            if manifest.digest != digest:
                raise InvalidInput(f"{self.spec.shown}: the manifest has digest {manifest.digest}, {digest} was asked for")
            if not isinstance(manifest, Manifest):
                raise NotSupported(f"{self.spec.shown}: it is an index of several artifacts", hint="name one of them by its digest")
            tree = Tree(directory, self.spec.shown)
            self._layers(source, manifest, tree)
            tree.finish()

    def _layers(self, source: RegistrySource, manifest: Manifest, tree: Tree) -> None:
        if len(manifest.layers) > MAX_FILES or not manifest.layers:
            raise InvalidInput(f"{self.spec.shown}: the artifact has {len(manifest.layers)} layers", hint="`flux push artifact` makes one")
        for layer in manifest.layers:
            if layer.size > MAX_BYTES:
                raise InvalidInput(f"{self.spec.shown}: a layer has {layer.size} bytes (the limit is {MAX_BYTES})")
            title = dict(layer.annotations).get(_TITLE, "")
            reader = source.blob(layer)
            try:
                if "tar" in layer.media_type:
                    from kubeplay.engine.layers.stream import Incoming

                    unpack(Incoming(reader, layer.size, layer.digest), tree)
                elif title:
                    tree.file(title.removeprefix("./"), iter([_whole(reader, layer)]))
                else:
                    what = f"a layer of type {layer.media_type[:200]!r} is neither an archive nor a named file"
                    raise NotSupported(f"{self.spec.shown}: {what}", hint="`flux push artifact` and `oras push FILE` make what can be read")
            finally:
                reader.close()

    def _source(self) -> RegistrySource:
        from kubeplay.engine.images.registry.source import RegistrySource

        return RegistrySource(self.name, self.access)

    def watched(self) -> list[str]:
        return []


def _whole(reader: Reader, layer: Descriptor) -> bytes:
    """A small blob, verified before anything of it is written. Raises InvalidInput."""
    from kubeplay.engine.images.archive import sha256
    from kubeplay.play.sources import MAX_BYTES as MOST

    if layer.size > MOST:
        raise InvalidInput(f"a file of {layer.size} bytes (the limit is {MOST})")
    data = bytearray()
    while len(data) <= layer.size and (piece := reader.read(_PIECE)):
        data += piece
    if len(data) != layer.size or sha256(bytes(data)) != layer.digest:
        raise InvalidInput(f"{dict(layer.annotations)[_TITLE][:200]!r} does not match its digest {layer.digest}")
    return bytes(data)


def credentials(authfile: str, cert_dir: str, creds: str, tls_verify: bool | None) -> Access:
    """How the registry is spoken to. Raises NotFound for an auth file that is not there."""
    from kubeplay.engine.images.registry.access import Access
    from kubeplay.errors import NotFound

    if authfile and not os.path.isfile(authfile):
        raise NotFound(f"{authfile}: there is no such auth file", hint="`kubeplay login --authfile FILE REGISTRY` writes one")
    return Access(tls_verify=tls_verify, cert_dir=cert_dir, authfile=authfile, creds=creds)
