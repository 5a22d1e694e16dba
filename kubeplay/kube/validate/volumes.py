"""`volumes` of a pod (VO1-VO14)."""

from __future__ import annotations

from kubeplay.kube import names
from kubeplay.kube.validate import claim, env, paths
from kubeplay.kube.validate.report import Faults, Object, record, records
from kubeplay.kube.validate.volumes_remote import REMOTE

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_HOST_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_ONE_TYPE = "may not specify more than 1 volume type"
# The order in which the server looks: the second source found is the one at fault.
_ORDER = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
]


def check(faults: Faults, path: str, spec: Object, pod_name: str, *, is_pod: bool) -> dict[str, Object]:
    """All volumes; returns the faultless ones by name, the only ones a mount can name."""
    good: dict[str, Object] = {}
    volumes = records(spec, "volumes")
    made = {f"{pod_name}-{v.get('name')}" for v in volumes if record(v, "ephemeral") is not None} if pod_name else set()
    for index, volume in enumerate(volumes):
        at, name = f"{path}[{index}]", volume.get("name") or ""
        before = len(faults)
        _sources(faults, at, volume, is_pod)
        if not name:
            faults.required(f"{at}.name")
        else:
            faults.each(f"{at}.name", name, names.dns_label(name))
        if name in good:
            faults.duplicate(f"{at}.name", name)
        if len(faults) == before:
            good[name] = volume
        used = (record(volume, "persistentVolumeClaim") or {}).get("claimName")
        if used and used in made:
            faults.invalid(
                f"{at}.persistentVolumeClaim.claimName", used, "must not reference a PVC that gets created for an ephemeral volume"
            )
    return good


def _sources(faults: Faults, path: str, volume: Object, is_pod: bool) -> None:
    found = [field for field in _ORDER if record(volume, field) is not None]
    if not found:
        faults.required(path, "must specify a volume type")
        return
    first = found[0]
    source = volume[first]
    if first == "image":
        _image(faults, f"{path}.image", source, is_pod)
    elif first in _LOCAL:
        _LOCAL[first](faults, f"{path}.{first}", source)
    elif first in REMOTE:
        REMOTE[first](faults, f"{path}.{first}", source)
    for other in found[1:]:
        faults.forbidden(f"{path}.{other}", _ONE_TYPE)


def _empty_dir(faults: Faults, path: str, source: Object) -> None:
    size = source.get("sizeLimit")
    if isinstance(size, str) and size.startswith("-"):
        faults.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def host_path(faults: Faults, path: str, source: Object) -> None:
    text = source.get("path") or ""
    if not text:
        faults.required(f"{path}.path")
    else:
        paths.no_steps_back(faults, f"{path}.path", text)
    if (source.get("type") or "") not in _HOST_TYPES:
        faults.unsupported(f"{path}.type", source["type"], _HOST_TYPES)


def _mode(faults: Faults, path: str, mode: object) -> None:
    if isinstance(mode, int) and not 0 <= mode <= 0o777:
        octal = str(mode)
        fits = octal.isdecimal() and len(octal) == 3 and set(octal) <= set("01234567")
        faults.invalid(path, mode, _MODE, f"write 0{octal} for octal" if fits else "")


def _items(faults: Faults, path: str, source: Object) -> None:
    for index, item in enumerate(records(source, "items")):
        at = f"{path}.items[{index}]"
        if not item.get("key"):
            faults.required(f"{at}.key")
        if not item.get("path"):
            faults.required(f"{at}.path")
        paths.inside_not_reserved(faults, f"{at}.path", item.get("path") or "")
        _mode(faults, f"{at}.mode", item.get("mode"))


def _keyed(faults: Faults, path: str, source: Object, field: str) -> None:
    if not source.get(field):
        hint = "a Secret volume says secretName, not name" if field == "secretName" else ""
        faults.required(f"{path}.{field}", hint=hint)
    _mode(faults, f"{path}.defaultMode", source.get("defaultMode"))
    _items(faults, path, source)


