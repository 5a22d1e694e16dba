"""Who stands behind a Service: the pods it selects and what a user's EndpointSlices and Endpoints say (EP1, EP2, SV3). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubeplay.kube.slices import Backend
from kubeplay.plan.container import APP, SIDECAR
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.service import Address, Endpoint, ServicePlan, ServicePort, ServiceRoute


class Candidate:
    """A pod as endpoints see it; `ready` is its condition, also while it is `terminating`; `hosted`: it may have a name below a Service's.

    Its plan is decoded when it is asked for.
    """

    __slots__ = ("_plan", "addresses", "hosted", "labels", "name", "namespace", "ready", "terminating", "uid")

    def __init__(
        self, plan: PodPlan | Callable[[], PodPlan], addresses: str | tuple[str, ...], ready: bool, terminating: bool = False,
        labels: dict[str, str] | None = None, name: tuple[str, str, str] | None = None, hosted: bool = True,
    ) -> None:  # fmt: skip
        self._plan = plan
        self.addresses = (addresses,) if isinstance(addresses, str) else addresses
        self.ready = ready
        self.hosted = hosted
        self.terminating = terminating
        self.labels = dict(self.plan.labels) if labels is None else labels
        self.namespace, self.name, self.uid = name or (self.plan.namespace, self.plan.name, "")

    @property
    def plan(self) -> PodPlan:
        if not isinstance(self._plan, PodPlan):
            self._plan = self._plan()
        return self._plan


def route(service: ServicePlan, pods: Sequence[Candidate], others: Sequence[Backend] = ()) -> ServiceRoute:
    """One Service's endpoints: those that are ready, without any those that serve while they end (SV3), for each port.

    A Service without selector has none of ours (EP2); `others` are a user's own.
    """
    found = [*backends(service, pods), *others]
    ends = tuple([_ends(port, found) for port in service.ports])
    names = tuple(sorted({Address(one.ip, one.hostname) for one in found if one.ready}))
    return ServiceRoute(service, ends, names)


def _ends(port: ServicePort, found: Sequence[Backend]) -> tuple[Endpoint, ...]:
    """As kube-proxy chooses: by the port's name and protocol."""
    here = [(one, number) for one in found for name, protocol, number in one.ports if (name, protocol) == (port.name, port.protocol)]
    chosen = [pair for pair in here if pair[0].ready] or [pair for pair in here if pair[0].serving and pair[0].terminating]
    return tuple(sorted({Endpoint(one.ip, number) for one, number in chosen}))


def backends(service: ServicePlan, pods: Sequence[Candidate]) -> list[Backend]:
    """The pods that a Service selects, ready or not, one for each family that it has."""
    found = []
    for pod in pods:
        if service.selector and pod.namespace == service.namespace and _selects(service, pod):
            ready = service.publish_not_ready or (pod.ready and not pod.terminating)
            ports = tuple([(p.name, p.protocol, n) for p in service.ports if (n := _target(p, pod)) is not None])
            hostname = _hostname(service, pod) if pod.hosted else ""
            for ip in pod.addresses:
                if ("IPv6" if ":" in ip else "IPv4") in service.families:
                    found.append(Backend(ip, ports, ready, pod.ready, pod.terminating, hostname, (pod.name, pod.uid)))
    return found


def _hostname(service: ServicePlan, pod: Candidate) -> str:
    """The name a pod has below the Service's (EP1): of a host name and a subdomain that is the Service's name."""
    sandbox = pod.plan.sandbox
    return sandbox.hostname if sandbox.named and sandbox.domain.partition(".")[0] == service.name else ""


def _selects(service: ServicePlan, pod: Candidate) -> bool:
    return all(pod.labels.get(key) == value for key, value in service.selector)


def _target(port: ServicePort, pod: Candidate) -> int | None:
    return port.target or port.port if isinstance(port.target, int) else target(port, pod.plan)


def target(port: ServicePort, plan: PodPlan) -> int | None:
    """The port number in a pod; a name is looked up in its containers (SV1), None when it is not there."""
    if isinstance(port.target, int):
        return port.target or port.port
    for container in plan.containers:
        for each in container.ports:
            if each.name == port.target and each.protocol == port.protocol and container.kind in (APP, SIDECAR):
                return each.container_port
    return None
