"""HTTP with an API server: TLS as the kubeconfig says, credentials with every request, answers within bounds, Status as an error.

Redirects are not followed, so credentials stay with the server that the kubeconfig names.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import urllib3

from kubeplay.cluster import plugin
from kubeplay.cluster.access import Access, content
from kubeplay.engine.images.registry import proxies
from kubeplay.engine.images.registry.pools import UnverifiedPool
from kubeplay.errors import ClusterError, InvalidInput
from kubeplay.record import Record

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

CONNECT_SECONDS = 30.0  # client-go's dialer
READ_SECONDS = 90.0  # the API server ends a request after 60 (--request-timeout), and says so
BODY_SECONDS = 120.0  # for a whole answer, however slowly it drips
MAX_BODY = 64 << 20  # bytes: a page of PAGE objects of 1.5 MiB would be more, and no namespace is like that
ATTEMPTS = 4
_AGAIN = (429, 502, 503, 504)
_LONGEST_WAIT = 30.0  # seconds of Retry-After that we wait
_PIECE = 1 << 16
_HOPELESS = (urllib3.exceptions.SSLError, urllib3.exceptions.TimeoutError)  # asked again they answer the same, or as late
APPLY = "application/apply-patch+yaml"
Object = dict[str, Any]


class Answer(Record):
    """`warnings` are the server's own (`Warning: 299`), to be shown as kubectl shows them."""

    status: int
    body: Object
    warnings: tuple[str, ...] = ()


class Connection:
    """One context's API server; close it. For one thread."""

    def __init__(self, access: Access, wait: Callable[[float], None] = time.sleep) -> None:
        self.access = access
        self._wait = wait
        self._manager: urllib3.PoolManager | None = None
        self._credential: plugin.Credential | None = None

    def close(self) -> None:
        if self._manager is not None:
            self._manager.clear()
            self._manager = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """A JSON object. Raises ClusterError."""
        return self.request("GET", path, query).body

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Object | None = None, media: str = "application/json"
    ) -> Answer:
        """One request, again where the server asks for that. `path` begins with a slash. Raises ClusterError and what access does."""
        data = None if body is None else json.dumps(body).encode()
        renewed = False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._open(method, path, query or {}, data, media)
                raw = _body(answer, self._place(path))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if attempt < ATTEMPTS and method == "GET" and not isinstance(error, _HOPELESS):
                    self._wait(0.25 * 2**attempt)
                    continue
                raise self._explained(error) from error
            if answer.status == 401 and self.access.exec is not None and not renewed and attempt < ATTEMPTS:
                self._credential, renewed = None, True  # as client-go: a plugin's credential may have been withdrawn
                self.close()
                continue
            if answer.status in _AGAIN and attempt < ATTEMPTS:
                self._wait(_retry_after(answer, attempt))
                continue
            return self._checked(answer, raw, path)
        raise AssertionError("unreachable")

    def _open(self, method: str, path: str, query: Mapping[str, str], data: bytes | None, media: str) -> BaseHTTPResponse:
        url = f"{self.access.server}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": "kubeplay"})
        for name, value in (*self._authorization(), *self.access.headers):
            headers.add(name, value)
        if data is not None:
            headers["Content-Type"] = media
        return self._pools().urlopen(
            method, url, headers=headers, body=data, redirect=False, retries=False, preload_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )  # fmt: skip

    def _authorization(self) -> list[tuple[str, str]]:
        access, token = self.access, ""
        if access.server.startswith("http:"):  # as client-go: a secret is for TLS only
            return []
        if access.exec is not None:
            token = self._plugged().token
        elif access.token_file:
            token = content(access.token_file, f'the token of context "{access.context}"').decode("utf-8", "replace").strip()
        elif access.basic:
            return [("Authorization", "Basic " + base64.b64encode(access.basic.encode()).decode())]
        token = token or access.token
        if not token.isascii() or not token.isprintable():
            raise InvalidInput(f'the token of context "{access.context}" cannot stand in a header')
        return [("Authorization", f"Bearer {token}")] if token else []

    def _plugged(self) -> plugin.Credential:
        """The plugin's credential: asked for once, and again when it ends."""
        assert self.access.exec is not None
        if self._credential is None or not self._credential.is_good(time.time()):
            found = plugin.run(self.access, self.access.exec)
            if self._credential is None or found.certificate != self._credential.certificate:
                self.close()
            self._credential = found
        return self._credential

    def _pools(self) -> urllib3.PoolManager:
        if self._manager is None:
            self._manager = _manager(self.access, self._credential)
        return self._manager

    def _place(self, path: str) -> str:
        return f"{self.access.server}{path}"

    def _checked(self, answer: BaseHTTPResponse, raw: bytes, path: str) -> Answer:
        try:
            value = json.loads(raw) if raw.strip() else {}
        except (ValueError, RecursionError):
            value = None
        warnings = tuple(text for line in answer.headers.getlist("Warning") if (text := _warning(line)))
        if 200 <= answer.status < 300 and isinstance(value, dict):
            return Answer(answer.status, value, warnings)
        if 300 <= answer.status < 400:
            where = f"{self._place(path)}: the server sends us elsewhere (HTTP {answer.status})"
            raise ClusterError(f"{where}, which is not followed", answer.status)
        if isinstance(value, dict) and value.get("kind") == "Status":
            raise self._refused(answer.status, value)
        said = " ".join(raw[:200].decode("utf-8", "replace").split())
        raise ClusterError(f"{self._place(path)}: this is no answer of an API server (HTTP {answer.status}): {said}", answer.status)

    def _refused(self, code: int, status: Object) -> ClusterError:
        details = status.get("details")
        listed = details.get("causes") if isinstance(details, dict) else None
        causes = tuple(one for one in listed if isinstance(one, dict)) if isinstance(listed, list) else ()
        reason, message = str(status.get("reason") or ""), str(status.get("message") or "no reason given")[:20000]
        hint = ""
        if code == 401:
            message = f"the server does not know who we are: {message}"
            hint = f'renew the credentials of context "{self.access.context}"'
            if self.access.server.startswith("http:"):
                hint = "credentials are sent over TLS only: use https in the kubeconfig's server"
        elif code == 403:
            hint = f'the user of context "{self.access.context}" lacks the right: `kubectl auth can-i --list` shows what it has'
        return ClusterError(message, code, reason, causes, hint=hint)

    def _explained(self, error: Exception) -> ClusterError:
        from kubeplay.engine.images.registry.pools import explain

        said = explain(error, self.access.server).message
        hint = f'is the cluster of context "{self.access.context}" up, and reachable from here?'
        if isinstance(error, urllib3.exceptions.SSLError):
            hint = "certificate-authority(-data) and tls-server-name of the cluster in the kubeconfig say whom to believe"
        return ClusterError(said, hint=hint)


