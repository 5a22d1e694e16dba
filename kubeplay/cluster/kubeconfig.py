"""The user's kubeconfig files as one: read within bounds, merged as kubectl documents it, nothing run and nothing contacted.

"Organizing Cluster Access Using kubeconfig Files" (kubernetes.io) has the rules: KUBECONFIG is a list, files that are missing are passed
over, the first file that names a cluster, user or context has it whole, and relative paths start at the file that holds them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from kubeplay.errors import Fault, InvalidInput, NotFound
from kubeplay.kube import load
from kubeplay.kube.document import Document, Path
from kubeplay.record import Record

MAX_BYTES = 16 << 20  # some 6 KiB a cluster with its certificates: two thousand of them
MAX_FILES = 100
_LISTS = (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))


class Entry(Record):
    """A named cluster, user or context; `directory` is where its relative paths start, `where` is FILE:LINE for messages."""

    name: str
    value: dict[str, Any]
    directory: str
    where: str


class Kubeconfig(Record):
    """All files merged. `files` are those that were read."""

    clusters: dict[str, Entry]
    users: dict[str, Entry]
    contexts: dict[str, Entry]
    current: str
    files: tuple[str, ...]


def places(env: Mapping[str, str], given: str = "") -> tuple[str, ...]:
    """The files to read: `given` (--kubeconfig), else those of KUBECONFIG, else ~/.kube/config; each once."""
    if given:
        return (given,)
    listed = [path for path in env.get("KUBECONFIG", "").split(":") if path]
    if listed:
        return tuple(dict.fromkeys(listed))
    home = env.get("HOME") or os.path.expanduser("~")
    return (f"{home}/.kube/config",)


def read(env: Mapping[str, str], given: str = "") -> Kubeconfig:
    """The user's kubeconfig. Raises NotFound when there is no file at all, InvalidInput with every fault of one that cannot be used."""
    paths = places(env, given)
    if len(paths) > MAX_FILES:
        raise InvalidInput(f"KUBECONFIG names {len(paths)} files, more than {MAX_FILES}")
    found = [(path, data) for path in paths if (data := _bytes(path)) is not None]
    if not found:
        hint = "give one with --kubeconfig FILE or KUBECONFIG; clusters' own tools write one, as `kind export kubeconfig`"
        raise NotFound(f"no kubeconfig: {', '.join(paths)} {'is' if len(paths) == 1 else 'are'} not there", hint=hint)
    return merge([(path, _documents(data, path)) for path, data in found])


def merge(files: Sequence[tuple[str, Sequence[Document]]]) -> Kubeconfig:
    """The documents of several files as one configuration, the first that names something has it. Raises InvalidInput."""
    made = Kubeconfig({}, {}, {}, "", tuple(path for path, _ in files))
    current, faults = "", list[Fault]()
    for path, documents in files:
        for document in documents:
            faults += _take(document, path, made)
            given = document.value.get("current-context")
            if isinstance(given, str):
                current = current or given
    if faults:
        raise InvalidInput(f"the kubeconfig cannot be used: {len(faults)} fault{'s' if len(faults) > 1 else ''}", faults)
    return made._replace(current=current)


def _take(document: Document, path: str, into: Kubeconfig) -> list[Fault]:
    kind = document.value.get("kind")
    if kind not in (None, "", "Config"):
        return [_fault(document, ("kind",), f"kind: {str(kind)[:60]} is no kubeconfig, which is of `kind: Config`")]
    faults = []
    directory = os.path.dirname(os.path.abspath(path))
    for field, inner in _LISTS:
        table: dict[str, Entry] = getattr(into, field)
        items = document.value.get(field)
        if not isinstance(items, (list, type(None))):
            faults.append(_fault(document, (field,), "must be a list"))
            continue
        for number, item in enumerate(items or ()):
            at: Path = (field, number)
            if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
                faults.append(_fault(document, at, "must be a mapping with a name"))
            elif not isinstance(item.get(inner), (dict, type(None))):
                faults.append(_fault(document, (*at, inner), "must be a mapping"))
            else:
                where = f"{path}:{document.positions.at(at)[0]}"
                table.setdefault(item["name"], Entry(item["name"], item.get(inner) or {}, directory, where))
    return faults


def _fault(document: Document, path: Path, message: str) -> Fault:
    from kubeplay.kube.document import path_text

    line, column = document.positions.at(path)
    return Fault(path_text(path), "FieldValueTypeInvalid", message, "", document.source, line, column, document.index)


def _documents(data: bytes, path: str) -> list[Document]:
    return load.load(data, path) if data.strip() else []


def _bytes(path: str) -> bytes | None:
    """A file's content; None where there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{path}: larger than {MAX_BYTES >> 20} MiB, which is no kubeconfig")
    return data
