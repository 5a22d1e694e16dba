"""DN1-DN4: resolv.conf, hosts and host names as texts; tests/e2e/test_fields_network shows them inside of pods."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.engine.net.resolv import host_network_hosts, hosts, resolv_conf
from kubeplay.engine.pod import kernel_hostname
from kubeplay.errors import SandboxError
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import Dns, HostAlias, SandboxPlan
from kubeplay.play.compile import dns
from tests.support.simulator import pod

NODE = "nameserver 9.9.9.9\nsearch lan.example\noptions timeout:2\n"
CLUSTER = "10.96.0.10"
SEARCH = "search ns.svc.cluster.local svc.cluster.local cluster.local lan.example\n"


@pytest.mark.parametrize(("policy", "host_network", "expected"), [
    ("ClusterFirst", False, f"{SEARCH}nameserver {CLUSTER}\noptions ndots:5\n"),
    ("ClusterFirst", True, "search lan.example\nnameserver 9.9.9.9\noptions timeout:2\n"),
    ("ClusterFirstWithHostNet", True, f"{SEARCH}nameserver {CLUSTER}\noptions ndots:5\n"),
    ("Default", False, "search lan.example\nnameserver 9.9.9.9\noptions timeout:2\n"),
    ("None", False, ""),
])  # fmt: skip
def test_dn1_policies(policy: str, host_network: bool, expected: str) -> None:
    assert resolv_conf(Dns(policy), NODE, "ns", CLUSTER, host_network=host_network) == expected


def test_dn2_what_is_configured_comes_after_and_options_override() -> None:
    made = resolv_conf(Dns("ClusterFirst", ("1.1.1.1", CLUSTER), ("x.example", "svc.cluster.local"), (("ndots", "2"), ("debug", ""))),
                       NODE, "ns", CLUSTER)  # fmt: skip
    assert made == f"{SEARCH.rstrip()} x.example\nnameserver {CLUSTER}\nnameserver 1.1.1.1\noptions ndots:2 debug\n"
    assert resolv_conf(Dns("None", ("1.1.1.1",)), NODE, "ns", CLUSTER) == "nameserver 1.1.1.1\n"


def test_dn2_limits() -> None:
    servers = tuple(f"10.0.0.{n}" for n in range(9))
    assert resolv_conf(Dns("None", servers), NODE, "ns", CLUSTER).count("nameserver") == 3
    many = resolv_conf(Dns("None", ("1.1.1.1",), tuple(f"s{n}" for n in range(40))), NODE, "ns", CLUSTER)
    assert len(many.splitlines()[0].split()) == 33
    long = resolv_conf(Dns("None", ("1.1.1.1",), ("a" * 254, *(f"{n}{'b' * 200}" for n in range(12)))), NODE, "ns", CLUSTER)
    assert len(long.splitlines()[0].removeprefix("search ")) <= 2048 and "a" * 254 not in long


@pytest.mark.parametrize(("spec", "name", "expected"), [
    ({}, "p", ("p", "")),
    ({"hostname": "h"}, "p", ("h", "")),
    ({"subdomain": "s"}, "p", ("p", "s.ns.svc.cluster.local")),
    ({"hostname": "h", "subdomain": "s"}, "p", ("h", "s.ns.svc.cluster.local")),
    ({}, "a" * 70, ("a" * 63, "")),
    ({}, "a" * 62 + "-.b", ("a" * 62, "")),
    ({"hostNetwork": True}, "p", ("node", "")),
    ({"hostnameOverride": "o", "subdomain": "s"}, "p", ("o", "")),
])  # fmt: skip
def test_dn3_names(spec: dict[str, Any], name: str, expected: tuple[str, str]) -> None:
    assert (dns.hostname(spec, name, "node"), dns.domain(spec, "ns", "cluster.local")) == expected


def test_dn3_the_full_name_as_host_name() -> None:
    def plan(host: str) -> Any:
        return pod(ContainerPlan("c", "i"))._replace(sandbox=SandboxPlan(host, domain="s.ns.svc.cluster.local", fqdn_hostname=True))

    assert kernel_hostname(plan("h")) == "h.s.ns.svc.cluster.local"
    assert kernel_hostname(plan("h" * 41)) == f"{'h' * 41}.s.ns.svc.cluster.local"
    with pytest.raises(SandboxError, match=r"is too long \(64 characters is the max, 65 characters requested\)"):
        kernel_hostname(plan("h" * 42))


LOOPBACK = ("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
            "fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")  # fmt: skip


def test_dn4_hosts() -> None:
    head = f"# Kubernetes-managed hosts file.\n{LOOPBACK}"
    assert hosts(("10.1.0.2",), "p") == f"{head}10.1.0.2\tp\n"
    assert hosts(("10.1.0.2", "fd::2"), "h", "s.ns.svc.cluster.local") == (
        f"{head}10.1.0.2\th.s.ns.svc.cluster.local\th\nfd::2\th.s.ns.svc.cluster.local\th\n")  # fmt: skip
    aliases = (HostAlias("10.1.2.3", ("db.example", "db")),)
    assert hosts((), "p", aliases=aliases) == f"{head}\n# Entries added by HostAliases.\n10.1.2.3\tdb.example\tdb\n"
    assert host_network_hosts("1.2.3.4 node\n") == "# Kubernetes-managed hosts file (host network).\n1.2.3.4 node\n"
