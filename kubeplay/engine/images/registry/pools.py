"""Connections: one pool for the registry itself, one for any other host it sends us to, each direct or through a proxy.

The client certificate is shown to the registry only.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import urllib3

from kubeplay.engine.images.registry import proxies, tls, urls
from kubeplay.errors import Interrupted, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from urllib3 import BaseHTTPResponse

CONNECT_SECONDS = 30.0  # Go's default dialer, which the other tools have
READ_SECONDS = 60.0  # without a single byte
SEAL_SECONDS = 900.0  # for the answer to what was sent: a registry reads a blob of many GiB once more before it takes it
_CONNECTIONS = 32  # kept open; more may be made, with a warning of urllib3's
_BLOCK = 1 << 18  # bytes sent at once


class _Unverified(urllib3.connection.HTTPSConnection):
    """urllib3 warns with every request; whoever said --tls-verify=false, insecure = true or insecure-skip-tls-verify knows."""

    def connect(self) -> None:
        super().connect()
        self.is_verified = True


class UnverifiedPool(urllib3.HTTPSConnectionPool):
    """Connections whose certificates somebody has said not to look at."""

    ConnectionCls = _Unverified


class Pools:
    """Thread-safe. `host` is HOST[:PORT] as in URLs."""

    def __init__(self, host: str, cert_dir: str, verify: bool) -> None:
        self._host, self._cert_dir, self._verify = urls.host(f"https://{host}/"), cert_dir, verify
        self._managers: dict[tuple[bool, str], urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None) -> BaseHTTPResponse:
        """Send one request; the answer's body is not read yet. Raises urllib3's errors."""
        manager = self._manager(urls.host(url) == self._host, proxies.proxy(url, os.environ))
        read = SEAL_SECONDS if method in ("PUT", "PATCH") else READ_SECONDS
        return manager.urlopen(
            method, url, headers=dict(headers), body=body, redirect=False, retries=False, preload_content=False, decode_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read),
        )  # fmt: skip

    def _manager(self, own: bool, proxy: str) -> urllib3.PoolManager:
        with self._lock:
            if self._is_closed:
                raise Interrupted(f"the connection to {self._host[0]} was given up")
            found = self._managers.get((own, proxy))
            if found is None:
                found = self._managers[own, proxy] = self._make(own, proxy)
            return found

    def _make(self, own: bool, proxy: str) -> urllib3.PoolManager:
        trust = tls.context(self._cert_dir, self._verify, own)
        made: urllib3.PoolManager
        if proxy:
            parts = urllib3.util.parse_url(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=_unquoted(parts.auth)) if parts.auth else None
            made = urllib3.ProxyManager(proxy, proxy_headers=headers, ssl_context=trust, maxsize=_CONNECTIONS, blocksize=_BLOCK)
        else:
            made = urllib3.PoolManager(ssl_context=trust, maxsize=_CONNECTIONS, blocksize=_BLOCK)
        if not self._verify:
            made.pool_classes_by_scheme = {**made.pool_classes_by_scheme, "https": UnverifiedPool}
        return made

    def close(self) -> None:
        """Later requests are refused, so that a thread that is behind opens nothing again."""
        with self._lock:
            self._is_closed = True
            managers, self._managers = list(self._managers.values()), {}
        for manager in managers:
            manager.clear()


def _unquoted(auth: str) -> str:
    from urllib.parse import unquote

    return unquote(auth)


def explain(error: Exception, where: str) -> RegistryError:
    """urllib3's error as ours, without its nested wording."""
    kinds = urllib3.exceptions
    text = str(error)
    if isinstance(error, kinds.ProxyError):
        return RegistryError(f"{where}: the proxy cannot be used: {_last(error)}", hint="HTTP_PROXY, HTTPS_PROXY and NO_PROXY say which")
    if isinstance(error, kinds.SSLError):
        if any(word in text for word in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "record layer failure", "UNKNOWN_PROTOCOL")):
            hint = "if it has no TLS: --tls-verify=false, or insecure = true in registries.conf"
            return RegistryError(f"{where}: the server does not speak TLS", hint=hint)
        hint = "give the authority's certificate with --cert-dir, or skip verification with --tls-verify=false"
        return RegistryError(f"{where}: TLS failed: {_last(error)}", hint=hint if "CERTIFICATE_VERIFY_FAILED" in text else "")
    if isinstance(error, kinds.NameResolutionError):
        return RegistryError(f"{where}: the host name cannot be resolved")
    if isinstance(error, (kinds.ConnectTimeoutError, kinds.ReadTimeoutError)) and not isinstance(error, kinds.NewConnectionError):
        return RegistryError(f"{where}: no answer in time")
    return RegistryError(f"{where}: {_last(error)}")


def _last(error: BaseException) -> str:
    """The innermost cause's words."""
    while True:
        inner = error.__cause__ or next((value for value in reversed(error.args) if isinstance(value, BaseException)), None)
        if inner is None:
            break
        error = inner
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:300]
