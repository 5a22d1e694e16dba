"""Annotations that change what runs: a closed set (DESIGN.md, decision 1). Everything else is only data.

Ours say what a Pod has no field for. Of Podman's (podman-kube-facts.md section 3) those that limit a container work; those
that choose a security option, run something on the host or steer the runtime never do, each with a notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.errors import Fault
from kubeplay.play.compile.numbers import is_number
from kubeplay.record import Record

OWN_DOMAIN = "kubeplay.io"
NETWORK = "kubeplay.io/network"
LOG_DRIVER = "kubeplay.io/log-driver"
LOG_MAX_SIZE = "kubeplay.io/log-max-size"
LOG_MAX_FILES = "kubeplay.io/log-max-files"
CONTAINER_PREFIX = "kubeplay.io/container-prefix"
AUTO_REMOVE = "kubeplay.io/auto-remove"
PULL_POLICY, NEWER = "kubeplay.io/image-pull-policy", "newer"

OWN = {
    NETWORK: "networks of the pod as with --network, separated by `;`",
    LOG_DRIVER: "`k8s-file` or `none`",
    LOG_MAX_SIZE: "size at which a container's log is rotated, as `10m`",
    LOG_MAX_FILES: "log files kept per container",
    CONTAINER_PREFIX: "`false`: containers are listed without the pod's name before theirs",
    AUTO_REMOVE: "`true`: the pod is removed when it has ended (`run --rm`)",
    PULL_POLICY: "`newer`: every image of the pod is looked for at its registry, and the local one does when that fails (Podman's `newer`)",
}

PIDS = "io.podman.annotations.pids-limit/"
CPUSET = "io.podman.annotations.cpuset/"
MEMS = "io.podman.annotations.memory-nodes/"
USERNS = "io.podman.annotations.userns"

PODMAN = "io.podman.annotations."
# Why each of Podman's has no effect; matched by the key's part before `/`.
NO_EFFECT = {
    "io.podman.annotations.init.container.type": "init containers are those of Kubernetes: kept, and run again with a new sandbox",
    "io.podman.annotations.infra.name": "there is no infra container",
    "io.podman.annotations.ulimit": "ulimits are not supported yet",
    "io.podman.annotations.volumes-from": "not supported; mount a volume in both containers",
    "io.podman.annotations.kube.image.volumes.mount": "not supported; use an image volume",
    "io.podman.annotations.kube.image.automount": "not supported; use an image volume",
    "io.podman.annotations.kube.health.check": "internal to Podman",
    "io.podman.annotations.label": "an annotation does not choose a security option; use securityContext.seLinuxOptions",
    "io.podman.annotations.seccomp": "an annotation does not choose a security option; use securityContext.seccompProfile",
    "io.podman.annotations.apparmor": "an annotation does not choose a security option; use securityContext.appArmorProfile",
    "io.podman.annotations.privileged": "an annotation does not choose a security option; use securityContext.privileged",
    "io.podman.annotations.autoremove": "not supported",
    "io.podman.annotations.init": "not supported; use shareProcessNamespace for a PID 1 that reaps",
    "io.podman.annotations.cid-file": "an annotation does not write files on the host",
    "io.podman.annotations.publish-all": "not supported; use --publish-all",
    "io.podman.annotations.checkpoint.runtime.name": "an annotation does not steer the runtime",
    "io.containers.sdnotify": "not supported yet",
    "io.containers.autoupdate": "not supported yet",
    "io.containers.autoupdate.authfile": "not supported yet",
    "bind-mount-options": "volumes are not relabelled for SELinux",
    "seccomp.security.alpha.kubernetes.io": "removed from Kubernetes; use securityContext.seccompProfile",
    "container.seccomp.security.alpha.kubernetes.io": "removed from Kubernetes; use securityContext.seccompProfile",
    "container.apparmor.security.beta.kubernetes.io": "removed from Kubernetes; use securityContext.appArmorProfile",
}
NO_EFFECT_PREFIXES = {
    "run.oci.": "annotations are not handed to the runtime",
    "org.systemd.property.": "annotations are not handed to systemd",
    "krun.": "annotations are not handed to the runtime",
    "cdi.k8s.io/": "annotations do not inject devices",
    "bind-mount-options:": "volumes are not relabelled for SELinux",
    "io.podman.annotations.": "not known here",
}


class Limits(Record):
    """What Podman's annotations say about one container; 0 and "" = nothing."""

    pids: int = 0
    cpuset: str = ""
    mems: str = ""


def limits(annotations: Mapping[str, str], container: str) -> Limits:
    """The limits for `container`; `faults` has checked the values."""
    pids = annotations.get(PIDS + container, "")
    return Limits(int(pids) if is_number(pids) else 0, annotations.get(CPUSET + container, ""), annotations.get(MEMS + container, ""))


def notices(annotations: Mapping[str, str]) -> list[tuple[str, str]]:
    """(key, why it has no effect) of every annotation that a Podman user might expect to work."""
    found = []
    for key in annotations:
        why = NO_EFFECT.get(key.partition("/")[0])
        if why is None and not key.startswith((PIDS, CPUSET, MEMS, USERNS)):
            why = next((text for prefix, text in NO_EFFECT_PREFIXES.items() if key.startswith(prefix)), None)
        if why is not None:
            found.append((key, why))
    return found


def faults(meta: Mapping[str, Any], path: str) -> list[Fault]:
    """Unknown `kubeplay.io` annotations and values of known ones that cannot be meant. `path` is that of the metadata."""
    found = []
    for key, value in (meta.get("annotations") or {}).items():
        problem = _problem(key, value)
        if problem:
            hint = f"known: {', '.join(sorted(OWN))}" if problem.startswith("unknown") else ""
            found.append(Fault(f"{path}.annotations[{key}]", "FieldValueInvalid", problem, hint))
    return found


def _problem(key: str, value: Any) -> str:
    domain = key.partition("/")[0]
    if key.startswith(PIDS):
        return "" if is_number(value) and int(value) > 0 else f'Invalid value: "{value}": must be a number of processes'
    if key.startswith((CPUSET, MEMS)):
        return "" if _is_set(value) else f'Invalid value: "{value}": must be a list of numbers and ranges, as 0-2,7'
    if domain == USERNS:
        return _userns_problem(value)
    if domain != OWN_DOMAIN and not domain.endswith("." + OWN_DOMAIN):
        return ""
    if key not in OWN:
        return f"unknown kubeplay annotation {key}"
    return _own_problem(key, value)


def _own_problem(key: str, value: str) -> str:
    from kubeplay.errors import InvalidInput
    from kubeplay.play.compile import logs, network

    if key in (CONTAINER_PREFIX, AUTO_REMOVE):
        return "" if value in ("true", "false") else f'Invalid value: "{value}": must be true or false'
    if key == PULL_POLICY:
        return "" if value == NEWER else f'Invalid value: "{value}": must be {NEWER}; the other policies are imagePullPolicy'
    try:
        if key == NETWORK:
            network.parse(value.split(";"))
        else:
            logs.check(key, value)
    except InvalidInput as error:
        return f'Invalid value: "{value}": {error.message}'
    return ""


def _userns_problem(value: str) -> str:
    from kubeplay.errors import InvalidInput
    from kubeplay.play.compile import users

    try:
        users.parse(value)
    except InvalidInput as error:
        return f'Invalid value: "{value}": {error.message} (known: {error.hint})'
    return ""


def _is_set(text: str) -> bool:
    """cpuset(7), list format."""
    return all(part and all(is_number(end) for end in part.split("-", 1)) for part in text.split(","))
