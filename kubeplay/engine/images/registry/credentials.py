"""Who we are at a registry: command line, then imagePullSecrets, then auth files (containers-auth.json(5))."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from kubeplay.engine.images.registry.access import Access
from kubeplay.errors import KubeplayError
from kubeplay.record import Record

DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


class Credential(Record):
    """A name and a password, or an identity token that buys access tokens (OAuth2's refresh token)."""

    username: str = ""
    password: str = ""
    identity_token: str = ""


def find(access: Access, domain: str, path: str, helpers: Sequence[str] = ("containers-auth.json",)) -> tuple[Credential, ...]:
    """What may be tried for DOMAIN/PATH, best first; () = anonymously. `helpers` are registries.conf's, in their order.

    Raises InvalidInput for a broken auth file, CommandFailed for a credential helper that fails.
    """
    if access.creds:
        user, _, password = access.creds.partition(":")
        return (Credential(user, password),)
    found = [Credential(user, password) for key, user, password in _ordered(access.auths) if matches(key, domain, path)]
    try:
        stored = next((one for helper in helpers if (one := _stored(helper, access.authfile, domain, path))), None)
    except KubeplayError:
        if not found:
            raise
        return tuple(dict.fromkeys(found))  # a pod's own secrets do not depend on this user's files
    return tuple(dict.fromkeys([*found, *([stored] if stored else [])]))


def _stored(helper: str, file: str, domain: str, path: str) -> Credential | None:
    from kubeplay.engine.images.registry import authfile, programs

    return authfile.find(file, domain, path) if helper == "containers-auth.json" else programs.get(helper, domain)


def _ordered(auths: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """As a kubelet's keyring: longer prefixes first, secrets' own order among equals."""
    return sorted(auths, key=lambda one: -len(normalised(one[0])))


def normalised(key: str) -> str:
    """A key of an auth file without scheme and API version; docker's `https://index.docker.io/v1/` is docker.io."""
    plain = key.partition("://")[2] if "://" in key else key
    plain = plain.rstrip("/")
    for version in ("/v1", "/v2"):
        plain = plain.removesuffix(version)
    host, slash, path = plain.partition("/")
    return f"docker.io{slash}{path}" if host in DOCKER_HUB else plain


def matches(key: str, domain: str, path: str) -> bool:
    """Whether a key of dockerconfigjson is for DOMAIN/PATH: parts of the host may be globs, the path is a prefix (kubelet's rule)."""
    host, _, prefix = normalised(key).partition("/")
    wanted, _, port = _split(host)
    name, _, own_port = _split("docker.io" if domain in DOCKER_HUB else domain)
    if port != own_port or wanted.count(".") != name.count("."):
        return False
    if not all(fnmatch.fnmatchcase(part, pattern) for part, pattern in zip(name.split("."), wanted.split("."))):
        return False
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def _split(host: str) -> tuple[str, str, str]:
    name, colon, port = host.rpartition(":")
    return (name, colon, port) if colon and port.isdigit() else (host, "", "")
