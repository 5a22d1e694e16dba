"""Sending a blob: one PUT for a small one; else one PATCH that streams it, goes on from where the registry is when the
connection is lost, and a PUT that seals it.

One PATCH for everything rather than many: every registry takes it, and nothing waits for a round trip. What was sent last is
kept, because most readers cannot go back and the registry may have got less than left us. A registry that does not go on
(docker's: the state it hands out must match its file) gets the blob anew, where what is kept is all of it or the reader has
`rewind()`, which starts it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.registry import answers
from kubeplay.engine.images.registry.client import transient
from kubeplay.engine.images.transports.base import Reader
from kubeplay.errors import InvalidInput, KubeplayError, NotFound, RegistryError

if TYPE_CHECKING:
    from kubeplay.engine.images.registry.repository import Repository

SMALL = 1 << 20  # bytes: sent by one PUT, and again as a whole when that fails
_KEPT = 16 << 20  # bytes kept for going on: Linux holds back 4 MiB on the way out, and what a busy registry has not read yet
_PIECE = 1 << 18
_SETTLE, _LOOKS = 0.5, 20  # seconds between two looks at what has arrived, and how many
_OCTETS = {"Content-Type": "application/octet-stream"}


def send(repository: Repository, blob: Descriptor, content: Reader, session: str = "") -> None:
    """Send `blob`. Raises RegistryError, InvalidInput when `content` is not of the blob's size."""
    if blob.size <= SMALL:
        _put(repository, blob, _whole(content, blob), session)
        return
    location = session or _begin(repository)
    try:
        location = _Stream(repository, blob, content).send(location)
        _seal(repository, blob, location, b"")
    except BaseException:
        cancel(repository, location)
        raise


def _whole(content: Reader, blob: Descriptor) -> bytes:
    data = bytearray()
    while piece := content.read(SMALL + 1 - len(data)):
        data += piece
        if len(data) > blob.size:
            break
    if len(data) != blob.size:
        raise InvalidInput(f"blob {blob.digest} does not have the {blob.size} bytes it should have")
    return bytes(data)


def _put(repository: Repository, blob: Descriptor, data: bytes, session: str) -> None:
    """A session's state is void after a failure: each attempt gets a new one."""
    number = 0
    while True:
        location = session or _begin(repository)
        session = ""
        try:
            return _seal(repository, blob, location, data)
        except RegistryError as error:
            cancel(repository, location)
            if number >= repository.client.access.retry or not transient(error):
                raise
            repository.client.wait(number, error)
        number += 1


def _begin(repository: Repository) -> str:
    answer = repository.client.request("POST", f"/v2/{repository.path}/blobs/uploads/", scopes=repository.scopes, body=b"", expect=(202,))
    answers.drop(answer)
    return _location(repository, answer.headers.get("Location", ""))


def _location(repository: Repository, said: str, before: str = "") -> str:
    if not said and not before:
        raise RegistryError(f"{repository.name}: the registry did not say where to send a blob")
    return repository.client.url(said) if said else before


def _seal(repository: Repository, blob: Descriptor, location: str, data: bytes) -> None:
    mark = "&" if urlsplit(location).query else "?"
    target = f"{location}{mark}digest={quote(blob.digest, safe='')}"
    try:
        answer = repository.client.request("PUT", target, scopes=repository.scopes, headers=_OCTETS, body=data, expect=(201, 204))
    except NotFound:
        if repository.has(blob):  # sealed already: the answer was lost
            return
        raise
    said = answer.headers.get("Docker-Content-Digest", blob.digest)
    answers.drop(answer)
    if said.startswith("sha256:") and said != blob.digest:
        raise RegistryError(f"{repository.name}: the registry stored a blob as {said[:80]} that was sent as {blob.digest}")


def cancel(repository: Repository, location: str) -> None:
    """The registry forgets what it got; one that does not will, some day."""
    try:
        repository.client.tell("DELETE", location, repository.scopes)
    except (KubeplayError, OSError):
        pass


