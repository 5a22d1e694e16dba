"""VO2, VO3, EN1: what ConfigMaps and Secrets give to env and volumes; logtail; backoff; sysctls."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import NoReturn

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.engine.volumes.atomic import File
from kubeplay.errors import VolumeError
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import KeyPath, ObjectFiles, Volume
from kubeplay.reconcile import backoff, logtail, sysctls
from kubeplay.reconcile.files import Facts, volume_files
from kubeplay.reconcile.objects import Contents, content


def _never(*_: object) -> NoReturn:
    raise AssertionError("nobody asked for it")


NONE = Facts(_never, _never, _never)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "state.db"))
    body = {"data": {"a": "alpha", "b": "beta"}, "binaryData": {"bin": b64encode(b"\xff\0").decode()}}
    made.objects.create(ObjectKey("ConfigMap", "default", "c"), json.dumps(body))
    secret = {"data": {"p": b64encode(b"\xfepw").decode()}, "stringData": {"q": "text"}}
    made.objects.create(ObjectKey("Secret", "default", "s"), json.dumps(secret))
    return made


def pod(*volumes: Volume) -> PodPlan:
    return PodPlan("default", "p", SandboxPlan("p"), (), volumes)


def test_en1_binary_data_is_for_files_only_record_236() -> None:
    body = {"data": {"a": "x"}, "binaryData": {"b": b64encode(b"\xff").decode()}}
    found = content("ConfigMap", json.dumps(body))
    assert found.text == {"a": "x"}
    assert found.files == {"a": b"x", "b": b"\xff"}


def test_en1_secret_bytes_survive_env(store: Store) -> None:
    text = Contents(store, "default").text("Secret", "s")
    assert text is not None
    assert os.fsencode(text["p"]) == b"\xfepw"
    assert text["q"] == "text"
    assert Contents(store, "other").text("Secret", "s") is None


def test_vo3_items_modes_and_missing_keys(store: Store) -> None:
    every = Volume("v", ObjectFiles("ConfigMap", "c"))
    some = Volume("w", ObjectFiles("Secret", "s", (KeyPath("q", "dir/file", 0o400), KeyPath("p", "p")), 0o600))
    found = volume_files(pod(every, some), Contents(store, "default"), NONE)
    assert found["v"] == {"a": File(b"alpha", 0o644), "b": File(b"beta", 0o644), "bin": File(b"\xff\0", 0o644)}
    assert found["w"] == {"dir/file": File(b"text", 0o400), "p": File(b"\xfepw", 0o600)}
    bad = Volume("x", ObjectFiles("ConfigMap", "c", (KeyPath("nokey", "f"),)))
    with pytest.raises(VolumeError, match="references non-existent config key: nokey"):
        volume_files(pod(bad), Contents(store, "default"), NONE)
    optional = Volume("x", ObjectFiles("ConfigMap", "c", (KeyPath("nokey", "f"), KeyPath("a", "a")), optional=True))
    assert volume_files(pod(optional), Contents(store, "default"), NONE)["x"] == {"a": File(b"alpha", 0o644)}


def test_cs5_missing_object_message_is_the_kubelets_record_045(store: Store) -> None:
    with pytest.raises(VolumeError, match='MountVolume.SetUp failed for volume "c" : configmap "nosuchcm" not found'):
        volume_files(pod(Volume("c", ObjectFiles("ConfigMap", "nosuchcm"))), Contents(store, "default"), NONE)
    assert volume_files(pod(Volume("c", ObjectFiles("Secret", "no", optional=True))), Contents(store, "default"), NONE) == {"c": {}}


def test_log_tail_joins_partial_lines_and_follows_no_link(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(b"t stdout F one\nt stderr P two \nt stderr F halves\nt stdout F three\n")
    assert logtail.tail(str(log)) == "one\ntwo halves\nthree\n"
    assert logtail.tail(str(log), lines=1) == "three\n"
    link = tmp_path / "link"
    link.symlink_to("/etc/passwd")
    assert logtail.tail(str(link)) == "" == logtail.tail("")


def test_log_tail_of_a_huge_log_is_short(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(b"t stdout F " + b"x" * 100 + b"\n")
    log.write_bytes(b"".join(b"t stdout F line %d\n" % n for n in range(100_000)))
    assert logtail.tail(str(log)).splitlines()[-1] == "line 99999"
    assert len(logtail.tail(str(log)).splitlines()) == logtail.LINES


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (40, "40s"), (80, "1m20s"), (300, "5m0s")])
def test_rb3_durations_as_go_prints_them(seconds: float, text: str) -> None:
    assert backoff.seconds(seconds) == text


def test_rb4_pull_back_off_doubles_to_300_and_expires_after_600() -> None:
    entry, now, delays = None, 0.0, []
    for _ in range(7):
        delay = backoff.next_pull(entry, now)
        delays.append(delay)
        entry = BackoffRow("u", "image:x", delay, now)
        now += delay
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    assert backoff.next_pull(entry, now + 601) == 10


def test_cs5_mount_retries_double_from_half_a_second() -> None:
    entry, delays = None, []
    for _ in range(10):
        delays.append(backoff.next_mount(entry))
        entry = BackoffRow("u", "volumes", delays[-1], 0)
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 64, 122, 122]


@pytest.mark.parametrize(("name", "host", "expected"), [
    ("net.ipv4.tcp_rmem", "", ""), ("net/ipv4/tcp_rmem", "", ""), ("kernel.sem", "", '"kernel.sem" not allowlisted'),
    ("net.ipv4.tcp_rmem", "host_network", '"net.ipv4.tcp_rmem" not allowed with host net enabled'),
    ("kernel.shm_rmid_forced", "host_ipc", '"kernel.shm_rmid_forced" not allowed with host ipc enabled'),
])  # fmt: skip
def test_sc8_sysctl_table(name: str, host: str, expected: str) -> None:
    plan = SandboxPlan("p", sysctls=((name, "1"),))
    assert sysctls.fault(plan._replace(**{host: True}) if host else plan) == (f"forbidden sysctl: {expected}" if expected else "")
