"""resolv.conf and hosts as a kubelet writes them: the texts are those of kubelet-record cases 090 to 100."""

from __future__ import annotations

import pytest

from kubeplay.engine.net import resolv
from kubeplay.plan.pod import Dns, HostAlias

NODE = "search lan.example\nnameserver 192.0.2.1\n"
CLUSTER = "search default.svc.cluster.local svc.cluster.local cluster.local lan.example"


def conf(dns: Dns, *, host: str = NODE, host_network: bool = False, cluster: str = "10.96.0.10") -> str:
    return resolv.resolv_conf(dns, host, "default", cluster, host_network=host_network)


def test_dn1_cluster_first_090() -> None:
    assert conf(Dns()) == f"{CLUSTER}\nnameserver 10.96.0.10\noptions ndots:5\n"


def test_dn1_default_096() -> None:
    assert conf(Dns("Default")) == NODE


def test_dn1_host_network_with_cluster_first_is_default() -> None:
    assert conf(Dns(), host_network=True) == NODE


def test_dn1_cluster_first_with_host_net_100() -> None:
    assert conf(Dns("ClusterFirstWithHostNet"), host_network=True) == f"{CLUSTER}\nnameserver 10.96.0.10\noptions ndots:5\n"


def test_dn1_without_a_cluster_dns_the_nodes_file_is_used() -> None:
    assert conf(Dns(), cluster="") == NODE


def test_dn2_merge_098() -> None:
    dns = Dns("ClusterFirst", ("9.9.9.9",), ("x.example", "svc.cluster.local"), (("ndots", "1"), ("single-request", "")))
    assert conf(dns) == f"{CLUSTER} x.example\nnameserver 10.96.0.10\nnameserver 9.9.9.9\noptions ndots:1 single-request\n"


def test_dn1_none_takes_dns_config_alone() -> None:
    assert conf(Dns("None", ("1.1.1.1",), ("a.example",))) == "search a.example\nnameserver 1.1.1.1\n"


def test_dn2_limits_three_servers_32_searches_2048_characters_253_a_name() -> None:
    dns = Dns("ClusterFirst", ("1.1.1.1", "2.2.2.2", "3.3.3.3"))
    assert conf(dns).count("nameserver") == 3
    many = conf(Dns("None", ("1.1.1.1",), tuple(f"s{i}.example" for i in range(40))))
    assert len(many.split("\n")[0].split()) == 33
    long = conf(Dns("None", ("1.1.1.1",), tuple(f"{i:02}" + "x" * 198 for i in range(20))))
    assert len(long.split("\n")[0]) - len("search ") <= 2048 and long.count("xxx") > 0
    assert "y" * 254 not in conf(Dns("None", ("1.1.1.1",), ("y" * 254, "ok")))


@pytest.mark.parametrize(
    ("text", "servers", "searches", "options"),
    [
        ("nameserver 1.1.1.1 # here\n;nameserver 2.2.2.2\n", ("1.1.1.1",), (), ()),
        ("search a. b\nsearch c.example. .\n", (), ("c.example", "."), ()),
        ("search a\nsearch\n", (), (), ()),
        ("options ndots:2 edns0\noptions timeout:1\n", (), (), (("ndots", "2"), ("edns0", ""), ("timeout", "1"))),
        ("domain old.example\nnameserver\n", (), (), ()),
    ],
)
def test_dn1_the_nodes_file_is_read_as_a_kubelet_does(
    text: str, servers: tuple[str, ...], searches: tuple[str, ...], options: tuple[tuple[str, str], ...]
) -> None:
    assert resolv.parse(text) == (servers, searches, options)


HOSTS = (
    "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
)


def test_dn4_hosts_090() -> None:
    assert resolv.hosts(["10.244.77.105"], "net-default") == HOSTS + "10.244.77.105\tnet-default\n"


def test_dn4_hosts_with_subdomain_092() -> None:
    wanted = "10.244.77.106\tnet-subdomain-only.sub.default.svc.cluster.local\tnet-subdomain-only\n"
    assert resolv.hosts(["10.244.77.106"], "net-subdomain-only", "sub.default.svc.cluster.local") == HOSTS + wanted


def test_dn4_host_aliases_come_after_an_empty_line() -> None:
    aliases = (HostAlias("10.1.2.3", ("foo.remote", "bar.remote")), HostAlias("10.1.2.4", ("one",)))
    text = resolv.hosts(["10.244.0.2"], "web", aliases=aliases)
    assert text.endswith("10.244.0.2\tweb\n\n# Entries added by HostAliases.\n10.1.2.3\tfoo.remote\tbar.remote\n10.1.2.4\tone\n")


def test_dn4_host_network_100() -> None:
    node = "127.0.0.1 localhost\n127.0.0.1 vm\n"
    assert resolv.host_network_hosts(node) == "# Kubernetes-managed hosts file (host network).\n" + node
