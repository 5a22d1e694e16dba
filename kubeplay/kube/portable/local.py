"""What a manifest of a cluster asks for that this machine does not give.

Fields that kubeplay does not support, or that change nothing on one machine, are the field table's (play.portable adds them).
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeplay.kube import kinds
from kubeplay.kube.portable.model import ERROR, INFO, WARNING, Facts, Finding, Object, Part, items, part, record

_RBAC = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
# Resources that every node has; all others come from device plugins (kubernetes-semantics.md: extended resources).
_NATIVE = ("cpu", "memory", "ephemeral-storage")


def findings(obj: Object, facts: Facts) -> list[Finding]:
    """What of `obj` means something else here, or nothing."""
    version, name = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    known = kinds.find(version, name)
    if known is None or known.support != "slice":
        return [Finding(("kind",), ERROR, f"{name} of {version} is not played here", kinds.hint(version, name) or "leave it out", "kind")]
    found = part(obj)
    return [*_object(obj), *(_pod(found, facts) if found else ())]


def _object(obj: Object) -> Iterator[Finding]:
    spec, kind = record(obj, "spec"), obj.get("kind")
    if kind == "Service" and spec.get("type") == "LoadBalancer":
        yield Finding(("spec", "type"), INFO, "published at this machine's address", "", "load-balancer")
    if kind in _RBAC:
        yield Finding(("kind",), INFO, "kept, but there is no API server to ask for permission", "", "rbac")


def _pod(pod: Part, facts: Facts) -> Iterator[Finding]:
    at = (*pod.at, "spec")
    node = pod.spec.get("nodeName")
    if node and node != facts.node:
        why = f"there is one node here, {facts.node or 'and of another name'}"
        yield Finding((*at, "nodeName"), ERROR, why, "leave it out", "nodeName")
    for path, container in pod.containers():
        for field in ("limits", "requests"):
            for name in record(record(container, "resources"), field):
                if str(name) not in _NATIVE and "=" not in str(name) and not str(name).startswith("hugepages-"):
                    where = (*path, "resources", field, name)
                    why = "no device plugin offers it here: the pod stays Pending"
                    yield Finding(where, WARNING, why, "a device by its CDI name: vendor/class=name", "resource")
        for index, port in enumerate(items(container, "ports")):
            if isinstance(port.get("hostPort"), int) and port["hostPort"] < 1024:
                yield Finding((*path, "ports", index, "hostPort"), INFO, "below 1024: not for an ordinary user", "", "low-port")
