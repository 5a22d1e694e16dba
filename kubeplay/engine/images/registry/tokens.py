"""Bearer tokens (distribution spec, token authentication): bought from the realm the registry names, kept until they end.

The realm gets our credentials, so it must be as safe as the way to the registry: no plain HTTP where that is HTTPS.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from kubeplay.engine.images.registry import answers, urls
from kubeplay.engine.images.registry.challenge import Challenge
from kubeplay.engine.images.registry.credentials import Credential
from kubeplay.errors import RegistryError, Unauthorized

MAX_ANSWER = 1 << 20  # bytes; tokens with many scopes have some thousand
_SECONDS = 60  # distribution spec: a token without expires_in
_MARGIN = 0.9  # of its life
_LONGEST = 16000  # characters: what goes into one header line of a server with common limits
_WRITTEN = re.compile(r"[A-Za-z0-9._~+/=:-]+")

Fetch = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]  # (method, url, headers, body) -> (status, answer)


class Tokens:
    """Thread-safe; one registry's tokens by realm, service, scopes and credential. `insecure` allows a realm without TLS."""

    def __init__(self, fetch: Fetch, base: str, insecure: bool) -> None:
        self._fetch, self._base, self._insecure = fetch, base, insecure
        self._kept: dict[tuple[str, str, str, Credential | None], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def get(self, challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None) -> str:
        """A token for all of `scopes`. Raises Unauthorized, RegistryError."""
        realm, service = challenge.get("realm"), challenge.get("service")
        key = (realm, service, " ".join(scopes), credential)
        with self._lock:
            token, until = self._kept.get(key, ("", 0.0))
            if token and time.monotonic() < until:
                return token
            asked = time.monotonic()
            token, seconds = self._buy(realm, service, scopes, credential)
            self._kept[key] = (token, asked + seconds * _MARGIN)
            return token

    def forget(self, token: str = "") -> None:
        """The registry did not take `token`, or (without) any."""
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if token and kept[0] != token}

    def _buy(self, realm: str, service: str, scopes: tuple[str, ...], credential: Credential | None) -> tuple[str, float]:
        if not realm.lower().startswith(("https://", "http://")):
            raise RegistryError(f"{self._base}: the token server's address {realm[:200]!r} is no HTTP URL")
        encrypted = credential is not None and self._base.startswith("https:")  # not verifying is no leave to send passwords in clear
        realm = urls.follow(self._base, realm, self._insecure and not encrypted)
        if credential and credential.identity_token:
            status, answer = self._refresh(realm, service, scopes, credential)
        else:
            status, answer = self._ask(realm, service, scopes, credential)
        where, host = urlsplit(realm).netloc, urlsplit(self._base).netloc
        if status in (401, 403):
            raise Unauthorized(f"{host}: its token server {where} refuses {_who(credential)}", status, hint=answers.other_login(host))
        if status != 200:
            raise RegistryError(f"{where}: the token server answered {status}", status)
        return _read(answer, where)

    def _ask(self, realm: str, service: str, scopes: tuple[str, ...], credential: Credential | None) -> tuple[int, bytes]:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        headers = {}
        if credential:
            query.append(("account", credential.username))
            headers["Authorization"] = basic(credential)
        mark = "&" if urlsplit(realm).query else "?"
        return self._fetch("GET", f"{realm}{mark}{urlencode(query)}" if query else realm, headers, None)

    def _refresh(self, realm: str, service: str, scopes: tuple[str, ...], credential: Credential) -> tuple[int, bytes]:
        form = {
            "grant_type": "refresh_token", "service": service, "client_id": "kubeplay", "scope": " ".join(scopes),
            "refresh_token": credential.identity_token,
        }  # fmt: skip
        return self._fetch("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode())


def basic(credential: Credential) -> str:
    return "Basic " + base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()


def _who(credential: Credential | None) -> str:
    if credential is None:
        return "anonymous access"
    return f"user {credential.username!r}" if credential.username else "the identity token"


def _read(answer: bytes, where: str) -> tuple[str, float]:
    try:
        value: Any = json.loads(answer)
    except (ValueError, RecursionError):
        value = None
    token = (value.get("token") or value.get("access_token")) if isinstance(value, dict) else None
    if not isinstance(token, str) or not _WRITTEN.fullmatch(token) or len(token) > _LONGEST:
        raise RegistryError(f"{where}: the token server's answer holds no token")
    seconds = value.get("expires_in")
    given = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds >= _SECONDS
    return token, float(min(seconds, 86400)) if given else _SECONDS
