"""The Pod Security Standards, baseline and restricted, as a cluster's admission judges them. Pure.

The controls, their words and what is allowed are those of the Pod Security admission plugin at 1.34 (kubernetes.io: Pod Security Standards;
k8s.io/pod-security-admission). It looks at what would be admitted, so templates are judged as their pods will be. Linux pods only:
`spec.os.name: windows` frees a pod of what Windows does not have, as the standard says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubeplay.kube.portable.model import WARNING, Finding, Object, Part, Path, items, part, record
from kubeplay.record import Record

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
STANDARDS = (PRIVILEGED, BASELINE, RESTRICTED)

_CAPABILITIES = frozenset(
    ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
     "SETUID", "SYS_CHROOT")
)
_SYSCTLS = frozenset((
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
))  # fmt: skip
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_PROFILES = ("RuntimeDefault", "Localhost")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP = ("seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/")
_VOLUMES = frozenset(("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"))
_HANDLERS = {"probes": ("livenessProbe", "readinessProbe", "startupProbe"), "hooks": ("postStart", "preStop")}


class Control(Record):
    """One control: its standard, its word in `rule`, what it is about where the check's words do not say, and its check."""

    standard: str
    name: str
    said: str
    check: Callable[[Part], Iterator[tuple[Path, str, str]]]
    windows: bool = True


def findings(obj: Object, standard: str = RESTRICTED, level: str = WARNING) -> list[Finding]:
    """What of the pod that `obj` is or makes breaks the standard; for each field one finding, at `level` (ERROR for baseline's).

    `rule` is `pss-baseline-...` or `pss-restricted-...`. Any shape of a manifest may be asked for.
    """
    found = part(obj)
    if found is None or standard == PRIVILEGED:
        return []
    windows = record(found.spec, "os").get("name") == "windows"
    made = []
    for control in CONTROLS:
        if control.standard == RESTRICTED and standard != RESTRICTED or windows and not control.windows:
            continue
        for path, why, remedy in control.check(found):
            rule = f"pss-{control.standard}-{control.name}"
            said = f"{control.said}: " if control.said else ""
            made.append(Finding(path, level, f"Pod Security {control.standard}: {said}{why}", remedy, rule))
    return made


def worst(found: list[Finding]) -> str:
    """The strictest standard that a manifest with these findings meets."""
    broken = {one.rule.split("-")[1] for one in found if one.rule.startswith("pss-")}
    return PRIVILEGED if BASELINE in broken else BASELINE if RESTRICTED in broken else RESTRICTED


def _contexts(pod: Part) -> Iterator[tuple[Path, str, Object]]:
    """The securityContext of the pod and of each container, with whose it is."""
    at = (*pod.at, "spec", "securityContext")
    yield at, "pod", record(pod.spec, "securityContext")
    yield from _own(pod)


def _own(pod: Part) -> Iterator[tuple[Path, str, Object]]:
    for path, container in pod.containers():
        yield (*path, "securityContext"), f'container "{container.get("name", "")}"', record(container, "securityContext")


