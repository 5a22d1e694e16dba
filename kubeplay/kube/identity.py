"""Which objects a file names, however wrong the rest of it is: apiVersion, kind, namespace and name.

Who removes what a file once described, as `kubectl delete -f` does, must be able to after the file was edited into something that
no cluster would take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.errors import Fault
from kubeplay.kube import names
from kubeplay.kube.check import kind_of, located, objects_of
from kubeplay.kube.document import Document
from kubeplay.kube.kinds import Kind
from kubeplay.record import Record


class Identity(Record):
    """`name` is "" where only `prefix`, a generateName, is given; `at` the object's number in all files."""

    kind: str
    namespace: str
    name: str
    prefix: str = ""
    at: int = 0


class Identities(Record):
    """What a file names; `faults` say which documents name nothing, `skipped` which are of kinds that we never run."""

    found: tuple[Identity, ...]
    faults: tuple[Fault, ...]
    skipped: tuple[Fault, ...]


def identify(texts: Sequence[tuple[str, bytes]], namespace: str = "default") -> Identities:
    """The objects that files, pairs of name and content, name; `namespace` is where those are that name none."""
    found: list[Identity] = []
    faults: list[Fault] = []
    skipped: list[Fault] = []
    at = 0
    for source, data in texts:
        documents, unread = objects_of(data, source)
        wrong = list(unread)
        for document in documents:
            named, why = _of_document(document, namespace, at)
            found += named
            (skipped if why and all(fault.reason == "NotSupported" for fault in why) else wrong).extend(why)
            at += 1
        faults += sorted(wrong, key=lambda fault: fault.line)
    return Identities(tuple(found), tuple(faults), tuple(skipped))


def _of_document(document: Document, namespace: str, at: int) -> tuple[list[Identity], list[Fault]]:
    kind, wrong = kind_of(document)
    if kind is None:
        return [], wrong
    wrong = _faults(document)
    return ([], located(wrong, document)) if wrong else ([_identity(document.value["metadata"], kind, namespace, at)], [])


def _identity(metadata: dict[str, Any], kind: Kind, namespace: str, at: int) -> Identity:
    where = (metadata.get("namespace") or namespace) if kind.namespaced else ""
    name = metadata.get("name") or ""
    return Identity(kind.kind, where, name, "" if name else metadata["generateName"], at)


def _faults(document: Document) -> list[Fault]:
    """Why the document's metadata name no object."""
    metadata = document.value.get("metadata")
    if not isinstance(metadata, dict):
        return [Fault("metadata", "FieldValueRequired", "no metadata, so no name")]
    texts: dict[str, Any] = {field: metadata.get(field) for field in ("namespace", "name", "generateName")}
    found = [
        Fault(f"metadata.{field}", "FieldValueTypeInvalid", f"{field} must be a string")
        for field, text in texts.items() if text is not None and not isinstance(text, str)
    ]  # fmt: skip
    if found:
        return found
    if not texts["name"] and not texts["generateName"]:
        return [Fault("metadata.name", "FieldValueRequired", "name or generateName is required")]
    return [
        Fault(f"metadata.{field}", "FieldValueInvalid", f"no object has this {field}: {why}")
        for field, rule in (("namespace", names.dns_label), ("name", names.dns_subdomain))
        for why in (rule(texts[field]) if texts[field] else ())
    ]
