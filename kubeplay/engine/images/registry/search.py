"""What a registry has: docker's old search where there is one, else the catalog (distribution spec has neither search nor words)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from kubeplay.engine.images.registry import answers, conf, credentials, registries
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.client import Client
from kubeplay.engine.images.registry.repository import listed
from kubeplay.errors import NotFound, RegistryError
from kubeplay.record import Record

_MAX_ANSWER = 4 << 20
_MAX_CATALOG = 100_000  # names that are looked through
_MOST = 100  # docker's search gives no more at once


class Found(Record):
    """One repository, `name` with its registry."""

    registry: str
    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search(registry: str, term: str, access: Access, limit: int, config: conf.Registries | None = None) -> list[Found]:
    """At most `limit` repositories of `registry` that `term` finds; "" finds all. Raises NotFound, Unauthorized, RegistryError."""
    client = _client(registry, access, config)
    try:
        found = _old(client, registry, term, limit) if term else None
        if found is None:
            names = listed(client, "/v2/_catalog", "repositories", ("registry:catalog:*",), _MAX_CATALOG)
            found = [Found(registry, f"{registry}/{name}") for name in names if term in name]
        return found[:limit]
    finally:
        client.close()


def _client(registry: str, access: Access, config: conf.Registries | None, credential: credentials.Credential | None = None) -> Client:
    config = registries.load() if config is None else config
    entry = next((one for one in config.registries if one.prefix == registry), None)
    if entry and entry.blocked:
        raise RegistryError(f"{registry} is blocked in {entry.file}")
    insecure = bool(entry and entry.insecure) if access.tls_verify is None else not access.tls_verify
    return Client(registry, access, insecure, (credential,) if credential else credentials.find(access, registry, "", config.helpers))


def _old(client: Client, registry: str, term: str, limit: int) -> list[Found] | None:
    """docker's version 1 search; None when the registry has none."""
    query = f"/v1/search?{urlencode({'q': term, 'n': min(limit, _MOST)})}"
    try:
        url = f"https://index.docker.io{query}" if registry in credentials.DOCKER_HUB else client.url(query)
        raw = client.get_url(url, _MAX_ANSWER)
        results = json.loads(raw)["results"] if raw else None
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    except (NotFound, RegistryError) as error:
        if registry in credentials.DOCKER_HUB or getattr(error, "status", 0) == 0:
            raise
        return None
    return [_found(registry, one) for one in results if isinstance(one, dict)] if isinstance(results, list) else None


def _found(registry: str, one: dict[str, Any]) -> Found:
    name, stars = str(one.get("name") or "")[:300], one.get("star_count")
    if registry in credentials.DOCKER_HUB and "/" not in name:
        name = f"library/{name}"
    return Found(
        registry, f"{registry}/{name}", str(one.get("description") or ""), stars if isinstance(stars, int) else 0,
        one.get("is_official") is True, one.get("is_automated") is True,
    )  # fmt: skip


def check(registry: str, credential: credentials.Credential, access: Access) -> None:
    """Whether a registry takes a credential: what `login` asks. Raises Unauthorized, RegistryError."""
    client = _client(registry, access, None, credential)
    try:
        answers.drop(client.request("GET", "/v2/"))
    finally:
        client.close()
