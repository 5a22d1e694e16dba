"""DN5, DN6: the zones that follow from Services, endpoints and pods, as texts."""

from __future__ import annotations

import pytest

from kubeplay.engine.net import dns
from kubeplay.plan import codec
from kubeplay.plan.pod import Attachment, PodPlan, SandboxPlan
from kubeplay.plan.service import Address, Endpoint, ServicePlan, ServicePort, ServiceRoute

CLUSTER = dns.Cluster("10.96.0.1", ("10.96.0.10",), ("10.96.0.0/16", "10.244.0.0/24"))
HTTP = ServicePort(80, 8080, "TCP", "http")


def zone(*routes: ServiceRoute, pods: tuple[dns.PodName, ...] = (), name: str = dns.DOMAIN, cluster: dns.Cluster = CLUSTER) -> list[str]:
    """The records of one zone that are not there without routes and pods."""
    empty = dns.zones(cluster, (), ())[name].splitlines()
    return [line for line in dns.zones(cluster, routes, pods)[name].splitlines() if line not in empty]


def service(name: str = "web", ip: str = "10.96.1.1", *ports: ServicePort, **more: object) -> ServicePlan:
    return ServicePlan("default", name, ports=ports or (HTTP,), cluster_ip=ip)._replace(**more)


def test_dn5_the_zone_is_there_without_any_service() -> None:
    text = dns.zones(CLUSTER, (), ())[dns.DOMAIN]
    assert text.startswith("$ORIGIN cluster.local.\n$TTL 5\n@ SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5\n")
    for line in (
        'dns-version.cluster.local. TXT "1.1.0"', "ns.dns.cluster.local. A 10.96.0.10", "kubernetes.default.svc.cluster.local. A 10.96.0.1",
        "_https._tcp.kubernetes.default.svc.cluster.local. SRV 0 100 443 kubernetes.default.svc.cluster.local.",
    ):  # fmt: skip
        assert f"{line}\n" in text
    assert "1.0.96.10.in-addr.arpa. PTR kubernetes.default.svc.cluster.local.\n" in dns.zones(CLUSTER, (), ())["96.10.in-addr.arpa"]


def test_dn5_a_service_has_its_address_its_named_ports_and_the_way_back() -> None:
    route = ServiceRoute(service("web", "10.96.1.1", HTTP, ServicePort(9, 9, "UDP")), ((), ()))
    name = "web.default.svc.cluster.local."
    assert zone(route) == [
        f"_http._tcp.{name} SRV 0 100 80 {name}",
        f"{name} A 10.96.1.1",
        f"{name} SRV 0 100 80 {name}",
        f"{name} SRV 0 100 9 {name}",
    ]
    assert zone(route, name="96.10.in-addr.arpa") == [f"1.1.96.10.in-addr.arpa. PTR {name}"]


def test_dn5_two_families() -> None:
    cluster = CLUSTER._replace(ranges=(*CLUSTER.ranges, "fd00:10:96::/112"))
    route = ServiceRoute(service(cluster_ips=("10.96.1.1", "fd00:10:96::a")), ((),))
    assert zone(route, cluster=cluster)[1:3] == ["web.default.svc.cluster.local. A 10.96.1.1",
                                                 "web.default.svc.cluster.local. AAAA fd00:10:96::a"]  # fmt: skip
    [reverse] = dns.reverse_zones(["fd00:10:96::/112"])
    assert reverse.endswith(".6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa")
    assert zone(route, name=reverse, cluster=cluster) == [f"a.0.0.0.{reverse}. PTR web.default.svc.cluster.local."]


def test_dn5_headless_one_address_an_endpoint_and_names_of_their_own() -> None:
    plan = service("db", "None", ServicePort(5432, 5432, "TCP", "sql"))
    ends = (Endpoint("10.244.0.2", 5432), Endpoint("10.244.0.3", 5432), Endpoint("10.244.0.4", 5432))
    route = ServiceRoute(plan, (ends,), (Address("10.244.0.2", "db-0"), Address("10.244.0.3")))
    name = "db.default.svc.cluster.local."
    assert zone(route) == [
        f"10-244-0-3.{name} A 10.244.0.3",
        f"_sql._tcp.{name} SRV 0 50 5432 10-244-0-3.{name}",
        f"_sql._tcp.{name} SRV 0 50 5432 db-0.{name}",
        f"db-0.{name} A 10.244.0.2",
        f"{name} A 10.244.0.2",
        f"{name} A 10.244.0.3",
        f"{name} SRV 0 50 5432 10-244-0-3.{name}",
        f"{name} SRV 0 50 5432 db-0.{name}",
    ]
    assert zone(route, name="0.244.10.in-addr.arpa") == [
        f"2.0.244.10.in-addr.arpa. PTR db-0.{name}",
        f"3.0.244.10.in-addr.arpa. PTR 10-244-0-3.{name}",
    ]


