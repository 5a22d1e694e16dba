"""Defaults of a pod spec and all inside it (semantics DF1, DF2, PR1, VO1, RS1), in place.

Left out on purpose, because they mean something only to a cluster: the service account's
`kube-api-access-*` volume (DF3: there is no API server to reach) and the two tolerations with which
the server lets a pod outlive its node for five minutes. `generate` has therefore nothing to strip there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kubeplay.kube import quantity
from kubeplay.kube.normal import canonical

Object = dict[str, Any]
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
# [K: pkg/apis/scheduling/types.go] the two classes every cluster has.
SYSTEM_PRIORITIES = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
_MODES = {"configMap": 420, "secret": 420, "downwardAPI": 420, "projected": 420}
# The server's reference syntax: a name it cannot parse has no tag, so it is not "latest" (DF2).
_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = (
    r"(?:(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:[0-9]+/)|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?"
    + f"{_COMPONENT}(?:/{_COMPONENT})*"
    + r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789./-")
_TAG = _PLAIN - {"/"} | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_EDGES = ("..", "./", "/.", "//", "-/", "/-", ".-", "-.")


def pull_policy(image: str) -> str:
    """DF2: `latest`, said or meant, is always pulled; an explicit tag wins over a digest."""
    name, colon, tag = image.partition(":")
    if image and (not colon or _plain_tag(tag)) and _plain_name(name):
        return "Always" if tag in ("", "latest") else "IfNotPresent"
    match = re.fullmatch(_REFERENCE, image)
    if not match:
        return "IfNotPresent"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _plain_name(name: str) -> bool:
    """An everyday name, seen without the expression, whose compilation costs a millisecond."""
    return _PLAIN.issuperset(name) and name[:1].isalnum() and name[-1:].isalnum() and not any(edge in name for edge in _EDGES)


def _plain_tag(tag: str) -> bool:
    return 0 < len(tag) <= 128 and _TAG.issuperset(tag) and tag[0] not in ".-"


def pod(spec: Object) -> None:
    """What only a Pod gets, not a template of a workload."""
    spec.setdefault("enableServiceLinks", True)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    spec.setdefault("priority", SYSTEM_PRIORITIES.get(spec.get("priorityClassName") or "", 0))
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    if _number(spec.get("terminationGracePeriodSeconds")) < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for field in ("containers", "initContainers"):
        for container in records(spec, field):
            _requests_from_limits(container.get("resources"))
            if spec.get("hostNetwork"):
                _host_ports(container)
    _pod_requests(spec)


def template(spec: Object) -> None:
    """What any pod spec gets."""
    _unset(spec, "dnsPolicy", "ClusterFirst")
    _unset(spec, "restartPolicy", "Always")
    _unset(spec, "schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    if spec.get("serviceAccountName") and not spec.get("serviceAccount"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for field in CONTAINER_LISTS:
        for container in records(spec, field):
            _container(container)
    for volume in records(spec, "volumes"):
        _volume(volume)


def records(parent: Object, field: str) -> Iterator[Object]:
    """The records in a list field."""
    for item in parent.get(field) or ():
        if isinstance(item, dict):
            yield item


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _unset(record: Object, field: str, value: Any) -> None:
    """Set a field that is absent or empty."""
    if not record.get(field):
        record[field] = value


def _container(container: Object) -> None:
    _unset(container, "imagePullPolicy", pull_policy(container.get("image") or ""))
    _unset(container, "terminationMessagePath", "/dev/termination-log")
    _unset(container, "terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    for port in records(container, "ports"):
        _unset(port, "protocol", "TCP")
    for entry in records(container, "env"):
        _env_source(entry.get("valueFrom"))
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(field), dict):
            _probe(container[field])
    # The server drops lifecycle.stopSignal, its gate being off (LH4); podman honours it, and so do we (docs/decisions/0010).
    lifecycle = container.get("lifecycle") or {}
    for field in ("postStart", "preStop"):
        if isinstance(lifecycle.get(field), dict):
            _http(lifecycle[field])


def _env_source(source: Object | None) -> None:
    if not source:
        return
    _field_ref(source)
    if isinstance(source.get("fileKeyRef"), dict):
        source["fileKeyRef"].setdefault("optional", False)


def _field_ref(holder: Object) -> None:
    if isinstance(holder.get("fieldRef"), dict):
        _unset(holder["fieldRef"], "apiVersion", "v1")
    if isinstance(holder.get("resourceFieldRef"), dict):
        holder["resourceFieldRef"].setdefault("divisor", "0")


def _probe(probe: Object) -> None:
    """PR1; a zero means unset here, as for the server."""
    for field, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        _unset(probe, field, value)
    _http(probe)
    if isinstance(probe.get("grpc"), dict):
        probe["grpc"].setdefault("service", "")


def _http(handler: Object) -> None:
    request = handler.get("httpGet")
    if isinstance(request, dict):
        _unset(request, "path", "/")
        _unset(request, "scheme", "HTTP")


def _volume(volume: Object) -> None:
    sources = [field for field in volume if field != "name"]
    if not sources:
        volume["emptyDir"] = {}  # VO1
        return
    for field in sources:
        source = volume[field]
        if isinstance(source, dict):
            if field in _MODES:
                source.setdefault("defaultMode", _MODES[field])
            _SOURCES.get(field, _nothing)(source)


def _nothing(source: Object) -> None:
    """A source without defaults of its own."""


def _downward(source: Object) -> None:
    for item in records(source, "items"):
        _field_ref(item)


def _projected(source: Object) -> None:
    for part in records(source, "sources"):
        if isinstance(part.get("downwardAPI"), dict):
            _downward(part["downwardAPI"])
        if isinstance(part.get("serviceAccountToken"), dict):
            part["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def _image(source: Object) -> None:
    _unset(source, "pullPolicy", pull_policy(source.get("reference") or ""))


def _ephemeral(source: Object) -> None:
    claim = source.get("volumeClaimTemplate")
    if isinstance(claim, dict):
        spec = claim.setdefault("spec", {})
        spec.setdefault("volumeMode", "Filesystem")


def _host_path(source: Object) -> None:
    source.setdefault("type", "")


def _iscsi(source: Object) -> None:
    _unset(source, "iscsiInterface", "default")


def _rbd(source: Object) -> None:
    for field, value in (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")):
        _unset(source, field, value)


def _azure_disk(source: Object) -> None:
    for field, value in (("cachingMode", "ReadWrite"), ("kind", "Shared"), ("fsType", "ext4"), ("readOnly", False)):
        source.setdefault(field, value)


def _scale_io(source: Object) -> None:
    _unset(source, "storageMode", "ThinProvisioned")
    _unset(source, "fsType", "xfs")


_SOURCES = {
    "downwardAPI": _downward,
    "projected": _projected,
    "image": _image,
    "ephemeral": _ephemeral,
    "hostPath": _host_path,
    "iscsi": _iscsi,
    "rbd": _rbd,
    "azureDisk": _azure_disk,
    "scaleIO": _scale_io,
}


def _host_ports(container: Object) -> None:
    """HP1: with the host's network a port is the host's own."""
    for port in records(container, "ports"):
        if not port.get("hostPort") and port.get("containerPort"):
            port["hostPort"] = port["containerPort"]


def _requests_from_limits(resources: Object | None) -> None:
    """RS1: a limit is a request too, in a Pod."""
    limits = (resources or {}).get("limits")
    if resources is not None and limits is not None:
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def _pod_requests(spec: Object) -> None:
    """Requests of the pod as a whole, when it states any resources: what its containers ask, else its limits."""
    resources = spec.get("resources")
    if not resources or not (resources.get("limits") or resources.get("requests")):
        return
    requests = dict(resources.get("requests") or {})
    for name, amount in effective_requests(spec).items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, canonical(amount))
    for name, text in (resources.get("limits") or {}).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            requests.setdefault(name, text)
    if requests:
        resources["requests"] = requests


def effective_requests(spec: Object) -> dict[str, str]:
    """IN6: the larger of what runs together and of each step of initialisation."""
    running: dict[str, int] = {}
    peak: dict[str, int] = {}
    family: dict[str, str] = {}
    for container in records(spec, "initContainers"):
        asked = _asked(container, family)
        if container.get("restartPolicy") == "Always":
            running = _plus(running, asked)
            asked = {}
        step = _plus(running, asked)
        peak = {name: max(step.get(name, 0), peak.get(name, 0)) for name in step.keys() | peak.keys()}
    for container in records(spec, "containers"):
        running = _plus(running, _asked(container, family))
    names = running.keys() | peak.keys()
    return {name: quantity.Quantity(max(running.get(name, 0), peak.get(name, 0)), family[name]).canonical() for name in names}


def _asked(container: Object, family: dict[str, str]) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for name, text in ((container.get("resources") or {}).get("requests") or {}).items():
        amount = quantity.parse(text)
        family.setdefault(name, amount.format)
        amounts[name] = amount.nanos
    return amounts


def _plus(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in left.keys() | right.keys()}
