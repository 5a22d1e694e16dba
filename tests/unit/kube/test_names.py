"""VL1-VL3: names, labels and addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kubeplay.kube import ip, labels, names


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.dns_label, ["a", "a-b", "1", "a" * 63], ["", "A", "a.b", "-a", "a-", "a" * 64, "a\n", "ä"]),
        (names.dns_subdomain, ["a", "a.b", "1.2", "a" * 253], ["", "A", ".a", "a..b", "a.-b", "a" * 254, "a_b"]),
        (names.dns_label_1035, ["a1"], ["1a", ""]),
        (names.qualified, ["a", "A_b.c", "x.y/z", "a" * 63], ["", "/a", "a/", "a/b/c", "A/b", "a b", "a" * 64, "-a"]),
        (names.config_key, ["a", "A.b_c-d", "..."[:1] + "a", "a" * 253], ["", ".", "..", "..a", "a b", "ż", "a" * 254]),
        (names.env_name, ["a", "a b", "!@#%", "..", "1"], ["", "a=b", "Ä", "a\tb"]),
        (names.port_name, ["http", "a-1", "8080x"], ["", "HTTP", "80", "a--b", "-a", "a-", "my_port", "a" * 16]),
        (names.percent, ["25%", "0%"], ["25", "25 %", "-1%", "1.5%"]),
        (names.http_header, ["X-A"], ["a b", "", "a:"]),
        (names.sysctl, ["net.ipv4.a", "kernel/shm", "a"], ["A.b", "a..b", "", "*"]),
        (labels.value, ["", "a", "A.b_c", "a" * 63], ["a b", "-a", "a" * 64, "a/b"]),
        (labels.annotation_key, ["A.B/c"], ["a b", ""]),
        (
            ip.ip,
            ["1.2.3.4", "::1", "2001:db8::ffff", "1:2:3:4:5:6:7:8"],
            ["10.0.0", "010.1.1.1", "1.2.3.256", "", "::ffff:1.2.3.4", ":::", "1::2::3", "none"],
        ),
    ],
)
def test_vl1_syntax(rule: Callable[[str], list[str]], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if rule(text)] == []
    assert [text for text in bad if not rule(text)] == []


def test_vl1_says_what_is_wrong() -> None:
    assert names.dns_label("a.b") == ["must not contain dots"]
    assert names.dns_label("c" * 64) == ["must be no more than 63 characters"]
    assert names.config_key("..") == ["must not be '..'"]
    assert names.qualified("")[0] == "name part must be non-empty"


def test_vl2_selectors() -> None:
    have = {"app": "w", "tier": "a"}
    assert labels.matches({}, have)
    assert not labels.matches(None, have)
    assert labels.matches(
        {"matchLabels": {"app": "w"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]}, have
    )
    assert not labels.matches({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, have)
    assert labels.matches({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["a"]}]}, have)
    assert not labels.matches_map({}, have)
    assert labels.matches_map({"app": "w"}, have)


def test_vl1_ranges() -> None:
    assert ip.cidr("10.0.0.0/8") == (bytes([10, 0, 0, 0]), 8)
    assert [text for text in ("10.0.0.1", "10.0.0.0/33", "::/129", "a/8", "1.2.3.4/", "1.2.3.4/08") if ip.cidr(text)] == []
    assert ip.host_bits(bytes([10, 0, 0, 1]), 8)
    assert not ip.host_bits(bytes([10, 0, 0, 0]), 8)
    assert ip.family("::1") == "IPv6"
    assert ip.special("127.0.0.1") and ip.special("169.254.1.1") and not ip.special("203.0.113.4")
