"""spec.build in a user namespace: what only the machine's root may do is left out, or taken from the machine as it is."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.engine.oci import mounts, spec, user
from kubeplay.engine.oci.mounts import MountPoint
from kubeplay.engine.oci.spec import HostFacts, Namespace, SpecInputs
from kubeplay.engine.oci.user import Identity
from kubeplay.errors import ContainerError
from kubeplay.plan.container import ContainerPlan, Resolved, Resources

LIMITED = Resources(cpu_request=250, cpu_limit=500, memory_limit=64 << 20, others=(("hugepages-2Mi", 2 << 20),))
OWN = tuple(Namespace(kind, f"/ns/{kind}") for kind in ("network", "uts", "ipc")) + (Namespace("pid"), Namespace("mount"))


def built(
    *, group: str = "", namespaces: tuple[Namespace, ...] = OWN, plan: ContainerPlan | None = None, dev: str = "", **facts: Any
) -> dict[str, Any]:
    host = HostFacts(user_namespace=True, can_raise_limits=False, **{"controllers": (), **facts})
    return spec.build(
        SpecInputs(
            plan=plan or ContainerPlan("c", "i", command=("x",), resources=LIMITED, pids_limit=10, cpuset="0"),
            resolved=Resolved(command=("x",)), image=spec.ImageDefaults(), identity=Identity(), hostname="p", rootfs="/r",
            cgroups_path=group, namespaces=namespaces, host=host, dev=dev,
        )
    )  # fmt: skip


def at(config: dict[str, Any], destination: str) -> dict[str, Any]:
    return next((m for m in config["mounts"] if m["destination"] == destination), {})


def test_without_a_cgroup_nothing_is_asked_of_one() -> None:
    linux = built()["linux"]
    assert "cgroupsPath" not in linux and "resources" not in linux


@pytest.mark.parametrize(
    ("controllers", "expected"),
    [
        ((), {}),
        (("pids",), {"pids": {"limit": 10}}),
        (("memory",), {"memory": {"limit": 64 << 20, "swap": 64 << 20}, "unified": {"memory.oom.group": "1"}}),
        (("cpu",), {"cpu": {"shares": 256, "quota": 50_000, "period": 100_000}}),
        (("cpu", "cpuset"), {"cpu": {"shares": 256, "quota": 50_000, "period": 100_000, "cpus": "0"}}),
        (("hugetlb",), {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 << 20}]}),
    ],
)
def test_a_delegated_group_gets_what_its_controllers_can_do_and_no_device_rules(controllers: tuple[str, ...], expected: Any) -> None:
    linux = built(group="/user.slice/g", controllers=controllers, cgroup_v2=True, page_sizes=("2MB",))["linux"]
    assert (linux["cgroupsPath"], linux["resources"]) == ("/user.slice/g", expected)


def test_what_shows_a_namespace_of_the_machines_is_bound_from_it() -> None:
    config = built()
    assert [at(config, p)["type"] for p in ("/proc", "/sys", "/dev/mqueue")] == ["proc", "sysfs", "mqueue"]
    config = built(namespaces=(Namespace("mount"),))
    for path in ("/proc", "/sys", "/dev/mqueue"):
        found = at(config, path)
        assert (found["type"], found["source"]) == ("bind", path)
        assert {"rbind", "nosuid", "noexec", "nodev"} <= set(found["options"]), path
    assert "ro" in at(config, "/sys")["options"]
    assert {"/proc/sys", "/proc/sysrq-trigger"} <= set(config["linux"]["readonlyPaths"]) and "/proc/keys" in config["linux"]["maskedPaths"]
    assert at(built(namespaces=(Namespace("mount"),), mqueue=False), "/dev/mqueue") == {}


def test_groups_of_the_machine_are_not_shown() -> None:
    assert at(built(), "/sys/fs/cgroup")["type"] == "tmpfs" and "ro" in at(built(), "/sys/fs/cgroup")["options"]
    assert at(built(cgroup_v2=True), "/sys/fs/cgroup")["type"] == "cgroup"  # behind a cgroup namespace
    assert at(built(group="/g"), "/sys/fs/cgroup")["type"] == "cgroup"


def test_root_mounts_them_all_itself() -> None:
    """hostNetwork, hostPID and hostIPC of root stay as they are."""
    host, plan = HostFacts(), ContainerPlan("c", "i")
    inputs = SpecInputs(plan, Resolved(command=("x",)), spec.ImageDefaults(), Identity(), "p", "/r", "/g", (), host)
    assert [at({"mounts": mounts.standard(inputs)}, p)["type"] for p in ("/proc", "/sys", "/dev/mqueue")] == ["proc", "sysfs", "mqueue"]


def test_terminals_have_their_group_only_where_it_exists() -> None:
    assert "gid=5" in at(built(), "/dev/pts")["options"]
    assert not [o for o in at(built(tty_group=False), "/dev/pts")["options"] if o.startswith("gid=")]


def test_dev_is_bound_with_the_devices_below_it() -> None:
    assert at(built(dev="/bundle/dev"), "/dev")["options"] == ["rbind", "rprivate"]


def test_scores_and_limits_are_held_to_what_the_caller_has() -> None:
    process = built(oom_floor=200, nofile_hard=4096)["process"]
    assert process["oomScoreAdj"] == 200
    assert process["rlimits"] == [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}]


def test_flags_that_the_machine_set_stay_on_a_read_only_bind() -> None:
    """A remount without them is refused by the kernel (mount_namespaces(7))."""
    point = MountPoint("/srv", "/data", True, locked=("nosuid", "nodev"))
    assert mounts.bind(point)["options"] == ["rbind", "rprivate", "ro", "nosuid", "nodev"]
    assert mounts.bind(point._replace(read_only=False))["options"] == ["rbind", "rprivate", "rw"]  # nothing is remounted


@pytest.mark.parametrize(
    ("identity", "wrong"),
    [
        (Identity(65536, 0, (0,)), ""),
        (Identity(65537, 0, (0,)), "user 65537 is not among the ids you have (0 to 65536, by /etc/subuid)"),
        (Identity(5, 70000, (70000,)), "group 70000 is not"),
        (Identity(5, 6, (6, 2**31 - 1)), "group 2147483647 is not"),
    ],
)
def test_ids_beyond_the_map_are_refused_by_name(identity: Identity, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubeplay.engine.host.machine import machine
    from kubeplay.engine.host.userns import Range

    monkeypatch.setattr(user, "machine", lambda: machine()._replace(user_namespace=True))
    monkeypatch.setattr(user, "ranges", lambda kind: (Range(0, 1000, 1), Range(1, 100000, 65536)))
    if not wrong:
        user.check_mapped(identity, "web")
        return
    with pytest.raises(ContainerError, match=r'container "web": ' + wrong.replace("(", r"\(").replace(")", r"\)")) as caught:
        user.check_mapped(identity, "web")
    assert caught.value.reason == "CreateContainerError" and "--add-sub" in caught.value.hint
