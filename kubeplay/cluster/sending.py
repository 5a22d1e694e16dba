"""Files as the objects to send: read whole, put into their namespaces, refused where a cluster would surely refuse. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.errors import Fault, InvalidInput
from kubeplay.kube import check, kinds
from kubeplay.kube.document import Document
from kubeplay.kube.portable.model import PLACEHOLDER
from kubeplay.record import Record

Object = dict[str, Any]
Source = tuple[str, bytes]
# what others need to be there: everything else keeps the order of the files, as with kubectl
_FIRST = ("CustomResourceDefinition", "Namespace")


class Item(Record):
    """An object to send and where it was read: `where` is FILE:LINE."""

    object: Object
    where: str

    @property
    def api_version(self) -> str:
        return str(self.object["apiVersion"])

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.object["metadata"].get("namespace") or "")


def items(texts: Sequence[Source], namespace: str = "") -> list[Item]:
    """The objects of all files. `namespace` is -n's: a document that names another is refused, as by kubectl.

    Raises InvalidInput with every fault of every file.
    """
    found: list[Item] = []
    faults: list[Fault] = []
    for source, data in texts:
        documents, wrong = check.objects_of(data, source)
        faults += wrong
        for document in documents:
            bad = _wrong(document, namespace)
            faults += bad
            if not bad:
                found.append(_item(document))
    if faults:
        raise InvalidInput(f"invalid: {len(faults)} fault{'s' if len(faults) > 1 else ''}, nothing was sent", faults)
    return sorted(found, key=lambda item: _FIRST.index(item.kind) if item.kind in _FIRST else len(_FIRST))


def _item(document: Document) -> Item:
    line, _ = document.positions.at(())
    body = {key: value for key, value in document.value.items() if key != "status"}
    meta = {key: value for key, value in body["metadata"].items() if value is not None}
    return Item({**body, "metadata": meta}, f"{document.source}:{line}")


def _wrong(document: Document, namespace: str) -> list[Fault]:
    value, found = document.value, list[Fault]()

    def fault(path: tuple[str, ...], reason: str, message: str, hint: str = "") -> None:
        line, column = document.positions.at(path)
        found.append(Fault(".".join(path), reason, message, hint, document.source, line, column, document.index))

    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            fault((field,), "FieldValueRequired", f"{field} not set")
    meta = value.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str) or not meta["name"]:
        hint = "apply needs to know which object is meant" if isinstance(meta, dict) and meta.get("generateName") else ""
        fault(("metadata", "name"), "FieldValueRequired", "name is required", hint)
        return found
    if meta.get("managedFields"):
        fault(("metadata", "managedFields"), "FieldValueForbidden", "must not be set by who applies", "leave it out")
    own = meta.get("namespace")
    if namespace and own and own != namespace:
        message = f'the object is of namespace "{own}", which is not the "{namespace}" that was asked for'
        fault(("metadata", "namespace"), "FieldValueInvalid", message, f"say --namespace {own}, or leave one of them out")
    data = value.get("data")
    if value.get("kind") == "Secret" and isinstance(data, dict) and PLACEHOLDER in data.values():
        message = "values were left out when this file was written"
        fault(("data",), "FieldValueInvalid", message, "fill them in, or generate again with --show-secrets")
    return found


def checked(texts: Sequence[Source], namespace: str) -> list[Fault]:
    """What the API server of 1.36 would find wrong with the objects of kinds that we know: all that --dry-run=client can say."""
    faults: list[Fault] = []
    for source, data in texts:
        found = check.inspect(data, source, mode="strict", namespace=namespace or "default")
        faults += [fault for fault in found.faults if not _unknown(fault)]
    return faults


def _unknown(fault: Fault) -> bool:
    """A kind that we do not run, or know nothing of, may be one that the cluster serves."""
    return fault.reason == "NotSupported" or (fault.path in ("kind", "apiVersion") and fault.reason == "FieldValueInvalid")


def title(item: Item) -> str:
    """`deployment.apps/web` where nobody has asked the cluster."""
    kind = kinds.find(item.api_version, item.kind)
    group = kind.group if kind else item.api_version.rpartition("/")[0]
    return f"{item.kind.lower()}{f'.{group}' if group else ''}/{item.name}"
