"""ConfigMap, Secret and Namespace (VL2)."""

from __future__ import annotations

from kubeplay.kube import names
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.report import Faults, Object

# [T: core/v1 MaxSecretSize] for the values of one object.
SIZE_MAX = 1024 * 1024
_JSON_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}
_ACCOUNT = "kubernetes.io/service-account.name"


def config_map(faults: Faults, obj: Object) -> None:
    """A ConfigMap."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        faults.each(f"data[{key}]", key, names.config_key(key))
        if key in binary:
            faults.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len((value or "").encode("utf-8", "surrogatepass"))
    for key, value in binary.items():
        faults.each(f"binaryData[{key}]", key, names.config_key(key))
        size += decoded_size(value)
    if size > SIZE_MAX:
        faults.too_long("", SIZE_MAX, f"the values are {size} bytes")


def secret(faults: Faults, obj: Object) -> None:
    """A Secret, whose type may ask for keys."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    data, size = obj.get("data") or {}, 0
    for key, value in data.items():
        faults.each(f"data[{key}]", key, names.config_key(key))
        size += decoded_size(value)
    if size > SIZE_MAX:
        faults.too_long("data", SIZE_MAX, f"the values are {size} bytes")
    _typed(faults, obj, data)


def decoded_size(text: str | None) -> int:
    """Bytes in a base64 text, line breaks allowed."""
    bare = (text or "").replace("\n", "").replace("\r", "")
    return len(bare) // 4 * 3 - bare[-2:].count("=")


def _typed(faults: Faults, obj: Object, data: dict[str, str]) -> None:
    kind = obj.get("type") or "Opaque"
    if kind in _JSON_KEYS:
        _docker(faults, _JSON_KEYS[kind], data)
    elif kind == "kubernetes.io/service-account-token":
        if not (obj["metadata"].get("annotations") or {}).get(_ACCOUNT):
            faults.required(f"metadata.annotations[{_ACCOUNT}]")
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            faults.required("data[username]")
            faults.required("data[password]")
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            faults.required("data[ssh-privatekey]")
    elif kind == "kubernetes.io/tls":
        for key in ("tls.crt", "tls.key"):
            if key not in data:
                faults.required(f"data[{key}]")


def _docker(faults: Faults, key: str, data: dict[str, str]) -> None:
    """The content must be a JSON object; it is never repeated in the message."""
    if key not in data:
        faults.required(f"data[{key}]")
        return
    import json
    from base64 import b64decode

    problem = ""
    try:
        content = json.loads(b64decode(data[key] or ""))
    except ValueError as error:
        problem = f"not JSON at character {getattr(error, 'pos', 0)}" if isinstance(error, json.JSONDecodeError) else "not JSON text"
    else:
        if content is not None and not isinstance(content, dict):
            problem = "not a JSON object"
    if problem:
        faults.invalid(f"data[{key}]", "<secret contents redacted>", problem)


def namespace(faults: Faults, obj: Object) -> None:
    """A Namespace."""
    metadata.check(faults, obj["metadata"], names.dns_label, namespaced=False)
    for name in (obj.get("spec") or {}).get("finalizers") or []:
        faults.each("spec.finalizers", name, names.qualified(name))
        if "/" not in name and name not in ("kubernetes", "orphan", "foregroundDeletion"):
            faults.invalid("spec.finalizers", name, "name is neither a standard finalizer name nor is it fully qualified")
