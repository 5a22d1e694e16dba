"""What is written beside a layer's files: its Meta, the bytes of its tar that are no content, two markers (depot.py)."""

from __future__ import annotations

import json
import os

from kubeplay.engine.layers.limits import CHUNK
from kubeplay.record import Record

_FORMAT = 1


class Meta(Record):
    """What is remembered of a layer. `size` is the tar's length, `blob` and `blob_size` how it came (compressed or not)."""

    diff_id: str
    size: int
    content: int
    entries: int
    compression: str
    blob: str
    blob_size: int
    reproducible: bool
    format: int = _FORMAT


class Headers:
    """The recorder of the tar's non-content bytes: raw deflate, level 1 (512-byte headers are mostly zeros)."""

    def __init__(self, path: str) -> None:
        from zlib import compressobj

        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._deflate = compressobj(1, wbits=-15)
        self._pending: list[bytes] = []

    def add(self, data: bytes) -> None:
        self._pending.append(data)
        if len(self._pending) >= 512:
            self._flush()

    def finish(self) -> None:
        self._flush()
        write_all(self._fd, self._deflate.flush())

    def close(self) -> None:
        os.close(self._fd)

    def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        for start in range(0, len(data), CHUNK):
            write_all(self._fd, self._deflate.compress(data[start : start + CHUNK]))


def write_records(directory: str, meta: Meta, has_root: bool, opaque_root: bool) -> None:
    """Meta and markers of the layer made at `directory`."""
    _write(f"{directory}/meta", json.dumps(meta._asdict()).encode())
    for marker, wanted in (("root", has_root), ("opaque", opaque_root)):
        if wanted:
            _write(f"{directory}/{marker}", b"")


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """write(2) until all is written."""
    while data:
        data = data[os.write(fd, data) :]
