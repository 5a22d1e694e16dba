"""volumeMounts and volumeDevices of a container (VO9-VO11)."""

from __future__ import annotations

from kubeplay.kube.validate import paths
from kubeplay.kube.validate.report import Faults, Object, record, records

_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def check(faults: Faults, path: str, container: Object, volumes: dict[str, Object]) -> None:
    """`volumeMounts`; some faults name the list instead of the entry, as the server's do."""
    devices = records(container, "volumeDevices")
    device_names, device_paths = {d.get("name") for d in devices}, {d.get("devicePath") for d in devices}
    seen = set()
    for index, mount in enumerate(records(container, "volumeMounts")):
        at, name, target = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            faults.required(f"{at}.name")
        if name not in volumes:
            known = ", ".join(volumes)
            faults.not_found(f"{at}.name", name, hint=f"the pod's volumes are: {known}" if known else "the pod has no volumes")
        if not target:
            faults.required(f"{at}.mountPath")
        if target in seen:
            faults.invalid(f"{at}.mountPath", target, "must be unique")
        seen.add(target)
        if name in device_names:
            faults.invalid(f"{at}.name", name, "must not already exist in volumeDevices")
        if target in device_paths:
            faults.invalid(f"{at}.mountPath", target, "must not already exist as a path in volumeDevices")
        _inside(faults, path, at, mount)
        _mode(faults, path, at, container, mount)


def _inside(faults: Faults, path: str, at: str, mount: Object) -> None:
    part, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
    if part:
        paths.inside(faults, f"{path}.subPath", part)
    if expression:
        if part:
            faults.invalid(f"{at}.subPathExpr", expression, "subPathExpr and subPath are mutually exclusive")
        paths.inside(faults, f"{path}.subPathExpr", expression)


def _mode(faults: Faults, path: str, at: str, container: Object, mount: Object) -> None:
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    if propagation is not None and propagation not in _PROPAGATION:
        faults.unsupported(f"{path}.mountPropagation", propagation, _PROPAGATION)
    if propagation == "Bidirectional" and not (record(container, "securityContext") or {}).get("privileged"):
        faults.forbidden(f"{path}.mountPropagation", "Bidirectional mount propagation is available only to privileged containers")
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            faults.forbidden(f"{at}.recursiveReadOnly", "may only be specified when readOnly is true")
        if propagation not in (None, "None"):
            faults.forbidden(f"{at}.recursiveReadOnly", "may only be specified when mountPropagation is None or not specified")
    elif recursive not in (None, "Disabled"):
        faults.unsupported(f"{at}.recursiveReadOnly", recursive, _RECURSIVE)


def check_devices(faults: Faults, path: str, container: Object, volumes: dict[str, Object]) -> None:
    """`volumeDevices`: block devices of claims."""
    mounts = records(container, "volumeMounts")
    mount_names, mount_paths = {m.get("name") for m in mounts}, {m.get("mountPath") for m in mounts}
    seen_names, seen_paths = set(), set()
    for index, device in enumerate(records(container, "volumeDevices")):
        at, name, target = f"{path}[{index}]", device.get("name") or "", device.get("devicePath") or ""
        if not name:
            faults.required(f"{at}.name")
        if name in seen_names:
            faults.invalid(f"{at}.name", name, "must be unique")
        if name not in volumes:
            faults.not_found(f"{at}.name", name)
        elif record(volumes[name], "persistentVolumeClaim") is None and record(volumes[name], "ephemeral") is None:
            faults.invalid(f"{at}.name", name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")
        if not target:
            faults.required(f"{at}.devicePath")
        if target in seen_paths:
            faults.invalid(f"{at}.devicePath", target, "must be unique")
        if ".." in target.split("/"):
            faults.invalid(f"{at}.devicePath", target, "can not contain backsteps ('..')")
        else:
            seen_paths.add(target)
        if name in mount_names:
            faults.invalid(f"{at}.name", name, "must not already exist in volumeMounts")
        if target in mount_paths:
            faults.invalid(f"{at}.devicePath", target, "must not already exist as a path in volumeMounts")
        if name:
            seen_names.add(name)
