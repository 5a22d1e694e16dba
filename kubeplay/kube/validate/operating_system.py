"""`os`: a pod for Windows may not use what is Linux's, and the other way round."""

from __future__ import annotations

from kubeplay.kube.validate.report import Faults, Object, record, records

_POD_FIELDS = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
]
_CONTAINER_FIELDS = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
]
_LISTS = ("initContainers", "containers", "ephemeralContainers")
_NOT_WINDOWS, _NOT_LINUX = "cannot be set for a windows pod", "windows options cannot be set for a linux pod"


def check(faults: Faults, path: str, spec: Object) -> None:
    """`os` and what it excludes."""
    system = record(spec, "os")
    if system is None:
        return
    name = system.get("name") or ""
    if not name:
        faults.required(f"{path}.os.name", "cannot be empty")
    elif name == "windows":
        _windows(faults, path, spec)
    elif name == "linux":
        _linux(faults, path, spec)
    else:
        faults.unsupported(f"{path}.os", name, ("linux", "windows"))


def _windows(faults: Faults, path: str, spec: Object) -> None:
    context = record(spec, "securityContext") or {}
    for field in _POD_FIELDS:
        if context.get(field) not in (None, []):
            faults.forbidden(f"{path}.securityContext.{field}", _NOT_WINDOWS)
    if spec.get("hostUsers") is not None:
        faults.forbidden(f"{path}.hostUsers", _NOT_WINDOWS)
    for field in ("hostPID", "hostIPC"):
        if spec.get(field):
            faults.forbidden(f"{path}.{field}", _NOT_WINDOWS)
    if spec.get("shareProcessNamespace") is not None:
        faults.forbidden(f"{path}.shareProcessNamespace", _NOT_WINDOWS)
    for at, own in _contexts(path, spec):
        for field in _CONTAINER_FIELDS:
            if own.get(field) is not None:
                faults.forbidden(f"{at}.{field}", _NOT_WINDOWS)


def _linux(faults: Faults, path: str, spec: Object) -> None:
    if record(record(spec, "securityContext"), "windowsOptions") is not None:
        faults.forbidden(f"{path}.securityContext.windowsOptions", _NOT_LINUX)
    for at, own in _contexts(path, spec):
        if record(own, "windowsOptions") is not None:
            faults.forbidden(f"{at}.windowsOptions", _NOT_LINUX)


def _contexts(path: str, spec: Object) -> list[tuple[str, Object]]:
    """Path and securityContext of every container that has one."""
    found = []
    for field in _LISTS:
        for index, item in enumerate(records(spec, field)):
            context = record(item, "securityContext")
            if context is not None:
                found.append((f"{path}.{field}[{index}].securityContext", context))
    return found


def host_process(faults: Faults, path: str, spec: Object) -> None:
    """HostProcess containers of Windows: all or none, with the host's network."""
    whole = (record(record(spec, "securityContext"), "windowsOptions") or {}).get("hostProcess")
    flags = []
    for field in _LISTS:
        for index, item in enumerate(records(spec, field)):
            own = (record(record(item, "securityContext"), "windowsOptions") or {}).get("hostProcess")
            at = f"{path}.{field}[{index}].securityContext.windowsOptions.hostProcess"
            if whole is not None and own is not None and own != whole:
                faults.invalid(at, own, f"pod hostProcess value must be identical if both are specified, was {str(whole).lower()}")
            flags.append(bool(whole if own is None else own))
    if not any(flags):
        return
    if not all(flags):
        detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        faults.invalid(path, "", detail)
    if not spec.get("hostNetwork"):
        faults.invalid(f"{path}.hostNetwork", False, "hostNetwork must be true if pod contains any hostProcess containers")
