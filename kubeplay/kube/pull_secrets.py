"""imagePullSecrets as a kubelet reads them: which credentials a Secret holds, and which of them fit an image. Pure.

The rules are those of pkg/credentialprovider/keyring.go: keys are hosts with an optional port and path, each label of the
host may be a glob, a path fits every path that begins with it, and the keys are tried from the last to the first in
lexical order, so that a longer path comes before a shorter one of the same host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

JSON_TYPE, CFG_TYPE = "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"
JSON_KEY, CFG_KEY = ".dockerconfigjson", ".dockercfg"
_DEFAULT_HOSTS = ("docker.io", "index.docker.io")


class Credential(Record):
    """Who to be at the registries that `key` (HOST[:PORT][/PATH]) fits."""

    key: str
    username: str
    password: str


def credentials(secret: Mapping[str, Any]) -> tuple[Credential, ...]:
    """What a stored Secret of one of the two types holds; nothing for every other Secret, as a kubelet skips those.

    Raises InvalidInput when the text is not what its type promises.
    """
    kind, name = secret.get("type"), str((secret.get("metadata") or {}).get("name", ""))
    if kind not in (JSON_TYPE, CFG_TYPE):
        return ()
    key = JSON_KEY if kind == JSON_TYPE else CFG_KEY
    value = _json(_text(secret, key), f"Secret {name}: {key}")
    if kind == JSON_TYPE:
        value = value.get("auths") or {}
    if not isinstance(value, dict):
        raise InvalidInput(f"Secret {name}: {key}: auths must be an object")
    found = [_credential(registry, entry, f"Secret {name}: {key}: {registry}") for registry, entry in value.items()]
    return tuple([one for one in found if one.username or one.password])


def matching(found: Iterable[Credential], repository: str) -> tuple[Credential, ...]:
    """The credentials that fit `repository` (HOST[:PORT]/PATH, without tag), in the order in which they are tried."""
    ordered = sorted(found, key=lambda one: one.key, reverse=True)
    fitting = [one for one in ordered if fits(one.key, repository)]
    if not fitting and repository.partition("/")[0] in _DEFAULT_HOSTS:
        fitting = [one for one in ordered if one.key in _DEFAULT_HOSTS]
    return tuple(fitting)


def fits(key: str, repository: str) -> bool:
    """Whether a credential's key is for that repository (URLsMatch)."""
    from fnmatch import fnmatchcase

    pattern, _, path = key.partition("/")
    host, _, where = repository.partition("/")
    pattern_name, pattern_port = _port(pattern)
    host_name, host_port = _port(host)
    labels, globs = host_name.split("."), pattern_name.split(".")
    if pattern_port != host_port or len(labels) != len(globs) or not where.startswith(path):
        return False
    return all(fnmatchcase(label, glob) for label, glob in zip(labels, globs))


def _port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and port.isdigit() else (host, "")


def _credential(registry: str, entry: Any, where: str) -> Credential:
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where} must be an object")
    user, password = entry.get("username") or "", entry.get("password") or ""
    auth = entry.get("auth") or ""
    if not all(isinstance(text, str) for text in (user, password, auth)):
        raise InvalidInput(f"{where}: username, password and auth must be strings")
    if auth:
        user, password = _decoded(auth, where)
    return Credential(_key(registry), user, password)


def _key(registry: str) -> str:
    """HOST[:PORT][/PATH] of what stands in a docker configuration: a scheme and the API's /v1/ or /v2/ say nothing."""
    plain = registry.split("://", 1)[-1]
    host, _, path = plain.partition("/")
    for version in ("v1", "v2"):
        if path == version or path.startswith(f"{version}/"):
            path = path[3:]
    return f"{host}/{path}" if path else host


def _decoded(auth: str, where: str) -> tuple[str, str]:
    from base64 import b64decode
    from binascii import Error

    try:
        text = b64decode(auth.strip() + "=" * (-len(auth.strip()) % 4), validate=True).decode()
    except (Error, ValueError) as error:
        raise InvalidInput(f"{where}: auth is not base64 of USER:PASSWORD") from error
    user, colon, password = text.partition(":")
    if not colon:
        raise InvalidInput(f"{where}: auth is not base64 of USER:PASSWORD")
    return user, password


def _text(secret: Mapping[str, Any], key: str) -> str:
    from base64 import b64decode
    from binascii import Error

    plain = (secret.get("stringData") or {}).get(key)
    if plain is not None:
        return str(plain)
    try:
        return b64decode((secret.get("data") or {}).get(key) or "").decode()
    except (Error, ValueError) as error:
        raise InvalidInput(f"Secret {(secret.get('metadata') or {}).get('name', '')}: {key} is not base64 of text") from error


def _json(text: str, where: str) -> dict[str, Any]:
    import json

    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be an object")
    return value
