"""SV4: variables of Services."""

from __future__ import annotations

from kubeplay.plan.service import ServicePlan, ServicePort
from kubeplay.reconcile.service_env import variables

MASTER = ServicePlan("default", "kubernetes", ports=(ServicePort(443, 6443, name="https"),), cluster_ip="10.96.0.1")
PORTS = (ServicePort(5432, 5432, name="sql-main"), ServicePort(53, 53, "UDP", "dns"))
DB = ServicePlan("shop", "my-db", ports=PORTS, cluster_ip="10.96.1.2")


def test_sv4_names_and_values() -> None:
    assert variables([DB], "shop", True) == {
        "MY_DB_SERVICE_HOST": "10.96.1.2", "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL_MAIN": "5432", "MY_DB_SERVICE_PORT_DNS": "53", "MY_DB_PORT": "tcp://10.96.1.2:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.1.2:5432", "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432", "MY_DB_PORT_5432_TCP_ADDR": "10.96.1.2",
        "MY_DB_PORT_53_UDP": "udp://10.96.1.2:53", "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53", "MY_DB_PORT_53_UDP_ADDR": "10.96.1.2",
    }  # fmt: skip


def test_sv4_an_ipv6_address_stands_in_brackets_where_a_port_follows() -> None:
    found = variables([DB._replace(cluster_ip="fd00::7", ports=PORTS[:1])], "shop", True)
    assert found["MY_DB_SERVICE_HOST"] == found["MY_DB_PORT_5432_TCP_ADDR"] == "fd00::7"
    assert found["MY_DB_PORT"] == found["MY_DB_PORT_5432_TCP"] == "tcp://[fd00::7]:5432"


def test_sv4_other_namespaces_headless_and_portless_are_left_out() -> None:
    headless = DB._replace(name="h", cluster_ip="None")
    bare = DB._replace(name="b", ports=())
    assert variables([DB], "other", True) == {}
    assert variables([headless, bare], "shop", True) == {}


def test_sv4_kubernetes_is_there_everywhere_also_without_links() -> None:
    for links in (True, False):
        found = variables([MASTER, DB], "shop", links)
        assert found["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
        assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
        assert ("MY_DB_PORT" in found) is links
