"""A registry that lies, breaks off, redirects and never ends: a fake in this process, with behaviour.

    with hostile() as bad:
        image = bad.put_image("team/app", "1", [layer])
        bad.on(f"GET .*/blobs/{image.layers[0]}", cut(1000), times=2)     # the first two answers break off
        ... bad.address ..., bad.requests

A behaviour is a function of the request's handler that answers in the place of the good answer.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.support.certificates import Certificates
from tests.support.images import config, digest

OCI = "application/vnd.oci.image."
MANIFEST, INDEX = f"{OCI}manifest.v1+json", f"{OCI}index.v1+json"
Behaviour = Callable[["Handler"], None]


class Request(NamedTuple):
    """What came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Image(NamedTuple):
    """Digests of an image that was put."""

    manifest: str
    config: str
    layers: tuple[str, ...]


class Hostile:
    """Serves what it is given as a good registry would, but for what `on` says. Requests that came are in `requests`."""

    def __init__(self, scheme: str) -> None:
        self.scheme, self.address = scheme, ""
        self.requests: list[Request] = []
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.stopping = threading.Event()
        self._rules: list[list[Any]] = []  # pattern, behaviour, how often yet
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    def on(self, pattern: str, behaviour: Behaviour, times: int = 1 << 30, first: bool = False) -> None:
        """Answer requests whose "METHOD path" `pattern` fits by `behaviour`, so often; earlier rules win, but for one that is `first`."""
        self._rules.insert(0 if first else len(self._rules), [re.compile(pattern), behaviour, times])

    def put_image(self, repository: str, tag: str, layers: Sequence[bytes], media: str = MANIFEST) -> Image:
        """An image of uncompressed layers."""
        parts = [self.put_blob(data, f"{OCI}layer.v1.tar") for data in layers]
        blob = self.put_blob(config(layers), f"{OCI}config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": media, "config": blob, "layers": parts}
        raw = json.dumps(manifest).encode()
        self.put_manifest(repository, tag, raw, media)
        return Image(digest(raw), blob["digest"], tuple(part["digest"] for part in parts))

    def put_blob(self, data: bytes, media: str) -> dict[str, Any]:
        self.blobs[digest(data)] = data
        return {"mediaType": media, "digest": digest(data), "size": len(data)}

    def put_manifest(self, repository: str, tag: str, raw: bytes, media: str = MANIFEST) -> str:
        self.manifests[repository, tag] = self.manifests[repository, digest(raw)] = raw, media
        return digest(raw)

    def asked(self, pattern: str) -> list[Request]:
        """The requests that came and fit."""
        with self._lock:
            return [one for one in self.requests if re.fullmatch(pattern, f"{one.method} {one.path}")]

    def take(self, request: Request) -> Behaviour | None:
        with self._lock:
            self.requests.append(request)
            for rule in self._rules:
                if rule[2] > 0 and rule[0].fullmatch(f"{request.method} {request.path}"):
                    rule[2] -= 1
                    found: Behaviour = rule[1]
                    return found
        return None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    registry: Hostile
    timeout = 120
    body: bytes

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; header names with _ for -."""
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **named}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _any(self) -> None:
        try:
            self.body = self._read_body()
            request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, self.body)
            (self.registry.take(request) or good)(self)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError, TimeoutError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def _read_body(self) -> bytes:
        left, data = int(self.headers.get("Content-Length", "0")), b""
        while left and (piece := self.rfile.read(min(left, 1 << 16))):
            data, left = data + piece, left - len(piece)
        if left:
            raise ConnectionResetError
        return data

    def log_message(self, *args: object) -> None:
        pass


def good(self: Handler) -> None:
    """What a registry answers."""
    path, _, query = self.path.partition("?")
    hub = self.registry
    if path == "/v2/":
        return self.answer(200)
    if found := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path):
        if self.command == "PUT":
            hub.put_manifest(found[1], found[2], self.body, self.headers["Content-Type"])
            return self.answer(201)
        raw, media = hub.manifests.get((found[1], found[2]), (b"", ""))
        named = {"Content_Type": media, "Docker_Content_Digest": digest(raw)}
        return self.answer(200, raw, **named) if raw else _unknown(self, "MANIFEST_UNKNOWN")
    if found := re.fullmatch(r"/v2/.+/blobs/(sha256:.+)", path):
        data = hub.blobs.get(found[1])
        return _blob(self, data) if data is not None else _unknown(self, "BLOB_UNKNOWN")
    if found := re.fullmatch(r"/v2/(.+)/blobs/uploads/(.*)", path):
        return _upload(self, f"/v2/{found[1]}/blobs/uploads/", found[2], query)
    _unknown(self, "NAME_UNKNOWN")


def _unknown(self: Handler, code: str) -> None:
    self.answer(404, json.dumps({"errors": [{"code": code, "message": "not here"}]}).encode())


def _blob(self: Handler, data: bytes) -> None:
    found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
    if found:
        at = int(found[1])
        return self.answer(206, data[at:], Content_Range=f"bytes {at}-{len(data) - 1}/{len(data)}")
    self.answer(200, data)


def _upload(self: Handler, base: str, session: str, query: str) -> None:
    hub = self.registry
    if self.command == "POST":
        session = f"s{len(hub.uploads)}"
        hub.uploads[session] = b""
        return self.answer(202, Location=f"{base}{session}")
    if session not in hub.uploads:
        return _unknown(self, "BLOB_UPLOAD_UNKNOWN")
    if self.command in ("PATCH", "PUT"):
        hub.uploads[session] += self.body
    if self.command == "PUT":
        wanted, data = query.removeprefix("digest=").replace("%3A", ":"), hub.uploads.pop(session)
        if digest(data) != wanted:
            return self.answer(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "not what was said"}]}')
        hub.blobs[wanted] = data
        return self.answer(201, Docker_Content_Digest=wanted)
    if self.command == "DELETE":
        del hub.uploads[session]
        return self.answer(204)
    length = len(hub.uploads[session])
    self.answer(202 if self.command == "PATCH" else 204, Location=f"{base}{session}", Range=f"0-{max(length - 1, 0)}")


# behaviours
def says(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Another answer: 429 and 5xx, a redirect (Location=...), a challenge (WWW_Authenticate=...), other bytes."""
    return lambda self: self.answer(status, body, **headers)


