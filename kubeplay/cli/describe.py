"""describe: objects in words, as kubectl's describe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeplay.cli import things
from kubeplay.cli.declare import ALL_NAMESPACES, argument, command, flag, text
from kubeplay.kube.kinds import Kind

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]


@command(
    "describe",
    "Show objects in words: what they should be, how they are, and what happened to them.\n\n"
    "    kubeplay describe pod web\n    kubeplay describe pod/web svc/web\n    kubeplay describe pods -l app=web",
    argument("KIND", "Kinds and names, or KIND/NAME; a kind alone means every object of it.", dest="words", many=True, complete="kind"),
    text("-l", "--selector", help="Objects with these labels: app=web,tier!=db,'env in (a, b)'.", metavar="SELECTOR"),
    flag("--show-events", help="Show their events too.", default=True),
    ALL_NAMESPACES,
)
def describe(app: App, *, words: tuple[str, ...], selector: str | None, show_events: bool, all_namespaces: bool) -> None:
    from kubeplay.cli.get import targets
    from kubeplay.kube import selector as selectors

    fits = selectors.labels(selector or "")
    found: list[tuple[Kind, Json]] = []
    for one, name in targets(words):
        bodies = [things.fetched(app, one, name)] if name else things.listed(app, one, app.scope(all_namespaces))
        found += [(one, body) for body in bodies if fits(body["metadata"].get("labels") or {})]
    if not found:
        print(f"No resources found in {app.namespace} namespace." if not all_namespaces else "No resources found", file=sys.stderr)
    sys.stdout.write("\n\n".join(described(app, one, body, show_events) for one, body in found))


def described(app: App, one: Kind, body: Json, show_events: bool = True) -> str:
    """One object in words."""
    from importlib import import_module

    now = app.engine.clock.now()
    events = _events(app, body) if show_events else []
    if one.kind in _PAGES:
        module, name = _PAGES[one.kind]
        page: Callable[[Json, list[Json], float], str] = getattr(import_module(f"kubeplay.kube.describe.{module}"), name)
        return page(body, events, now)
    if one.kind in _OWNERS:
        module, name, between = _OWNERS[one.kind]
        pods, others = _owned(app, body, between)
        owner: Callable[..., str] = getattr(import_module(f"kubeplay.kube.describe.{module}"), name)
        return owner(body, pods, others, events, now)
    from kubeplay.kube.describe import others as plain

    if one.kind == "Service":
        return plain.service(body, _endpoints(app, body), events, now)
    if one.kind == "Ingress":
        from kubeplay.kube.describe import network

        return network.ingress(body, lambda service, port: _behind(app, body, service, port), events, now)
    if one.kind == "Namespace":
        from kubeplay.kube.describe import policy

        own = body["metadata"]["name"]
        return policy.namespace(body, *(things.listed(app, things.kind(word), own) for word in ("resourcequota", "limitrange")))
    if one.kind == "Node":
        from kubeplay.kube.describe import node

        return node.node(body, things.listed(app, things.kind("pod"), ""), events, now)
    return plain.anything(body, one.namespaced, events, now)


# kind -> module and function of its page: (body, events, now)
_PAGES = {
    "Pod": ("pod", "pod"), "ConfigMap": ("others", "config_map"), "Secret": ("others", "secret"),
    "IngressClass": ("network", "ingress_class"), "NetworkPolicy": ("network", "network_policy"),
    "HorizontalPodAutoscaler": ("policy", "autoscaler"), "PodDisruptionBudget": ("policy", "budget"), "ResourceQuota": ("policy", "quota"),
    "LimitRange": ("policy", "limits"), "PriorityClass": ("policy", "priority_class"), "Role": ("policy", "role"),
    "ClusterRole": ("policy", "role"), "RoleBinding": ("policy", "binding"), "ClusterRoleBinding": ("policy", "binding"),
    "ServiceAccount": ("policy", "service_account"), "Endpoints": ("policy", "endpoints"),
}  # fmt: skip
# kind -> module, function and what stands between it and its pods: (body, pods, what is between, events, now)
_OWNERS = {
    "Deployment": ("workloads", "deployment", "ReplicaSet"), "ReplicaSet": ("workloads", "replica_set", ""),
    "StatefulSet": ("workloads", "stateful_set", ""), "DaemonSet": ("workloads", "daemon_set", ""), "Job": ("batch", "job", ""),
    "CronJob": ("batch", "cron_job", "Job"),
}  # fmt: skip


def _owned(app: App, body: Json, between: str) -> tuple[list[Json], list[Json]]:
    """The pods of a workload, and the objects between it and them."""
    from kubeplay.cli.inspection import stored

    namespace, uid = body["metadata"].get("namespace") or "default", body["metadata"].get("uid", "")
    middle = app.store.objects.list(between, namespace, uid) if between else []
    pods = [pod for owner in ([one.uid for one in middle] if between else [uid]) for pod in app.store.objects.list("Pod", namespace, owner)]
    return [stored(one) for one in pods], [stored(one) for one in middle]


def _events(app: App, body: Json) -> list[Json]:
    """The object's own, by uid: a pod of the same name that went before is another one."""
    uid = body["metadata"].get("uid")
    return [things.event(one) for one in app.store.events.list(uid=uid)] if uid else []


def _endpoints(app: App, body: Json) -> list[list[str]]:
    from kubeplay.reconcile import services

    meta = body["metadata"]
    for route in services.routes(app.engine):
        if (route.service.namespace, route.service.name) == (meta.get("namespace") or "default", meta["name"]):
            return [[f"{one.ip}:{one.port}" for one in port] for port in route.endpoints]
    return []


def _behind(app: App, body: Json, name: str, port: Any) -> list[str]:
    """The addresses behind the port of a Service of the same namespace."""
    from kubeplay.errors import NotFound

    namespace = body["metadata"].get("namespace") or "default"
    try:
        service = things.fetched(app, things.kind("service"), f"{namespace}/{name}")
    except NotFound:
        return [f'<error: services "{name}" not found>']
    found = [at for at, one in enumerate(service["spec"].get("ports") or []) if port in (one.get("port"), one.get("name"))]
    behind = _endpoints(app, service)
    return behind[found[0]] if found and found[0] < len(behind) else []
