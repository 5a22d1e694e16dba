"""registries.d: where the signatures of an image in a registry are kept (containers-registries.d(5))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from kubeplay.engine.images import reference
from kubeplay.engine.images.trust import scopes
from kubeplay.engine.rootless import who
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

SYSTEM = "/etc/containers/registries.d"
USER = "~/.config/containers/registries.d"
_MAX_FILE = 1 << 20  # bytes
_MEMBERS = {
    "lookaside": "lookaside", "sigstore": "lookaside", "lookaside-staging": "staging", "sigstore-staging": "staging",
    "use-sigstore-attachments": "attachments",
}  # fmt: skip


class Section(Record):
    """What is said for one scope; "" and None are unsaid."""

    lookaside: str = ""
    staging: str = ""
    attachments: bool | None = None


class Registries(Record):
    """All files of a directory together; `directory` is "" when there is none."""

    directory: str
    default: Section = Section()
    scopes: tuple[tuple[str, Section], ...] = ()


def locate(given: str = "", env: Mapping[str, str] | None = None) -> str:
    """The directory to use: the one given, the user's when it is there, else the machine's."""
    home = who.home() if env is None else env["HOME"]
    own = USER.replace("~", home, 1)
    return given or (own if os.path.isdir(own) else SYSTEM)


def load(given: str = "") -> Registries:
    """Read and join every *.yaml of the directory. Raises InvalidInput naming the file."""
    directory = locate(given)
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".yaml"))
    except (FileNotFoundError, NotADirectoryError):
        return Registries(directory)
    except OSError as error:
        raise InvalidInput(f"{directory} cannot be read: {error.strerror}") from error
    return join(directory, [(f"{directory}/{name}", _text(f"{directory}/{name}")) for name in names])


def join(directory: str, texts: Iterable[tuple[str, str]]) -> Registries:
    """The configuration of (file, text) pairs; nothing may be said in two places. Pure. Raises InvalidInput."""
    default: Section | None = None
    found: dict[str, Section] = {}
    for path, text in texts:
        top = _mapping(_yaml(text, path), path, {"default-docker", "docker"})
        if top.get("default-docker") is not None:
            if default is not None:
                raise InvalidInput(f"{path}: default-docker is in another file too")
            default = _section(top["default-docker"], f"{path}: default-docker")
        for scope, value in _mapping(top.get("docker"), f"{path}: docker").items():
            if scope in found:
                raise InvalidInput(f"{path}: docker: {scope[:300]!r} is in another file too")
            found[scope] = _section(value, f"{path}: docker: {scope[:300]}")
    return Registries(directory, default or Section(), tuple(found.items()))


def lookaside(registries: Registries, name: str, write: bool = False) -> str:
    """The URL below which an image's signatures are, "" when nothing says: then it is the default directory."""
    for section in _sections(registries, name):
        url = (write and section.staging) or section.lookaside
        if url:
            return url
    return ""


def attachments(registries: Registries, name: str) -> bool:
    """Whether sigstore signatures are looked for in the registry itself."""
    for section in _sections(registries, name):
        if section.attachments is not None:
            return section.attachments
    return False


def default_directory(env: Mapping[str, str] | None = None) -> str:
    """Where signatures are when registries.d says nothing."""
    if not who.rootless():
        return "/var/lib/containers/sigstore"
    home = who.home() if env is None else env["HOME"]
    return f"{home}/.local/share/containers/sigstore"


def explain(registries: Registries, name: str, sigstore: bool) -> str:
    """Where signatures of an image were looked for, as a hint."""
    if sigstore and not attachments(registries, name):
        return f"set use-sigstore-attachments: true for this registry in {registries.directory}, else none are looked for in it"
    if sigstore:
        return "looked for in the registry, at the tag sha256-DIGEST.sig"
    where = (lookaside(registries, name) or f"file://{default_directory()}").rstrip("/")
    return f"looked for below {where}/{reference.parse(name).path}@; a lookaside in {registries.directory} says otherwise"


def _sections(registries: Registries, name: str) -> list[Section]:
    """The narrowest first; what one does not say the next one may."""
    entries = dict(registries.scopes)
    return [*[entries[scope] for scope in scopes.named(name) if scope in entries], registries.default]


def _section(value: Any, where: str) -> Section:
    said: dict[str, Any] = {}
    for key, one in _mapping(value, where, set(_MEMBERS)).items():
        field = _MEMBERS[key]
        if not isinstance(one, bool if field == "attachments" else str):
            raise InvalidInput(f"{where}: {key} must be {'true or false' if field == 'attachments' else 'an URL'}")
        if field not in said or not key.startswith("sigstore"):  # the new name wins over the old one
            said[field] = one
    return Section(**said)


def _mapping(value: Any, where: str, known: set[str] | None = None) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidInput(f"{where} must be a mapping of names")
    for key in value:
        if known is not None and key not in known:
            raise InvalidInput(f"{where}: unknown key {key[:100]!r}", hint=f"known are {', '.join(sorted(known))}")
    return value


def _yaml(text: str, path: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{path} is not YAML: {' '.join(str(error).split())[:300]}") from None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="strict") as file:
            text = file.read(_MAX_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    if len(text) > _MAX_FILE:
        raise InvalidInput(f"{path} is longer than {_MAX_FILE} characters")
    return text
