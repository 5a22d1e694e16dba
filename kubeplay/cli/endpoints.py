"""Services with what they were given; EndpointSlices and Endpoints as a cluster's controllers would have made them (EP1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.kube import slices
from kubeplay.plan.service import ServicePlan
from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]


def complete(app: App, bodies: Sequence[Json]) -> None:
    """Addresses, node ports and a load balancer's address, as the server would have set them."""
    from kubeplay.reconcile import services

    given = {(plan.namespace, plan.name): plan for plan in services.plans(app.engine)}
    for body in bodies:
        plan = given.get((body["metadata"].get("namespace") or "default", body["metadata"]["name"]))
        if plan is not None:
            body["spec"] = _spec(dict(body.get("spec") or {}), plan)
            body.setdefault("status", {"loadBalancer": {"ingress": [{"ip": plan.ingress, "ipMode": "VIP"}]} if plan.ingress else {}})


def _spec(spec: Json, plan: ServicePlan) -> Json:
    if plan.cluster_ip:
        addresses = list(plan.cluster_ips or (plan.cluster_ip,))
        spec.update(clusterIP=plan.cluster_ip, clusterIPs=addresses, ipFamilies=list(plan.families))
    if spec.get("ports"):
        spec["ports"] = [{**port, "nodePort": each.node_port} if each.node_port else port for port, each in zip(spec["ports"], plan.ports)]
    return spec


def with_ours(app: App, kind: str, bodies: Sequence[Json], namespace: str) -> list[Json]:
    """The stored ones of that kind and ours, by namespace and name."""
    from kubeplay.cli.inspection import stored
    from kubeplay.reconcile import endpoints, services

    plans = {(plan.namespace, plan.name): plan for plan in services.plans(app.engine) if plan.selector}
    pods = services.candidates(app.engine) if plans else []
    found = list(bodies)
    taken = {(body["metadata"].get("namespace"), body["metadata"]["name"]) for body in bodies}
    for (scope, name), plan in plans.items():
        one = app.store.objects.find(ObjectKey("Service", scope, name))
        if one is None or (namespace and scope != namespace):
            continue
        service = stored(one)
        complete(app, [service])
        created, behind = service["metadata"]["creationTimestamp"], endpoints.backends(plan, pods)
        if kind == "EndpointSlice":
            made = slices.slices(service, one.uid, behind, app.engine.node_name, created)
        else:
            first = [each for each in behind if ("IPv6" if ":" in each.ip else "IPv4") == plan.families[0]]
            made = [slices.endpoints(service, first, app.engine.node_name, created, plan.publish_not_ready)]
        found += [body for body in made if (scope, body["metadata"]["name"]) not in taken]
    return sorted(found, key=lambda body: (body["metadata"].get("namespace") or "", body["metadata"]["name"]))
