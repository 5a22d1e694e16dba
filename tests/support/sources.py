"""A source of one image that misbehaves as told: breaks off, lies, waits. And a store of images below a test's directory."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.images.descriptor import OCI_MANIFEST, Descriptor
from kubeplay.engine.images.store import ImageStore
from kubeplay.engine.images.transports.base import Document, ImageSource, Reader, Signature
from kubeplay.engine.images.transports.local import BytesReader
from kubeplay.engine.store.db import Store
from kubeplay.errors import NotFound
from tests.support.images import config, digest

KIND = "application/vnd.oci.image."


class House:
    """The images of a root of their own."""

    def __init__(self, base: Path, name: str = "root") -> None:
        self.paths = Paths(Settings(root=str(base / name), runroot=str(base / f"{name}-run")))
        self.store = Store(self.paths.database)
        self.images = ImageStore(self.store, self.paths)

    def files(self) -> list[str]:
        """Everything below layers, blobs and images, by name."""
        return sorted(
            f"{room}/{path.name}" for room in ("layers", "blobs", "images") for path in Path(self.paths.root, room).glob("*") if path.name
        )

    def close(self) -> None:
        self.store.close()


class Fake(ImageSource):
    """`layers` are tars, stored gzipped unless `stored` says otherwise. Change `blobs` and `documents` to lie."""

    transport, scope, reference = "docker", "fake.example/x:1", "fake.example/x:1"

    def __init__(self, layers: Sequence[bytes], *, stored: Sequence[bytes] | None = None, value: Mapping[str, Any] | None = None,
                 media: str = "layer.v1.tar+gzip", platform: Mapping[str, str] | None = None, **more: Any) -> None:  # fmt: skip
        self.stored = list(stored) if stored is not None else [gzip.compress(data, mtime=0) for data in layers]
        self.config = config(layers, value, **(platform or {}))
        self.blobs = {digest(data): data for data in (*self.stored, self.config)}
        described = {"mediaType": f"{KIND}config.v1+json", "digest": digest(self.config), "size": len(self.config)}
        descriptors = [{"mediaType": f"{KIND}{media}", "digest": digest(data), "size": len(data)} for data in self.stored]
        body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": descriptors, **more}
        self.top = json.dumps(body).encode()
        self.documents: dict[str, bytes] = {digest(self.top): self.top}
        self.opened: list[tuple[str, int]] = []
        self.reader: Callable[[bytes, Descriptor], Reader] = lambda data, blob: BytesReader(data)
        self.signed: tuple[Signature, ...] = ()

    def manifest(self, wanted: str = "") -> Document:
        if wanted and wanted not in self.documents:
            raise NotFound(f"no {wanted}")
        return Document(self.documents[wanted] if wanted else self.top)

    def blob(self, blob: Descriptor, offset: int = 0) -> Reader:
        self.opened.append((blob.digest, offset))
        return self.reader(self.blobs[blob.digest][offset:], blob)

    def signatures(self, wanted: str) -> tuple[Signature, ...]:
        return self.signed


class Breaking(BytesReader):
    """Gives `good` bytes, then raises."""

    def __init__(self, data: bytes, good: int, error: Exception) -> None:
        super().__init__(data[:good])
        self._error = error

    def read(self, count: int, /) -> bytes:
        data = super().read(count)
        if not data:
            raise self._error
        return data


class Held(BytesReader):
    """Gives nothing until `go` is set; `begun` is set by the first read."""

    def __init__(self, data: bytes, begun: threading.Event, go: threading.Event) -> None:
        super().__init__(data)
        self._begun, self._go = begun, go

    def read(self, count: int, /) -> bytes:
        self._begun.set()
        assert self._go.wait(300)
        return super().read(count)
