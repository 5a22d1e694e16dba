"""registries.conf, version 2, and its drop-in files: read, checked, merged."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from typing import Any

from kubeplay.engine.rootless import who
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

SYSTEM = "/etc/containers/registries.conf"
FILES = "containers-auth.json"  # the credential helper that means auth files
_MAX_FILE = 8 << 20  # bytes
_MODES = ("enforcing", "permissive", "disabled")
_PULL = ("", "all", "digest-only", "tag-only")


class Location(Record):
    """A place that has the images of a registry; "" = the registry's own name."""

    location: str
    insecure: bool = False
    pull_from_mirror: str = ""


class Registry(Record):
    """A `[[registry]]` table; `file` is where it was read."""

    prefix: str
    location: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Location, ...] = ()
    mirror_by_digest_only: bool = False
    file: str = ""


class Registries(Record):
    """Everything of all files. `search` is unqualified-search-registries; `helpers` are credential-helpers, FILES among them."""

    search: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    registries: tuple[Registry, ...] = ()
    short_name_mode: str = "permissive"
    helpers: tuple[str, ...] = (FILES,)


def files() -> tuple[str, ...]:
    """The files of this user, later ones win. $CONTAINERS_REGISTRIES_CONF replaces the main one and, alone, drops the drop-ins."""
    home, env = who.home(), os.environ
    own = f"{home}/.config/containers" if home else ""
    main = SYSTEM
    if own and os.path.exists(f"{own}/registries.conf"):
        main = f"{own}/registries.conf"
    given = env.get("CONTAINERS_REGISTRIES_CONF", "")
    if given:
        return (given, *_drop_ins(env.get("CONTAINERS_REGISTRIES_CONF_DIR", "")))
    directories = [f"{SYSTEM}.d", *([f"{own}/registries.conf.d"] if own else [])]
    return (main, *[path for directory in directories for path in _drop_ins(directory)])


def _drop_ins(directory: str) -> list[str]:
    try:
        return [f"{directory}/{name}" for name in sorted(os.listdir(directory)) if name.endswith(".conf")] if directory else []
    except OSError:
        return []


def load(paths: Sequence[str]) -> Registries:
    """Read and merge; files that are not there say nothing. Raises InvalidInput naming the file."""
    merged = Registries()
    for path in paths:
        value = _toml(path)
        if value:
            merged = _merge(merged, value, path)
    return merged


def _toml(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    try:
        if len(data) > _MAX_FILE:
            raise ValueError(f"longer than {_MAX_FILE} bytes")
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: {error}") from None


def _merge(old: Registries, value: dict[str, Any], path: str) -> Registries:
    """Lists of later files replace earlier ones, aliases and registries are replaced one by one (registries.conf.d(5))."""
    if isinstance(value.get("registries"), dict):
        hint = "unqualified-search-registries and [[registry]] are what it is called since 2019"
        raise InvalidInput(f"{path} is of registries.conf's version 1, which is not read any more", hint=hint)
    aliases = dict(old.aliases)
    for name, target in _table(value, "aliases", path).items():
        aliases[name] = _text(target, f"{path}: aliases.{name}")
    registries = {one.prefix: one for one in old.registries}
    registries.update((one.prefix, one) for one in (_registry(item, path) for item in _items(value, "registry", path)))
    mode = _text(value.get("short-name-mode", ""), f"{path}: short-name-mode") or old.short_name_mode
    if mode not in _MODES:
        raise InvalidInput(f"{path}: short-name-mode must be one of {', '.join(_MODES)}")
    search = tuple(one.rstrip("/") for one in _strings(value, "unqualified-search-registries", path, old.search))
    helpers = _strings(value, "credential-helpers", path, old.helpers)
    return Registries(search, tuple(sorted(aliases.items())), tuple(registries.values()), mode, helpers)


def _strings(value: dict[str, Any], key: str, path: str, old: tuple[str, ...]) -> tuple[str, ...]:
    found = value.get(key)
    if found is None:
        return old
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InvalidInput(f"{path}: {key} must be a list of strings")
    return tuple(found)


def _registry(item: dict[str, Any], path: str) -> Registry:
    location = _name(item.get("location", ""), f"{path}: location")
    prefix = _name(item.get("prefix", ""), f"{path}: prefix") or location
    where = f"{path}: registry {prefix!r}"
    if not prefix or (not location and not prefix.startswith("*.")):
        raise InvalidInput(f"{where} has no location")
    if "*" in prefix and (not prefix.startswith("*.") or "*" in prefix[1:] or "/" in prefix):
        raise InvalidInput(f"{where}: * may only stand for the first part of a host, as in *.example.com")
    by_digest = _flag(item, "mirror-by-digest-only", where)
    mirrors = tuple([_mirror(one, where, by_digest) for one in _items(item, "mirror", path)])
    return Registry(prefix, location, _flag(item, "insecure", where), _flag(item, "blocked", where), mirrors, by_digest, path)


def _mirror(item: dict[str, Any], where: str, by_digest: bool) -> Location:
    location = _name(item.get("location", ""), f"{where}: mirror")
    when = _text(item.get("pull-from-mirror", ""), f"{where}: pull-from-mirror")
    if not location:
        raise InvalidInput(f"{where}: a mirror has no location")
    if when not in _PULL or (when and by_digest):
        what = "excludes mirror-by-digest-only" if when in _PULL else f"must be one of {', '.join(_PULL[1:])}"
        raise InvalidInput(f"{where}: mirror {location}: pull-from-mirror {what}")
    return Location(location, _flag(item, "insecure", where), when)


def _name(value: Any, where: str) -> str:
    text = _text(value, where).rstrip("/")
    if "://" in text:
        raise InvalidInput(f"{where} {text!r} must not have a scheme", hint="insecure = true allows plain HTTP")
    return text


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{where} must be a string")
    return value


def _flag(item: dict[str, Any], key: str, where: str) -> bool:
    value = item.get(key, False)
    if not isinstance(value, bool):
        raise InvalidInput(f"{where}: {key} must be true or false")
    return value


def _table(value: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    found = value.get(key, {})
    if not isinstance(found, dict):
        raise InvalidInput(f"{path}: {key} must be a table")
    return found


def _items(value: dict[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    found = value.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidInput(f"{path}: [[{key}]] must be a list of tables")
    return found
