"""What every transport offers to the copier (copying/): a source to read an image from, a sink to write one to.

A source hands out bytes as it got them and believes nothing: the copier verifies every digest and size, asks the trust
policy before any layer is used, and chooses the platform. A sink gets content that is verified already.
"""

from __future__ import annotations

from typing import Protocol

from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.record import Record


class Reader(Protocol):
    """Bytes in order. `read` gives at most `count` bytes, b"" at the end."""

    def read(self, count: int, /) -> bytes: ...
    def close(self) -> None: ...


class Signature(Record):
    """A signature found with an image. `kind` is `simple` (GPG simple signing) or `sigstore`.

    For `sigstore`, `payload` is the signed JSON and `annotations` hold the signature itself and certificates;
    for `simple`, `payload` is the whole OpenPGP message.
    """

    kind: str
    payload: bytes
    annotations: tuple[tuple[str, str], ...] = ()


class Document(Record):
    """A manifest's or index's bytes as they came, and the media type that its carrier claimed ("" = none)."""

    raw: bytes
    media_type: str = ""


class ImageSource:
    """One image (or index) to read. Use as a context manager. Thread-safe: layers are read side by side."""

    transport: str  # as policy.json calls it: docker, oci, oci-archive, docker-archive, dir, containers-storage, tarball
    scope: str  # the identity policy.json matches: a full reference for docker, an absolute path[:name] for the others
    reference: str  # the normalised docker reference the image is known by, "" when the transport has none

    def manifest(self, digest: str = "") -> Document:
        """The top document, or with `digest` one that it refers to. Raises NotFound, RegistryError, InvalidInput."""
        raise NotImplementedError

    def blob(self, blob: Descriptor, offset: int = 0) -> Reader:
        """A blob from `offset` on (resuming). Not verified here. Raises NotFound, RegistryError."""
        raise NotImplementedError

    def signatures(self, digest: str) -> tuple[Signature, ...]:
        """The signatures stored with the manifest of that digest, of every kind; not verified here."""
        return ()

    def close(self) -> None:
        """Give up connections and files. Idempotent."""

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class ImageSink:
    """Where one image is written. Use as a context manager: leaving it with an error removes what was made."""

    transport: str
    reference: str

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is there already, or could be had without sending it (a cross-repository mount)."""
        raise NotImplementedError

    def put_blob(self, blob: Descriptor, content: Reader) -> None:
        """Send a blob; `content` gives exactly `blob.size` bytes. Raises RegistryError, Exhausted."""
        raise NotImplementedError

    def put_manifest(self, document: Document, digest: str, top: bool) -> None:
        """Write a manifest; `top` when it is the image itself (then it is also named), else an index's member."""
        raise NotImplementedError

    def expect_signatures(self, signatures: tuple[Signature, ...]) -> None:
        """These will be put: told before the manifest is, so that it does not stay without them. Raises NotSupported."""

    def put_signatures(self, digest: str, signatures: tuple[Signature, ...]) -> None:
        """Store signatures with a manifest. Raises NotSupported where the transport has no place for them."""
        raise NotImplementedError

    def finish(self) -> None:
        """Everything is written: make it visible."""

    def close(self) -> None:
        """Give up connections and files; without `finish` before, remove what was made. Idempotent."""

    def __enter__(self) -> ImageSink:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
