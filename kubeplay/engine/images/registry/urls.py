"""URLs that a registry hands us: where they lead, and whether we go there. Pure."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from kubeplay.errors import RegistryError

_LONGEST = 16384  # characters; signed links of object stores have a few thousand
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")  # no user, and nothing that two parsers read differently
_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port): credentials stay within one. Raises RegistryError for what is no HTTP URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RegistryError(f"not a URL: {url[:200]!r}") from None
    plain = len(url) <= _LONGEST and url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in _PORTS or not parts.hostname or not plain or not _AUTHORITY.fullmatch(parts.netloc):
        raise RegistryError(f"not an HTTP URL: {url[:200]!r}")
    return parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme]


def host(url: str) -> tuple[str, int]:
    """Where a URL leads, whatever its scheme; no port means 443, where a registry listens."""
    _, name, port = origin(url)
    return name, port


def follow(base: str, location: str, insecure: bool) -> str:
    """The URL that `location` means when `base` answered it; user names in it and fragments are dropped.

    Raises RegistryError when it leaves HTTPS (unless `insecure`) or is none.
    """
    try:
        parts = urlsplit(urljoin(base, location))
        target = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    except ValueError:
        raise RegistryError(f"a link that cannot be followed: {location[:200]!r}") from None
    was, now = origin(base), origin(target)
    if was[0] == "https" and now[0] == "http" and not insecure:
        if was[1] == now[1] and urlsplit(target).port is None and urlsplit(base).port is None:
            return "https" + target.removeprefix("http")  # a registry behind a proxy that ends TLS does not know better
        raise RegistryError(f"{_shown(base)} leads to {_shown(target)}, which is not encrypted")
    return target


def _shown(url: str) -> str:
    """Without the query: it may hold a signature that is as good as a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"[:200]