class _Stream:
    """One blob on its way. `_start` is the offset of the first kept piece, `_at` of the next byte to read."""

    def __init__(self, repository: Repository, blob: Descriptor, content: Reader) -> None:
        self._repository, self._blob, self._content = repository, blob, content
        self._kept: deque[bytes] = deque()
        self._start = self._at = 0
        self._is_read = False
        self._failure: BaseException | None = None  # of the reader: nothing the registry could do better

    def send(self, location: str) -> str:
        """The location after all was sent."""
        begun, number = 0, 0
        while True:
            try:
                return self._patch(location, begun)
            except RegistryError as error:
                if self._failure is not None:
                    raise self._failure from None
                if number >= self._repository.client.access.retry or not (transient(error) or error.status == 401):
                    raise
                self._repository.client.wait(number, error)
                location, arrived = self._status(location, error)
                number = 0 if arrived > begun + _KEPT else number + 1
                begun = arrived

    def _patch(self, location: str, begun: int) -> str:
        left = self._blob.size - begun
        headers = {**_OCTETS, "Content-Length": str(left)}
        if begun:
            headers["Content-Range"] = f"{begun}-{self._blob.size - 1}"
        client = self._repository.client
        answer = client.stream("PATCH", location, self._repository.scopes, headers, self._pieces(begun))
        if answer.status == 401:
            client.forget()
        answers.drop(answers.check(answer, (202, 201, 204), self._repository.name))
        if self._at != self._blob.size:
            raise RegistryError(f"{self._repository.name}: the registry ended the upload of {self._blob.digest} early")
        return _location(self._repository, answer.headers.get("Location", ""), location)

    def _pieces(self, begun: int) -> Iterator[bytes]:
        """The kept bytes from `begun` on, then new ones."""
        skip = begun - self._start
        for piece in list(self._kept):
            if skip < len(piece):
                yield piece[max(skip, 0) :]
            skip -= len(piece)
        while piece := self._next():
            self._keep(piece)
            yield piece

    def _next(self) -> bytes:
        """The next bytes; at the end the reader is asked once more, because it may verify what it gave."""
        try:
            left = self._blob.size - self._at
            piece = b"" if self._is_read else self._content.read(min(_PIECE, left) or 1)
            if bool(piece) != bool(left) and not self._is_read:
                raise InvalidInput(f"blob {self._blob.digest} does not have the {self._blob.size} bytes it should have")
            self._is_read = not left
            return piece
        except BaseException as error:
            self._failure = error
            raise

    def _keep(self, piece: bytes) -> None:
        self._kept.append(piece)
        self._at += len(piece)
        while self._at - self._start - len(self._kept[0]) >= _KEPT:
            self._start += len(self._kept.popleft())

    def _status(self, location: str, error: RegistryError) -> tuple[str, int]:
        """Where to go on, and from which byte. Raises `error` when that is not possible."""
        try:
            location, arrived = self._settled(location)
            if self._start <= arrived <= self._at:
                return location, arrived
        except (NotFound, RegistryError):
            pass  # it has forgotten the session, or cannot go on with it
        if self._start > 0:
            rewind = getattr(self._content, "rewind", None)
            if rewind is None:
                raise error
            rewind()
            self._kept.clear()
            self._start, self._at, self._is_read = 0, 0, False
        cancel(self._repository, location)
        return _begin(self._repository), 0

    def _settled(self, location: str) -> tuple[str, int]:
        """What the registry has, once it has taken all that was still on the way to it: else two requests would write at once."""
        location, arrived = self._progress(location)
        for _ in range(_LOOKS):
            before = arrived
            self._repository.client.pause(_SETTLE)
            location, arrived = self._progress(location)
            if arrived == before:
                break
        return location, arrived

    def _progress(self, location: str) -> tuple[str, int]:
        repository = self._repository
        answer = repository.client.request("GET", location, scopes=repository.scopes, expect=(204, 202, 200))
        answers.drop(answer)
        last = answer.headers.get("Range", "").rpartition("-")[2]
        arrived = int(last) + 1 if last.isdecimal() and len(last) < 20 and last != "0" else 0
        return _location(repository, answer.headers.get("Location", ""), location), arrived
