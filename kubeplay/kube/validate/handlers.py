"""Probes and lifecycle hooks (PR1, PR7)."""

from __future__ import annotations

from kubeplay.kube import names
from kubeplay.kube.validate.ports import port_or_name
from kubeplay.kube.validate.report import Faults, Object, record, records

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def probe(faults: Faults, path: str, value: Object | None, field: str, grace: int) -> None:
    """One of the three probes."""
    if value is None:
        return
    handler(faults, path, value, grace)
    for name in _NUMBERS:
        faults.not_negative(f"{path}.{name}", value.get(name))
    seconds = value.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        faults.invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0")
    if field == "readinessProbe":
        if seconds is not None:
            faults.invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes")
    elif value.get("successThreshold") != 1:
        faults.invalid(f"{path}.successThreshold", value.get("successThreshold"), "must be 1")


def lifecycle(faults: Faults, path: str, value: Object | None, grace: int) -> None:
    """postStart and preStop."""
    for field in ("postStart", "preStop"):
        hook = record(value, field)
        if hook is not None:
            handler(faults, f"{path}.{field}", hook, grace)


def handler(faults: Faults, path: str, value: Object, grace: int) -> None:
    """Exactly one of exec, httpGet, tcpSocket, grpc, sleep."""
    count = 0
    for field in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        action = record(value, field)
        if action is None:
            continue
        at = f"{path}.{field}"
        if count:
            faults.forbidden(at, "may not specify more than 1 handler type")
            continue
        count += 1
        _action(faults, at, field, action, grace)
    if not count:
        faults.required(path, "must specify a handler type", "one of exec, httpGet, tcpSocket, grpc")


def _action(faults: Faults, path: str, field: str, action: Object, grace: int) -> None:
    if field == "exec":
        if not action.get("command"):
            faults.required(f"{path}.command")
    elif field == "httpGet":
        _http(faults, path, action)
    elif field in ("tcpSocket", "grpc"):
        port_or_name(faults, f"{path}.port", action.get("port"))
    else:
        seconds = action.get("seconds") or 0
        if not 0 <= seconds <= grace:
            faults.invalid(path, seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")


def _http(faults: Faults, path: str, action: Object) -> None:
    if not action.get("path"):
        faults.required(f"{path}.path")
    port_or_name(faults, f"{path}.port", action.get("port"))
    if action.get("scheme") not in ("HTTP", "HTTPS"):
        faults.unsupported(f"{path}.scheme", action.get("scheme") or "", ("HTTP", "HTTPS"))
    for header in records(action, "httpHeaders"):
        name = header.get("name") or ""
        faults.each(f"{path}.httpHeaders", name, names.http_header(name))