def _secret(faults: Faults, path: str, source: Object) -> None:
    _keyed(faults, path, source, "secretName")


def _config_map(faults: Faults, path: str, source: Object) -> None:
    _keyed(faults, path, source, "name")


def _claim(faults: Faults, path: str, source: Object) -> None:
    if not source.get("claimName"):
        faults.required(f"{path}.claimName")


def _downward(faults: Faults, path: str, source: Object) -> None:
    _mode(faults, f"{path}.defaultMode", source.get("defaultMode"))
    for item in records(source, "items"):
        _downward_item(faults, path, item)


def _downward_item(faults: Faults, path: str, item: Object) -> None:
    """The server names no index here."""
    if not item.get("path"):
        faults.required(f"{path}.path")
    paths.inside_not_reserved(faults, f"{path}.path", item.get("path") or "")
    field, resource = record(item, "fieldRef"), record(item, "resourceFieldRef")
    if field is not None:
        env.field_ref(faults, f"{path}.fieldRef", field, env.VOLUME_FIELDS)
        if resource is not None:
            faults.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif resource is not None:
        env.resource_ref(faults, f"{path}.resourceFieldRef", resource, volume=True)
    else:
        faults.required(path, "one of fieldRef and resourceFieldRef is required")
    _mode(faults, f"{path}.mode", item.get("mode"))


def _projected(faults: Faults, path: str, source: Object) -> None:
    _mode(faults, f"{path}.defaultMode", source.get("defaultMode"))
    taken: set[str] = set()
    for index, part in enumerate(records(source, "sources")):
        at, count = f"{path}.sources[{index}]", 0
        for field in ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"):
            value = record(part, field)
            if value is None:
                continue
            if count:
                faults.forbidden(f"{at}.{field}", "may not specify more than 1 volume type per source")
                continue
            count += 1
            _projection(faults, f"{at}.{field}", field, value)
            _no_conflict(faults, path, field, value, taken)
        if not count:
            faults.required(at, "must specify at least one projection source")


def _projection(faults: Faults, path: str, field: str, value: Object) -> None:
    if field in ("secret", "configMap"):
        if not value.get("name"):
            faults.required(f"{path}.name")
        _items(faults, path, value)
    elif field == "downwardAPI":
        for item in records(value, "items"):
            _downward_item(faults, path, item)
    elif field == "serviceAccountToken":
        seconds = value.get("expirationSeconds", 3600)
        if seconds < 600:
            faults.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        elif seconds > 1 << 32:
            faults.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        _token_path(faults, path, value)
    elif field == "clusterTrustBundle":
        _token_path(faults, path, value)


def _token_path(faults: Faults, path: str, value: Object) -> None:
    if not value.get("path"):
        faults.required(f"{path}.path")
    else:
        paths.inside_not_reserved(faults, f"{path}.path", value["path"])


def _no_conflict(faults: Faults, path: str, field: str, value: Object, taken: set[str]) -> None:
    places = records(value, "items") if field in ("secret", "configMap", "downwardAPI") else [value]
    for item in places:
        text = item.get("path") or ""
        if text and text in taken:
            faults.invalid(path, value.get("name") or text, "conflicting duplicate paths")
        taken.add(text)


def _ephemeral(faults: Faults, path: str, source: Object) -> None:
    template = record(source, "volumeClaimTemplate")
    if template is None:
        faults.required(f"{path}.volumeClaimTemplate")
    else:
        claim.template(faults, f"{path}.volumeClaimTemplate", template)


def _image(faults: Faults, path: str, source: Object, is_pod: bool) -> None:
    if is_pod and not source.get("reference"):
        faults.required(f"{path}.reference")
    faults.one_of(f"{path}.pullPolicy", source.get("pullPolicy"), PULL_POLICIES)


_LOCAL = {
    "emptyDir": _empty_dir,
    "hostPath": host_path,
    "secret": _secret,
    "configMap": _config_map,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "projected": _projected,
    "ephemeral": _ephemeral,
}
