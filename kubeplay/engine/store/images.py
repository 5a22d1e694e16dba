"""Images by id (the config's digest), the names and documents that point at them, and what is known of their blobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class ImageRow(Record):
    """`id` is sha256:HEX of the config blob; `config` its JSON text; `layers` diff ids, base first; `size` bytes."""

    id: str
    config: str
    layers: tuple[str, ...]
    size: int
    manifest_digest: str
    created: float


class BlobRow(Record):
    """A layer as it was packed once: `digest` and `size` of the stored bytes, `compression` gzip, zstd or "" (none)."""

    diff_id: str
    digest: str
    size: int
    compression: str


class SignatureRow(Record):
    """A signature of the manifest `digest`; `annotations` sorted pairs."""

    digest: str
    kind: str
    payload: bytes
    annotations: tuple[tuple[str, str], ...]


_COLUMNS = "id, config, layers, size, manifest_digest, created"


class ImageRows:
    """Tables images and image_names. Names are normalised references: docker.io/library/busybox:1."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, row: ImageRow) -> None:
        """Store an image; one that is there already stays."""
        with self._store.write() as db:
            db.execute("INSERT OR IGNORE INTO images VALUES (?,?,?,?,?,?)", (row.id, row.config, json.dumps(row.layers), *row[3:]))

    def set_manifest(self, image_id: str, digest: str) -> None:
        """An image came again by another manifest: that one is its own now."""
        with self._store.write() as db:
            db.execute("UPDATE images SET manifest_digest=? WHERE id=?", (digest, image_id))

    def get(self, image_id: str) -> ImageRow | None:
        row = self._store.row(f"SELECT {_COLUMNS} FROM images WHERE id=?", image_id)
        return _image(row) if row else None

    def named(self, name: str) -> ImageRow | None:
        row = self._store.row("SELECT image_id FROM image_names WHERE name=?", name)
        return self.get(row[0]) if row else None

    def names(self, image_id: str = "") -> list[tuple[str, str]]:
        """(name, image id) pairs, by name."""
        rows = self._store.rows("SELECT name, image_id FROM image_names WHERE ?='' OR image_id=? ORDER BY name", image_id, image_id)
        return [(row[0], row[1]) for row in rows]

    def tag(self, name: str, image_id: str) -> None:
        with self._store.write() as db:
            db.execute("INSERT OR REPLACE INTO image_names VALUES (?,?)", (name, image_id))

    def untag(self, name: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM image_names WHERE name=?", (name,))

    def delete(self, image_id: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM image_names WHERE image_id=?", (image_id,))
            db.execute("DELETE FROM documents WHERE image_id=?", (image_id,))
            db.execute("DELETE FROM images WHERE id=?", (image_id,))
            db.execute("DELETE FROM signatures WHERE digest NOT IN (SELECT digest FROM documents)")

    # the documents an image is known by
    def add_document(self, digest: str, image_id: str, media_type: str) -> None:
        """Say that the manifest or index `digest` stands for the image (`image_id` "" = an index for itself)."""
        with self._store.write() as db:
            db.execute("INSERT OR IGNORE INTO documents VALUES (?,?,?)", (digest, image_id, media_type))

    def documents(self, image_id: str) -> list[tuple[str, str]]:
        """(digest, media type) of every manifest and index that the image came by."""
        rows = self._store.rows("SELECT digest, media_type FROM documents WHERE image_id=? ORDER BY digest", image_id)
        return [(row[0], row[1]) for row in rows]

    def documented(self, digest: str) -> list[str]:
        """The ids of the images that a manifest or index stands for."""
        return [row[0] for row in self._store.rows("SELECT image_id FROM documents WHERE digest=? ORDER BY image_id", digest)]

    def document_digests(self) -> set[str]:
        return {row[0] for row in self._store.rows("SELECT digest FROM documents")}

    # layers as they were packed
    def add_blob(self, row: BlobRow) -> None:
        with self._store.write() as db:
            db.execute("INSERT OR REPLACE INTO blobs VALUES (?,?,?,?)", row)

    def blobs(self, diff_id: str = "") -> list[BlobRow]:
        """How a layer (or any) was packed."""
        rows = self._store.rows("SELECT diff_id, digest, size, compression FROM blobs WHERE ?='' OR diff_id=?", diff_id, diff_id)
        return [BlobRow(*row) for row in rows]

    def forget_blobs(self, used: set[str]) -> set[str]:
        """Forget how layers that are not `used` were packed; the digests still of use."""
        with self._store.write() as db:
            for row in self.blobs():
                if row.diff_id not in used:
                    db.execute("DELETE FROM blobs WHERE diff_id=? AND digest=?", row[:2])
            return {row.digest for row in self.blobs()}

    # signatures
    def add_signature(self, row: SignatureRow) -> None:
        with self._store.write() as db:
            db.execute("INSERT OR IGNORE INTO signatures VALUES (?,?,?,?)", (*row[:3], json.dumps(row.annotations)))

    def signatures(self, digest: str) -> list[SignatureRow]:
        rows = self._store.rows("SELECT digest, kind, payload, annotations FROM signatures WHERE digest=? ORDER BY kind, payload", digest)
        return [SignatureRow(row[0], row[1], row[2], tuple((k, v) for k, v in json.loads(row[3]))) for row in rows]

    def list(self) -> list[ImageRow]:
        return [_image(row) for row in self._store.rows(f"SELECT {_COLUMNS} FROM images ORDER BY created DESC, id")]


def _image(row: Any) -> ImageRow:
    return ImageRow(row[0], row[1], tuple(json.loads(row[2])), row[3], row[4], row[5])