def test_dn5_headless_without_ports_or_endpoints() -> None:
    plan = ServicePlan("default", "db", cluster_ip="None")
    assert zone(ServiceRoute(plan, (), (Address("10.244.0.2", "a"),)))[1] == "db.default.svc.cluster.local. A 10.244.0.2"
    assert zone(ServiceRoute(plan)) == []


def test_dn5_endpoints_of_a_service_with_an_address_have_names_and_no_way_back() -> None:
    route = ServiceRoute(service(), ((Endpoint("10.244.0.2", 8080),),), (Address("10.244.0.2", "web-0"),))
    assert "web-0.web.default.svc.cluster.local. A 10.244.0.2" in zone(route)
    assert zone(route, name="0.244.10.in-addr.arpa") == []


@pytest.mark.parametrize("name", ["www.Example.com", "www.example.com."])
def test_dn5_another_name(name: str) -> None:
    route = ServiceRoute(ServicePlan("default", "ext", "ExternalName", external_name=name))
    assert zone(route) == ["ext.default.svc.cluster.local. CNAME www.example.com."]


def test_dn6_pods_names() -> None:
    leases = [("u1", "default", "10.244.0.2"), ("u1", "default", "fd00::2"), ("u2", "default", "10.244.0.3")]
    pods = dns.pod_names("default", leases, [("u1", "data", "db", "{}"), ("gone", "data", "x", "{}")])
    assert zone(pods=pods) == ["10-244-0-2.data.pod.cluster.local. A 10.244.0.2", "fd00--2.data.pod.cluster.local. AAAA fd00::2"]


def test_pods_have_names_and_aliases_in_the_networks_they_joined() -> None:
    attachments = (Attachment("", aliases=("here",)), Attachment("mine", aliases=("store", "a..b")))
    plan = codec.dumps(PodPlan("data", "db", SandboxPlan("db", attachments=attachments), ()))
    leases = [("u1", "default", "10.244.0.2"), ("u1", "mine", "10.89.0.2")]
    pods = dns.pod_names("default", leases, [("u1", "data", "db", plan)])
    names = [line for line in zone(pods=pods) if ".svc." in line]
    assert names == [f"{name}.data.svc.cluster.local. A {ip}" for name, ip in
                     (("db", "10.89.0.2"), ("here", "10.244.0.2"), ("store", "10.89.0.2"))]  # fmt: skip
    service_ = ServiceRoute(service("store")._replace(namespace="data"), ((),))
    assert "store.data.svc.cluster.local. A 10.89.0.2" not in zone(service_, pods=pods), "a Service has the name"


@pytest.mark.parametrize("text", ["a\nb A 1.2.3.4", "a b", "a;", "$INCLUDE", '"', "ä", "a\\", "(", "a" * 64, "a..b", "a.", "@"])
def test_text_of_a_manifest_never_gets_into_a_zone(text: str) -> None:
    for route in (
        ServiceRoute(ServicePlan("default", "e", "ExternalName", external_name=f"{text}.x")),
        ServiceRoute(service(text), ((),)),
        ServiceRoute(service(cluster_ip=text), ((),)),
        ServiceRoute(service("web", "10.96.1.1", ServicePort(1, 1, "TCP", text)), ((),)),
        ServiceRoute(service("web", "None"), ((),), (Address("10.244.0.2", text),)),
    ):
        assert zone(route, ServiceRoute(service("other"), ((),)))[1:2] == ["other.default.svc.cluster.local. A 10.96.1.1"]
        assert len(zone(route)) == 0


@pytest.mark.parametrize(("prefix", "expected"), [
    ("10.96.0.0/16", ["96.10.in-addr.arpa"]),
    ("10.244.3.0/24", ["3.244.10.in-addr.arpa"]),
    ("10.96.0.0/15", ["96.10.in-addr.arpa", "97.10.in-addr.arpa"]),
    ("10.1.16.0/22", [f"{n}.1.10.in-addr.arpa" for n in range(16, 20)]),
    ("192.0.2.128/25", ["2.0.192.in-addr.arpa"]),
    ("fd00::/8", ["d.f.ip6.arpa"]),
])  # fmt: skip
def test_dn6_reverse_zones_are_ours_and_no_others(prefix: str, expected: list[str]) -> None:
    assert dns.reverse_zones([prefix]) == expected


def test_dn6_upstream_servers_without_ourselves_and_what_is_no_address() -> None:
    text = "nameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver x\nnameserver 1.1.1.1%;\n"
    assert dns.upstream(text, ["10.96.0.10"]) == ("192.0.2.1", "fe80::1%eth0")
    assert "forward-addr: 192.0.2.1\n" in dns.config("/d", ["10.96.0.10"], [], ()), "nobody is asked: our own names go on"
    assert "do-not-query-address: 192.0.2.1\n" in dns.config("/d", ["10.96.0.10"], [], ())
