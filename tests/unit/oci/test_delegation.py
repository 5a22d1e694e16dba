"""Which part of the cgroup tree is ours, over a tree of plain files: groups, limits, leaf moves and what is left of other sessions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.oci import cgroup, delegation, unenforced
from kubeplay.engine.oci.cgroup import Cgroups, Hierarchy, Limits
from kubeplay.plan.container import ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan, SandboxPlan

SESSION = "/user.slice/user-1000.slice/session-3.scope"
SERVICE = "/user.slice/user-1000.slice/user@1000.service"
TERMINAL = f"{SERVICE}/app.slice/terminal.scope"
CONTROL = ("cgroup.procs", "cgroup.subtree_control", "cgroup.controllers")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What systemd makes for a user: the groups above the user's own manager are root's."""
    root = tmp_path / "cgroup"
    for group in ("", "/user.slice", "/user.slice/user-1000.slice", SESSION, SERVICE, f"{SERVICE}/app.slice", TERMINAL):
        make(root, group)
    ours = {f"{root}{SERVICE}", f"{root}{SERVICE}/app.slice", f"{root}{TERMINAL}"}
    access = os.access

    def only_ours(path: str, mode: int) -> bool:
        directory = path if os.path.isdir(path) else os.path.dirname(path)
        return directory in ours and access(path, mode)

    monkeypatch.setattr(delegation.os, "access", only_ours)
    return root


def make(root: Path, group: str, controllers: str = "cpu memory pids\n") -> None:
    directory = Path(f"{root}{group}")
    directory.mkdir(parents=True, exist_ok=True)
    for name in CONTROL:
        (directory / name).write_text(controllers if name == "cgroup.controllers" else "")


def groups(tree: Path, where: str, runroot: Path, monkeypatch: pytest.MonkeyPatch) -> Cgroups:
    runroot.mkdir(exist_ok=True)
    monkeypatch.setattr(delegation, "discover", lambda: (Hierarchy(str(tree), 2, ("cpu", "memory", "pids")),))
    monkeypatch.setattr(delegation, "group_of_self", lambda: where)
    monkeypatch.setattr(cgroup, "group_of_self", lambda: where)
    return delegation.cgroups(Paths(Settings(root=str(runroot / "root"), runroot=str(runroot))), "kp")


@pytest.mark.parametrize(
    ("group", "expected"),
    [(TERMINAL, SERVICE), (f"{SERVICE}/app.slice", SERVICE), (SERVICE, SERVICE), (SESSION, None), ("/", None), ("", None)],
)
def test_the_highest_group_that_was_handed_over(tree: Path, group: str, expected: str | None) -> None:
    assert delegation.delegated(delegation.Tree(str(tree), group)) == expected


def test_version_1_and_both_side_by_side_delegate_nothing() -> None:
    both = (Hierarchy("/c/pids", 1, ("pids",)), Hierarchy("/c/unified", 2, ()))
    assert delegation.find(both, "/a").mount == "" and delegation.find(both[1:], "/a").mount == "/c/unified"
    assert "version 1" in delegation.why(delegation.Tree("", "/a")) and "/a is not delegated" in delegation.why(delegation.Tree("/c", "/a"))


