"""Which proxy a request takes: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as curl and Go read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from kubeplay.errors import InvalidInput, NotSupported


def proxy(url: str, env: Mapping[str, str]) -> str:
    """The proxy's URL for `url`, "" for none. Raises InvalidInput, NotSupported for a proxy that cannot be used.

    Loopback is never asked through a proxy. The lower-case names win: HTTP_PROXY is a request's header in CGI programs.
    """
    scheme, host, port = _target(url)
    value = env.get(f"{scheme}_proxy") or env.get(f"{scheme.upper()}_PROXY") or ""
    if not value or _is_loopback(host) or _excluded(host, port, env.get("no_proxy") or env.get("NO_PROXY") or ""):
        return ""
    found = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(found)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput(f"{scheme.upper()}_PROXY holds no URL", hint="as in http://proxy.example:3128")
    if parts.scheme not in ("http", "https"):
        raise NotSupported(f"{scheme.upper()}_PROXY: proxies of kind {parts.scheme} are not supported", hint="http and https are")
    return found


def _target(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower().rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _excluded(host: str, port: int, rules: str) -> bool:
    return any(_matches(host, port, rule.strip().lower()) for rule in rules.split(",") if rule.strip())


def _matches(host: str, port: int, rule: str) -> bool:
    from ipaddress import ip_address, ip_network

    if rule == "*":
        return True
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:
        pass
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit() and name.count(":") == 0:
        if int(wanted) != port:
            return False
        rule = name
    rule = rule.removeprefix("*")
    if rule.startswith("."):
        return host.endswith(rule)
    return host == rule.strip("[]") or host.endswith(f".{rule}")
