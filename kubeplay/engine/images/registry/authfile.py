"""Auth files (containers-auth.json(5), docker's config.json): where they lie, finding, keeping and dropping a credential.

A name given (--authfile, $REGISTRY_AUTH_FILE) is the only file read; else the first file that knows the registry wins.
Files are rewritten whole, mode 0600, under a lock beside them; what we do not know in them stays.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable
from typing import Any

from kubeplay.engine.images.registry import programs
from kubeplay.engine.images.registry.credentials import Credential, normalised
from kubeplay.engine.rootless import who
from kubeplay.engine.store.locks import Lock
from kubeplay.errors import InvalidInput, MissingPrerequisite, NotFound

_MAX_FILE = 8 << 20  # bytes: a file of thousands of registries
Content = dict[str, Any]


def primary(given: str = "") -> str:
    """The file that `login` writes. $XDG_RUNTIME_DIR is a tmpfs: a login ends with the machine, as podman's does."""
    if given or os.environ.get("REGISTRY_AUTH_FILE"):
        return given or os.environ["REGISTRY_AUTH_FILE"]
    if who.rootless():
        return f"{os.path.dirname(who.user_directory())}/containers/auth.json"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return f"{runtime}/containers/auth.json" if runtime else f"/run/containers/{os.geteuid()}/auth.json"


def places(given: str = "") -> tuple[str, ...]:
    """Every file that is read, in order."""
    first = primary(given)
    if given or os.environ.get("REGISTRY_AUTH_FILE"):
        return (first,)
    home = who.home()
    config = os.environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    docker = os.environ.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
    more = ([f"{config}/containers/auth.json"] if config else []) + ([f"{docker}/config.json"] if docker else [])
    return (first, *more, *([f"{home}/.dockercfg"] if home else []))


def check(given: str) -> None:
    """--authfile must be there for reading. Raises NotFound as podman says it."""
    if given and not os.access(given, os.R_OK):
        reason = "permission denied" if os.path.exists(given) else "no such file or directory"
        raise NotFound(f"credential file is not accessible: faccessat {given}: {reason}")


def find(given: str, domain: str, path: str) -> Credential | None:
    """The credential for DOMAIN/PATH. Raises InvalidInput for a file that cannot be read, CommandFailed for a helper."""
    check(given)
    for file in places(given):
        found = lookup(load(file), domain, path)
        if found is not None:
            return found
    return None


def load(path: str) -> Content:
    """A file's content; {} when it is not there. Raises InvalidInput."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    if len(data) > _MAX_FILE:
        raise InvalidInput(f"{path} is longer than {_MAX_FILE} bytes")
    try:
        value = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no auth file: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{path} is no auth file: it holds no object")
    return {"auths": value} if os.path.basename(path) == ".dockercfg" else value


def lookup(content: Content, domain: str, path: str) -> Credential | None:
    """From the longest key to the domain: DOMAIN/NS/REPO, DOMAIN/NS, DOMAIN; a helper of the domain comes before `auths`."""
    keys = _keys(domain, path)
    for key in keys:
        for name, program in _strings(content.get("credHelpers")).items():
            if name == key or normalised(name) == key:
                return programs.get(program, name)
    auths = _objects(content.get("auths"))
    for key in keys:
        for name in sorted(auths, key=lambda one: one != key):  # the exact name before `https://NAME/v1/`
            if normalised(name) == key and (found := decoded(auths[name])):
                return found
    return _from_store(content.get("credsStore"), _server(domain))


def _from_store(program: Any, server: str) -> Credential | None:
    """Docker Desktop leaves a `credsStore` behind that no longer exists: nobody named it for this registry, so that is no fault."""
    try:
        return programs.get(program, server) if isinstance(program, str) and program else None
    except MissingPrerequisite:
        return None


def _keys(domain: str, path: str) -> list[str]:
    whole = f"{normalised(domain)}/{path}".rstrip("/")
    keys = [whole]
    while "/" in keys[-1]:
        keys.append(keys[-1].rpartition("/")[0])
    return keys


def _server(domain: str) -> str:
    """docker's own stores know the hub by its first address."""
    return "https://index.docker.io/v1/" if normalised(domain) == "docker.io" else domain


