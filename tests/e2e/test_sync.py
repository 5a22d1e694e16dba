"""A git repository followed with real containers: a change, a bad commit, drift, a killed process, the end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubeplay import Machine, playing
from tests.support.repository import Repository

pytestmark = pytest.mark.root

RUNS = """apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "busybox:1", command: [sleep, "1000"]}
"""
FAILS = """  initContainers:
  - {name: first, image: "busybox:1", command: [sh, -c, "exit 3"]}
"""
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: '{value}'}}\n"


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("sync"), image_archives) as machine:
        yield machine


@pytest.fixture(scope="module")
def shop(kp: Machine) -> Repository:
    made = Repository(kp.directory / "shop")
    made.commit(deploy__web_yaml=RUNS, deploy__map_yaml=MAP.format(value=1))
    return made


def _follow(kp: Machine, shop: Repository, *flags: str) -> subprocess.Popen[str]:
    words = ("--watch", "--prune", "--branch", "main", "--path", "deploy", "--name", "shop", "--interval", "1s")
    return kp.start("sync", str(shop.path), *words, *flags, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _status(kp: Machine) -> dict[str, Any]:
    found = kp("sync", "status", "-o", "json").json
    return dict(found[0]) if found else {}


def _applied(kp: Machine, commit: str) -> bool:
    now = _status(kp)
    return now.get("appliedRevision") == f"main@sha1:{commit}" and now["ready"]


def _uid(kp: Machine) -> str:
    return kp("get", "pod", "web", "-o", "jsonpath={.metadata.uid}", status=None).out


def _good(kp: Machine) -> bool:
    found = kp("get", "pod", "web", "-o", "jsonpath={.spec.containers[0].command} {.spec.initContainers}", status=None).out
    return "1000" in found and "first" not in found


def test_a_repository_followed(kp: Machine, shop: Repository) -> None:
    first = shop("rev-parse", "HEAD")
    process = _follow(kp, shop)
    try:
        kp.wait(lambda: _applied(kp, first))
        uid = _uid(kp)
        assert kp.status("web")["state"].keys() == {"running"} and _status(kp)["followedBy"] == process.pid
        assert "another process follows shop" in kp("sync", str(shop.path), "--name", "shop", status=125).err

        changed = shop.commit(deploy__map_yaml=MAP.format(value=2))
        kp.wait(lambda: _applied(kp, changed))
        assert kp("get", "cm", "settings", "-o", "jsonpath={.data.a}").out == "2" and _uid(kp) == uid  # only what changed

        # a pod whose init container fails never becomes ready: the old one comes back, and what else the commit changed goes back with it
        bad = shop.commit(deploy__web_yaml=RUNS + FAILS, deploy__map_yaml=MAP.format(value=3))
        now = kp.wait(lambda: (one := _status(kp)) and (one["lastError"] or {}).get("revision") == f"main@sha1:{bad}" and one)
        assert now["lastError"]["stage"] == "apply" and now["appliedRevision"] == f"main@sha1:{changed}" and not now["ready"]

        # healed to the last good state while the newest commit is bad
        invalid = shop.commit(deploy__web_yaml="kind: [")
        kp.wait(lambda: (_status(kp)["lastError"] or {}).get("revision") == f"main@sha1:{invalid}")
        kp.wait(lambda: _good(kp))
        kp("delete", "pod", "web", "--now", "--wait=false")
        kp.wait(lambda: _status(kp)["healed"] >= 1 and _good(kp) and not _status(kp)["drift"])
        assert _status(kp)["lastError"]["stage"] == "build"
        assert kp("get", "cm", "settings", "-o", "jsonpath={.data.a}").out == "2"

        # killed at any time it goes on where it was, and so does what runs
        uid = _uid(kp)
        process.kill()
        process.wait()
        assert _uid(kp) == uid and _status(kp)["followedBy"] is None
        os.unlink(shop.path / "deploy/map.yaml")
        good = shop.commit(deploy__web_yaml=RUNS)
        process = _follow(kp, shop)
        kp.wait(lambda: _applied(kp, good))
        assert _uid(kp) == uid and not kp("get", "cm", "settings", status=None).out.startswith("NAME")

        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 0
        assert _uid(kp) == uid and kp.status("web")["state"].keys() == {"running"}
    finally:
        process.kill()
        process.wait()
    reasons = {line.split()[2] for line in kp("events", "--for", "sync/shop", "--noheading").out.splitlines()}
    assert {"Synced", "SyncFailed", "BuildFailed", "Drifted", "Healed"} <= reasons


def test_once(kp: Machine, shop: Repository) -> None:
    words = ("sync", str(shop.path), "--branch", "main", "--path", "deploy", "--name", "shop", "--prune", "-q")
    assert "nothing had to change" in kp(*words).out
    shop.commit(deploy__web_yaml=RUNS.replace("kind: Pod", "kind: Pot"))
    said = kp(*words, status=125)
    assert "deploy/web.yaml:2" in said.err and "Pot" in said.err
    assert kp("sync", "rm", "shop").out == "shop\n" and kp.status("web")["state"].keys() == {"running"}
    assert "no sync 'shop'" in kp("sync", "status", "shop", status=125).err


def test_a_reset_ends_who_would_bring_it_all_back(image_archives: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/map.yaml").write_text(MAP.format(value=1))
    with playing(tmp_path / "kp", image_archives, images=()) as kp:
        process = kp.start("sync", str(tmp_path / "in"), "--watch", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            kp.wait(lambda: _status(kp).get("ready"))
            kp("system", "reset", "--force")
            assert process.wait(100) == 0
        finally:
            process.kill()
            process.wait()
