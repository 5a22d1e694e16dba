"""What hostile configurations turn into (podman-kube-facts.md 7.1, `Image config trusted`)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from kubeplay.engine.images import config
from kubeplay.engine.images.config import ImageConfig
from kubeplay.errors import InvalidInput


def parsed(**value: Any) -> ImageConfig:
    return config.parse(json.dumps({"config": value}))


def test_all_fields() -> None:
    found = parsed(
        Env=["A=1", "B="],
        Entrypoint=["/e"],
        Cmd=["c"],
        User="app:1",
        WorkingDir="/w",
        StopSignal="SIGINT",
        Volumes={"/v": {}},
        ExposedPorts={"80/tcp": {}},
        Labels={"b": "2", "a": "1"},
    )
    assert found == ImageConfig(("A=1", "B="), ("/e",), ("c",), "app:1", "/w", "SIGINT", ("/v",), ("80/tcp",), (("a", "1"), ("b", "2")))


def test_absent_and_null_are_defaults() -> None:
    assert config.parse("{}") == ImageConfig()
    assert config.parse('{"config": null}') == ImageConfig()
    nulls = dict.fromkeys(("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal", "Volumes", "ExposedPorts", "Labels"))
    assert parsed(**nulls) == ImageConfig()
    assert parsed(Entrypoint=[], Cmd=[]) == ImageConfig()


def test_env_without_equals_is_dropped_cve_2026_57231() -> None:
    assert parsed(Env=["PATH", "*", "=x", "", "OK=1", "N=\0", "LD_*"]).env == ("OK=1",)


@pytest.mark.parametrize(
    "user", ["4294967296", "2147483648", "0:4294967296", "-1", "+1", "99999999999999999999", "1:-0", "\u0661", " -5", "a\0b", "a\nb"]
)
def test_huge_user_is_refused_cve_2024_40635(user: str) -> None:
    with pytest.raises(InvalidInput, match="User"):
        parsed(User=user)


@pytest.mark.parametrize("user", ["", "0", "2147483647", "app", "1000:1000", "app:staff", "1000:staff"])
def test_good_users(user: str) -> None:
    assert parsed(User=user).user == user


@pytest.mark.parametrize(
    ("given", "found"), [("w", "/w"), ("/a/../../..", "/"), ("../../etc", "/etc"), ("/a//b/./c/", "/a/b/c"), ("", ""), ("/", "/")]
)
def test_working_dir_stays_inside(given: str, found: str) -> None:
    assert parsed(WorkingDir=given).working_dir == found


def test_volumes_stay_inside_cve_2022_23648() -> None:
    assert parsed(Volumes={"/../../x": {}, "/": {}, "..": {}, "rel": {}, "/ok/": {}}).volumes == ("/ok", "/rel", "/x")


def test_nonsense_ports_are_dropped() -> None:
    ports = ["80", "81/udp", "82-84/tcp", "0", "65536", "x", "80/foo", "-1", "1-", "٣", "999999999999999999999999999"]
    assert parsed(ExposedPorts={p: {} for p in ports}).exposed_ports == ("80", "81/udp", "82-84/tcp")


@pytest.mark.parametrize(
    "value",
    [
        {"Env": "A=1"},
        {"Env": [1]},
        {"Env": {"A": "1"}},
        {"Cmd": "sh"},
        {"Cmd": [None]},
        {"Entrypoint": [["x"]]},
        {"User": 0},
        {"WorkingDir": 1},
        {"Labels": ["a"]},
        {"Labels": {"a": 1}},
        {"Volumes": ["/x"]},
        {"ExposedPorts": 80},
        {"StopSignal": 9},
        {"WorkingDir": "/a\0b"},
    ],
)
def test_wrong_types_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="must be"):
        parsed(**value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff{}", b'"x"', b"[" * 100_000, b" " * (config.MAX_CONFIG + 1), b'{"config": []}'])
def test_not_a_configuration(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        config.read(data, "blob")


@pytest.mark.parametrize("diff_id", ["sha256:../../../etc", "md5:" + "a" * 32, "sha256:" + "A" * 64, ""])
def test_diff_ids_are_checked_before_they_become_paths_cve_2024_3727(diff_id: str) -> None:
    with pytest.raises(InvalidInput):
        config.read(json.dumps({"rootfs": {"diff_ids": [diff_id]}}).encode(), "blob")


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T01:00:00.123456789+01:00", 1767225600.0),
        ("1970-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("nonsense", 0.0),
        ("9999999-01-01", 0.0),
        ("2026-13-45T99:99:99Z", 0.0),
        ("2026-01-01T00:00:00+x", 0.0),
    ],
)
def test_created(text: str, epoch: float) -> None:
    assert config.seconds(text) == epoch


def test_created_hostile_digits_are_quick() -> None:
    begin = time.process_time()
    config.seconds("1" * 3_000_000)
    assert time.process_time() - begin < 1
