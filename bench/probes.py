"""Probes: how late a container is killed once its probe has given up, and what asking costs.

Podman has nothing to compare with (it asks every 30 s by a timer of systemd, from inside). The figures to reach are those of the issue
'Pods behave as on a kubelet'; that of exec probes, their children counted, is for information.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import statistics
import time
from collections.abc import Callable

from bench.peers import Peer, kubeplay

LATE, PERCENT, PSS = 100.0, 3.0, 30.0  # ms beyond schedule; of one core; MB
KILLED, PODS, SECONDS = 10, 100, 30.0
POD = """---
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: "busybox:1"
    command: [sh, -c, "echo ok > /tmp/ok; exec httpd -f -p 8080 -h /tmp"]
%s
"""
LIVE = "    livenessProbe: {httpGet: {port: 8080, path: /ok}, initialDelaySeconds: 2, periodSeconds: 1, failureThreshold: 1}"
ASKED = {
    "httpGet": "    readinessProbe: {httpGet: {port: 8080, path: /ok}}",
    "tcpSocket": "    readinessProbe: {tcpSocket: {port: 8080}}",
    "exec": '    readinessProbe: {exec: {command: ["true"]}, timeoutSeconds: 10}',
}


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Every chosen case, printed as it is done."""
    peer, found = kubeplay(work), []
    if chosen("probe threshold to kill"):
        found.append(_killing(peer, work))
    for kind, probe in ASKED.items():
        title = f"{PODS} pods asked by {kind}"
        if chosen(title):
            found += _asking(title, kind, probe, peer, work)
    return found


def _killing(peer: Peer, work: str) -> dict[str, object]:
    """Take away what the probe asks for between two ticks; the next one is the schedule."""
    path = _write(work, [POD % (f"live{number}", LIVE) for number in range(KILLED)])
    peer.run("play", "kube", "--wait-ready", path)
    try:
        time.sleep(4)
        schedule = {}
        for name, pid in _pids(peer).items():
            created = _rows(work, "SELECT created FROM objects WHERE kind='Pod' AND name=?", name)[0][0]
            time.sleep((created + 0.4 - time.time()) % 1.0)
            os.unlink(f"/proc/{pid}/root/tmp/ok")
            schedule[name] = created + math.ceil(time.time() - created)
        time.sleep(3)
        samples = []
        for name, due in schedule.items():
            # the events of an earlier part's pods are still there
            sql = "SELECT first FROM events WHERE kind='Pod' AND name=? AND reason='Killing' AND first>? ORDER BY first LIMIT 1"
            samples.append((_rows(work, sql, name, due - 1)[0][0] - due) * 1000)
    finally:
        peer.run("kube", "down", path)
    return _row("probe threshold to kill", statistics.median(samples), "ms", LATE, samples)


def _asking(title: str, kind: str, probe: str, peer: Peer, work: str) -> list[dict[str, object]]:
    path = _write(work, [POD % (f"asked{number}", probe) for number in range(PODS)])
    peer.run("play", "kube", "--wait-ready", path)
    try:
        pid = _supervisor(work)
        time.sleep(5)
        before, start = _cpu(pid), time.monotonic()
        time.sleep(SECONDS)
        percent = (_cpu(pid) - before) / (time.monotonic() - start) * 100
        pss = _pss(pid)
    finally:
        peer.run("kube", "down", path)
    asked = _row(title, percent, "% of a core", PERCENT if kind != "exec" else 0.0, [percent])
    return [asked, _row(f"{title}: supervisor's PSS", pss, "MB", PSS, [pss])]


def _row(title: str, value: float, unit: str, target: float, samples: list[float]) -> dict[str, object]:
    verdict = "" if not target else "ok" if max(samples) <= target else "MISSED"
    print(f"{title:44} kubeplay {value:8.1f} {unit}  worst {max(samples):8.1f}  target {target:.0f}  {verdict}", flush=True)
    return {"case": title, "kubeplay": value, "unit": unit, "target": target, "samples": {"kubeplay": samples}}


def _write(work: str, pods: list[str]) -> str:
    path = f"{work}/probes.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(pods))
    return path


def _pids(peer: Peer) -> dict[str, int]:
    found = json.loads(peer.run("inspect", "--type", "container", *peer.run("ps", "-q").output.split()).output)
    return {one["Name"].removesuffix("-main"): one["State"]["Pid"] for one in found if one["Name"].startswith("live")}


def _rows(work: str, sql: str, *values: str) -> list[tuple[float, ...]]:
    db = sqlite3.connect(f"file:{work}/kubeplay/root/state.db?mode=ro", uri=True)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def _supervisor(work: str) -> int:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "kubeplay.supervisor" in words and f"runroot={work}/kubeplay/run" in words:
            return int(name)
    raise RuntimeError("no supervisor runs")


def _cpu(pid: int) -> float:
    """Processor seconds of a process and of the children it has waited for (proc(5) fields 14-17)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> float:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024
