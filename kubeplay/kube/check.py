"""The whole way in: from the bytes of a file to objects that a cluster would take.

Each document goes through what kubectl and the API server put before it, in their order: YAML, kind, decoding, unknown
fields, defaults, admission, validation; a layer that objects hides the later ones, for that document alone. All
documents are looked at, so that one run tells everything that is wrong with a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.errors import Fault, InvalidInput
from kubeplay.kube import admission, kinds
from kubeplay.kube.admission import Known
from kubeplay.kube.document import Document, Path, parse_path
from kubeplay.kube.kinds import Kind
from kubeplay.kube.load import scan, spread
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.kube.schema import Decoded

MODES = ("strict", "warn", "ignore")
_SERVER_SET = (
    *("resourceVersion", "uid", "creationTimestamp", "deletionTimestamp"),
    *("deletionGracePeriodSeconds", "selfLink", "managedFields", "generation"),
)
_TYPE_HINTS = {
    "apiVersion": "`apiVersion: v1` for pods, `apps/v1` for Deployments",
    "kind": "every document names its kind, as `kind: Pod`",
}


Rejected = tuple[Document, Kind]


class Manifest(Record):
    """An object of a file, checked and with its defaults."""

    document: Document
    kind: Kind
    object: dict[str, Any]
    warnings: tuple[str, ...] = ()


def read(data: bytes, source: str, *, mode: str = "strict", namespace: str = "default", known: Known | None = None) -> list[Manifest]:
    """The objects of a file; raises InvalidInput with every fault of the file.

    `namespace` is where objects go that name none; `known` are the objects outside of the file that admission asks for.
    """
    manifests, faults = inspect(data, source, mode=mode, namespace=namespace, known=known)
    if faults:
        raise InvalidInput(summary(source, faults), faults)
    return manifests


def inspect(
    data: bytes, source: str, *, mode: str = "strict", namespace: str = "default", known: Known | None = None, further: bool = False,
    rejected: list[Rejected] | None = None,
) -> tuple[list[Manifest], list[Fault]]:  # fmt: skip
    """As `read`, but giving back what is right beside what is wrong; the faults are in the order of the file.

    With `further` a document that cannot be decoded is looked at beyond that, as far as what is left of it goes: a person wants to mend
    a file once. The server stops there. Documents that are of a kind we take and wrong are added to `rejected`.
    """
    if mode not in MODES:
        raise InvalidInput(f"validation mode {mode!r} is none of {', '.join(MODES)}")
    import gc

    # Reading makes many small objects and no cycles: the collector's walks over them are a quarter of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _inspect(data, source, mode, namespace, known or Known(), further, [] if rejected is None else rejected)
    finally:
        if collecting:
            gc.enable()


def _inspect(
    data: bytes, source: str, mode: str, namespace: str, known: Known, further: bool, rejected: list[Rejected]
) -> tuple[list[Manifest], list[Fault]]:
    documents, faults = scan(data, source)
    objects, list_faults = spread(documents)
    faults += list_faults
    if not objects and not faults:
        faults.append(Fault("", "FieldValueRequired", "no objects in the input", "is the file empty, or all of it comments?", source, 1, 1))
    known = admission.with_file(known, objects, namespace)
    manifests: list[Manifest] = []
    for document in objects:
        found, wrong = _object(document, mode, namespace, known, further, rejected)
        faults += wrong
        if found is not None:
            manifests.append(found)
    return manifests, sorted(faults, key=lambda fault: fault.line)


def summary(source: str, faults: list[Fault]) -> str:
    """The first line of the error: how much is wrong, and whether it is only what we lack."""
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    if all(fault.reason == "NotSupported" for fault in faults):
        return f"{source}: not supported: {count}"
    return f"{source}: {count}"


def _object(
    document: Document, mode: str, namespace: str, known: Known, further: bool, rejected: list[Rejected]
) -> tuple[Manifest | None, list[Fault]]:
    kind, faults = _kind(document)
    if kind is None:
        return None, faults
    found, faults = _of_kind(document, kind, mode, namespace, known, further)
    if found is None:
        rejected.append((document, kind))
    return found, faults


def _of_kind(
    document: Document, kind: Kind, mode: str, namespace: str, known: Known, further: bool
) -> tuple[Manifest | None, list[Fault]]:
    from kubeplay.kube import defaults, schema
    from kubeplay.kube.validate import validate
    from kubeplay.kube.validate.report import SERVICE_RANGE

    decoded = schema.decode(document, kind, mode)
    if decoded.faults:
        return None, decoded.faults + (_further(document, kind, decoded, namespace, known) if further else [])
    prepared = _prepare(decoded.object, kind, namespace)
    faults = admission.admit(prepared, kind, known)
    if faults and not further:
        return None, located(faults, document)
    result = defaults.apply(prepared, kind)
    faults += validate(result, kind, service_range=known.service_range or SERVICE_RANGE)
    if faults:
        return None, located(faults, document)
    warnings = tuple(str(fault) for fault in decoded.warnings)
    return Manifest(document, kind, result, warnings), []


def _further(document: Document, kind: Kind, decoded: Decoded, namespace: str, known: Known) -> list[Fault]:
    """What else is wrong with a document that does not decode, less what follows from its not decoding."""
    from kubeplay.kube import defaults
    from kubeplay.kube.validate import validate
    from kubeplay.kube.validate.report import SERVICE_RANGE

    prepared = _prepare(_present(decoded.object), kind, namespace)
    found = admission.admit(prepared, kind, known)
    found += validate(defaults.apply(prepared, kind), kind, service_range=known.service_range or SERVICE_RANGE)
    before = [*decoded.faults, *decoded.hidden]
    return [*decoded.hidden, *[fault for fault in located(found, document) if not any(_follows(fault, other) for other in before)]]


def _follows(fault: Fault, cause: Fault) -> bool:
    """Whether a fault is about what another one took away: the same value, or a field that is missing where one is misspelt."""
    if fault.reason == "FieldValueRequired" and fault.path.rpartition(".")[0] == cause.path.rpartition(".")[0]:
        return True
    inner, outer = sorted((fault.path, cause.path), key=len, reverse=True)
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))


def _present(value: Any) -> Any:
    """A decoded value without the fields whose values were faulty."""
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items() if item is not None}
    return [_present(item) for item in value] if isinstance(value, list) else value


def _prepare(obj: dict[str, Any], kind: Kind, namespace: str) -> dict[str, Any]:
    """The object as the request carries it: its namespace set, what a create drops dropped."""
    metadata = dict(obj.get("metadata") or {})
    # kubectl create drops it; the others are the server's to set (VL9).
    for field in _SERVER_SET:
        metadata.pop(field, None)
    if not kind.namespaced:
        metadata.pop("namespace", None)
    elif not metadata.get("namespace"):
        metadata["namespace"] = namespace
    prepared = {**obj, "metadata": metadata}
    prepared.pop("status", None)
    return prepared


def _kind(document: Document) -> tuple[Kind | None, list[Fault]]:
    """The kind of a document, or why it has none that we take."""
    faults = [fault for field in ("apiVersion", "kind") if (fault := _type_meta(document, field)) is not None]
    if faults:
        return None, faults
    api_version, name = document.value["apiVersion"], document.value["kind"]
    kind = kinds.find(api_version, name)
    if kind is None:
        hint = kinds.hint(api_version, name)
        path = "apiVersion" if any(entry.kind == name for entry in kinds.table().values()) else "kind"
        return None, [_fault(document, (path,), "FieldValueInvalid", f'no kind "{name}" in version "{api_version}"', hint)]
    if kind.support != "slice":
        message = f"the kind {name} is not supported yet"
        return None, [_fault(document, ("kind",), "NotSupported", message, "see docs/support-matrix.md for what kubeplay runs")]
    return kind, []


def _type_meta(document: Document, field: str) -> Fault | None:
    value = document.value.get(field)
    if value is None or value == "":
        return _fault(document, (field,), "FieldValueRequired", f"{field} not set", _TYPE_HINTS[field])
    if not isinstance(value, str):
        return _fault(document, (field,), "FieldValueTypeInvalid", f"{field} must be a string", "")
    return None


def _fault(document: Document, path: Path, reason: str, message: str, hint: str) -> Fault:
    line, column = document.positions.at(path)
    return Fault(".".join(map(str, path)), reason, message, hint, document.source, line, column, document.index)


def located(faults: list[Fault], document: Document) -> list[Fault]:
    """The faults with the place in the file that their paths mean."""
    found = []
    for fault in faults:
        steps = parse_path(fault.path, document.value)
        metadata = document.value.get("metadata")
        if steps and steps[0] not in document.value and isinstance(metadata, dict) and steps[0] in metadata:
            # A few of the server's paths leave out `metadata.`.
            steps = ("metadata", *parse_path(fault.path, metadata))
        line, column = document.positions.at(steps)
        found.append(fault._replace(source=document.source, line=line, column=column, document=document.index))
    return found