def test_groups_lie_beside_the_terminal_and_have_their_limits(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = groups(tree, TERMINAL, tmp_path / "run", monkeypatch)
    path = found.pod("u-1", "Burstable")
    assert found.runtime_path(path) == f"{SERVICE}/kp/kubepods/burstable/podu-1" and found.unified and not found.why
    pod = Path(f"{tree}{SERVICE}{path}")
    pod.mkdir(parents=True)
    for name in ("cpu.weight", "cpu.max", "memory.max"):
        (pod / name).write_text("")
    for group in ("", "/kp", "/kp/kubepods", "/kp/kubepods/burstable", "/kp/kubepods/burstable/podu-1"):
        make(tree, SERVICE + group)
    found.make_pod(path, Limits(256, 50_000, 64 << 20))
    assert (pod / "cpu.weight").read_text() == "10" and (pod / "cpu.max").read_text() == "50000 100000"
    assert (pod / "memory.max").read_text() == str(64 << 20)
    assert Path(f"{tree}{SERVICE}/cgroup.subtree_control").read_text().startswith("+pids")  # the last written; a real one adds up
    assert Path(f"{tree}/user.slice/cgroup.subtree_control").read_text() == ""  # nothing is tried above
    assert not Path(f"{tree}{TERMINAL}/kp").exists()


def test_a_caller_in_the_delegated_group_itself_moves_to_a_leaf(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group with processes may not limit its children (cgroup-v2.rst, "No Internal Process Constraint")."""
    found = groups(tree, SERVICE, tmp_path / "run", monkeypatch)
    make(tree, f"{SERVICE}/kp/monitors")
    found.make_pod(found.pod("u-1", "Guaranteed"), Limits())
    assert Path(f"{tree}{SERVICE}/kp/monitors/cgroup.procs").read_text() == "0"


def test_monitors_leave_the_callers_group(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = groups(tree, TERMINAL, tmp_path / "run", monkeypatch)
    make(tree, f"{SERVICE}/kp/monitors")
    found.adopt_monitor(4711)
    assert Path(f"{tree}{SERVICE}/kp/monitors/cgroup.procs").read_text() == "4711"


def test_another_session_makes_no_groups_but_finds_those_that_are_there(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = groups(tree, TERMINAL, tmp_path / "run", monkeypatch)
    path = first.pod("u-1", "BestEffort")
    make(tree, f"{SERVICE}{path}/c1")
    Path(f"{tree}{SERVICE}{path}/c1/cgroup.procs").write_text("4711\n")
    second = groups(tree, SESSION, tmp_path / "run", monkeypatch)
    assert second.hierarchies == () and second.runtime_path(path) == "" and SESSION in second.why
    assert second.pids(path) == [4711] and second.children(path) == ["c1"]
    second.make_pod(second.pod("u-2", "BestEffort"), Limits())
    assert second.children(os.path.dirname(path)) == ["podu-1"]
    assert oct(os.stat(tmp_path / "run/cgroups").st_mode & 0o777) == "0o600"


def test_controllers_are_those_that_could_be_switched_on(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = groups(tree, TERMINAL, tmp_path / "run", monkeypatch)
    assert found.controllers == {"cpu", "memory", "pids"}
    make(tree, f"{SERVICE}/kp", "pids\n")  # the group holds somebody else's processes: the kernel refused the others
    assert found.controllers == {"pids"} and found.missing == ("cpu", "memory", "cpuset")


def pod(*containers: ContainerPlan) -> PodPlan:
    return PodPlan("default", "web", SandboxPlan("web"), containers)


def test_a_notice_names_the_containers_whose_limits_have_no_effect() -> None:
    limited = ContainerPlan("main", "i", resources=Resources(cpu_limit=500, memory_limit=1), pids_limit=7)
    free = ContainerPlan("side", "i", resources=Resources(cpu_request=500, memory_request=1))  # requests are no limits
    nowhere = Cgroups("kp", (), why="this machine has cgroup version 1")
    said = unenforced.notice([pod(limited, free)], nowhere)
    assert said == "limits without effect: default/web/main (cpu, memory, pids): this machine has cgroup version 1"
    assert unenforced.notice([pod(free)], nowhere) == ""
    some = Cgroups("kp", (Hierarchy("/nowhere", 2, ("cpu", "pids"), "/top"),), unified=True)
    said = unenforced.notice([pod(limited)], some)
    assert said.startswith("limits without effect: default/web/main (memory): the delegated cgroup lacks")
    many = unenforced.notice([pod(*(limited._replace(name=f"c{n}") for n in range(7)))], nowhere)
    assert "default/web/c4" in many and "c5" not in many and "and 2 more" in many
