"""Reading a blob as it comes: never more than its size, and from where it broke off when the connection is lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import urllib3

from kubeplay.engine.images.registry import pools
from kubeplay.engine.images.registry.client import Client, transient
from kubeplay.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import BaseHTTPResponse

PIECE = 1 << 18  # bytes: larger ones cost page faults, smaller ones calls
_PROGRESS = 1 << 20  # bytes after which a lost connection counts as the first again
_WINDOW, _SLOWEST = 60.0, 4096  # seconds, and the bytes that must have come in them: else it counts as lost


class BlobReader:
    """A blob's bytes from `offset` on; `fetch` asks for them from an offset on. For one thread."""

    def __init__(self, client: Client, fetch: Callable[[int], BaseHTTPResponse], size: int, offset: int, where: str) -> None:
        self._client, self._fetch, self._size, self._where = client, fetch, size, where
        self._at = self._started = offset
        self._failures = 0
        self._since, self._mark = 0.0, offset
        self._answer: BaseHTTPResponse | None = None
        if offset < size:
            self._open()

    def read(self, count: int, /) -> bytes:
        """At most `count` bytes, b"" at the end. Raises RegistryError: too long, too short, or lost too often."""
        while self._at < self._size:
            try:
                if self._answer is None:
                    self._open()
                piece = self._piece(min(count, self._size - self._at, PIECE))
            except RegistryError as error:
                self._lost(error)
                continue
            self._at += len(piece)
            if self._at == self._size:
                self._end()
            return piece
        return b""

    def close(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()

    def _piece(self, count: int) -> bytes:
        assert self._answer is not None
        try:
            piece = self._answer.read1(count)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # ValueError: closed by another thread
            raise _Lost(pools.explain(error, self._where).message) from error
        if not piece:
            raise _Lost(f"{self._where} ends after {self._at} of {self._size} bytes")
        now = time.monotonic()
        if now - self._since > _WINDOW:
            if self._at - self._mark < _SLOWEST:
                raise _Lost(f"{self._where}: less than {_SLOWEST} bytes came in {_WINDOW:.0f} s")
            self._since, self._mark = now, self._at
        return piece

    def _open(self) -> None:
        answer = self._fetch(self._at)
        try:
            skip = self._check(answer)
            self._answer, self._since, self._mark = answer, time.monotonic(), self._at
            while skip > 0:
                skip -= len(self._piece(min(skip, PIECE)))
        except BaseException:
            self._answer = None
            answer.close()
            raise

    def _check(self, answer: BaseHTTPResponse) -> int:
        """How many bytes come before those that were asked for. Raises RegistryError when the size is another."""
        whole = answer.status == 200
        if not whole:
            said = answer.headers.get("Content-Range", "").strip().lower().removeprefix("bytes ").partition("-")[0]
            if said != str(self._at):
                raise RegistryError(f"{self._where}: bytes from {self._at} on were asked for, others came")
        length = answer.headers.get("Content-Length", "")
        expected = self._size if whole else self._size - self._at
        if length.isdigit() and "Transfer-Encoding" not in answer.headers and int(length) != expected:
            raise RegistryError(f"{self._where} has {length[:20]} bytes, the image says {expected}")
        return self._at if whole else 0

    def _lost(self, error: RegistryError) -> None:
        """Wait before the next attempt. Raises `error` when there have been enough."""
        self.close()
        if self._at - self._started >= _PROGRESS:
            self._failures = 0
        self._started = self._at
        if self._failures >= self._client.access.retry or not (isinstance(error, _Lost) or transient(error)):
            raise error
        self._client.wait(self._failures, error)
        self._failures += 1

    def _end(self) -> None:
        """All is there; what comes beyond is refused."""
        answer, self._answer = self._answer, None
        assert answer is not None
        try:
            more = answer.read1(1)
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            more = b""  # what we wanted has come
        if more:
            answer.close()
            raise RegistryError(f"{self._where} is longer than the {self._size} bytes the image says")
        answer.release_conn()


class _Lost(RegistryError):
    """The connection broke, or is as good as broken."""
