"""Services: their given addresses, and the endpoints behind them from the pods' status (EP1, SV3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from kubeplay.engine.net.services import HEADLESS
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import DELETE
from kubeplay.errors import Conflict, KubeplayError
from kubeplay.kube import slices
from kubeplay.kube.slices import Backend
from kubeplay.kube.status import TERMINAL
from kubeplay.plan import codec
from kubeplay.plan.service import ServicePlan, ServicePort, ServiceRoute
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile.endpoints import Candidate, route
from kubeplay.reconcile.observe import host_ip, plan_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

ROUTED = ("Service", "EndpointSlice", "Endpoints")  # kinds from which the traffic of Services follows
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
    if given.ingress:
        given = given._replace(ingress=given.load_balancer_ip or host_ip(engine))
    if given in plans(engine):
        return given
    with engine.store.write() as db:
        _tell(engine, plan, given)
        key = f"{plan.namespace}/{plan.name}"
        db.execute("INSERT OR REPLACE INTO leases VALUES (?,?,?,?)", (POOL, key, holder(plan.namespace, plan.name), codec.dumps(given)))
    return given


def give(
    engine: Engine, wanted: Sequence[ServicePlan], changed: Collection[tuple[str, str]]
) -> Iterator[tuple[ServicePlan, ServicePlan | None]]:
    """Every wanted Service with what it was given, and as it was before: those that are new or have changed are given anew."""
    given = {(plan.namespace, plan.name): plan for plan in plans(engine)} if wanted else {}
    for plan in wanted:
        name = (plan.namespace, plan.name)
        known = given.get(name)
        with named(plan):
            made = allocate(engine, plan) if known is None or name in changed else known
        yield made, known


def _tell(engine: Engine, before: ServicePlan, now: ServicePlan) -> None:
    """Events of a load balancer, in the words of a cluster's service controller."""
    key = ObjectKey("Service", now.namespace, now.name)
    stored = engine.store.objects.find(key)
    uid = stored.uid if stored else ""
    if now.ingress and not before.ingress:
        engine.store.events.add(key, uid, "EnsuredLoadBalancer", "Ensured load balancer")
    elif now.pending and now.pending != before.pending:
        engine.store.events.add(key, uid, "SyncLoadBalancerFailed", f"Error syncing load balancer: {now.pending}", "Warning")


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
    """Compute every Service's endpoints and whose traffic policies rule, with one sync of rules and names; Ingresses follow."""
    from kubeplay.reconcile import ingress, policies

    _balance(engine)
    engine.net.set_services(lambda: routes(engine))
    policies.refresh(engine)
    engine.net.sync()
    ingress.refresh(engine)


def _balance(engine: Engine) -> None:
    """Try again what a load balancer could not have: a port that another program or Service has let go of."""
    for plan in plans(engine):
        if plan.pending and not plan.balancer:
            allocate(engine, plan)


def routes(engine: Engine) -> tuple[ServiceRoute, ...]:
    services = plans(engine)
    if not services:
        return ()
    pods, others = candidates(engine), _others(engine, services)
    return tuple([route(service, pods, others.get((service.namespace, service.name), ())) for service in services])


def candidates(engine: Engine) -> list[Candidate]:
    """Every pod that has an address and has not ended (EP1)."""
    import json

    stored: dict[str, StoredObject] = {obj.uid: obj for obj in engine.store.objects.list("Pod")}
    found = []
    for row in engine.store.runtime.pods():
        obj = stored.get(row.uid)
        if obj is None or '"podIP"' not in obj.status:
            continue
        status = json.loads(obj.status)
        if status.get("podIP") and status.get("phase") not in TERMINAL:
            addresses = tuple([one["ip"] for one in status.get("podIPs") or ()]) or (status["podIP"],)
            going = obj.deleted is not None or row.desired == DELETE
            body = json.loads(obj.body)
            labels, hosted = body["metadata"].get("labels") or {}, bool(body["spec"].get("hostname") and body["spec"].get("subdomain"))
            name = (obj.key.namespace, obj.key.name, obj.uid)
            found.append(Candidate(partial(plan_of, row), addresses, _is_ready(status), going, labels, name, hosted))
    return found


def _is_ready(status: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def _others(engine: Engine, services: Sequence[ServicePlan]) -> dict[tuple[str, str], list[Backend]]:
    """What users' own EndpointSlices and Endpoints say (EP2); Endpoints count for Services without selector only, as they are mirrored."""
    import json

    found: dict[tuple[str, str], list[Backend]] = {}
    for obj in engine.store.objects.list("EndpointSlice"):
        body = json.loads(obj.body)
        found.setdefault((obj.key.namespace, slices.service_of(body)), []).extend(slices.of_slice(body))
    bare = {(service.namespace, service.name) for service in services if not service.selector}
    for obj in engine.store.objects.list("Endpoints"):
        if (obj.key.namespace, obj.key.name) in bare:
            found.setdefault((obj.key.namespace, obj.key.name), []).extend(slices.of_endpoints(json.loads(obj.body)))
    return found
