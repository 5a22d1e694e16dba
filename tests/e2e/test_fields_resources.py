"""Resources in the kernel's own words (RS1-RS7), namespaces, sysctls and /dev/shm (SC8, SC9): looked at from the host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.host.userns import ranges
from tests.support.covers import covers
from tests.support.kubeplay import Machine, cgroup_of, playing
from tests.support.seen import seen

pytestmark = pytest.mark.root

SLEEP = 'image: "busybox:1", command: [sleep, "1000"]'
MANIFEST = f"""
apiVersion: v1
kind: Pod
metadata: {{name: burst}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: main, {SLEEP}, resources: {{limits: {{cpu: 1500m, memory: 64Mi}}, requests: {{cpu: 250m, memory: 32Mi}}}}}}
  - {{name: defaulted, {SLEEP}, resources: {{limits: {{cpu: 100m, memory: 16Mi}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: full}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: main, {SLEEP}, resources: {{limits: {{cpu: "0.5", memory: 33554432}}, requests: {{cpu: 500m, memory: 32Mi}}}}}}
  - {{name: other, {SLEEP}, resources: {{limits: {{cpu: 100m, memory: 32Mi}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: best}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext:
    sysctls:
    - {{name: net.ipv4.ip_local_port_range, value: "30000 31000"}}
    - {{name: kernel.shm_rmid_forced, value: "1"}}
  containers:
  - {{name: main, {SLEEP}}}
  - {{name: other, {SLEEP}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: oom}}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "x=0123456789abcdef; while true; do x=$x$x; done"]
    resources: {{limits: {{memory: 16Mi}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: hostly}}
spec:
  terminationGracePeriodSeconds: 0
  hostNetwork: true
  hostPID: true
  hostIPC: true
  hostUsers: true
  containers: [{{name: main, {SLEEP}, env: [{{name: IP, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}]}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: together}}
spec:
  terminationGracePeriodSeconds: 0
  shareProcessNamespace: true
  containers: [{{name: main, {SLEEP}}}, {{name: other, image: "busybox:1", command: [sleep, "1234"]}}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("resources"), image_archives, MANIFEST) as machine:
        yield machine


def limits(group: Path, v1: Path) -> dict[str, int]:
    """Shares, quota and memory of a group; `group` its cpu directory, `v1` its memory directory on a host with cgroup v1."""
    if (group / "cpu.shares").exists():
        memory = int((v1 / "memory.limit_in_bytes").read_text())
        found = {"shares": int((group / "cpu.shares").read_text()), "quota": int((group / "cpu.cfs_quota_us").read_text())}
        return found | {"memory": -1 if memory > 1 << 62 else memory}
    quota, memory_max = (group / "cpu.max").read_text().split()[0], (group / "memory.max").read_text().strip()
    return {"weight": int((group / "cpu.weight").read_text()), "quota": -1 if quota == "max" else int(quota),
            "memory": -1 if memory_max == "max" else int(memory_max)}  # fmt: skip


def of(kp: Machine, pod: str, container: str = "main", up: int = 0) -> dict[str, int]:
    pid = kp.pid(pod, container)
    cpu, memory = cgroup_of(pid, "cpu"), cgroup_of(pid, "memory")
    return limits(cpu.parents[up - 1], memory.parents[up - 1]) if up else limits(cpu, memory)


def weighed(found: dict[str, int], shares: int) -> bool:
    """Whether cpu.shares, or what a runtime makes of them for v2 (RS3: the linear form or crun's newer one), are so many."""
    if "shares" in found:
        return found["shares"] == shares
    import math

    log = math.log2(shares)
    return found["weight"] in (1 + (shares - 2) * 9999 // 262142, math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34)))


@pytest.mark.limits
@covers("container.resources.limits{cpu} container.resources.limits{memory} container.resources.requests{cpu} "
        "container.resources.requests{memory}")  # fmt: skip
def test_rs1_rs2_limits_and_requests_in_the_container_s_group(kp: Machine) -> None:
    main, defaulted, best = of(kp, "burst"), of(kp, "burst", "defaulted"), of(kp, "best")
    assert (main["quota"], main["memory"]) == (150000, 64 << 20) and weighed(main, 256)
    assert (defaulted["quota"], defaulted["memory"]) == (10000, 16 << 20) and weighed(defaulted, 102)  # the request is the limit
    assert (best["quota"], best["memory"]) == (-1, -1) and weighed(best, 2)


@pytest.mark.limits
def test_rs4_the_pod_s_group_is_what_all_its_containers_may_take(kp: Machine) -> None:
    burst, full, best = (of(kp, pod, up=1) for pod in ("burst", "full", "best"))
    assert (burst["quota"], burst["memory"]) == (160000, 80 << 20) and weighed(burst, 358)
    assert (full["quota"], full["memory"]) == (60000, 64 << 20) and weighed(full, 614)
    assert (best["quota"], best["memory"]) == (-1, -1) and weighed(best, 2)


def test_rs5_rs6_quality_of_service_and_oom_score(kp: Machine) -> None:
    assert [kp.pod(name)["status"]["qosClass"] for name in ("full", "burst", "best")] == ["Guaranteed", "Burstable", "BestEffort"]
    scores = {(pod, name): int(Path(f"/proc/{kp.pid(pod, name)}/oom_score_adj").read_text())
              for pod, name in (("full", "main"), ("burst", "main"), ("best", "main"))}  # fmt: skip
    lowest = int(Path("/proc/self/oom_score_adj").read_text())  # without CAP_SYS_RESOURCE nothing goes below our own
    assert scores[("best", "main")] == 1000 and scores[("full", "main")] in (-997, max(-997, lowest))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert scores[("burst", "main")] == max(3, min(999, 1000 - 1000 * (32 << 20) // memory))


@pytest.mark.limits
def test_rs7_cs7_memory_beyond_the_limit_is_oom_killed(kp: Machine) -> None:
    ended = kp.ended("oom")
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def namespace(pid: int | str, kind: str) -> str:
    """As seen from where containers come from: an ordinary user's are in the user's own user namespace."""
    return seen(lambda: os.readlink(f"/proc/{pid}/ns/{kind}"))


@covers("pod.hostNetwork pod.hostPID pod.hostIPC pod.hostUsers")
def test_sc9_host_namespaces(kp: Machine) -> None:
    ours, hostly = "self", kp.pid("hostly")
    assert all(namespace(hostly, kind) == namespace(ours, kind) for kind in ("net", "pid", "ipc", "uts", "user"))
    assert namespace(hostly, "mnt") != namespace(ours, "mnt")
    assert kp.sh("hostly", "hostname; ls /sys/class/net").splitlines()[0] == os.uname().nodename
    assert kp.pod("hostly")["status"]["podIP"] == kp.pod("hostly")["status"]["hostIP"] == kp.sh("hostly", "echo $IP")
    assert f"/proc/{os.getpid()}" in kp.sh("hostly", f"ls -d /proc/{os.getpid()}")


def test_sc9_a_pod_s_containers_share_net_ipc_uts_and_shm_only(kp: Machine) -> None:
    main, other = kp.pid("best"), kp.pid("best", "other")
    assert all(namespace(main, kind) == namespace(other, kind) != namespace("self", kind) for kind in ("net", "ipc", "uts"))
    assert all(namespace(main, kind) != namespace(other, kind) for kind in ("pid", "mnt"))
    assert kp.sh("best", "echo hello > /dev/shm/f; grep ' /dev/shm ' /proc/mounts").count("size=65536k") == 1
    assert kp.sh("best", "cat /dev/shm/f; stat -c %a /dev/shm", "other") == "hello\n1777"
    kp.wait(lambda: kp.sh("best", "cat /proc/1/cmdline | tr '\\0' ' '") == "sleep 1000 ")


@covers("pod.shareProcessNamespace")
def test_sc9_a_shared_process_namespace(kp: Machine) -> None:
    main, other = kp.pid("together"), kp.pid("together", "other")
    assert namespace(main, "pid") == namespace(other, "pid") != namespace("self", "pid")
    shown = kp.sh("together", "ps -o pid,args")
    assert "sleep 1000" in shown and "sleep 1234" in shown
    assert kp.sh("together", "cat /proc/1/cmdline | tr '\\0' ' '").split()[0].endswith("catatonit")
    kp.sh("together", "kill -9 $(pidof sleep | tr ' ' '\\n' | while read p; do grep -q 1234 /proc/$p/cmdline && echo $p; done)")
    assert kp.wait(lambda: kp.status("together", "other")["restartCount"]) == 1


@covers("pod.securityContext.sysctls[].name pod.securityContext.sysctls[].value")
def test_sc8_safe_sysctls(kp: Machine) -> None:
    assert kp.sh("best", "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced").split() == ["30000", "31000", "1"]
    assert kp.sh("burst", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range").split() == [
        "0", "0", str(min(2147483647, seen(lambda: max(one.inside + one.length - 1 for one in ranges("gid")))))]  # fmt: skip
    assert Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split() != ["30000", "31000"]


def test_sc8_an_unsafe_sysctl_fails_the_pod(kp: Machine) -> None:
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: unsafe}}
spec: {{securityContext: {{sysctls: [{{name: kernel.msgmax, value: "65536"}}]}}, containers: [{{name: main, {SLEEP}}}]}}
"""
    kp.play(text, "--keep-on-failure", status=None)
    status = kp.pod("unsafe")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "SysctlForbidden") and not status.get("containerStatuses")
    kp.down(text)
