"""Capabilities, quality of service, cgroup arithmetic and the seccomp table."""

from __future__ import annotations

import ctypes
import tempfile
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.oci import capabilities, cgroup, qos, runtime, seccomp
from kubeplay.plan.container import INIT, ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan, SandboxPlan

EVERY = (1 << 41) - 1


@pytest.mark.parametrize(
    ("add", "drop", "count", "has", "lacks"),
    [
        ((), (), 14, "CAP_CHOWN", "CAP_SYS_ADMIN"),
        ((), ("ALL",), 0, "", "CAP_CHOWN"),
        (("NET_ADMIN",), ("ALL",), 1, "CAP_NET_ADMIN", "CAP_CHOWN"),
        (("ALL",), (), 41, "CAP_BPF", ""),
        (("ALL",), ("NET_RAW",), 40, "CAP_BPF", "CAP_NET_RAW"),
        (("sys_time", "NONSENSE", "CAP_BPF"), ("kill", "CAP_CHOWN"), 14, "CAP_SYS_TIME", "CAP_KILL"),
    ],
)
def test_sc6_table(add: tuple[str, ...], drop: tuple[str, ...], count: int, has: str, lacks: str) -> None:
    found = capabilities.names(add, drop, privileged=False, available=EVERY)
    assert len(found) == count and (not has or has in found) and lacks not in found


def pod(*containers: tuple[str, Resources]) -> PodPlan:
    return PodPlan(
        "n", "p", SandboxPlan("p"), tuple(ContainerPlan(f"c{i}", "i", kind=k, resources=r) for i, (k, r) in enumerate(containers))
    )


FULL = Resources(cpu_request=500, cpu_limit=500, memory_request=100, memory_limit=100)


@pytest.mark.parametrize(
    ("plan", "quality", "limits"),
    [
        (pod(("app", Resources())), "BestEffort", cgroup.Limits()),
        (pod(("app", FULL)), "Guaranteed", cgroup.Limits(512, 50_000, 100)),
        (pod(("app", FULL), ("app", Resources())), "Burstable", cgroup.Limits(512, 0, 0)),
        (pod((INIT, Resources(cpu_request=2000)), ("app", FULL)), "Burstable", cgroup.Limits(2048, 0, 0)),
        (pod(("app", Resources(memory_limit=7, memory_request=7))), "Burstable", cgroup.Limits(2, 0, 7)),
        (pod(("app", FULL), ("app", FULL)), "Guaranteed", cgroup.Limits(1024, 100_000, 200)),
    ],
)
def test_rs4_rs5_table(plan: PodPlan, quality: str, limits: cgroup.Limits) -> None:
    assert qos.qos(plan) == quality and qos.pod_limits(plan) == limits


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (Resources(), 1000),
        (FULL, -997),
        (Resources(memory_request=250), 750),
        (Resources(memory_request=1), 999),
        (Resources(memory_request=1000), 3),
    ],
)
def test_rs6_table(resources: Resources, expected: int) -> None:
    plan = pod(("app", resources))
    assert qos.oom_score_adj(plan, plan.containers[0], 1000) == expected


def test_rs3_weight_is_linear_as_the_runtimes_is() -> None:
    assert (cgroup.weight(2), cgroup.weight(1024), cgroup.weight(262_144)) == (1, 39, 10_000)


