"""The rows of probes, three kinds with the same fields (PR1), and of hooks, which do the same but for connections (LH3)."""

from __future__ import annotations

_HANDLERS = (
    "exec", "exec.command[]", "httpGet", "httpGet.path", "httpGet.port", "httpGet.host", "httpGet.scheme", "httpGet.httpHeaders[]",
    "httpGet.httpHeaders[].name", "httpGet.httpHeaders[].value",
)  # fmt: skip
_PROBE = (
    *_HANDLERS, "tcpSocket", "tcpSocket.port", "tcpSocket.host", "grpc", "grpc.port", "grpc.service",
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
)  # fmt: skip
_HOOK = (*_HANDLERS, "sleep", "sleep.seconds")


def _rows(name: str, fields: tuple[str, ...], last: str) -> list[str]:
    return [f"{name} | + |", *[f"{name}.{field} | + |" for field in fields], f"{name}.{last}"]


def _probe(kind: str, grace: str) -> list[str]:
    return _rows(kind, _PROBE, f"terminationGracePeriodSeconds | {grace}")


def _hook(name: str) -> list[str]:
    return _rows(f"lifecycle.{name}", _HOOK, "tcpSocket | - | a kubelet accepts it and then fails the hook")


PROBES = "\n".join(
    [*_probe("livenessProbe", "+ |"), *_probe("startupProbe", "+ |"), *_probe("readinessProbe", "- | a readiness probe ends nothing"), ""]
)
HOOKS = "\n".join([*_hook("postStart"), *_hook("preStop"), ""])
