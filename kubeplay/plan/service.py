"""Services as the network engine needs them (SV1-SV3)."""

from __future__ import annotations

from kubeplay.record import Record


class ServicePort(Record):
    """One port; `target` is a number or a port name looked up in each pod; `node_port` 0 = none or to be given."""

    port: int
    target: int | str
    protocol: str = "TCP"
    name: str = ""
    node_port: int = 0


class ServicePlan(Record):
    """A Service; `cluster_ip` "" = to be given, "None" = headless. `affinity_seconds` 0 = no session affinity.

    `families` are those it wants, in order; `cluster_ips` its addresses in the same order, the first of them `cluster_ip` (() before
    they are given). `prefer_dual`: of two families the second only where the machine has it.
    `publish_not_ready`: every pod with an address counts as ready (EP1).
    `external_name`: what an ExternalName Service is another name of.
    A LoadBalancer asks for `load_balancer_ip`, for clients of `source_ranges` only, and for node ports unless `node_ports` is false; one
    with a `balancer` (loadBalancerClass) is another's to serve. `ingress` is the host's address it was given, "" while it has none, for
    the reason in `pending`.
    """

    namespace: str
    name: str
    type: str = "ClusterIP"
    ports: tuple[ServicePort, ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    cluster_ip: str = ""
    affinity_seconds: int = 0
    external_ips: tuple[str, ...] = ()
    publish_not_ready: bool = False
    external_name: str = ""
    families: tuple[str, ...] = ("IPv4",)
    prefer_dual: bool = False
    cluster_ips: tuple[str, ...] = ()
    load_balancer_ip: str = ""
    source_ranges: tuple[str, ...] = ()
    node_ports: bool = True
    balancer: str = ""
    ingress: str = ""
    pending: str = ""


class Address(Record):
    """One ready address behind a Service, as its name server tells it (DN5); `hostname` "" = it has none of its own there."""

    ip: str
    hostname: str = ""


class Endpoint(Record):
    """One address behind a service port."""

    ip: str
    port: int


class ServiceRoute(Record):
    """What nft and DNS get: one Service with its given addresses and present endpoints per port.

    `endpoints[i]` belongs to `service.ports[i]`. `addresses`: who is ready, for names: also without any port, never who is ending.
    """

    service: ServicePlan
    endpoints: tuple[tuple[Endpoint, ...], ...] = ()
    addresses: tuple[Address, ...] = ()
