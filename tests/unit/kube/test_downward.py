"""fieldRef and resourceFieldRef (DA1, DA3), numbers from kubelet-record/033-downward-env."""

from __future__ import annotations

import pytest

from kubeplay.kube import downward
from kubeplay.plan.container import Resources

POD = downward.PodFacts(
    "p", "ns", "u-1", {"app.kubernetes.io/name": "long", "it's": "q"}, {"note": "multi\nline"}, "node1", "sa", ("192.0.2.2",), ("10.1.2.3", "fd00::3")  # noqa: E501
)
NODE = downward.NodeFacts(4000, 8 << 30, 100)
RESOURCES = Resources(cpu_request=125, cpu_limit=1500, memory_request=32 << 20, memory_limit=64 << 20, others=(("hugepages-2Mi", 4 << 20),))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app.kubernetes.io/name']", "long"),
        ("metadata.labels['it's']", "q"),
        ("metadata.labels['missing']", ""),
        ("metadata.annotations['note']", "multi\nline"),
        ("spec.nodeName", "node1"),
        ("spec.serviceAccountName", "sa"),
        ("status.hostIP", "192.0.2.2"),
        ("status.hostIPs", "192.0.2.2"),
        ("status.podIP", "10.1.2.3"),
        ("status.podIPs", "10.1.2.3,fd00::3"),
        ("metadata.labels", None),
        ("spec.containers", None),
    ],
)
def test_da1_fields(path: str, value: str | None) -> None:
    assert downward.field(path, POD) == value


def test_da1_no_address_yet_is_empty() -> None:
    assert downward.field("status.podIP", downward.PodFacts("p", "ns")) == ""
    assert downward.field("status.hostIPs", downward.PodFacts("p", "ns")) == ""


@pytest.mark.parametrize(
    ("name", "divisor", "value"),
    [
        ("limits.cpu", "0", "2"),
        ("limits.cpu", "1m", "1500"),
        ("limits.cpu", "1", "2"),
        ("requests.cpu", "", "1"),
        ("limits.memory", "0", "67108864"),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "1Gi", "1"),
        ("requests.memory", "1M", "34"),
        ("limits.hugepages-2Mi", "1Mi", "4"),
        ("requests.hugepages-2Mi", "1Mi", "4"),
        ("limits.hugepages-1Gi", "0", "0"),
        ("limits.ephemeral-storage", "0", "100"),
        ("requests.ephemeral-storage", "0", "0"),
        ("limits.bogus", "0", None),
        ("bogus.cpu", "0", None),
    ],
)
def test_da3_resources(name: str, divisor: str, value: str | None) -> None:
    assert downward.resource(name, divisor, RESOURCES, NODE) == value


def test_da3_an_unset_limit_is_the_nodes() -> None:
    assert downward.resource("limits.cpu", "0", Resources(), NODE) == "4"
    assert downward.resource("limits.memory", "1Gi", Resources(), NODE) == "8"
    assert downward.resource("requests.memory", "0", Resources(), NODE) == "0"
