"""Services: their given addresses, and the endpoints behind them from the pods' status (EP1, SV3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kubeplay.engine.net.services import HEADLESS
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import DELETE
from kubeplay.errors import Conflict, KubeplayError
from kubeplay.kube.status import TERMINAL
from kubeplay.plan import codec
from kubeplay.plan.container import APP, SIDECAR
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.service import Address, Endpoint, ServicePlan, ServicePort, ServiceRoute
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile.observe import plan_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

POOL = "service"  # leases: NS/NAME -> the plan with its given addresses


def plans(engine: Engine) -> list[ServicePlan]:
    """Every Service with its given addresses, in order of namespace and name."""
    return [codec.loads(lease.value) for lease in engine.store.leases.held(POOL)]


def master(engine: Engine) -> ServicePlan:
    """The API server's Service: its variables are in every container (SV4), although nothing listens there yet."""
    from kubeplay.engine.net.addresses import text
    from kubeplay.engine.net.services import KUBERNETES

    address = text(engine.net.service_range().base + KUBERNETES)
    return ServicePlan("default", "kubernetes", ports=(ServicePort(443, 6443, "TCP", "https"),), cluster_ip=address)


def allocate(engine: Engine, plan: ServicePlan) -> ServicePlan:
    """Give a Service its cluster address and node ports and remember them. Raises Conflict, Exhausted, InvalidInput."""
    given: ServicePlan = engine.net.allocate_service(plan)
    with engine.store.write() as db:
        key = f"{plan.namespace}/{plan.name}"
        db.execute("INSERT OR REPLACE INTO leases VALUES (?,?,?,?)", (POOL, key, holder(plan.namespace, plan.name), codec.dumps(given)))
    return given


def check(engine: Engine, wanted: Sequence[ServicePlan], going: Iterable[ObjectKey]) -> None:
    """Whether each of the Services can have the address it asks for, once `going` are removed. Takes nothing.

    Raises Conflict, InvalidInput; the message names the Service.
    """
    free = frozenset(holder(key.namespace, key.name) for key in going if key.kind == "Service")
    asked: dict[str, ServicePlan] = {}
    for plan in wanted:
        if plan.type == "ExternalName" or plan.cluster_ip in ("", HEADLESS):
            continue
        with named(plan):
            engine.net.check_service(plan, free)
            other = asked.setdefault(plan.cluster_ip, plan)
            if other is not plan:
                what = f"clusterIP {plan.cluster_ip} is asked for by Service {other.namespace}/{other.name} too"
                raise Conflict(what, hint="leave clusterIP out to have one given")


@contextmanager
def named(plan: ServicePlan) -> Iterator[None]:
    """Errors of what is done inside begin with the Service's name."""
    try:
        yield
    except KubeplayError as error:
        error.message = f"Service {plan.namespace}/{plan.name}: {error.message}"
        raise


def release(engine: Engine, namespace: str, name: str) -> None:
    """Give back a Service's addresses and ports. Idempotent; the rules go with the next refresh."""
    engine.net.release_service(namespace, name)
    engine.store.leases.release(holder(namespace, name))


def holder(namespace: str, name: str) -> str:
    return f"svc:{namespace}/{name}"


def refresh(engine: Engine) -> None:
    """Compute every Service's endpoints and hand them to the network, with one sync of rules and names."""
    engine.net.set_services(lambda: routes(engine))
    engine.net.sync()


def routes(engine: Engine) -> tuple[ServiceRoute, ...]:
    services = plans(engine)
    if not services:
        return ()
    pods = _pods(engine)
    return tuple([route(service, pods) for service in services])


class _Pod:
    """A pod as endpoints see it; `ready` is its condition, also while it is `terminating`."""

    __slots__ = ("address", "labels", "namespace", "plan", "ready", "terminating")

    def __init__(self, plan: PodPlan, address: str, ready: bool, terminating: bool = False) -> None:
        self.plan = plan
        self.namespace = plan.namespace
        self.labels = dict(plan.labels)
        self.address = address
        self.ready = ready
        self.terminating = terminating


def _pods(engine: Engine) -> list[_Pod]:
    import json

    stored: dict[str, StoredObject] = {obj.uid: obj for obj in engine.store.objects.list("Pod")}
    found = []
    for row in engine.store.runtime.pods():
        obj = stored.get(row.uid)
        if obj is None or not obj.status:
            continue
        status = json.loads(obj.status)
        if status.get("podIP") and status.get("phase") not in TERMINAL:
            found.append(_Pod(plan_of(row), status["podIP"], _is_ready(status), obj.deleted is not None or row.desired == DELETE))
    return found


def _is_ready(status: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def route(service: ServicePlan, pods: list[_Pod]) -> ServiceRoute:
    """One Service's endpoints: the ready pods it selects (EP1), without any those that serve while they end (SV3).

    A Service without selector has none of ours (EP2).
    """
    selected = [p for p in pods if service.selector and p.namespace == service.namespace and _selects(service, p)]
    ready = [p for p in selected if service.publish_not_ready or (p.ready and not p.terminating)]
    chosen = ready or [p for p in selected if p.ready]
    named = tuple(sorted(Address(p.address, _hostname(service, p.plan)) for p in ready))
    return ServiceRoute(service, tuple([_endpoints(port, chosen) for port in service.ports]), named)


def _hostname(service: ServicePlan, plan: PodPlan) -> str:
    """The name a pod has below the Service's (EP1): of a host name and a subdomain that is the Service's name."""
    sandbox = plan.sandbox
    return sandbox.hostname if sandbox.named and sandbox.domain.partition(".")[0] == service.name else ""


def _selects(service: ServicePlan, pod: _Pod) -> bool:
    return all(pod.labels.get(key) == value for key, value in service.selector)


def _endpoints(port: ServicePort, pods: list[_Pod]) -> tuple[Endpoint, ...]:
    found = [Endpoint(pod.address, number) for pod in pods if (number := target(port, pod.plan)) is not None]
    return tuple(sorted(found))


def target(port: ServicePort, plan: PodPlan) -> int | None:
    """The port number in a pod; a name is looked up in its containers (SV1), None when it is not there."""
    if isinstance(port.target, int):
        return port.target or port.port
    for container in plan.containers:
        for each in container.ports:
            if each.name == port.target and each.protocol == port.protocol and container.kind in (APP, SIDECAR):
                return each.container_port
    return None
