"""The effective security context of a container (SC1-SC11): its own fields first, then the pod's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.config import Settings
from kubeplay.plan.security import AppArmor, Seccomp, Security, SELinuxOptions
from kubeplay.play.compile.options import CompileOptions

_DEFAULT_ROOT = Settings().seccomp_profile_root


def plan(pod_spec: Mapping[str, Any], container: Mapping[str, Any], options: CompileOptions) -> Security:
    pod, own = pod_spec.get("securityContext") or {}, container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    privileged = bool(own.get("privileged"))
    return Security(
        run_as_user=_first(own, pod, "runAsUser"),
        run_as_group=_first(own, pod, "runAsGroup"),
        run_as_non_root=bool(_first(own, pod, "runAsNonRoot")),
        supplemental_groups=tuple(pod.get("supplementalGroups") or ()),
        supplemental_groups_policy=pod.get("supplementalGroupsPolicy") or "Merge",
        fs_group=pod.get("fsGroup"),
        fs_group_policy=pod.get("fsGroupChangePolicy") or "Always",
        privileged=privileged,
        cap_add=_capabilities(capabilities.get("add")),
        cap_drop=_capabilities(capabilities.get("drop")),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        read_only_rootfs=bool(own.get("readOnlyRootFilesystem")),
        proc_mount=own.get("procMount") or "Default",
        seccomp=Seccomp("Unconfined") if privileged else _seccomp(_first(own, pod, "seccompProfile"), options),
        apparmor=_apparmor(_first(own, pod, "appArmorProfile")),
        selinux=_selinux(_first(own, pod, "seLinuxOptions")),
    )


def _first(own: Mapping[str, Any], pod: Mapping[str, Any], field: str) -> Any:
    value = own.get(field)
    return pod.get(field) if value is None else value


def _capabilities(names: list[str] | None) -> tuple[str, ...]:
    """SC6 names them without CAP_; with it they are no names, and as such without effect (record 076)."""
    return tuple([name.upper() for name in names or ()])


def _seccomp(profile: Mapping[str, Any] | None, options: CompileOptions) -> Seccomp:
    """SC5, and our default: the runtime's profile unless --seccomp-default=false."""
    if not profile:
        return Seccomp() if options.seccomp_default else Seccomp("Unconfined")
    path = profile.get("localhostProfile") or ""
    root = options.seccomp_profile_root.rstrip("/")
    # a flag of this one play, which a restart much later must still know
    return Seccomp(profile["type"], path, root if path and root != _DEFAULT_ROOT else "")


def _apparmor(profile: Mapping[str, Any] | None) -> AppArmor:
    return AppArmor(profile["type"], profile.get("localhostProfile") or "") if profile else AppArmor()


def _selinux(label: Mapping[str, Any] | None) -> SELinuxOptions:
    label = label or {}
    return SELinuxOptions(*[label.get(part) or "" for part in ("user", "role", "type", "level")])
