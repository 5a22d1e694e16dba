"""Hostile pods and what they leave: annotations, neighbours in a pod, limits, secrets on the machine, volumes over / and /dev."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubeplay import Machine, cgroup_of, link, playing, processes, status_of
from tests.support.seen import mounts, plain_user, seen

pytestmark = pytest.mark.root
VALUE = "S3cr3t-of-the-test"
ENCODED = base64.b64encode(VALUE.encode()).decode()

MANIFEST = f"""
apiVersion: v1
kind: Secret
metadata: {{name: s}}
stringData: {{k: {VALUE}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: one
  annotations:
    org.systemd.property.ExecStartPost: "['/bin/touch']"
    run.oci.handler: krun
    run.oci.hooks.stderr: /tmp/x
    krun.ram_mib: "1"
    cdi.k8s.io/all: vendor.com/device=all
    io.podman.annotations.privileged: "TRUE"
    io.podman.annotations.seccomp: unconfined
    seccomp.security.alpha.kubernetes.io/pod: unconfined
    container.apparmor.security.beta.kubernetes.io/main: unconfined
    io.kubernetes.cri-o.Devices: /dev/sda
    io.podman.annotations.cid-file: /tmp/x
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  enableServiceLinks: false
  volumes:
  - {{name: s, secret: {{secretName: s, defaultMode: 0400}}}}
  - {{name: v, emptyDir: {{}}}}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    env: [{{name: OWN, value: mine}}, {{name: SECRET, valueFrom: {{secretKeyRef: {{name: s, key: k}}}}}}]
    volumeMounts: [{{name: s, mountPath: /s}}, {{name: v, mountPath: /v}}]
  - name: other
    image: busybox:1
    command: [sleep, "1000"]
    env: [{{name: OTHER, value: x}}]
    securityContext: {{runAsUser: 1234, runAsGroup: 77}}
    volumeMounts: [{{name: v, mountPath: /v}}]
  - name: last
    image: busybox:1
    command: [sh, -c, "yes | head -c 8000000 > /dev/termination-log; yes ab | head -c 10000 > /dev/termination-log; rm /dev/termination-log;
      ln -s /etc/passwd /dev/termination-log; exit 3"]
"""
COVERING = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  volumes: [{{name: v, emptyDir: {{}}}}, {{name: w, emptyDir: {{}}}}]
  initContainers:
  - {{name: plant, image: busybox:1, command: [sh, -c, "{plant}"], volumeMounts: [{{name: v, mountPath: /v}}]}}
  containers:
  - name: main
    image: busybox:1
    command: [/bin/sleep, "1000"]
    volumeMounts: [{mounts}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    """Played with no umask at all, so that every mode is one that was chosen."""
    before = os.umask(0)
    try:
        with playing(tmp_path_factory.mktemp("pods"), image_archives, MANIFEST) as machine:
            yield machine
    finally:
        os.umask(before)


def config(kp: Machine, container: str) -> dict[str, Any]:
    path = kp.runroot / "containers" / kp.inspect("one", container)["Id"] / "config.json"
    found: dict[str, Any] = json.loads(seen(path.read_text))
    return found


def test_cve_2024_3154_annotations_of_a_pod_reach_no_runtime(kp: Machine) -> None:
    made = config(kp, "main")
    assert made["annotations"] == {} and "hooks" not in made and "seccomp" in made["linux"] and made["linux"]["maskedPaths"]
    if "resources" in made["linux"] or not plain_user():  # without control groups the kernel itself lets an ordinary user make no device
        assert {rule["allow"] for rule in made["linux"]["resources"]["devices"]} == {False}
    said = kp.play(MANIFEST.replace("name: one", "name: two"), "--dry-run").err
    for key in ("org.systemd.property", "run.oci.handler", "krun.", "cdi.k8s.io", "io.podman.annotations.privileged", "seccomp.security"):
        assert f"annotations[{key}" in said and "has no effect" in said
    assert not os.path.exists("/tmp/x")


def test_cve_2020_14370_variables_stay_with_their_container(kp: Machine) -> None:
    shown = {name: kp.sh("one", "env", name) for name in ("main", "other")}
    assert "OWN=mine" in shown["main"] and VALUE in shown["main"] and "OTHER" not in shown["main"]
    assert "OTHER=x" in shown["other"] and "OWN" not in shown["other"] and VALUE not in shown["other"]


def test_cve_2022_27649_no_inheritable_or_ambient_capabilities(kp: Machine) -> None:
    for name in ("main", "other"):
        status = status_of(kp.pid("one", name))
        assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
        assert kp.sh("one", "grep -E 'Cap(Inh|Amb)' /proc/self/status | tr -d '0\\n\\t '", name) == "CapInh:CapAmb:"
    assert int(status_of(kp.pid("one", "other"))["CapEff"], 16) == 0


def test_cve_2022_2989_the_primary_group_cannot_be_dropped_to_get_past_a_ban(kp: Machine) -> None:
    kp.sh("one", "echo x > /v/banned; chown 0:77 /v/banned; chmod 604 /v/banned")
    assert "77" in status_of(kp.pid("one", "other"))["Groups"].split()
    assert "denied" in kp.sh("one", "cat /v/banned 2>&1; true", "other")


def test_cve_2024_3056_shared_memory_is_bounded_for_the_pod(kp: Machine) -> None:
    written = kp.sh("one", "dd if=/dev/zero of=/dev/shm/a bs=1M count=70 2>/dev/null; stat -c %s /dev/shm/a; rm /dev/shm/a")
    assert int(written) == 64 << 20
    kp.sh("one", "dd if=/dev/zero of=/dev/shm/a bs=1M count=40 2>/dev/null")
    assert "No space" in kp.sh("one", "dd if=/dev/zero of=/dev/shm/b bs=1M count=40 2>&1; rm -f /dev/shm/b", "other")
    kp.sh("one", "rm /dev/shm/a")
    assert not any(p.name in ("a", "b") for p in Path("/dev/shm").iterdir())


def test_termination_log_is_bounded_and_no_link(kp: Machine) -> None:
    ended = kp.ended("one", "last")
    assert ended["exitCode"] == 3 and len(ended["message"]) == 4096 and set(ended["message"]) <= set("ab\n")


def test_cve_2020_15257_no_abstract_socket_leads_to_a_monitor(kp: Machine) -> None:
    """An abstract socket of the host's network namespace would be open to every pod with hostNetwork."""
    where = str(kp.directory)
    ours = {pid for pid, words in processes() if where in words}
    held = set()
    for pid in ours:
        with contextlib.suppress(OSError):  # one that has just ended
            held |= {link(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    sockets = {link[8:-1] for link in held if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    assert ours and not [row for row in rows if row[6] in sockets and len(row) > 7 and row[7].startswith("@")]
    assert not [row for row in rows if len(row) > 7 and row[7].startswith("@") and (where in row[7] or "conmon" in row[7])]


@pytest.mark.limits
def test_only_the_containers_cgroups_are_seen_and_nothing_is_writable(kp: Machine) -> None:
    script = "mkdir /sys/fs/cgroup/memory/x && echo made; ls /sys/fs/cgroup/memory /sys/fs/cgroup | grep kubep; true"
    assert kp.sh("one", f"({script}) 2>/dev/null") == "" and "kubeplay" in str(cgroup_of(kp.pid("one"), "memory"))


def test_values_of_secrets_stay_off_command_lines_and_disks(kp: Machine) -> None:
    own = os.getpid()
    assert [words[:80] for pid, words in processes() if VALUE in words and pid != own] == []
    found = []
    for top, _, names in os.walk(kp.root):
        for name in names:
            path = Path(top, name)
            if path.is_file() and not path.is_symlink() and {VALUE.encode(), ENCODED.encode()} & _parts(path):
                found.append(path.name)
    assert set(found) <= {"state.db", "state.db-wal"}
    assert kp.sh("one", "grep ' /s ' /proc/mounts").startswith("tmpfs /s tmpfs ro,")
    assert kp.sh("one", "cat /s/k; stat -Lc %a /s/k") == f"{VALUE}400"


def _parts(path: Path) -> set[bytes]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # the database's own files come and go with its users
        return set()
    return {text for text in (VALUE.encode(), ENCODED.encode()) if text in data}


def test_the_store_and_bundles_are_roots_alone(kp: Machine) -> None:
    assert seen(lambda: [stat.S_IMODE(path.stat().st_mode) for path in (kp.root, kp.runroot)]) == [0o700, 0o700]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kp.root.glob("state.db*")} == {0o600}
    bundle = kp.runroot / "containers" / kp.inspect("one")["Id"]
    modes = seen(lambda: {path: path.stat().st_mode for path in (*bundle.glob("*"), kp.runroot / "on-exit") if path.is_file()})
    assert stat.S_IMODE(modes[bundle / "config.json"]) == 0o600
    assert [path for path, mode in modes.items() if mode & 0o022] == []


def test_a_strict_umask_shuts_nothing_to_the_containers(kp: Machine) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: strict}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1234}
  volumes: [{name: e, emptyDir: {}}]
  containers:
  - name: main
    image: busybox:1
    workingDir: /made/here
    command: [sh, -c, "cat /etc/hosts /etc/resolv.conf > /e/f; pwd; ls .; echo x > /dev/shm/a; echo done; sleep 1000"]
    volumeMounts: [{name: e, mountPath: /e}]
"""
    before = os.umask(0o077)
    try:
        kp.play(text)
    finally:
        os.umask(before)
    assert kp.logged("strict") == ["/made/here"]
    kp.down(text)


def test_values_of_secrets_are_not_said(kp: Machine) -> None:
    changed = MANIFEST.replace(VALUE, VALUE + "-new")
    for said in (
        kp.play(changed, status=125), kp.play(MANIFEST, "--dry-run", "-o", "yaml"), kp.play(MANIFEST, "--dry-run", "-o", "json"),
        kp("inspect", "one-main"), kp("pod", "inspect", "one"), kp("events"), kp("generate", "kube", "one"),
        kp("--log-level", "debug", "exec", "one", "true"), kp("secret", "inspect", "s"), kp("ps", "-a", "--format", "json"),
    ):  # fmt: skip
        assert VALUE not in said.out + said.err and ENCODED not in said.out + said.err


def test_debug_output_of_a_play_holds_no_secret(kp: Machine) -> None:
    text = MANIFEST.replace("name: one", "name: debug")
    said = kp("--log-level", "trace", "play", "kube", kp.written(text))
    kp("--log-level", "trace", "pod", "rm", "-f", "-t", "0", "debug")
    assert VALUE not in said.out + said.err and ENCODED not in said.out + said.err


@pytest.mark.parametrize("value", ["1+kernel.core_pattern=|/tmp/x", "1\\nkernel.core_pattern=x", "1=2", "0 kernel.core_pattern=x"])
def test_cve_2022_0811_a_sysctl_sets_itself_and_nothing_else(kp: Machine, value: str) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: sysctl}}
spec:
  securityContext: {{sysctls: [{{name: kernel.shm_rmid_forced, value: "{value}"}}]}}
  containers: [{{name: main, image: busybox:1, command: [sleep, "1000"]}}]
"""
    kp.play(text, status=None)
    kp.down(text)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before
    assert Path("/proc/sys/kernel/shm_rmid_forced").read_text() == "0\n"


def covering(name: str, plant: str, *paths: str) -> str:
    mounts = ", ".join(f"{{name: {'vw'[number]}, mountPath: {path}}}" for number, path in enumerate(paths))
    return COVERING.format(name=name, plant=plant, mounts=mounts)


def test_a_volume_over_the_root_makes_the_runtime_write_nowhere(kp: Machine, tmp_path: Path) -> None:
    """The runtime makes /dev's links by path: with `dev` a link of the volume they would land on the host."""
    text = covering("over", f"cp -a /bin /v; mkdir /v/proc /v/sys; ln -s /../../../../../../../..{tmp_path} /v/dev", "/")
    kp.play(text, status=None)
    kp.down(text)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("plant", ["ln -s /proc/sys/kernel/core_pattern /v/null", "ln -s /proc/kcore /v/null", "touch /v/null", "true"])
def test_cve_2025_31133_a_volume_at_dev_does_not_unmask_proc(kp: Machine, plant: str) -> None:
    text = covering("dev", plant, "/dev")
    said = kp.play(text, status=125)
    assert "would not be hidden" in said.err or "stat /dev/null: no such file" in said.err  # runc itself needs one that leads somewhere
    kp.down(text)


def test_cve_2021_30465_a_mount_point_that_is_a_link_stays_inside(kp: Machine, tmp_path: Path) -> None:
    text = covering("nested", f"ln -s /../../../../../../../..{tmp_path} /v/sub", "/v", "/v/sub")
    kp.play(text, status=None)
    kp("exec", "nested", "sh", "-c", f"echo x > {tmp_path}/x", status=None)
    assert not [line for line in mounts() if str(tmp_path) in line]
    kp.down(text)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("flags", [(), ("-i",), ("-i", "-t")])
def test_no_terminal_of_the_caller_gets_into_a_container(kp: Machine, flags: tuple[str, ...]) -> None:
    """With a descriptor of it a program could type into the caller's shell (TIOCSTI)."""
    ours, theirs = os.openpty()
    here = os.fstat(theirs)
    script = "for f in 0 1 2; do stat -Lc 'at %d %i' /proc/self/fd/$f; done"
    process = kp.start("exec", *flags, "one", "sh", "-c", script, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 4096):
            said += data
    except OSError:
        pass  # EIO: nobody has the other end any more
    os.close(ours)
    found = [line.split()[1:] for line in said.decode().splitlines() if line.startswith("at ")]
    assert process.wait(300) == 0 and len(found) == 3 and [str(here.st_dev), str(here.st_ino)] not in found


def test_last_words_of_a_container_do_not_drive_the_terminal(kp: Machine) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: words}
spec:
  restartPolicy: Never
  initContainers:
  - {name: bad, image: busybox:1, command: [sh, -c, "printf '\\\\033]0;evil\\\\007\\\\n\\\\302\\\\233x\\\\n'; exit 1"]}
  containers: [{name: main, image: busybox:1, command: [sleep, "1"]}]
"""
    said = kp.play(text, status=125)
    assert "\\x1b]0;evil\\x07" in said.err and "\x1b" not in said.err and "\x9b" not in said.err
