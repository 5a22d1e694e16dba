"""securityContext of pods and containers (SC1-SC8)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import names
from kubeplay.kube.validate import paths
from kubeplay.kube.validate.report import Faults, Object, record, records

# [T: core/v1] user and group ids.
ID_MAX = 2**31 - 1
_ID_RANGE = f"must be between 0 and {ID_MAX}, inclusive"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")
_GMSA_MAX, _WINDOWS_USER_MAX = 64 * 1024, 512
_CONTEXT_FIELDS = {
    "Capabilities": "capabilities", "Privileged": "privileged", "SELinuxOptions": "seLinuxOptions", "WindowsOptions": "windowsOptions",
    "RunAsUser": "runAsUser", "RunAsGroup": "runAsGroup", "RunAsNonRoot": "runAsNonRoot",
    "ReadOnlyRootFilesystem": "readOnlyRootFilesystem",
    "AllowPrivilegeEscalation": "allowPrivilegeEscalation", "ProcMount": "procMount",
    "SeccompProfile": "seccompProfile", "AppArmorProfile": "appArmorProfile",
}  # fmt: skip


def container(faults: Faults, path: str, context: Object | None, *, host_users: bool) -> None:
    """securityContext of a container."""
    if context is None:
        return
    for field in ("runAsUser", "runAsGroup"):
        _identity(faults, f"{path}.{field}", context.get(field))
    mount = context.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            faults.unsupported(f"{path}.procMount", mount, ("Default", "Unmasked"))
        if mount == "Unmasked" and host_users:
            faults.invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    _seccomp(faults, f"{path}.seccompProfile", record(context, "seccompProfile"))
    _escalation(faults, path, context)
    _windows(faults, f"{path}.windowsOptions", record(context, "windowsOptions"))
    _apparmor(faults, f"{path}.appArmorProfile", record(context, "appArmorProfile"))


def pod(faults: Faults, path: str, spec: Object) -> None:
    """securityContext of a pod; the host's namespaces belong to it in the server's own view."""
    context = record(spec, "securityContext") or {}
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        _identity(faults, f"{path}.{field}", context.get(field))
    for index, group in enumerate(context.get("supplementalGroups") or []):
        _identity(faults, f"{path}.supplementalGroups[{index}]", group)
    if context.get("supplementalGroupsPolicy") not in (None, "Merge", "Strict"):
        faults.unsupported(f"{path}.supplementalGroupsPolicy", context["supplementalGroupsPolicy"], ("Merge", "Strict"))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        faults.invalid(f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled")
    _sysctls(faults, f"{path}.sysctls", context, spec)
    for field, known in (("fsGroupChangePolicy", ("Always", "OnRootMismatch")), ("seLinuxChangePolicy", ("MountOption", "Recursive"))):
        if context.get(field) is not None and context[field] not in known:
            faults.unsupported(f"{path}.{field}", context[field], known)
    _seccomp(faults, f"{path}.seccompProfile", record(context, "seccompProfile"))
    _windows(faults, f"{path}.windowsOptions", record(context, "windowsOptions"))
    _apparmor(faults, f"{path}.appArmorProfile", record(context, "appArmorProfile"))


def host_users(faults: Faults, path: str, spec: Object) -> None:
    """A user namespace of its own excludes the host's other namespaces."""
    if spec.get("hostUsers") is not False:
        return
    for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(field):
            faults.forbidden(f"{path}.{shown}", "when `hostUsers` is false")


def _identity(faults: Faults, path: str, value: Any) -> None:
    if isinstance(value, int) and not 0 <= value <= ID_MAX:
        faults.invalid(path, value, _ID_RANGE)


