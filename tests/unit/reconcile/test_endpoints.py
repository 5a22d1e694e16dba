"""EP1 and SV1: which pods stand behind a Service, and at which port."""

from __future__ import annotations

import pytest

from kubeplay.plan.container import INIT, ContainerPlan, Port
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.service import Address, Endpoint, ServicePlan, ServicePort
from kubeplay.reconcile.endpoints import Candidate, route, target


def plan(name: str = "p", namespace: str = "default", labels: tuple[tuple[str, str], ...] = (("app", "web"),), port: int = 8080) -> PodPlan:
    web = ContainerPlan("web", "i", ports=(Port(port, name="http"), Port(53, "UDP", "dns")))
    init = ContainerPlan("init", "i", kind=INIT, ports=(Port(1, name="only-init"),))
    return PodPlan(namespace, name, SandboxPlan(name), (init, web), labels=labels)


def service(*ports: ServicePort, selector: tuple[tuple[str, str], ...] = (("app", "web"),)) -> ServicePlan:
    return ServicePlan("default", "web", ports=ports or (ServicePort(80, "http"),), selector=selector, cluster_ip="10.96.0.9")


@pytest.mark.parametrize(("port", "expected"), [
    (ServicePort(80, "http"), 8080), (ServicePort(80, 9), 9), (ServicePort(80, 0), 80), (ServicePort(53, "dns", "UDP"), 53),
    (ServicePort(53, "dns", "TCP"), None), (ServicePort(80, "nosuch"), None), (ServicePort(80, "only-init"), None),
])  # fmt: skip
def test_sv1_target_port(port: ServicePort, expected: int | None) -> None:
    assert target(port, plan()) == expected


def test_ep1_ready_pods_of_the_namespace_that_match() -> None:
    pods = [
        Candidate(plan("b", port=81), "10.0.0.2", True),
        Candidate(plan("a", port=80), "10.0.0.1", True),
        Candidate(plan("unready"), "10.0.0.3", False),
        Candidate(plan("elsewhere", "other"), "10.0.0.4", True),
        Candidate(plan("unlabelled", labels=(("app", "db"),)), "10.0.0.5", True),
    ]
    assert route(service(), pods).endpoints == ((Endpoint("10.0.0.1", 80), Endpoint("10.0.0.2", 81)),)


def test_ep1_a_service_may_publish_what_is_not_ready() -> None:
    pods = [Candidate(plan("a"), "10.0.0.1", False), Candidate(plan("b"), "10.0.0.2", False, True)]
    given = route(service()._replace(publish_not_ready=True), pods).endpoints
    assert given == ((Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.2", 8080)),)


def test_sv3_without_a_ready_pod_those_that_serve_while_they_end() -> None:
    ending = [Candidate(plan("a"), "10.0.0.1", True, True), Candidate(plan("b"), "10.0.0.2", False, True)]
    assert route(service(), ending).endpoints == ((Endpoint("10.0.0.1", 8080),),)
    assert route(service(), [*ending, Candidate(plan("c"), "10.0.0.3", True)]).endpoints == ((Endpoint("10.0.0.3", 8080),),)


def test_ep2_no_selector_no_endpoints() -> None:
    assert route(service(selector=()), [Candidate(plan(), "10.0.0.1", True)]).endpoints == ((),)


def test_dn5_addresses_for_names_are_ready_ones_with_the_host_names_they_were_given() -> None:
    def of(name: str, subdomain: str, named: bool = True) -> PodPlan:
        return plan(name)._replace(sandbox=SandboxPlan(name, f"{subdomain}.default.svc.cluster.local" if subdomain else "", named=named))

    pods = [
        Candidate(of("web-0", "web"), "10.0.0.1", True), Candidate(of("web-1", "web", named=False), "10.0.0.2", True),
        Candidate(of("web-2", "other"), "10.0.0.3", True), Candidate(of("web-3", "web"), "10.0.0.4", False),
    ]  # fmt: skip
    expected = (Address("10.0.0.1", "web-0"), Address("10.0.0.2"), Address("10.0.0.3"))
    assert route(service(), pods).addresses == expected
    assert route(service()._replace(ports=()), pods).addresses == expected
    assert route(service(), [Candidate(plan("a"), "10.0.0.1", True, terminating=True)]).addresses == ()
