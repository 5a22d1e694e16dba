"""The environment variables of Services (SV4), pure."""

from __future__ import annotations

from collections.abc import Iterable

from kubeplay.plan.service import ServicePlan

MASTER = ("default", "kubernetes")  # there even with enableServiceLinks: false


def variables(services: Iterable[ServicePlan], namespace: str, links: bool) -> dict[str, str]:
    """What a container of `namespace` sees; without `links` only KUBERNETES_*."""
    found: dict[str, str] = {}
    for service in services:
        identity = (service.namespace, service.name)
        mine = links and service.namespace == namespace
        if (mine or identity == MASTER) and service.ports and service.cluster_ip not in ("", "None"):
            found.update(_of(service))
    return found


def _of(service: ServicePlan) -> dict[str, str]:
    name, ip, first = _name(service.name), service.cluster_ip, service.ports[0]
    host = f"[{ip}]" if ":" in ip else ip
    made = {f"{name}_SERVICE_HOST": ip, f"{name}_SERVICE_PORT": str(first.port)}
    for port in service.ports:
        if port.name:
            made[f"{name}_SERVICE_PORT_{_name(port.name)}"] = str(port.port)
    made[f"{name}_PORT"] = f"{first.protocol.lower()}://{host}:{first.port}"
    for port in service.ports:
        prefix = f"{name}_PORT_{port.port}_{port.protocol}"
        made[prefix] = f"{port.protocol.lower()}://{host}:{port.port}"
        made.update({f"{prefix}_PROTO": port.protocol.lower(), f"{prefix}_PORT": str(port.port), f"{prefix}_ADDR": ip})
    return made


def _name(text: str) -> str:
    return text.upper().replace("-", "_")
