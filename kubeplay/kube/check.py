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
    from collections.abc import Sequence

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


class Manifest(Record):
    """An object of a file, checked and with its defaults."""

    document: Document
    kind: Kind
    object: dict[str, Any]
    warnings: tuple[str, ...] = ()


class Inspection(Record):
    """What a file holds: objects that a cluster would take, every fault in the order of the file, and the documents of a kind we run
    that are not taken. `skipped` are those of kinds that we do not run, where the caller is lenient."""

    manifests: tuple[Manifest, ...]
    faults: tuple[Fault, ...]
    rejected: tuple[tuple[Document, Kind], ...] = ()
    skipped: tuple[Fault, ...] = ()


def read(data: bytes, source: str, *, mode: str = "strict", namespace: str = "default", known: Known | None = None) -> list[Manifest]:
    """The objects of a file; raises InvalidInput with every fault of the file.

    `namespace` is where objects go that name none; `known` are the objects outside of the file that admission asks for.
    """
    found = inspect(data, source, mode=mode, namespace=namespace, known=known)
    if found.faults:
        raise InvalidInput(summary(source, found.faults), found.faults)
    return list(found.manifests)


def inspect(
    data: bytes, source: str, *, mode: str = "strict", namespace: str = "default", known: Known | None = None, further: bool = False
) -> Inspection:
    """As `read`, but giving back what is right beside what is wrong.

    With `further` a document that cannot be decoded is looked at beyond that, as far as what is left of it goes: a person wants to mend
    a file once. The server stops there.
    """
    if mode not in MODES:
        raise InvalidInput(f"validation mode {mode!r} is none of {', '.join(MODES)}")
    import gc

    # Reading makes many small objects and no cycles: the collector's walks over them are a quarter of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _inspect(data, source, mode, namespace, known or Known(), further)
    finally:
        if collecting:
            gc.enable()


def _inspect(data: bytes, source: str, mode: str, namespace: str, known: Known, further: bool) -> Inspection:
    objects, faults = objects_of(data, source)
    known = admission.with_file(known, objects, namespace)
    manifests: list[Manifest] = []
    rejected: list[tuple[Document, Kind]] = []
    skipped: list[Fault] = []
    for document in objects:
        kind, wrong = kind_of(document)
        if kind is None and mode != "strict" and _foreign(document):
            skipped += wrong
            continue
        if kind is not None:
            found, wrong = _checked(document, kind, mode, namespace, known, further)
            manifests += found
            rejected += [] if found else [(document, kind)]
        faults += wrong
    return Inspection(tuple(manifests), tuple(sorted(faults, key=lambda fault: fault.line)), tuple(rejected), tuple(skipped))


def _foreign(document: Document) -> bool:
    """Whether it is of a kind that we do not run, rather than one of ours that is misspelt in its version."""
    api_version, name = document.value.get("apiVersion"), document.value.get("kind")
    if not (isinstance(api_version, str) and isinstance(name, str) and api_version and name):
        return False
    return not any(entry.kind == name and entry.support == "slice" for entry in kinds.table().values())


def objects_of(data: bytes, source: str) -> tuple[list[Document], list[Fault]]:
    """The documents of a file, lists spread out."""
    documents, faults = scan(data, source)
    objects, list_faults = spread(documents)
    faults += list_faults
    if not objects and not faults:
        faults.append(Fault("", "FieldValueRequired", "no objects in the input", "is the file empty, or all of it comments?", source, 1, 1))
    return objects, faults


def summary(source: str, faults: Sequence[Fault]) -> str:
    """The first line of the error: how much is wrong, and whether it is only what we lack."""
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    if all(fault.reason == "NotSupported" for fault in faults):
        return f"{source}: not supported: {count}"
    return f"{source}: {count}"


def _checked(
    document: Document, kind: Kind, mode: str, namespace: str, known: Known, further: bool
) -> tuple[list[Manifest], list[Fault]]:
    """The document's manifest, or every fault that hides none before it."""
    from kubeplay.kube import defaults, schema
    from kubeplay.kube.validate import validate
    from kubeplay.kube.validate.report import SERVICE_RANGE

    decoded = schema.decode(document, kind, mode)
    if decoded.faults and not further:
        return [], decoded.faults
    prepared = _prepare(_present(decoded.object) if decoded.faults else decoded.object, kind, namespace)
    faults, result = admission.admit(prepared, kind, known), prepared
    if further or not faults:
        result = defaults.apply(prepared, kind)
        faults += validate(result, kind, service_range=known.service_range or SERVICE_RANGE)
    if decoded.faults:
        return [], _beside(decoded, located(faults, document))
    if faults:
        return [], located(faults, document)
    return [Manifest(document, kind, result, tuple(str(fault) for fault in decoded.warnings))], []


def _beside(decoded: Decoded, found: list[Fault]) -> list[Fault]:
    """The faults of a document that does not decode, and those `found` in what is left of it that do not follow from them."""
    before = [*decoded.faults, *decoded.hidden]
    return [*before, *[fault for fault in found if not any(_follows(fault, other) for other in before)]]


def _follows(fault: Fault, cause: Fault) -> bool:
    """Whether a fault is about what another one took away: the same value, or a field that is missing where one is misspelt."""
    above, _, misplaced = cause.path.rpartition(".")
    if fault.reason == "FieldValueRequired" and fault.path.rpartition(".")[0] == above:
        return True
    if fault.reason == "FieldValueRequired" and fault.path.startswith(f"{above}.") and misplaced in fault.path[len(above) :].split("."):
        return True  # what is missing stands one level too high
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


def kind_of(document: Document) -> tuple[Kind | None, list[Fault]]:
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
