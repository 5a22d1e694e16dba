"""spec.build is pure: tables of what goes in and what must come out."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.engine.oci import spec
from kubeplay.engine.oci.mounts import MountPoint
from kubeplay.engine.oci.spec import HostFacts, ImageDefaults, SpecInputs
from kubeplay.engine.oci.user import Identity
from kubeplay.errors import ContainerError
from kubeplay.plan.container import ContainerPlan, Resolved, Resources
from kubeplay.plan.security import Seccomp, Security

IMAGE = ImageDefaults(entrypoint=("/entry", "-x"), cmd=("one", "two"))


def inputs(plan: ContainerPlan | None = None, resolved: Resolved | None = None, **more: Any) -> SpecInputs:
    values: dict[str, Any] = {
        "plan": plan or ContainerPlan("c", "i"),
        "resolved": resolved or Resolved(),
        "image": IMAGE,
        "identity": Identity(),
        "hostname": "p",
        "rootfs": "/r",
        "cgroups_path": "/g",
        "namespaces": (),
        "host": HostFacts(),
    }
    return SpecInputs(**{**values, **more})


def with_security(**fields: Any) -> SpecInputs:
    return inputs(ContainerPlan("c", "i", security=Security(**fields)))


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        (None, None, ("/entry", "-x", "one", "two")),
        (None, ("a",), ("/entry", "-x", "a")),
        (("c",), None, ("c",)),
        (("c",), ("a",), ("c", "a")),
        ((), (), ("/entry", "-x", "one", "two")),
    ],
)
def test_cm1_table(command: Any, args: Any, expected: tuple[str, ...]) -> None:
    assert spec.command_line(ContainerPlan("c", "i"), Resolved(command=command, args=args), IMAGE) == expected


def test_cm1_nothing_to_run() -> None:
    with pytest.raises(ContainerError) as caught:
        spec.command_line(ContainerPlan("c", "i"), Resolved(), ImageDefaults())
    assert caught.value.reason == "CreateContainerError"


def test_en1_the_containers_own_variables_win_and_the_hosts_stay_out() -> None:
    image = ImageDefaults(env=("A=image", "HOSTNAME=image", "PATH", "*", "B=1=2"))
    found = spec.environment(inputs(resolved=Resolved(env=(("A", "own"), ("HOSTNAME", "mine"))), image=image))
    assert found == [f"PATH={spec.DEFAULT_PATH}", "HOSTNAME=mine", "A=own", "B=1=2", "HOME=/"]


def test_en_home_of_the_user_unless_given() -> None:
    assert "HOME=/home/app" in spec.environment(inputs(identity=Identity(home="/home/app")))
    assert "HOME=/x" in spec.environment(inputs(identity=Identity(home="/home/app"), image=ImageDefaults(env=("HOME=/x",))))


def test_tty_sets_term() -> None:
    assert "TERM=xterm" in spec.environment(inputs(ContainerPlan("c", "i", tty=True)))


@pytest.mark.parametrize("path", ["x", "/proc/self/fd/8", "/proc//7/./fd", "/proc/thread-self/cwd", "/a\0b"])
def test_cve_2024_21626_working_dir(path: str) -> None:
    with pytest.raises(ContainerError):
        spec.working_dir(inputs(ContainerPlan("c", "i", working_dir=path)))


def test_sc6_sets() -> None:
    caps = spec.build(inputs())["process"]["capabilities"]
    assert len(caps["bounding"]) == 14 and caps["ambient"] == caps["inheritable"] == []


def test_sc6_capabilities_the_host_lacks_are_left_out() -> None:
    host = HostFacts(capabilities=(1 << 41) - 1 & ~(1 << 24))
    assert (
        "CAP_SYS_RESOURCE"
        not in spec.build(inputs(ContainerPlan("c", "i", security=Security(privileged=True)), host=host))["process"]["capabilities"][
            "bounding"
        ]
    )


def test_sc7_privileged_unmasked_all_devices_no_seccomp() -> None:
    built = spec.build(inputs(ContainerPlan("c", "i", security=Security(privileged=True)), devices=(spec.Device("/dev/x", "c", 1, 2),)))
    linux = built["linux"]
    assert "maskedPaths" not in linux and "seccomp" not in linux
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}] and linux["devices"][0]["path"] == "/dev/x"
    assert next(m for m in built["mounts"] if m["destination"] == "/sys")["options"][-1] == "rw"


def test_sc7_unmasked_proc() -> None:
    assert "maskedPaths" not in spec.build(with_security(proc_mount="Unmasked"))["linux"]
    assert "/proc/kcore" in spec.build(inputs())["linux"]["maskedPaths"]


@pytest.mark.parametrize(
    ("kind", "default", "expected"), [("RuntimeDefault", True, True), ("Unconfined", True, False), ("RuntimeDefault", False, False)]
)
def test_sc5_profiles(kind: str, default: bool, expected: bool) -> None:
    plan = ContainerPlan("c", "i", security=Security(seccomp=Seccomp(kind)))
    assert ("seccomp" in spec.build(inputs(plan, default_seccomp=default))["linux"]) is expected


def test_sc5_localhost_uses_the_given_profile() -> None:
    plan = ContainerPlan("c", "i", security=Security(seccomp=Seccomp("Localhost", "x.json")))
    assert spec.build(inputs(plan, seccomp_profile={"defaultAction": "x"}))["linux"]["seccomp"] == {"defaultAction": "x"}


def test_rs2_resources() -> None:
    limits = Resources(cpu_request=100, cpu_limit=5, memory_limit=1000, others=(("hugepages-2Mi", 7),))
    found = spec.build(inputs(ContainerPlan("c", "i", resources=limits, pids_limit=9, cpuset="0-1"), host=HostFacts(page_sizes=("2MB",))))[
        "linux"
    ]["resources"]
    assert found["cpu"] == {"shares": 102, "quota": 1000, "period": 100_000, "cpus": "0-1"}
    assert found["memory"] == {"limit": 1000, "swap": 1000} and found["pids"] == {"limit": 9}
    assert found["hugepageLimits"] == [{"pageSize": "2MB", "limit": 7}]


@pytest.mark.parametrize(("limits", "shares"), [(Resources(), 2), (Resources(cpu_limit=2000), 2048), (Resources(cpu_request=1), 2)])
def test_rs2_shares(limits: Resources, shares: int) -> None:
    assert spec.build(inputs(ContainerPlan("c", "i", resources=limits)))["linux"]["resources"]["cpu"]["shares"] == shares


def test_rs7_version_2_kills_the_whole_container() -> None:
    assert spec.build(inputs(host=HostFacts(cgroup_v2=True)))["linux"]["resources"]["unified"] == {"memory.oom.group": "1"}


def test_lr3_limits_are_clamped_without_cap_sys_resource() -> None:
    host = HostFacts(can_raise_limits=False, nofile_hard=1024, oom_floor=-5)
    process = spec.build(inputs(host=host, oom_score_adj=-997))["process"]
    assert process["oomScoreAdj"] == -5 and process["rlimits"] == [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}]


def test_mounts_are_sorted_and_replace_ours() -> None:
    mounts = (
        MountPoint("/3", "/a/b/c"),
        MountPoint("/1", "/a"),
        MountPoint("/2", "/a/"),
        MountPoint("/s", "/dev/shm", True),
        MountPoint("/h", "/etc/hosts"),
    )
    built = spec.build(inputs(mounts=mounts, files=(MountPoint("/ours", "/etc/hosts"),), shm="/shm"))["mounts"]
    sources = [m["source"] for m in built if m["type"] == "bind"]
    assert sources == ["/1", "/2", "/s", "/h", "/3"]
    assert next(m for m in built if m["source"] == "/s")["options"] == ["rbind", "rprivate", "ro"]


@pytest.mark.parametrize(("propagation", "option"), [("None", "rprivate"), ("HostToContainer", "rslave"), ("Bidirectional", "rshared")])
def test_mount_propagation(propagation: str, option: str) -> None:
    built = spec.build(inputs(mounts=(MountPoint("/s", "/m", propagation=propagation),)))["mounts"]
    assert option in built[-1]["options"]


def test_no_annotation_reaches_the_runtime() -> None:
    assert spec.build(inputs())["annotations"] == {}
