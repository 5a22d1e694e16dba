"""The rows of probes: three kinds, the same fields (PR1)."""

from __future__ import annotations

_FIELDS = (
    "exec", "exec.command[]", "httpGet", "httpGet.path", "httpGet.port", "httpGet.host", "httpGet.scheme", "httpGet.httpHeaders[]",
    "httpGet.httpHeaders[].name", "httpGet.httpHeaders[].value", "tcpSocket", "tcpSocket.port", "tcpSocket.host", "grpc", "grpc.port",
    "grpc.service", "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
)  # fmt: skip


def _rows(kind: str, grace: str) -> list[str]:
    return [f"{kind} | + |", *[f"{kind}.{field} | + |" for field in _FIELDS], f"{kind}.terminationGracePeriodSeconds | {grace}"]


PROBES = "\n".join(
    [*_rows("livenessProbe", "+ |"), *_rows("startupProbe", "+ |"), *_rows("readinessProbe", "- | a readiness probe ends nothing"), ""]
)
