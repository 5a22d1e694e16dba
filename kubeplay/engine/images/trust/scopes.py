"""Which entries of policy.json and registries.d speak of an image: from its full identity to ever wider scopes.

Pure. The order is containers/image's (docker/policyconfiguration and each transport's PolicyConfigurationNamespaces): the first
scope that is there decides alone.
"""

from __future__ import annotations

import re

from kubeplay.engine.images import reference
from kubeplay.errors import InvalidInput

NAMED = frozenset({"docker", "atomic"})  # transports whose scopes are docker references and prefixes of them
PATHS = frozenset({"dir", "oci", "oci-archive", "sif", "ostree"})
_WITH_NAME = frozenset({"oci", "oci-archive"})
BARE = frozenset({"docker-archive", "tarball"})  # only the transport's default can be said of them
TRANSPORTS = NAMED | PATHS | BARE | {"docker-daemon", "containers-storage"}
_MAX_SCOPE = 4096
_PREFIX = re.compile(
    r"(?:\*\.)?[A-Za-z0-9\[][A-Za-z0-9.:\[\]_-]*(?:/[a-z0-9][a-z0-9._-]*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha(?:256|384|512):[0-9a-f]+)?"
)


def named(name: str) -> tuple[str, ...]:
    """The scopes of a docker reference: its identity, repository, namespaces, host, then `*.` domains.

    A name with tag and digest is known by its digest. The port is no part of a wildcard, so `*.com` is also for `a.com:5000`.
    Raises InvalidInput for what is no reference.
    """
    one = reference.parse(name)
    identity = f"{one.repository}@{one.digest}" if one.digest else str(one)
    found, rest = [identity], one.repository
    while rest:
        found.append(rest)
        rest = rest.rpartition("/")[0]
    host = one.domain if one.domain.startswith("[") else one.domain.partition(":")[0]
    while "." in host and not host.startswith("["):
        host = host.partition(".")[2]
        found.append(f"*.{host}")
    return tuple(found)


def path(scope: str, has_name: bool = False) -> tuple[str, ...]:
    """The scopes of an absolute path and its parents, "/" apart (the transport's default says that).

    `has_name`: an image's name may follow the first colon, and may hold slashes itself; paths of such transports hold no colon.
    """
    head, colon, _ = scope.partition(":") if has_name else (scope, "", "")
    found = [scope] if colon else []
    while head:
        found.append(head)
        head = head.rpartition("/")[0]
    return tuple(found)


def candidates(transport: str, scope: str) -> tuple[str, ...]:
    """Every scope to look for, the narrowest first; "", the transport's default, is the last."""
    if transport in NAMED and scope:
        return (*named(scope), "")
    if transport in PATHS and scope:
        return (*path(scope, transport in _WITH_NAME), "")
    return (scope, "") if scope and transport not in BARE else ("",)


def check(transport: str, scope: str) -> None:
    """Whether a policy may have this scope. Raises InvalidInput saying why not."""
    if not scope:
        return
    if len(scope) > _MAX_SCOPE:
        raise InvalidInput(f"a scope is at most {_MAX_SCOPE} characters long")
    if transport in BARE:
        raise InvalidInput(f'{transport} has no scopes but ""', hint="write the requirements below the scope \"\"")
    if transport in PATHS:
        _check_path(scope)
    elif transport in NAMED and not _PREFIX.fullmatch(scope):
        raise InvalidInput("the scope is no image name, prefix of one, or *.DOMAIN")


def _check_path(scope: str) -> None:
    if not scope.startswith("/"):
        raise InvalidInput("the scope must be an absolute path")
    if scope == "/":
        raise InvalidInput('the scope "/" is not allowed', hint='the transport\'s default is the scope ""')
    if any(part in ("", ".", "..") for part in scope[1:].split("/")):
        raise InvalidInput("the scope must be a clean path, without . and .. and doubled slashes")
