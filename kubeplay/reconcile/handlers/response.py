"""An HTTP/1 answer, read no further than a probe needs it; whoever answers may be hostile."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING

from kubeplay.reconcile.handlers.steps import OUTPUT, Wait

if TYPE_CHECKING:
    from kubeplay.reconcile.handlers.connection import Stream

HEAD_LIMIT = 1 << 20  # bytes of status line and headers; Go's is 10 MiB
_CHUNK_LINE = 1024  # bytes of a chunk's size line
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: .*)?", re.DOTALL)
_INTERIM = 5  # answers of 1xx before the real one


class Fault(Exception):
    """No answer; `body`: it had begun, and its body did not come."""

    def __init__(self, text: str, body: bool = False) -> None:
        super().__init__(text)
        self.text, self.body = text, body


class Response:
    """Status, headers (names in lower case), and the body as far as it was read; `rest` came after the headers."""

    __slots__ = ("body", "headers", "rest", "status")

    def __init__(self, status: int, headers: list[tuple[str, str]], rest: bytes) -> None:
        self.status, self.headers, self.rest, self.body = status, headers, rest, b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


def read_head(stream: Stream) -> Generator[Wait, None, Response]:
    """The answer's status and headers. Raises Fault."""
    data = b""
    for _ in range(_INTERIM + 1):
        while (end := _end_of_head(data)) is None:
            piece = yield from stream.receive()
            if not piece:
                raise Fault("EOF" if not data else "unexpected EOF" if data.startswith(b"HTTP/") else _malformed(data))
            data += piece
            if len(data) > HEAD_LIMIT:
                raise Fault(f"net/http: server response headers exceeded {HEAD_LIMIT} bytes; aborted")
            if not b"HTTP/".startswith(data[:5]):
                raise Fault(_malformed(data))
        response = _parsed(data[: end[0]], data[end[1] :])
        if not 100 <= response.status < 200 or response.status == 101:
            return response
        data = response.rest
    raise Fault("net/http: too many 1xx informational responses")


def _end_of_head(data: bytes) -> tuple[int, int] | None:
    """Where the headers end and the body begins."""
    for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n"):
        at = data.find(mark)
        if at >= 0:
            return at, at + len(mark)
    return None


def _malformed(data: bytes) -> str:
    line = data.split(b"\n", 1)[0].rstrip(b"\r")[:200].decode(errors="replace")
    return f'net/http: HTTP/1.x transport connection broken: malformed HTTP response "{line}"'


def _parsed(head: bytes, rest: bytes) -> Response:
    lines = [line.rstrip(b"\r") for line in head.split(b"\n")]
    found = _STATUS.fullmatch(lines[0])
    if found is None:
        raise Fault(_malformed(head))
    headers = []
    for line in lines[1:]:
        name, mark, value = line.partition(b":")
        if not mark:
            text = line[:200].decode(errors="replace")
            raise Fault(f"net/http: HTTP/1.x transport connection broken: malformed MIME header line: {text}")
        headers.append((name.decode("latin-1").lower(), value.strip(b" \t").decode(errors="replace")))
    return Response(int(found[1]), headers, rest)


def read_body(stream: Stream, response: Response) -> Generator[Wait, None, Response]:
    """The same with its body: all of it, or its first OUTPUT bytes. Raises Fault."""
    if response.status in (101, 204, 304):
        return response
    if "chunked" in response.header("transfer-encoding").lower():
        response.body = yield from _chunks(stream, response.rest)
        return response
    length = response.header("content-length")
    wanted = min(int(length), OUTPUT) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
    data = response.rest
    while len(data) < (OUTPUT if wanted is None else wanted):
        piece = yield from stream.receive()
        if not piece:
            if wanted is not None:
                raise Fault("unexpected EOF", body=True)
            break
        data += piece
    response.body = data[:OUTPUT] if wanted is None else data[:wanted]
    return response


def _chunks(stream: Stream, data: bytes) -> Generator[Wait, None, bytes]:
    body = b""
    while len(body) < OUTPUT:
        while b"\n" not in data:
            if len(data) > _CHUNK_LINE:
                raise Fault("header line too long", body=True)
            data += yield from _more(stream)
        line, _, data = data.partition(b"\n")
        size = line.partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size):
            raise Fault("invalid byte in chunk length", body=True)
        length = int(size, 16)
        if not length:
            return body
        wanted = min(length, OUTPUT - len(body))
        while len(data) < wanted + (2 if wanted == length else 0):
            data += yield from _more(stream)
        body += data[:wanted]
        data = data[length + 2 :] if wanted == length else b""
    return body


def _more(stream: Stream) -> Generator[Wait, None, bytes]:
    piece = yield from stream.receive()
    if not piece:
        raise Fault("unexpected EOF", body=True)
    return piece
