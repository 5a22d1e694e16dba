"""A registry as the place an image is written to."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.registry import registries, repository, upload
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.conf import Registries
from kubeplay.engine.images.registry.repository import Repository
from kubeplay.engine.images.transports.base import Document, ImageSink, Reader, Signature
from kubeplay.errors import InvalidInput, RegistryError

_MOST_MOUNTS = 3  # repositories that are asked for one blob


class RegistrySink(ImageSink):
    """`mounts` says which other repositories (DOMAIN/PATH) are thought to have a blob, by its digest.

    An image is visible as soon as its top manifest is put: put it last. Raises RegistryError when registries.conf blocks it.
    """

    transport = "docker"

    def __init__(
        self, reference: Reference, access: Access, config: Registries | None = None, *,
        mounts: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        self.name = reference
        self.reference = str(reference)
        self._mounts = mounts or {}
        config = registries.load() if config is None else config
        place = registries.endpoints(reference, config, pull=False)[0]
        self._repository = repository.connect(place.reference, access, place.insecure, config, write=True)
        self._sessions: dict[str, str] = {}
        self._lock = threading.Lock()

    def has(self, blob: Descriptor) -> bool:
        return self._repository.has(blob) or self._mounted(blob)

    def put_blob(self, blob: Descriptor, content: Reader) -> None:
        with self._lock:
            session = self._sessions.pop(blob.digest, "")
        self._repository.put_blob(blob, content, session)

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        if top and self.name.digest and self.name.digest != digest:
            raise InvalidInput(f"{self.reference}: the image has the digest {digest}", hint="push it to a tag")
        self._repository.put_manifest(document, self.name.tag if top and self.name.tag else digest)

    def expect_signatures(self, signatures: tuple[Signature, ...]) -> None:
        from kubeplay.engine.images.registry import attachments

        attachments.expect(self, signatures)

    def put_signatures(self, digest: str, signatures: tuple[Signature, ...]) -> None:
        from kubeplay.engine.images.registry import attachments

        attachments.store(self, digest, signatures)

    def repository(self) -> Repository:
        """The repository that is written to."""
        return self._repository

    def close(self) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            upload.cancel(self._repository, session)
        self._repository.close()

    def __enter__(self) -> RegistrySink:
        return self

    def _mounted(self, blob: Descriptor) -> bool:
        """Take the blob from a repository of the same registry; the session a refusal opens is kept for sending."""
        prefix = f"{self.name.domain}/"
        known = [name.removeprefix(prefix) for name in self._mounts.get(blob.digest, ()) if name.startswith(prefix)]
        for path in [path for path in known if path != self.name.path][:_MOST_MOUNTS]:
            try:
                session = self._repository.mount(blob, path)
            except RegistryError:  # not ours to read: it is sent then
                continue
            if not session:
                return True
            with self._lock:
                before, self._sessions[blob.digest] = self._sessions.get(blob.digest, ""), session
            if before:
                upload.cancel(self._repository, before)
        return False