def cut(after: int) -> Behaviour:
    """The good answer's head and `after` bytes of its body (from where a Range asks on), then nothing: the connection is closed."""

    def behave(self: Handler) -> None:
        wanted = self.path.rpartition("/")[2]
        data = self.registry.blobs.get(wanted) or next(raw for (_, which), (raw, _) in self.registry.manifests.items() if which == wanted)
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        at = int(found[1]) if found else 0
        self.send_response(206 if found else 200)
        self.send_header("Content-Length", str(len(data) - at))
        if found:
            self.send_header("Content-Range", f"bytes {at}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[at : at + after])
        self.close_connection = True

    return behave


def endless(self: Handler) -> None:
    """A body that never ends, without a length."""
    self.send_response(200)
    self.send_header("Connection", "close")
    self.end_headers()
    self.close_connection = True
    while not self.registry.stopping.is_set():
        self.wfile.write(b"[" * 65536)


def drip(seconds: float) -> Behaviour:
    """A byte each `seconds`."""

    def behave(self: Handler) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while not self.registry.stopping.wait(seconds):
            self.wfile.write(b"[")
            self.wfile.flush()

    return behave


def many_headers(self: Handler) -> None:
    """A thousand headers."""
    self.answer(200, b"{}", **{f"X_{number}": "x" * 100 for number in range(1000)})


def hang_up(self: Handler) -> None:
    """No answer at all."""
    self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or do not like our certificate, are what is tested."""
        error = sys.exception()
        if not isinstance(error, (ConnectionError, ssl.SSLError, TimeoutError)):
            super().handle_error(request, client_address)


@contextmanager
def hostile(certs: Certificates | None = None) -> Iterator[Hostile]:
    """Start one on loopback; with `certs` it speaks TLS."""
    made = Hostile("https" if certs else "http")
    handler = type("_Handler", (Handler,), {"registry": made})
    server = _Server(("127.0.0.1", 0), handler)
    if certs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs.cert, certs.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    made.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def other_bytes(data: bytes) -> bytes:
    """As long as `data`, with another digest."""
    return hashlib.sha256(data).digest()[:1] + data[1:] if data[:1] != hashlib.sha256(data).digest()[:1] else b"\0" + data[1:]
