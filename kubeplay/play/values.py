"""The data of a ConfigMap or Secret from a command line's literals, files and directories, as kubectl reads them."""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kube import names

MOST = 1 << 20  # VL2: bytes of all values together


def data_of(literals: Iterable[str], files: Iterable[str], env_files: Iterable[str], environment: Mapping[str, str]) -> dict[str, bytes]:
    """Key -> value. Raises InvalidInput (a key twice, or none that an object may have), NotFound."""
    made: dict[str, bytes] = {}
    for text in literals:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--from-literal {text}: must be KEY=VALUE")
        _add(made, key, value.encode("utf-8", "surrogateescape"))
    for text in files:
        for key, path in _files(text):
            _add(made, key, read(path))
    for path in env_files:
        for name, content in _variables(path, environment):
            _add(made, name, content)
    return made


def _add(made: dict[str, bytes], key: str, value: bytes) -> None:
    wrong = names.config_key(key)
    if wrong:
        raise InvalidInput(f"{key!r} is not a key that an object may have: {'; '.join(wrong)}", hint="give another one: KEY=FILE")
    if key in made:
        raise InvalidInput(f"the key {key!r} is given twice")
    made[key] = value
    if sum(map(len, made.values())) > MOST:
        raise InvalidInput(f"the values are larger than {MOST} bytes together, which no object may be")


def _files(text: str) -> list[tuple[str, str]]:
    """`KEY=FILE`, `FILE` with its own name as the key, or every plain file of a directory."""
    key, equals, path = text.partition("=")
    if equals:
        if not key or not path:
            raise InvalidInput(f"--from-file {text}: must be FILE, DIRECTORY or KEY=FILE")
        return [(key, path)]
    if not os.path.isdir(text):
        return [(os.path.basename(text), text)]
    found = sorted(entry.name for entry in os.scandir(text) if stat.S_ISREG(entry.stat().st_mode))
    return [(name, os.path.join(text, name)) for name in found if not names.config_key(name)]


def read(path: str) -> bytes:
    """A file, `-` being standard input, as far as an object could hold it. Raises NotFound, InvalidInput."""
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            data = file.read(MOST + 1)
    except FileNotFoundError as error:
        raise NotFound(f"{path}: there is no such file") from error
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    if len(data) > MOST:
        raise InvalidInput(f"{path} is larger than {MOST} bytes, which no object may be")
    return data


def _variables(path: str, environment: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Lines `KEY=VALUE`, or `KEY` with the value from the environment; `#` begins a comment line."""
    try:
        text = read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.lstrip()
        if not bare or bare.startswith("#"):
            continue
        key, equals, value = bare.partition("=")
        if names.env_name(key):
            raise InvalidInput(f"{path}:{number}: {key!r} is not the name of a variable")
        if not equals and key not in environment:
            continue  # as kubectl: one that is not set is left out
        found.append((key, (value if equals else environment[key]).encode("utf-8", "surrogateescape")))
    return found


def config_map(meta: Mapping[str, Any], data: Mapping[str, bytes], immutable: bool) -> dict[str, Any]:
    """The object; what is no text goes to `binaryData`."""
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, value in sorted(data.items()):
        try:
            text[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = b64encode(value).decode()
    made: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(meta)}
    made |= {name: values for name, values in (("data", text), ("binaryData", binary)) if values}
    return made | ({"immutable": True} if immutable else {})


def secret(meta: Mapping[str, Any], data: Mapping[str, bytes], immutable: bool, type_: str) -> dict[str, Any]:
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": dict(meta), "type": type_ or "Opaque"}
    made["data"] = {key: b64encode(value).decode() for key, value in sorted(data.items())}
    return made | ({"immutable": True} if immutable else {})
