"""A NodePort Service for the ports of a pod or workload (--service)."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput

Object = dict[str, Any]


def of(obj: Object) -> Object:
    """The Service that publishes what `obj` (a Pod or a workload) publishes; the cluster draws the node ports.

    The ports with a hostPort, or all of them where none has one. Raises InvalidInput when there is no port.
    """
    meta, spec = obj["metadata"], pod_spec(obj)
    ports = [port for container in spec["containers"] for port in container.get("ports") or []]
    ports = [port for port in ports if port.get("hostPort")] or ports
    if not ports:
        raise InvalidInput(f"{obj['kind']} {meta['name']} has no ports for a Service")
    made: Object = {"name": meta["name"], "labels": labels(obj)}
    if meta.get("namespace"):
        made["namespace"] = meta["namespace"]
    body = {"type": "NodePort", "selector": labels(obj), "ports": [_port(port) for port in _distinct(ports)]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": made, "spec": body}


def pod_spec(obj: Object) -> Object:
    spec: Object = obj["spec"] if obj["kind"] == "Pod" else obj["spec"]["template"]["spec"]
    return spec


def labels(obj: Object) -> dict[str, str]:
    """Labels of the pods; `app` where they have none, as `with_labels` gives them."""
    meta = obj["metadata"] if obj["kind"] == "Pod" else obj["spec"]["template"]["metadata"]
    return dict(meta.get("labels") or {"app": obj["metadata"]["name"]})


def published(obj: Object) -> Object:
    """`obj` for use with the Service: labels to select it by, and no host ports of its own."""
    made = {**obj, "metadata": dict(obj["metadata"]), "spec": dict(obj["spec"])}
    if obj["kind"] == "Pod":
        made["metadata"]["labels"] = labels(obj)
        made["spec"] = _without_host_ports(obj["spec"])
    else:
        made["spec"]["template"] = {**obj["spec"]["template"], "spec": _without_host_ports(pod_spec(obj))}
    return made


def _without_host_ports(spec: Object) -> Object:
    containers = []
    for container in spec["containers"]:
        if container.get("ports") and not spec.get("hostNetwork"):
            bare = [{field: value for field, value in port.items() if field not in ("hostPort", "hostIP")} for port in container["ports"]]
            container = {**container, "ports": _distinct(bare)}
        containers.append(container)
    return {**spec, "containers": containers}


def _distinct(ports: list[Object]) -> list[Object]:
    """One entry for each port and protocol: --publish may have given several host ports to one."""
    made: dict[tuple[int, str], Object] = {}
    for port in ports:
        made.setdefault((port["containerPort"], port.get("protocol") or "TCP"), port)
    return list(made.values())


def _port(port: Object) -> Object:
    number, protocol = port["containerPort"], port.get("protocol") or "TCP"
    name = port.get("name") or f"{number}" + (f"-{protocol.lower()}" if protocol != "TCP" else "")
    return {"name": name, "port": number, "targetPort": number, "protocol": protocol}
