"""Section 17: Services and EndpointSlices, as tables."""

from __future__ import annotations

import pytest

from kubeplay.engine.net import nft, table
from kubeplay.kube import defaults, kinds, slices
from kubeplay.kube.slices import Backend
from kubeplay.plan.container import APP, SIDECAR, ContainerPlan, Port
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute
from kubeplay.play import update_service
from kubeplay.play.kinds import service as kind
from kubeplay.reconcile.endpoints import Candidate, backends, route

WEB = ServicePlan("default", "web", ports=(ServicePort(80, "http", name="http"),), selector=(("app", "web"),), cluster_ip="10.96.0.9")
STATE = nft.NetState("t", 7, "10.244.0.1", ("10.244.0.0/24",), "10.96.0.0/16", "10.96.0.10")


def pod(name: str, last: int, ready: bool = True, ending: bool = False, port: int = 8080, side: str = APP) -> Candidate:
    container = ContainerPlan("main", "i", kind=side, ports=(Port(port, name="http"),))
    plan = PodPlan("default", name, SandboxPlan(name), (container,), labels=(("app", "web"),))
    return Candidate(plan, f"10.244.0.{last}", ready, ending)


def defaulted(**spec: object) -> dict[str, object]:
    one = kinds.find("v1", "Service")
    assert one is not None
    return defaults.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}, one)


def test_sv1_defaults_and_named_ports_of_app_and_sidecar_containers() -> None:
    made = kind.plan(defaulted(ports=[{"port": 80}], selector={"app": "web"}))
    assert (made.type, made.ports) == ("ClusterIP", (ServicePort(80, 80),))
    for side in (APP, SIDECAR):
        assert route(WEB, [pod("a", 2, port=81, side=side)]).endpoints == ((Endpoint("10.244.0.2", 81),),)


def test_sv1_the_cluster_address_is_immutable_while_the_type_has_one() -> None:
    given = WEB._replace(cluster_ips=("10.96.0.9",))
    assert update_service.service(given, {"spec": {}}, {"spec": {"type": "NodePort"}}) == []
    assert update_service.service(given, {"spec": {}}, {"spec": {"clusterIP": "10.96.0.9"}}) == []
    assert "may not change once set" in update_service.service(given, {"spec": {}}, {"spec": {"clusterIP": "10.96.0.8"}})[0]
    assert update_service.service(given, {"spec": {}}, {"spec": {"type": "ExternalName", "externalName": "x.y"}}) == []


def test_sv3_the_time_of_session_affinity_is_three_hours_unless_given() -> None:
    assert kind.plan(defaulted(sessionAffinity="ClientIP", ports=[{"port": 1}])).affinity_seconds == 10800
    config = {"clientIP": {"timeoutSeconds": 5}}
    assert kind.plan(defaulted(sessionAffinity="ClientIP", sessionAffinityConfig=config, ports=[{"port": 1}])).affinity_seconds == 5


@pytest.mark.parametrize(("pods", "last"), [
    ([pod("a", 2), pod("b", 3, ready=False), pod("c", 4, ending=True)], [2]),
    ([pod("b", 3, ready=False), pod("c", 4, ending=True)], [4]),
    ([pod("b", 3, ready=False), pod("c", 4, ready=False, ending=True)], []),
])  # fmt: skip
def test_sv3_ready_ones_else_those_that_serve_while_they_end_else_none(pods: list[Candidate], last: list[int]) -> None:
    assert route(WEB, pods).endpoints == (tuple([Endpoint(f"10.244.0.{n}", 8080) for n in last]),)


def test_sv3_a_port_without_endpoints_has_no_way_and_is_refused() -> None:
    text = table.whole("t", nft.rules(STATE._replace(routes=(ServiceRoute(WEB, ((),)),))))
    assert "10.96.0.9" not in text and "ip daddr 10.96.0.0/16 meta l4proto tcp reject with tcp reset" in text


def test_ep1_conditions_and_ports_of_what_is_selected() -> None:
    found = backends(WEB, [pod("a", 2), pod("b", 3, ready=False), pod("c", 4, ending=True), pod("d", 5, port=9)])
    assert [(one.ready, one.serving, one.terminating) for one in found] == [
        (True, True, False), (False, False, False), (False, True, True), (True, True, False)]  # fmt: skip
    made = slices.slices({"metadata": {"name": "web"}, "spec": {}}, "uid", found, "node", "then")
    assert [(len(one["endpoints"]), one["ports"][0]["port"]) for one in made] == [(1, 9), (3, 8080)], "one slice for each set of ports"
    assert made[0]["metadata"]["labels"][slices.SERVICE_NAME] == "web" and made[0]["metadata"]["generateName"] == "web-"


def test_ep1_a_slice_has_at_most_100_endpoints_of_one_family() -> None:
    many = [Backend(f"10.1.{n // 250}.{n % 250 + 1}", (("", "TCP", 1),)) for n in range(201)] + [Backend("fd00::1", (("", "TCP", 1),))]
    made = slices.slices({"metadata": {"name": "web"}, "spec": {}}, "uid", many, "node", "then")
    assert [(one["addressType"], len(one["endpoints"])) for one in made] == [("IPv4", 100), ("IPv4", 100), ("IPv4", 1), ("IPv6", 1)]
    assert len({one["metadata"]["name"] for one in made}) == 4


def test_ep2_users_slices_and_endpoints_by_port_name() -> None:
    bare = WEB._replace(selector=())
    body = {"addressType": "IPv4", "ports": [{"name": "http", "port": 7}, {"name": "other", "port": 8}],
            "endpoints": [{"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2"], "conditions": {"ready": False}}]}  # fmt: skip
    assert route(bare, [], slices.of_slice(body)).endpoints == ((Endpoint("192.0.2.1", 7),),)
    old = {"metadata": {}, "subsets": [{"addresses": [{"ip": "192.0.2.3"}], "notReadyAddresses": [{"ip": "192.0.2.4"}],
                                        "ports": [{"name": "http", "port": 9}]}]}  # fmt: skip
    assert route(bare, [], slices.of_endpoints(old)).endpoints == ((Endpoint("192.0.2.3", 9),),)
    assert slices.of_endpoints({**old, "metadata": {"labels": {slices.SKIP_MIRROR: "true"}}}) == ()
