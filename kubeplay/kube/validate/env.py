"""env and envFrom of a container, and the field references volumes share with them (EN4, DA1-DA3)."""

from __future__ import annotations

from kubeplay.errors import InvalidInput
from kubeplay.kube import labels, names, quantity
from kubeplay.kube.validate import paths
from kubeplay.kube.validate.report import Faults, Object, record, records

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KNOWN_FIELDS = frozenset((*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase"))
_RESOURCES = ("limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory")
_HUGE = ("limits.hugepages-", "requests.hugepages-")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SUBSCRIPTED = ("metadata.annotations", "metadata.labels")


def check_env(faults: Faults, path: str, container: Object) -> None:
    """`env`."""
    for index, entry in enumerate(records(container, "env")):
        at, name = f"{path}[{index}]", entry.get("name") or ""
        if not name:
            faults.required(f"{at}.name")
        else:
            faults.each(f"{at}.name", name, names.env_name(name))
        source = record(entry, "valueFrom")
        if source is not None:
            _source(faults, f"{at}.valueFrom", entry, source)


def _source(faults: Faults, path: str, entry: Object, source: Object) -> None:
    count = 0
    for field, check in _SOURCES:
        value = record(source, field)
        if value is not None:
            count += 1
            check(faults, f"{path}.{field}", value)
    if not count:
        faults.invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")
    elif entry.get("value"):
        faults.invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        faults.invalid(path, "", "may not have more than one field specified at a time")


def _env_field(faults: Faults, path: str, ref: Object) -> None:
    field_ref(faults, path, ref, ENV_FIELDS)


def _env_resource(faults: Faults, path: str, ref: Object) -> None:
    resource_ref(faults, path, ref, volume=False)


def _key_ref(faults: Faults, path: str, ref: Object) -> None:
    if not ref.get("name"):
        faults.required(f"{path}.name")
    key = ref.get("key") or ""
    if not key:
        faults.required(f"{path}.key")
    else:
        faults.each(f"{path}.key", key, names.config_key(key))


def _file_ref(faults: Faults, path: str, ref: Object) -> None:
    for field in ("volumeName", "path", "key"):
        if not ref.get(field):
            faults.required(f"{path}.{field}")
    if ref.get("volumeName"):
        faults.each(f"{path}.volumeName", ref["volumeName"], names.dns_label(ref["volumeName"]))
    if ref.get("path"):
        paths.inside_not_reserved(faults, f"{path}.path", ref["path"])
    if ref.get("key"):
        faults.each(f"{path}.key", ref["key"], names.env_name(ref["key"]))


_SOURCES = (
    ("fieldRef", _env_field),
    ("resourceFieldRef", _env_resource),
    ("configMapKeyRef", _key_ref),
    ("secretKeyRef", _key_ref),
    ("fileKeyRef", _file_ref),
)


def check_env_from(faults: Faults, path: str, container: Object) -> None:
    """`envFrom`; its faults name the list, not the entry, as the server's do."""
    for index, entry in enumerate(records(container, "envFrom")):
        prefix = entry.get("prefix") or ""
        if prefix:
            faults.each(f"{path}[{index}].prefix", prefix, names.env_name(prefix))
        count = 0
        for field in ("configMapRef", "secretRef"):
            ref = record(entry, field)
            if ref is not None:
                count += 1
                if not ref.get("name"):
                    faults.required(f"{path}[{index}].{field}.name")
        if not count:
            faults.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif count > 1:
            faults.invalid(path, "", "may not have more than one field specified at a time")


def check_files(faults: Faults, path: str, spec: Object) -> None:
    """A file of variables must be in an emptyDir of the pod."""
    kinds = {volume.get("name"): volume for volume in records(spec, "volumes")}
    for field in ("containers", "initContainers"):
        for place, container in enumerate(records(spec, field)):
            for index, entry in enumerate(records(container, "env")):
                ref = record(record(entry, "valueFrom"), "fileKeyRef")
                name = (ref or {}).get("volumeName")
                if not name:
                    continue
                at = f"{path}.{field}[{place}].env[{index}].valueFrom.fileKeyRef.volumeName"
                if name not in kinds:
                    faults.not_found(at, name)
                elif record(kinds[name], "emptyDir") is None:
                    faults.invalid(at, name, "referenced volume must be of type emptyDir")


def field_ref(faults: Faults, path: str, ref: Object, fields: tuple[str, ...]) -> None:
    """fieldRef, of a variable or of a volume's item."""
    version, text = ref.get("apiVersion") or "", ref.get("fieldPath") or ""
    if not version:
        faults.required(f"{path}.apiVersion")
        return
    if not text:
        faults.required(f"{path}.fieldPath")
        return
    base, subscript = subscripted(text)
    at = f"{path}.fieldPath"
    problem = _conversion(version, text, base)
    if problem:
        hint = (
            f"write {text[: text.index('.', 9)]}['{text[text.index('.', 9) + 1 :]}']"
            if text.startswith(tuple(f"{s}." for s in _SUBSCRIPTED))
            else ""
        )
        faults.invalid(at, text, f"error converting fieldPath: {problem}", hint)
    elif subscript is not None:
        rule = labels.annotation_key if base == "metadata.annotations" else labels.key
        faults.each(path, subscript, rule(subscript))
    elif text not in fields:
        faults.unsupported(at, text, fields)


def subscripted(text: str) -> tuple[str, str | None]:
    """`metadata.labels['k']` as ("metadata.labels", "k")."""
    if not text.endswith("']"):
        return text, None
    base, opened, rest = text[:-2].partition("['")
    return (base, rest) if opened and base else (text, None)


def _conversion(version: str, text: str, base: str) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if base != text:
        return "" if base in _SUBSCRIPTED else f"field label does not support subscript: {text}"
    return "" if text in _KNOWN_FIELDS or text == "spec.host" else f"field label not supported: {text}"


def resource_ref(faults: Faults, path: str, ref: Object, *, volume: bool) -> None:
    """resourceFieldRef (DA3); a container that does not exist is not the server's concern."""
    resource = ref.get("resource") or ""
    if volume and not ref.get("containerName"):
        faults.required(f"{path}.containerName")
    elif not resource:
        faults.required(f"{path}.resource")
    elif resource not in _RESOURCES and not resource.startswith(_HUGE):
        faults.unsupported(f"{path}.resource", resource, _RESOURCES)
    _divisor(faults, f"{path}.divisor", resource, ref.get("divisor"))


def _divisor(faults: Faults, path: str, resource: str, text: object) -> None:
    try:
        amount = quantity.parse(text if isinstance(text, (str, int, float)) else None)
    except InvalidInput as error:
        faults.invalid(path, text, error.message)
        return
    if not amount.nanos:
        return
    shown = amount.canonical()
    if resource in ("limits.cpu", "requests.cpu"):
        if shown not in ("1", "1m"):
            faults.invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource")
    elif (resource in _RESOURCES or resource.startswith(_HUGE)) and shown not in _BYTE_DIVISORS:
        what = "memory" if resource.endswith("memory") else "hugepages" if "hugepages" in resource else "local ephemeral storage"
        faults.invalid(path, resource, f"only divisor's values {', '.join(_BYTE_DIVISORS)} are supported with the {what} resource")
