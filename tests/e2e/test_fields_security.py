"""securityContext of real containers: users and groups, capabilities, privileges, seccomp, labels (SC1-SC7, SC10, SC11)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing, status_of

pytestmark = pytest.mark.root

PROFILE = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}'
# SC6: bit numbers of capabilities(7)
CHOWN, NET_BIND_SERVICE, NET_ADMIN, SYS_ADMIN, SYS_TIME = (1 << n for n in (0, 10, 12, 21, 25))

MANIFEST = """
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {k: secret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {k: conf}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: users}
spec:
  terminationGracePeriodSeconds: 0
  os: {name: linux}
  securityContext:
    runAsUser: 1234
    runAsGroup: 3000
    runAsNonRoot: true
    fsGroup: 4000
    fsGroupChangePolicy: OnRootMismatch
    supplementalGroups: [5000]
    seLinuxOptions: {user: system_u, role: system_r, type: container_t, level: "s0:c1,c2"}
    appArmorProfile: {type: Unconfined}
    seccompProfile: {type: Unconfined}
  volumes:
  - {name: disk, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory}}
  - {name: s, secret: {secretName: s, defaultMode: 0400}}
  - {name: c, configMap: {name: c, defaultMode: 0400}}
  - {name: p, persistentVolumeClaim: {claimName: claim}}
  initContainers:
  - name: before
    image: busybox:1
    command: [sh, -c, "id -u; id -g"]
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts:
    - {name: disk, mountPath: /disk}
    - {name: memory, mountPath: /memory}
    - {name: s, mountPath: /secret}
    - {name: c, mountPath: /conf}
    - {name: p, mountPath: /claim}
  - name: own
    image: busybox:1
    command: [sleep, "1000"]
    securityContext:
      runAsUser: 0
      runAsGroup: 7
      runAsNonRoot: false
      seccompProfile: {type: RuntimeDefault}
      appArmorProfile: {type: RuntimeDefault}
      seLinuxOptions: {user: system_u, role: system_r, type: spc_t, level: s0}
---
apiVersion: v1
kind: Pod
metadata: {name: images}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {supplementalGroupsPolicy: Strict, supplementalGroups: [5000]}
  containers:
  - {name: named, image: nameduser:1, command: [sleep, "1000"]}
  - {name: number, image: numuser:1, command: [sleep, "1000"], securityContext: {runAsNonRoot: true}}
  - {name: known, image: busybox:1, command: [sleep, "1000"], securityContext: {runAsUser: 1234}}
  - {name: unknown, image: nameduser:1, command: [sleep, "1000"], securityContext: {runAsUser: 77}}
---
apiVersion: v1
kind: Pod
metadata: {name: powers}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: plain, image: busybox:1, command: [sleep, "1000"]}
  - name: none
    image: busybox:1
    command: [sleep, "1000"]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  - {name: one, image: busybox:1, command: [sleep, "1000"], securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}}
  - {name: more, image: busybox:1, command: [sleep, "1000"], securityContext: {capabilities: {drop: [CHOWN], add: [NET_ADMIN, NO_SUCH]}}}
  - {name: all, image: busybox:1, command: [sleep, "1000"], securityContext: {capabilities: {add: [ALL]}}}
  - {name: user, image: busybox:1, command: [sleep, "1000"], securityContext: {runAsUser: 1234, capabilities: {add: [NET_ADMIN]}}}
  - {name: privileged, image: busybox:1, command: [sleep, "1000"], securityContext: {privileged: true}}
  - name: readonly
    image: busybox:1
    command: [sleep, "1000"]
    securityContext: {readOnlyRootFilesystem: true, procMount: Default}
    volumeMounts: [{name: v, mountPath: /v}]
  - name: local
    image: busybox:1
    command: [sleep, "1000"]
    securityContext: {seccompProfile: {type: Localhost, localhostProfile: sub/no-mkdir.json}}
  volumes: [{name: v, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: local}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {seccompProfile: {type: Localhost, localhostProfile: sub/no-mkdir.json}}
  containers: [{name: main, image: "busybox:1", command: [sleep, "1000"]}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("security")
    profiles = directory / "profiles"
    (profiles / "sub").mkdir(parents=True)
    (profiles / "sub/no-mkdir.json").write_text(PROFILE)
    images = ("busybox", "nameduser", "numuser")
    with playing(directory, image_archives, MANIFEST, "--seccomp-profile-root", str(profiles), images=images) as machine:
        yield machine


def facts(kp: Machine, pod: str, container: str) -> dict[str, str]:
    return status_of(kp.pid(pod, container))


def ids(status: dict[str, str]) -> tuple[int, int, set[int]]:
    return int(status["Uid"].split()[0]), int(status["Gid"].split()[0]), {int(group) for group in status["Groups"].split()}


@covers("pod.securityContext.runAsUser pod.securityContext.runAsGroup pod.securityContext.supplementalGroups[] pod.os.name "
        "container.securityContext.runAsUser container.securityContext.runAsGroup")  # fmt: skip
def test_sc1_the_container_s_own_comes_first(kp: Machine) -> None:
    assert ids(facts(kp, "users", "main")) == (1234, 3000, {3000, 3456, 4000, 5000})  # Merge: app is in the image's group extra
    assert ids(facts(kp, "users", "own")) == (0, 7, {7, 4000, 5000})
    assert kp.log("users", "before") == "1234\n3000\n"  # SC10
    assert kp.sh("users", "id -u; id -g") == "1234\n3000"


@covers("pod.securityContext.supplementalGroupsPolicy")
def test_sc2_users_of_images_and_strict_groups(kp: Machine) -> None:
    assert ids(facts(kp, "images", "named")) == (1234, 2345, {2345, 5000})
    assert ids(facts(kp, "images", "number")) == (1234, 2345, {2345, 5000})
    assert ids(facts(kp, "images", "known")) == (1234, 2345, {2345, 5000})
    assert ids(facts(kp, "images", "unknown")) == (77, 0, {0, 5000})
    assert kp.sh("images", "echo $HOME", "unknown") == "/" and kp.sh("images", "echo $HOME", "known") == "/home/app"


@covers("pod.securityContext.runAsNonRoot container.securityContext.runAsNonRoot")
def test_sc3_root_is_refused_where_it_is_not_wanted(kp: Machine) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: nonroot}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsNonRoot: true}
  containers:
  - {name: unset, image: busybox:1, command: [sleep, "1000"]}
  - {name: zero, image: busybox:1, command: [sleep, "1000"], securityContext: {runAsUser: 0}}
  - {name: named, image: nameduser:1, command: [sleep, "1000"]}
  - {name: fine, image: numuser:1, command: [sleep, "1000"]}
  - {name: waived, image: busybox:1, command: [sleep, "1000"], securityContext: {runAsNonRoot: false}}
