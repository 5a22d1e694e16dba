"""SC1-SC11: what a securityContext comes to, in the runtime's own terms; tests/e2e/test_fields_security shows it in real containers."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.config import Settings
from kubeplay.engine.oci import capabilities, spec, user
from kubeplay.engine.oci.mounts import MountPoint
from kubeplay.engine.oci.spec import MASKED, READ_ONLY, HostFacts, ImageDefaults, SpecInputs
from kubeplay.engine.oci.user import Accounts, Entry, Identity
from kubeplay.errors import ContainerError
from kubeplay.kube.status import ContainerView, Instance, PodView, pod_status
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.pod import SandboxPlan
from kubeplay.plan.security import AppArmor, Seccomp, Security
from kubeplay.play.compile import security
from kubeplay.play.compile.options import CompileOptions
from kubeplay.reconcile import sysctls
from tests.support.simulator import EPOCH, pod

ACCOUNTS = Accounts((Entry("root", 0, 0, "/root"), Entry("app", 1234, 2345, "/home/app")), (("app", 2345, ()), ("extra", 3456, ("app",))))
ANY = (1 << 41) - 1


def compiled(pod_context: dict[str, Any], own: dict[str, Any], **options: Any) -> Security:
    return security.plan({"securityContext": pod_context}, {"securityContext": own}, CompileOptions(**options))


def built(plan: Security, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"host": HostFacts(), "identity": Identity(), **more}
    container = ContainerPlan("c", "i", security=plan)
    return spec.build(SpecInputs(container, Resolved(), ImageDefaults(cmd=("x",)), hostname="p", rootfs="/r", cgroups_path="/g",
                                 namespaces=(), **values))  # fmt: skip


def test_sc1_the_container_s_own_comes_first() -> None:
    whole = {"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": True, "seccompProfile": {"type": "Unconfined"}, "fsGroup": 3,
             "appArmorProfile": {"type": "Unconfined"}, "seLinuxOptions": {"level": "s0"}, "supplementalGroups": [4]}  # fmt: skip
    inherited = compiled(whole, {})
    assert (inherited.run_as_user, inherited.run_as_group, inherited.run_as_non_root, inherited.fs_group) == (1, 2, True, 3)
    assert inherited.seccomp == Seccomp("Unconfined") and inherited.apparmor == AppArmor("Unconfined") and inherited.selinux.level == "s0"
    own = compiled(whole, {"runAsUser": 0, "runAsNonRoot": False, "seccompProfile": {"type": "RuntimeDefault"}})
    assert (own.run_as_user, own.run_as_group, own.run_as_non_root, own.seccomp.type) == (0, 2, False, "RuntimeDefault")
    assert own.supplemental_groups == (4,)


@pytest.mark.parametrize(("context", "image", "expected"), [
    ({}, "", (0, 0, (0,), "/root")),
    ({}, "app", (1234, 2345, (2345, 3456), "/home/app")),
    ({}, "1234:5", (1234, 5, (5, 3456), "/home/app")),
    ({"run_as_user": 1234}, "", (1234, 2345, (2345, 3456), "/home/app")),
    ({"run_as_user": 77}, "app:5", (77, 0, (0,), "/")),
    ({"run_as_user": 1234, "run_as_group": 9}, "", (1234, 9, (9, 3456), "/home/app")),
    ({"run_as_user": 1234, "supplemental_groups": (5,), "fs_group": 6}, "", (1234, 2345, (5, 6, 2345, 3456), "/home/app")),
    ({"run_as_user": 1234, "supplemental_groups": (5,), "supplemental_groups_policy": "Strict"}, "", (1234, 2345, (5, 2345), "/home/app")),
])  # fmt: skip
def test_sc2_users_and_groups(context: dict[str, Any], image: str, expected: tuple[Any, ...]) -> None:
    assert tuple(user.resolve(Security(**context), image, ACCOUNTS)) == expected


def test_sc2_they_are_told_in_the_status() -> None:
    plan = ContainerPlan("main", "busybox:1")
    view = ContainerView(plan, Instance("i", 0, "running", started=EPOCH, user="1000 3000 3000 4000"))
    (shown,) = pod_status(PodView(pod(plan), EPOCH, (view,)), EPOCH)["containerStatuses"]
    assert shown["user"] == {"linux": {"uid": 1000, "gid": 3000, "supplementalGroups": [3000, 4000]}}


@pytest.mark.parametrize(("context", "image", "expected"), [
    ({"run_as_user": 0}, "", "container's runAsUser breaks non-root policy"),
    ({}, "", "container has runAsNonRoot and image will run as root"),
    ({}, "0:5", "container has runAsNonRoot and image will run as root"),
    ({}, "app", "image has non-numeric user (app), cannot verify user is non-root"),
    ({"run_as_user": 5}, "", ""),
    ({}, "1234", ""),
])  # fmt: skip
def test_sc3_no_root(context: dict[str, Any], image: str, expected: str) -> None:
    try:
        user.check_non_root(Security(run_as_non_root=True, **context), image, 'pod: "p"')
        said = ""
    except ContainerError as error:
        assert error.reason == "CreateContainerConfigError"
        said = error.message
    assert expected in said and bool(said) == bool(expected)


@pytest.mark.parametrize(("written", "expected"), [({}, False), ({"allowPrivilegeEscalation": True}, False),
                                                   ({"allowPrivilegeEscalation": False}, True)])  # fmt: skip
def test_sc4_no_new_privileges(written: dict[str, Any], expected: bool) -> None:
    assert built(compiled({}, written))["process"]["noNewPrivileges"] is expected


def test_sc5_seccomp() -> None:
    assert built(compiled({}, {}))["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"  # ours, and Podman's (decision 0506)
    assert "seccomp" not in built(compiled({}, {}, seccomp_default=False))["linux"]
    assert "seccomp" not in built(compiled({}, {"seccompProfile": {"type": "Unconfined"}}))["linux"]
    assert "seccomp" not in built(compiled({"seccompProfile": {"type": "RuntimeDefault"}}, {"privileged": True}))["linux"]
    local = compiled({}, {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}})
    assert (local.seccomp.profile, local.seccomp.root) == ("a/b.json", "")
    assert built(local, seccomp_profile={"defaultAction": "X"})["linux"]["seccomp"] == {"defaultAction": "X"}
    assert Settings().seccomp_profile_root == "/var/lib/kubelet/seccomp"


def test_sc5_apparmor_where_the_machine_has_it() -> None:
    local = Security(apparmor=AppArmor("Localhost", "mine"))
    assert "apparmorProfile" not in built(local)["process"]
    assert built(local, host=HostFacts(apparmor=True))["process"]["apparmorProfile"] == "mine"


@pytest.mark.parametrize(("add", "drop", "expected"), [
    ((), (), set(capabilities.DEFAULT)),
    ((), ("ALL",), set()),
    (("NET_ADMIN",), ("ALL",), {"NET_ADMIN"}),
    (("ALL",), (), set(capabilities.ALL)),
    (("ALL",), ("NET_RAW",), set(capabilities.ALL) - {"NET_RAW"}),
    (("net_admin", "NO_SUCH", "CAP_SYS_TIME"), ("CHOWN",), set(capabilities.DEFAULT) - {"CHOWN"} | {"NET_ADMIN"}),
])  # fmt: skip
def test_sc6_capabilities(add: tuple[str, ...], drop: tuple[str, ...], expected: set[str]) -> None:
    names = capabilities.names(add, drop, privileged=False, available=ANY)
    assert {name.removeprefix("CAP_") for name in names} == expected and len(capabilities.DEFAULT) == 14
    assert capabilities.sets(names)["ambient"] == [] == capabilities.sets(names)["inheritable"]


def test_sc7_masks() -> None:
    assert built(Security())["linux"]["maskedPaths"] == list(MASKED) and built(Security())["linux"]["readonlyPaths"] == list(READ_ONLY)
    assert "maskedPaths" not in built(Security(proc_mount="Unmasked"))["linux"]
    privileged = built(Security(privileged=True))
    assert "maskedPaths" not in privileged["linux"] and len(privileged["process"]["capabilities"]["bounding"]) == len(capabilities.ALL)
    assert privileged["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "rw" in next(m for m in privileged["mounts"] if m["destination"] == "/sys")["options"]


@pytest.mark.parametrize(("given", "fields", "expected"), [
    ("net.ipv4.tcp_rmem", {}, ""),
    ("kernel.shm_rmid_forced", {}, ""),
    ("net/ipv4/ip_local_port_range", {}, ""),
    ("kernel.msgmax", {}, 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
    ("net.core.somaxconn", {}, 'forbidden sysctl: "net.core.somaxconn" not allowlisted'),
    ("net.ipv4.tcp_syncookies", {"host_network": True}, "not allowed with host net enabled"),
    ("kernel.shm_rmid_forced", {"host_ipc": True}, "not allowed with host ipc enabled"),
])  # fmt: skip
def test_sc8_safe_sysctls(given: str, fields: dict[str, Any], expected: str) -> None:
    said = sysctls.fault(SandboxPlan("p", sysctls=((given, "1"),), **fields))
    assert expected in said and bool(said) == bool(expected)
    assert len(sysctls.SAFE) == 12


def test_sc10_the_pod_s_context_grants_nothing() -> None:
    found = compiled({"privileged": True, "capabilities": {"add": ["ALL"]}, "readOnlyRootFilesystem": True}, {})
    assert not found.privileged and not found.cap_add and not found.read_only_rootfs


def test_sc11_a_read_only_root() -> None:
    ours = (MountPoint("/s/hosts", "/etc/hosts"), MountPoint("/s/hostname", "/etc/hostname", True))
    config = built(Security(read_only_rootfs=True), files=ours, mounts=(MountPoint("/v", "/v"),))
    assert config["root"]["readonly"] is True
    modes = {m["destination"]: "ro" in m["options"] for m in config["mounts"] if m["destination"] in ("/etc/hosts", "/etc/hostname", "/v")}
    assert modes == {"/etc/hosts": False, "/etc/hostname": True, "/v": False}