def test_hierarchies_of_a_hybrid_host(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified/cgroup.controllers").write_text("hugetlb\n")
    lines = [
        "30 1 0:1 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct",
        "31 1 0:2 / /sys/fs/cgroup/with\\040blank rw - cgroup cgroup rw,name=systemd,xattr",
        f"32 1 0:3 / {tmp_path}/unified rw - cgroup2 cgroup2 rw,nsdelegate",
        "33 1 0:4 / /proc rw - proc proc rw",
    ]
    (tmp_path / "mountinfo").write_text("\n".join(lines) + "\n")
    found = cgroup.discover(str(tmp_path / "mountinfo"))
    assert found == (
        cgroup.Hierarchy("/sys/fs/cgroup/cpu,cpuacct", 1, ("cpu", "cpuacct")),
        cgroup.Hierarchy("/sys/fs/cgroup/with blank", 1, ("name=systemd",)),
        cgroup.Hierarchy(f"{tmp_path}/unified", 2, ("hugetlb",)),
    )
    groups = cgroup.Cgroups("kp", found)
    assert not groups.unified and groups.missing == ("memory", "pids", "cpuset", "devices")
    assert groups.pod("U", "Guaranteed") == "/kp/kubepods/podU" and groups.pod("U", "BestEffort") == "/kp/kubepods/besteffort/podU"


def allowed(profile: dict[str, object], family: int) -> bool:
    """Whether a socket of this family passes the table."""
    rules = [r["args"][0] for r in profile["syscalls"] if r["names"] == ["socket"]]  # type: ignore[attr-defined]
    return any(family & rule["value"] == rule["valueTwo"] for rule in rules)


def test_seccomp_every_socket_family_but_alg_and_vsock() -> None:
    profile = seccomp.default((), "x86_64")
    assert profile is not None
    assert [n for n in range(64) if not allowed(profile, n)] == [38, 40]
    assert not allowed(profile, 40 | 1 << 32) and allowed(profile, 2 | 1 << 32)


def test_seccomp_follows_capabilities() -> None:
    def names(*caps: str) -> set[str]:
        profile = seccomp.default(caps, "x86_64")
        assert profile is not None and profile["defaultAction"] == "SCMP_ACT_ERRNO"
        return {n for r in profile["syscalls"] if r["action"] == "SCMP_ACT_ALLOW" and "args" not in r for n in r["names"]}

    plain = names()
    assert not plain & {
        "mount",
        "unshare",
        "clone",
        "clone3",
        "bpf",
        "keyctl",
        "io_uring_setup",
        "kexec_load",
        "userfaultfd",
        "socketcall",
        "reboot",
        "socket",
    }
    assert {"mount", "unshare", "clone", "clone3"} <= names("CAP_SYS_ADMIN") - plain
    assert names("CAP_SYS_CHROOT") - plain == {"chroot"}


def test_seccomp_personality_bits() -> None:
    profile = seccomp.default((), "x86_64")
    assert profile is not None
    rules = [r["args"][0] for r in profile["syscalls"] if r["names"] == ["personality"]]

    def passes(value: int) -> bool:
        return any(value & r["value"] == r["valueTwo"] if r["op"].endswith("MASKED_EQ") else value == r["value"] for r in rules)

    assert [passes(v) for v in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)] == [True] * 5
    assert not passes(0x0040000)  # ADDR_NO_RANDOMIZE


def test_seccomp_unknown_machine_has_no_table() -> None:
    assert seccomp.default((), "vax") is None


@pytest.mark.parametrize(("stderr", "said"), [
    ('time="now" level=warning msg="x"\ntime="now" level=error msg="exec: \\"a\\": not found"\n', 'exec: "a": not found'),
    ('time="now" level=error msg="one"\ntime="now" level=fatal msg="two"', "one; two"),
    ('time="now" level=error msg="odd \\x07"', "odd \\x07"),
    ("error: no such thing\n", "error: no such thing"),
    ("", ""),
])  # fmt: skip
def test_what_a_runtime_complains_of(stderr: str, said: str) -> None:
    assert runtime.said(stderr) == said


_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "riscv64": 0xC00000F3}  # linux/audit.h


def _compiled(machine: str, rules: list[dict[str, Any]]) -> bytes:
    """The kernel's program of a filter, as the runtime has libseccomp make it."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(0x00050001))
    architecture = ctypes.c_uint32(_ARCHITECTURES[machine])
    library.seccomp_arch_remove(context, ctypes.c_uint32(0))
    assert library.seccomp_arch_add(context, architecture) == 0
    for rule in rules:
        for name in rule["names"] if "args" not in rule else ():
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != -1:  # unknown to this libseccomp: the runtime leaves it out
                action = 0x7FFF0000 if rule["action"] == "SCMP_ACT_ALLOW" else 0x00050000 | rule["errnoRet"]
                assert library.seccomp_rule_add(context, action, number, 0) == 0, name
    with tempfile.TemporaryFile() as file:
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
        library.seccomp_release(context)
        file.seek(0)
        return file.read()


@pytest.mark.parametrize("machine", _ARCHITECTURES)
def test_seccomp_names_of_32_bit_machines_do_nothing_for_64_bit_ones(machine: str) -> None:
    capabilities = tuple(seccomp._BY_CAPABILITY)
    short = seccomp.default(capabilities, machine)
    assert short is not None and "chown32" not in short["syscalls"][0]["names"]
    first = {**short["syscalls"][0], "names": [*short["syscalls"][0]["names"], *seccomp._NARROW.split()]}
    program = _compiled(machine, short["syscalls"])
    assert len(program) > 8 * 300 and program == _compiled(machine, [first, *short["syscalls"][1:]])
    assert program != _compiled(machine, [{**first, "names": first["names"][10:]}])


def test_seccomp_keeps_names_of_32_bit_machines_where_they_run() -> None:
    wide = seccomp.default((), "x86_64", compat=True)
    assert wide is not None and "chown32" in wide["syscalls"][0]["names"]


def test_the_chosen_runtime_is_read_back(tmp_path: Path) -> None:
    hierarchies = (cgroup.Hierarchy("/sys/fs/cgroup/cpu", 1, ("cpu",)), cgroup.Hierarchy("/sys/fs/cgroup/unified", 2, (), "/ours"))
    found = runtime.Host(runtime.Choice("/usr/bin/runc", "runc", "1.1.5", True), hierarchies)
    runtime._keep(str(tmp_path / "host.json"), "key", found)
    assert runtime._read(str(tmp_path / "host.json"), "key") == found
    assert runtime._read(str(tmp_path / "host.json"), "other") is None