"""
    kp.play(text, "--keep-on-failure", status=None)
    states = {one["name"]: one["state"] for one in kp.pod("nonroot")["status"]["containerStatuses"]}
    waiting = {name: state["waiting"] for name, state in states.items() if "waiting" in state}
    assert {one["reason"] for one in waiting.values()} == {"CreateContainerConfigError"}
    assert waiting["unset"]["message"].startswith("container has runAsNonRoot and image will run as root (pod: ")
    assert waiting["zero"]["message"].startswith("container's runAsUser breaks non-root policy (pod: ")
    assert waiting["named"]["message"].startswith("container has runAsNonRoot and image has non-numeric user (app), cannot verify")
    assert "running" in states["fine"] and "running" in states["waived"]
    kp.down(text)


@covers("pod.securityContext.fsGroup pod.securityContext.fsGroupChangePolicy")
def test_vo13_fs_group_owns_the_volumes(kp: Machine) -> None:
    assert kp.sh("users", "stat -c '%g %a' /disk /memory /claim") == "4000 2777\n4000 3777\n4000 2777"
    assert kp.sh("users", "echo mine > /disk/f && echo mine > /claim/f && stat -c %g /disk/f /claim/f") == "4000\n4000"
    assert kp.sh("users", "cat /secret/k; cat /conf/k; stat -Lc '%g %a' /secret/k /conf/k") == "secretconf4000 440\n4000 440"


@covers("container.securityContext.allowPrivilegeEscalation")
def test_sc4_no_new_privileges_only_when_escalation_is_forbidden(kp: Machine) -> None:
    assert [facts(kp, "powers", name)["NoNewPrivs"] for name in ("plain", "none")] == ["0", "1"]


@covers("container.securityContext.capabilities.add[] container.securityContext.capabilities.drop[]")
def test_sc6_capabilities(kp: Machine) -> None:
    effective = {name: int(facts(kp, "powers", name)["CapEff"], 16) for name in ("plain", "none", "one", "more", "all", "user")}
    assert effective["plain"] & CHOWN and not effective["plain"] & (NET_ADMIN | SYS_ADMIN)
    assert (effective["none"], effective["one"]) == (0, NET_BIND_SERVICE)
    assert effective["more"] == effective["plain"] & ~CHOWN | NET_ADMIN
    assert effective["all"] == int(status_of("self")["CapBnd"], 16)
    user = facts(kp, "powers", "user")
    assert effective["user"] == 0 == int(user["CapAmb"], 16)  # as on a kubelet: only the bounding set
    assert int(user["CapBnd"], 16) == effective["plain"] | NET_ADMIN


@covers("container.securityContext.privileged")
def test_sc7_privileged_is_unmasked_with_everything(kp: Machine) -> None:
    status = facts(kp, "powers", "privileged")
    assert status["CapEff"] == status_of("self")["CapBnd"] and status["Seccomp"] == "0"
    assert kp.sh("powers", "grep ' /sys ' /proc/mounts", "privileged").split()[3].split(",")[0] == "rw"
    assert kp.sh("powers", "test -w /proc/sys/kernel/hostname && cat /proc/timer_list | wc -l; ls /dev/kmsg", "privileged").endswith(
        "/dev/kmsg"
    )
    assert "tmpfs /proc" not in kp.sh("powers", "cat /proc/mounts", "privileged")
    assert kp.sh("powers", "mkdir /sys/x 2>&1; (echo 0 > /sys/kernel/profiling) 2>&1; true", "plain").count("Read-only") == 2
    assert kp.sh("powers", "ls /dev/kmsg 2>/dev/null || echo none", "plain") == "none"


@covers("container.securityContext.procMount")
def test_sc7_the_default_proc_is_masked(kp: Machine) -> None:
    mounts = kp.sh("powers", "cat /proc/mounts", "readonly")
    for path in ("bus", "fs", "irq", "sys"):
        assert f"proc /proc/{path} proc ro," in mounts
    assert kp.sh("powers", "cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware | wc -l", "readonly") == "0\n0"
    assert kp.sh("powers", "echo x > /proc/sys/kernel/hostname && echo written; true", "readonly") == ""


@covers("container.securityContext.readOnlyRootFilesystem")
def test_sc11_a_read_only_root_leaves_what_a_kubelet_leaves(kp: Machine) -> None:
    paths = "/file /etc/passwd /etc/hostname /etc/resolv.conf /etc/hosts /dev/termination-log /dev/file /dev/shm/file /v/file"
    script = f"for f in {paths}; do (echo x >> $f) 2>/dev/null && echo $f; done; true"
    assert kp.sh("powers", script, "readonly").split() == ["/etc/hosts", "/dev/termination-log", "/dev/file", "/dev/shm/file", "/v/file"]
    assert len(kp.sh("powers", script.replace("/v/file", ""), "plain").split()) == 8


@covers("pod.securityContext.seccompProfile.type pod.securityContext.seccompProfile.localhostProfile "
        "container.securityContext.seccompProfile.type container.securityContext.seccompProfile.localhostProfile")  # fmt: skip
def test_sc5_seccomp_profiles(kp: Machine) -> None:
    modes = {(pod, name): facts(kp, pod, name)["Seccomp"] for pod, name in (("users", "main"), ("users", "own"), ("powers", "plain"))}
    assert modes == {("users", "main"): "0", ("users", "own"): "2", ("powers", "plain"): "2"}
    for pod, container in (("powers", "local"), ("local", "main")):
        assert "No space left" in kp.sh(pod, "mkdir /d 2>&1; touch /f", container)  # the profile's own errno
    assert kp.sh("powers", "mkdir /d; unshare -U true 2>/dev/null || echo refused", "plain") == "refused"


def test_sc5_a_missing_profile_keeps_the_container_waiting(kp: Machine) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: noprofile}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: busybox:1, command: [sleep, "1"], securityContext: {seccompProfile: {type: Localhost, localhostProfile: gone.json}}}
"""
    kp.play(text, "--keep-on-failure", status=None)
    waiting = kp.status("noprofile")["state"]["waiting"]
    assert waiting["reason"] in ("CreateContainerError", "CreateContainerConfigError") and "gone.json" in waiting["message"]
    kp.down(text)