def _host_process(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _contexts(pod):
        if record(context, "windowsOptions").get("hostProcess") is True:
            yield (*path, "windowsOptions", "hostProcess"), f"{who} must not set it", "leave it out"


def _host_namespaces(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field) is True:
            yield (*pod.at, "spec", field), f"{field}=true", f"leave {field} out"


def _privileged(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _own(pod):
        if context.get("privileged") is True:
            yield (*path, "privileged"), f"{who} must not set securityContext.privileged=true", "leave it out; add the capability it needs"


def _names(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _capabilities(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _own(pod):
        for index, name in enumerate(_names(record(context, "capabilities").get("add"))):
            if name not in _CAPABILITIES:
                yield (*path, "capabilities", "add", index), f"{who} must not add {name}", "leave it out"


def _host_path(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for index, volume in enumerate(items(pod.spec, "volumes")):
        if "hostPath" in volume:
            path: Path = (*pod.at, "spec", "volumes", index, "hostPath")
            yield path, f'volume "{volume.get("name", "")}"', "use a persistentVolumeClaim or a ConfigMap"


def _host_ports(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, container in pod.containers():
        for index, port in enumerate(items(container, "ports")):
            if port.get("hostPort"):
                where = (*path, "ports", index, "hostPort")
                yield where, f'container "{container.get("name", "")}" uses hostPort {port["hostPort"]}', "use a Service"


def _handlers(pod: Part) -> Iterator[tuple[Path, str, str]]:
    """Since 1.34: a kubelet that connects where the pod says is a way into the node's network."""
    for path, container in pod.containers():
        hooks = record(container, "lifecycle")
        found = [((*path, name), record(container, name)) for name in _HANDLERS["probes"]]
        found += [((*path, "lifecycle", name), record(hooks, name)) for name in _HANDLERS["hooks"]]
        for where, handler in found:
            for kind in ("httpGet", "tcpSocket"):
                if record(handler, kind).get("host"):
                    why = f'container "{container.get("name", "")}" must not name a host'
                    yield (*where, kind, "host"), why, "leave it out: it is the pod"


def _apparmor(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _contexts(pod):
        profile = record(context, "appArmorProfile").get("type")
        if profile is not None and profile not in _PROFILES:
            yield (*path, "appArmorProfile", "type"), f"{who} must not set it to {profile}", "RuntimeDefault"
    for key, value in record(pod.meta, "annotations").items():
        if str(key).startswith(_APPARMOR) and not (value in ("", "runtime/default") or str(value).startswith("localhost/")):
            yield (*pod.at, "metadata", "annotations", key), f"annotation {value!r}", "runtime/default"


def _selinux(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _contexts(pod):
        options = record(context, "seLinuxOptions")
        if options.get("type") is not None and options["type"] not in _SELINUX_TYPES:
            yield (*path, "seLinuxOptions", "type"), f"{who} must not set {options['type']!r}", "leave it out"
        for field in ("user", "role"):
            if options.get(field):
                yield (*path, "seLinuxOptions", field), f"{who} must not set {field}", "leave it out"


def _proc_mount(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _own(pod):
        if context.get("procMount") not in (None, "Default"):
            why = f"{who} must not set securityContext.procMount to {context['procMount']!r}"
            yield (*path, "procMount"), why, "Default, or leave it out"


def _seccomp_baseline(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _contexts(pod):
        profile = record(context, "seccompProfile").get("type")
        if profile is not None and profile not in _PROFILES:
            why = f"{who} must not set securityContext.seccompProfile.type to {profile!r}"
            yield (*path, "seccompProfile", "type"), why, "RuntimeDefault"


def _sysctls(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for index, one in enumerate(items(record(pod.spec, "securityContext"), "sysctls")):
        if one.get("name") not in _SYSCTLS:
            yield (*pod.at, "spec", "securityContext", "sysctls", index), str(one.get("name", "")), "leave it out; nodes can set it for all"


def _volume_types(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for index, volume in enumerate(items(pod.spec, "volumes")):
        for kind in sorted(set(volume) - _VOLUMES - {"name"}):
            path: Path = (*pod.at, "spec", "volumes", index, kind)
            yield path, f'volume "{volume.get("name", "")}" uses restricted volume type "{kind}"', "use a persistentVolumeClaim"


def _escalation(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _own(pod):
        if context.get("allowPrivilegeEscalation") is not False:
            yield (*path, "allowPrivilegeEscalation"), f"{who} must set securityContext.allowPrivilegeEscalation=false", ""


def _non_root(pod: Part) -> Iterator[tuple[Path, str, str]]:
    whole = record(pod.spec, "securityContext").get("runAsNonRoot")
    for path, who, context in _own(pod):
        own = context.get("runAsNonRoot")
        if own is False or (own is None and whole is not True):
            lacking = "or its pod must set securityContext.runAsNonRoot=true"
            text = "must not set securityContext.runAsNonRoot=false" if own is False else lacking
            yield (*path, "runAsNonRoot"), f"{who} {text}", ""


def _user(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _contexts(pod):
        if context.get("runAsUser") == 0 and context.get("runAsUser") is not False:
            yield (*path, "runAsUser"), f"{who} must not set runAsUser=0", "a number above 0"


def _seccomp_restricted(pod: Part) -> Iterator[tuple[Path, str, str]]:
    whole = record(record(pod.spec, "securityContext"), "seccompProfile").get("type")
    for path, who, context in _own(pod):
        own = record(context, "seccompProfile").get("type")
        if own is None and whole not in _PROFILES:
            text = 'or its pod must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
            yield (*path, "seccompProfile"), f"{who} {text}", ""


def _drop_all(pod: Part) -> Iterator[tuple[Path, str, str]]:
    for path, who, context in _own(pod):
        capabilities = record(context, "capabilities")
        if "ALL" not in _names(capabilities.get("drop")):
            yield (*path, "capabilities", "drop"), f'{who} must set securityContext.capabilities.drop=["ALL"]', ""
        for index, name in enumerate(_names(capabilities.get("add"))):
            if name != "NET_BIND_SERVICE" and name in _CAPABILITIES:  # others have broken baseline already
                why = f"{who} must not include {name} in securityContext.capabilities.add"
                yield (*path, "capabilities", "add", index), why, "leave it out"


CONTROLS = (
    Control(BASELINE, "host-process", "hostProcess", _host_process),
    Control(BASELINE, "host-namespaces", "host namespaces", _host_namespaces),
    Control(BASELINE, "privileged", "privileged", _privileged),
    Control(BASELINE, "capabilities", "non-default capabilities", _capabilities),
    Control(BASELINE, "host-path", "hostPath volumes", _host_path),
    Control(BASELINE, "host-ports", "hostPort", _host_ports),
    Control(BASELINE, "host-probes", "probe or lifecycle host", _handlers),
    Control(BASELINE, "apparmor", "forbidden AppArmor profile", _apparmor),
    Control(BASELINE, "selinux", "seLinuxOptions", _selinux),
    Control(BASELINE, "proc-mount", "procMount", _proc_mount),
    Control(BASELINE, "seccomp", "seccompProfile", _seccomp_baseline),
    Control(BASELINE, "sysctls", "forbidden sysctls", _sysctls),
    Control(RESTRICTED, "volume-types", "", _volume_types),
    Control(RESTRICTED, "privilege-escalation", "", _escalation, False),
    Control(RESTRICTED, "run-as-non-root", "", _non_root),
    Control(RESTRICTED, "run-as-user", "", _user),
    Control(RESTRICTED, "seccomp", "", _seccomp_restricted, False),
    Control(RESTRICTED, "capabilities", "", _drop_all, False),
)