def decoded(entry: dict[str, Any]) -> Credential | None:
    """One entry of `auths`; None when it holds nothing (a helper's marker). Also dockerconfigjson's of a Secret."""
    token = entry.get("identitytoken")
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if isinstance(entry.get("auth"), str) and entry["auth"]:
        try:
            text = base64.b64decode(entry["auth"], validate=False).decode()
        except (binascii.Error, ValueError):
            raise InvalidInput("an auth file's `auth` is no base64 of USER:PASSWORD", hint="log in again") from None
        user, _, password = text.partition(":")
        password = password.rstrip("\0")
    if isinstance(token, str) and token:
        return Credential(user, "", token)
    return Credential(user, password) if user or password else None


def users(given: str = "") -> dict[str, str]:
    """Registry -> user of the file that `login` writes."""
    auths = _objects(load(primary(given)).get("auths"))
    return {name: found.username for name, entry in auths.items() if (found := decoded(entry))}


# writing
def store(path: str, key: str, credential: Credential, helper: str = "") -> str:
    """Keep a credential under `key` (DOMAIN or DOMAIN/NAMESPACE), in `helper` rather than in the file; where it went.

    Raises CommandFailed, OSError.
    """
    if helper:
        programs.store(helper, key, credential)
        return f"docker-credential-{helper}"
    text = base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()
    where = []

    def change(content: Content) -> None:
        program = _program(content, key)
        auths = content.setdefault("auths", {})
        if program:
            programs.store(program, key, credential)
            auths[key] = {}
            where.append(f"docker-credential-{program}")
        else:
            auths[key] = {"auth": text}

    _rewrite(path, change)
    return where[0] if where else path


def erase(path: str, key: str, helper: str = "") -> bool:
    """Drop a credential; False when there was none."""
    if helper:
        known = programs.get(helper, key) is not None
        if known:
            programs.erase(helper, key)
        return known
    gone = []

    def change(content: Content) -> None:
        program = _program(content, key)
        if program and programs.get(program, key) is not None:
            programs.erase(program, key)
            gone.append(key)
        auths = content.get("auths") or {}
        for name in [name for name in auths if name == key or normalised(name) == normalised(key)]:
            del auths[name]
            gone.append(name)

    if os.path.exists(path):
        _rewrite(path, change)
    return bool(gone)


def erase_all(path: str) -> None:
    """Drop every credential of this file and of its helpers."""

    def change(content: Content) -> None:
        for name, program in _strings(content.get("credHelpers")).items():
            if programs.get(program, name) is not None:
                programs.erase(program, name)
        content["auths"] = {}

    if os.path.exists(path):
        _rewrite(path, change)


def _program(content: Content, key: str) -> str:
    found = _strings(content.get("credHelpers")).get(key) or content.get("credsStore")
    return found if isinstance(found, str) else ""


def _rewrite(path: str, change: Callable[[Content], None]) -> None:
    """Under a lock, so that two logins at once both stay; a symbolic link's target is written, the link stays."""
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with Lock(f"{path}.lock"):
        content = load(path)
        change(content)
        fresh = f"{path}.{os.urandom(8).hex()}.tmp"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "w", encoding="utf-8") as file:
                json.dump(content, file, indent="\t")
            os.rename(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise


def _objects(value: Any) -> dict[str, dict[str, Any]]:
    return {name: entry for name, entry in value.items() if isinstance(entry, dict)} if isinstance(value, dict) else {}


def _strings(value: Any) -> dict[str, str]:
    return {name: entry for name, entry in value.items() if isinstance(entry, str)} if isinstance(value, dict) else {}
