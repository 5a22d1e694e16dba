"""YAML as kustomize reads it: `y`, `no` and `on` are texts there, where kubectl takes them for booleans (YAML 1.2, not 1.1)."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import Fault
from kubeplay.kube import load
from kubeplay.kube.compose import compose
from kubeplay.kube.document import Document
from kubeplay.kube.scalars import resolve

_TEXTS = frozenset(form for word in ("y", "yes", "on", "n", "no", "off") for form in (word, word.capitalize(), word.upper()))


def words(text: str) -> object:
    """The value of a plain scalar."""
    return text if text in _TEXTS else resolve(text)


def scan(data: bytes, source: str) -> tuple[list[Document], list[Fault]]:
    """The documents of a file, and the faults of those that could not be read."""
    return load.scan(data, source, words)


def objects(data: bytes, source: str) -> list[Document]:
    """The documents of a file, then the items of its lists. Raises InvalidInput with every fault."""
    documents = load.load(data, source, words)
    return load.flatten(sorted(documents, key=lambda document: str(document.value.get("kind")).endswith("List")))


def value(data: bytes) -> Any:
    """The value of one document of any form. Raises BadYaml, yaml.YAMLError."""
    return compose(data, words)[0]