@covers("pod.securityContext.seLinuxOptions.user pod.securityContext.seLinuxOptions.role pod.securityContext.seLinuxOptions.type "
        "pod.securityContext.seLinuxOptions.level container.securityContext.seLinuxOptions.user "
        "container.securityContext.seLinuxOptions.role container.securityContext.seLinuxOptions.type "
        "container.securityContext.seLinuxOptions.level")  # fmt: skip
def test_lr3_selinux_labels_or_a_word_that_there_is_no_selinux(kp: Machine) -> None:
    if os.path.exists("/sys/fs/selinux/enforce"):
        labels = [Path(f"/proc/{kp.pid('users', name)}/attr/current").read_text().rstrip("\0\n") for name in ("main", "own")]
        assert labels == ["system_u:system_r:container_t:s0:c1,c2", "system_u:system_r:spc_t:s0"]
    else:
        assert "SELinux is off: seLinuxOptions have no effect" in kp("info").out


@covers("pod.securityContext.appArmorProfile.type pod.securityContext.appArmorProfile.localhostProfile "
        "container.securityContext.appArmorProfile.type container.securityContext.appArmorProfile.localhostProfile")  # fmt: skip
def test_lr3_apparmor_profiles_or_a_word_that_there_is_no_apparmor(kp: Machine) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: armor}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {appArmorProfile: {type: Localhost, localhostProfile: unconfined}}
  containers:
  - {name: main, image: busybox:1, command: [sleep, "1000"]}
  - {name: own, image: busybox:1, command: [sleep, "1000"], securityContext: {appArmorProfile: {type: Localhost, localhostProfile: nosuch}}}
"""
    enabled = os.path.exists("/sys/module/apparmor/parameters/enabled")
    if enabled and Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y"):
        kp.play(text, "--keep-on-failure", status=None)
        assert Path(f"/proc/{kp.pid('armor')}/attr/current").read_text().startswith("unconfined")
        assert "running" not in kp.status("armor", "own")["state"]
    else:
        kp.play(text)
        assert "AppArmor is off: appArmorProfile has no effect" in kp("info").out
    kp.down(text)