def _escalation(faults: Faults, path: str, context: Object) -> None:
    if context.get("allowPrivilegeEscalation") is not False:
        return
    shown = {name: context.get(field) for name, field in _CONTEXT_FIELDS.items()}
    if context.get("privileged"):
        faults.invalid(path, shown, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
    if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or []):
        faults.invalid(path, shown, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")


def _seccomp(faults: Faults, path: str, profile: Object | None) -> None:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        faults.required(f"{path}.type", "type is required when seccompProfile is set")
    elif kind not in _PROFILES:
        faults.unsupported(f"{path}.type", kind, _PROFILES)
    if kind == "Localhost":
        if local is None:
            faults.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
        else:
            paths.inside(faults, f"{path}.localhostProfile", local)
    elif local is not None:
        shown = {"Type": kind, "LocalhostProfile": local}
        faults.invalid(f"{path}.localhostProfile", shown, "can only be set when seccomp type is Localhost")


def _apparmor(faults: Faults, path: str, profile: Object | None) -> None:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    at = f"{path}.localhostProfile"
    if kind == "Localhost":
        bare = (local or "").strip()
        if not bare:
            faults.required(at, "must be set when AppArmor type is Localhost")
        elif local != bare:
            faults.invalid(at, local, "must not be padded with whitespace")
        elif len(bare) > 4095:
            faults.too_long(at, 4095)
    elif kind in ("RuntimeDefault", "Unconfined"):
        if local is not None:
            faults.invalid(at, local, "can only be set when AppArmor type is Localhost")
    elif not kind:
        faults.required(f"{path}.type", "type is required when appArmorProfile is set")
    else:
        faults.unsupported(f"{path}.type", kind, _PROFILES)


def _sysctls(faults: Faults, path: str, context: Object, spec: Object) -> None:
    seen = set()
    for index, entry in enumerate(records(context, "sysctls")):
        at, name = f"{path}[{index}].name", entry.get("name") or ""
        wrong = names.sysctl(name)
        if not name:
            faults.required(at)
        elif wrong:
            faults.each(at, name, wrong)
        elif name in seen:
            faults.duplicate(at, name)
        seen.add(name)
        dotted = _dotted(name)
        if spec.get("hostNetwork") and dotted.startswith("net."):
            faults.invalid(at, name, "may not be specified when 'hostNetwork' is true")
        if spec.get("hostIPC") and (dotted.startswith(_IPC_SYSCTLS) or dotted == "kernel.sem"):
            faults.invalid(at, name, "may not be specified when 'hostIPC' is true")


def _dotted(name: str) -> str:
    """`kernel/shm_rmid_forced` as sysctl(8) reads it: the first separator decides which one separates."""
    dot, slash = name.find("."), name.find("/")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.translate({ord("/"): ".", ord("."): "/"})


def _windows(faults: Faults, path: str, options: Object | None) -> None:
    if options is None:
        return
    name, text, user = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec"), options.get("runAsUserName")
    if name is not None:
        faults.each(f"{path}.gmsaCredentialSpecName", name, names.dns_subdomain(name))
    if text is not None:
        if not text:
            faults.invalid(f"{path}.gmsaCredentialSpec", text, "gmsaCredentialSpec cannot be an empty string")
        elif len(text.encode("utf-8", "surrogatepass")) > _GMSA_MAX:
            faults.invalid(f"{path}.gmsaCredentialSpec", text[:40], f"gmsaCredentialSpec size must be under {_GMSA_MAX // 1024} KiB")
    if user is not None:
        at = f"{path}.runAsUserName"
        if not user:
            faults.invalid(at, user, "runAsUserName cannot be an empty string")
        elif any(ord(letter) < 32 or ord(letter) == 127 for letter in user):
            faults.invalid(at, user, "runAsUserName cannot contain control characters")
        elif len(user.split("\\")) > 2:
            faults.invalid(at, user, "runAsUserName cannot contain more than one backslash")
        elif len(user) > _WINDOWS_USER_MAX:
            faults.invalid(at, user, f"runAsUserName's length must be less than {_WINDOWS_USER_MAX} characters")