def _manager(access: Access, credential: plugin.Credential | None) -> urllib3.PoolManager:
    """Pools for the server, by the proxy that leads there. Raises InvalidInput for certificates that cannot be used."""
    trust = trusted(access, credential)
    more: dict[str, Any] = {"ssl_context": trust, "maxsize": 4}
    if access.server_name:
        more["server_hostname"] = access.server_name
    proxy = access.proxy or proxies.proxy(access.server, os.environ)
    made: urllib3.PoolManager
    if proxy:
        auth = urlsplit(proxy)
        own = f"{auth.username}:{auth.password or ''}" if auth.username else ""
        headers = urllib3.make_headers(proxy_basic_auth=own) if own else None
        made = urllib3.ProxyManager(proxy, proxy_headers=headers, **more)
    else:
        made = urllib3.PoolManager(**more)
    if not access.verify:
        made.pool_classes_by_scheme = {**made.pool_classes_by_scheme, "https": UnverifiedPool}
    return made


def trusted(access: Access, credential: plugin.Credential | None = None) -> ssl.SSLContext:
    """The TLS side of a context: the cluster's authorities alone where it names some (as client-go), else the system's."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if not access.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif access.authorities:
        try:
            made.load_verify_locations(cadata=access.authorities.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise InvalidInput(f'context "{access.context}": certificate-authority cannot be used: {error}') from None
        # Clusters' own authorities are often made without the extensions that Python 3.13 asks for; Go does not
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    else:
        made.load_default_certs()
    if credential and credential.certificate:
        _identify(made, credential.certificate, credential.key, access.context)
    elif access.certificate:
        _identify(made, access.certificate, access.key, access.context)
    return made


def _identify(made: ssl.SSLContext, certificate: bytes, key: bytes, context: str) -> None:
    """Show a client certificate. OpenSSL takes files only: this one is in memory and has no name, so that the key is never on a disk."""
    fd = os.memfd_create("kubeplay-client", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(certificate.rstrip() + b"\n" + key)
        made.load_cert_chain(f"/proc/self/fd/{fd}", password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(f'context "{context}": the client certificate and key cannot be used: {error}') from None
    finally:
        os.close(fd)


def _no_password() -> bytes:
    raise ValueError("the key is encrypted, and kubectl takes no such keys either")


def _body(answer: BaseHTTPResponse, where: str) -> bytes:
    """The whole body, decompressed. Raises ClusterError when it is too long or too slow."""
    until, data = time.monotonic() + BODY_SECONDS, bytearray()
    try:
        while piece := answer.read1(_PIECE, decode_content=True):
            data += piece
            if len(data) > MAX_BODY:
                raise ClusterError(f"{where}: the answer is longer than {MAX_BODY >> 20} MiB")
            if time.monotonic() > until:
                raise ClusterError(f"{where}: the answer did not arrive within {BODY_SECONDS:.0f} s")
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return bytes(data)


def _retry_after(answer: BaseHTTPResponse, attempt: int) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(float(said[:6]), _LONGEST_WAIT) if said.isascii() and said.isdigit() else 0.5 * 2**attempt


def _warning(line: str) -> str:
    """The text of a Warning header of code 299 (RFC 9111 obsoletes it; the API server goes on using it)."""
    code, _, rest = line.partition(" ")
    text = rest.partition('"')[2].rpartition('"')[0]
    return text.replace('\\"', '"').replace("\\\\", "\\")[:1000] if code == "299" else ""
