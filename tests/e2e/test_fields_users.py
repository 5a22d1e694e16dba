"""Pods with a user namespace of their own, as root: `hostUsers: false`, Podman's annotation, `--userns`."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine import idmaps
from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing, status_of

pytestmark = pytest.mark.root

POD = """
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {word: shh}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 0
  volumes:
  - {name: words, configMap: {name: words}}
  - {name: hidden, secret: {secretName: hidden, defaultMode: 0400}}
  - {name: disk, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory}}
  - {name: kept, persistentVolumeClaim: {claimName: kept}}
  - {name: picture, image: {reference: "busybox:1"}}
  - {name: hosts, hostPath: {path: HOSTPATH}}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts:
    - {name: words, mountPath: /words}
    - {name: hidden, mountPath: /hidden}
    - {name: disk, mountPath: /disk}
    - {name: memory, mountPath: /memory}
    - {name: kept, mountPath: /kept}
    - {name: kept, mountPath: /inner, subPath: inner}
    - {name: picture, mountPath: /picture}
    - {name: picture, mountPath: /part, subPath: bin}
    - {name: hosts, mountPath: /hosts}
---
apiVersion: v1
kind: Pod
metadata: {name: group, annotations: {io.podman.annotations.userns: "auto:size=4096"}}
spec:
  terminationGracePeriodSeconds: 0
  shareProcessNamespace: true
  securityContext: {runAsUser: 1000, runAsGroup: 1001, fsGroup: 2000, sysctls: [{name: net.ipv4.tcp_keepalive_time, value: "77"}]}
  volumes: [{name: disk, emptyDir: {}}]
  containers:
  - {name: main, image: "busybox:1", command: [sleep, "1000"], workingDir: /made/here, volumeMounts: [{name: disk, mountPath: /disk}]}
  - {name: all, image: "busybox:1", command: [sleep, "1000"], securityContext: {privileged: true, runAsUser: 0}}
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that others may pass: the pod's root must, on its way to its root file system."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="kp-users-") as directory:
        os.chmod(directory, 0o755)
        (Path(directory) / "shared").mkdir()
        yield Path(directory)


@pytest.fixture(scope="module")
def machine(place: Path, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(place, image_archives, POD.replace("HOSTPATH", f"{place}/shared")) as made:
        yield made


def first_id(machine: Machine, pod: str) -> int:
    return int(machine.sh(pod, "cat /proc/self/uid_map").split()[1])


@covers("pod.hostUsers")
def test_root_inside_is_nobody_outside(machine: Machine) -> None:
    assert machine.sh("own", "id -u; cat /proc/self/uid_map /proc/self/gid_map").split()[0] == "0"
    start = first_id(machine, "own")
    assert start >= idmaps.FIRST and machine.sh("own", "cat /proc/self/uid_map").split() == ["0", str(start), "65536"]
    outside = status_of(machine.pid("own"))
    assert set(outside["Uid"].split()) == {str(start)} == set(outside["Gid"].split())
    assert first_id(machine, "group") not in range(start, start + 65536), "each pod has ids of its own"
    assert machine.sh("group", "cat /proc/self/uid_map").split()[2] == "4096"


def test_its_namespaces_belong_to_it_and_nothing_of_the_machine_does(machine: Machine) -> None:
    assert machine.sh("group", "cat /proc/sys/net/ipv4/tcp_keepalive_time") == "77"
    assert machine.sh("group", "hostname; mount -t tmpfs none /tmp && echo mounted", "all").split()[-1] == "mounted"
    for script in ("mknod /n c 1 3", "echo 1 > /proc/sys/kernel/panic", "mount -t tmpfs none /tmp", "chown 70000 /root"):
        machine("exec", "own", "sh", "-c", script, status=1)
    machine("exec", "-c", "all", "group", "sh", "-c", "echo 1 > /proc/sys/vm/overcommit_memory", status=1)
    machine("exec", "-c", "all", "group", "mknod", "/n", "b", "8", "0", status=1)


@pytest.mark.parametrize("where", ["/", "/disk", "/memory", "/kept", "/inner", "/hosts"])
def test_files_are_its_own_and_keep_plain_ids_on_the_disk(machine: Machine, place: Path, where: str) -> None:
    machine.sh("own", f"echo x > {where}/file; chown 7:8 {where}/file; mkdir -p {where}/sub")
    assert machine.sh("own", f"stat -c %u:%g {where}/file {where}/sub").split() == ["7:8", "0:0"]
    if where == "/hosts":
        status = (place / "shared/file").stat()
        assert (status.st_uid, status.st_gid) == (7, 8)
    elif where == "/":
        upper = next(machine.root.glob(f"containers/{machine.inspect('own')['Id']}/upper/file"))
        assert (upper.stat().st_uid, upper.stat().st_gid) == (7, 8)
    elif where == "/kept":
        assert [(path.stat().st_uid, path.stat().st_gid) for path in machine.root.glob("volumes/default_kept/**/file")][:1] == [(7, 8)]


def test_what_it_is_given_is_roots(machine: Machine) -> None:
    assert machine.sh("own", "cat /words/greeting /hidden/word; stat -c %u:%a /hidden/..data/word") == "helloshh0:400"
    assert machine.sh("own", "stat -c %u /picture/bin /part/busybox /bin /etc/hosts /dev").split() == ["0"] * 5
    machine.sh("own", "echo 10.0.0.1 added >> /etc/hosts; echo bye > /dev/termination-log; mkdir /dev/mine")


def test_groups_and_working_directories(machine: Machine) -> None:
    assert machine.sh("group", "id; pwd").split()[-1] == "/made/here"
    assert machine.sh("group", "id -u; id -G").split() == ["1000", "1001", "2000"]
    machine.sh("group", "echo x > /disk/file")
    assert machine.sh("group", "stat -c %u:%g /disk/file /made/here").split() == ["1000:2000", "0:0"]
    assert "catatonit" in machine.sh("group", "cat /proc/1/cmdline", "all")


def test_copies_cross_the_border(machine: Machine, place: Path) -> None:
    source = place / "in"
    source.write_text("in")
    os.chown(source, 12, 13)
    for target in ("/tmp/in", "/disk/in"):
        machine("cp", str(source), f"own:{target}")
        machine.sh("own", f"echo more >> {target}")
    machine("cp", "-a=false", str(source), "own:/tmp/kept")
    assert machine.sh("own", "stat -c %u:%g /tmp/in /tmp/kept").split() == ["0:0", "12:13"]
    machine("cp", "own:/tmp/in", "group:/tmp/in")
    assert machine.sh("group", "stat -c %u:%g /tmp/in").split() == ["1000:1001"]
    machine("cp", "own:/tmp/kept", str(place / "out"))
    assert ((place / "out").stat().st_uid, (place / "out").stat().st_gid) == (0, 0)
    with (place / "out.tar").open("wb") as file, machine.start("cp", "own:/tmp/kept", "-", stdout=file) as process:
        assert process.wait(300) == 0
    with tarfile.open(place / "out.tar") as archive:
        assert [(member.uid, member.gid) for member in archive] == [(12, 13)]


def test_a_commit_has_the_ids_of_the_inside(machine: Machine, place: Path) -> None:
    machine.sh("own", "echo x > /committed; chown 5:6 /committed")
    assert "A /committed" in machine("diff", "own-main").lines
    machine("commit", "-q", "own-main", "localhost/committed:1")
    machine("save", "-q", "-o", str(place / "committed.tar"), "localhost/committed:1")
    mounted = machine("image", "mount", "localhost/committed:1").out.strip()
    status = os.stat(f"{mounted}/committed")
    machine("image", "unmount", "localhost/committed:1")
    assert (status.st_uid, status.st_gid) == (5, 6)


def test_its_bundle_lets_nobody_else_in(machine: Machine) -> None:
    bundle = machine.runroot / "containers" / machine.inspect("own")["Id"]
    status = bundle.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, first_id(machine, "own"), 0o710)
    assert machine.runroot.stat().st_mode & 0o777 == 0o711
    machine("image", "mount", "busybox:1")
    machine("image", "unmount", "busybox:1")
    open_ = [path.name for path in machine.runroot.iterdir() if path.stat().st_mode & 0o077]
    assert sorted(open_) == ["containers", "dns"], "and names of Services are no secret"


def test_an_id_that_its_map_lacks_is_a_clear_error(machine: Machine) -> None:
    text = POD[POD.index("apiVersion: v1\nkind: Pod\nmetadata: {name: group") :].replace("name: group", "name: far").replace("1000", "9000")
    said = machine.play(text, status=125)
    assert "user 9000 is not among the ids of the pod's user namespace (0 to 4095)" in said.err


@pytest.mark.parametrize("mode", ["keep-id", "nomap"])
def test_root_has_no_id_of_its_own_to_keep(machine: Machine, mode: str) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: kept}\nspec: {containers: [{name: main, image: 'busybox:1'}]}\n"
    assert f"--userns={mode} is for ordinary users" in machine.play(text, f"--userns={mode}", status=125).err


def test_a_flag_wins_and_the_object_says_so(machine: Machine) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: plain}\nspec:\n  hostUsers: false\n  terminationGracePeriodSeconds: 0\n"
    text += "  containers: [{name: main, image: 'busybox:1', command: [sleep, '1000']}]\n"
    machine.play(text, "--userns=host")
    assert machine.sh("plain", "cat /proc/self/uid_map").split() == ["0", "0", "4294967295"]
    assert "io.podman.annotations.userns: host" in machine("generate", "kube", "plain").out
    machine.down(text)
    shared = text.replace("hostUsers: false", "hostNetwork: true")
    assert "a user namespace of its own (auto) and hostNetwork: not both" in machine.play(shared, "--userns=auto", status=125).err


def test_a_range_is_given_back(machine: Machine) -> None:
    before = sorted(os.listdir(idmaps.CLAIMS))
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: brief}\nspec:\n  hostUsers: false\n  terminationGracePeriodSeconds: 0\n"
    text += "  containers: [{name: main, image: 'busybox:1', command: [sleep, '1000']}]\n"
    machine.play(text)
    assert len(os.listdir(idmaps.CLAIMS)) == len(before) + 1
    machine("pod", "stop", "brief")
    machine("pod", "start", "brief")
    assert first_id(machine, "brief") in map(int, os.listdir(idmaps.CLAIMS))
    machine.down(text)
    assert sorted(os.listdir(idmaps.CLAIMS)) == before


def shown(machine: Machine) -> list[str]:
    """Mount points of clones."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{machine.runroot}/") and ".mapped" in point]


@pytest.mark.parametrize("volume", ["{name: mapped, image: {reference: 'busybox:1'}}", "{name: mapped, emptyDir: {}}"])
def test_a_command_killed_while_it_shows_the_layers_leaves_and_harms_nothing(machine: Machine, volume: str) -> None:
    """What it had mounted is the layers themselves: whoever tidies up must not remove them. Of an image volume, or of the root."""
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: killed}\nspec:\n  hostUsers: false\n  terminationGracePeriodSeconds: 0\n"
    text += f"  volumes: [{volume}]\n"
    text += "  containers: [{name: main, image: 'busybox:1', command: [sleep, '1000'], volumeMounts: [{name: mapped, mountPath: /v}]}]\n"
    machine.env["KUBEPLAY_FAULT"] = "mapped:shown"
    try:
        machine.play(text, status=-9)
    finally:
        del machine.env["KUBEPLAY_FAULT"]
    assert shown(machine), "the clones are there, and only a mount holds them"
    machine.down(text)
    assert not shown(machine)
    machine.play(text)
    assert machine.sh("killed", "ls /bin/sh") == "/bin/sh"
    machine.down(text)


def test_sc7_an_unmasked_proc_in_a_pod_with_its_own_users(machine: Machine) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\nspec:\n  hostUsers: false\n  terminationGracePeriodSeconds: 0\n"
    text += "  containers:\n"
    text += "  - {name: main, image: 'busybox:1', command: [sleep, '1000'], securityContext: {procMount: Unmasked}}\n"
    text += "  - {name: other, image: 'busybox:1', command: [sleep, '1000']}\n"
    machine.play(text)
    masks = "grep -c ' /proc/' /proc/mounts || true"
    assert machine.sh("bare", masks) == "0" and int(machine.sh("bare", masks, "other")) > 5
    machine.down(text)


def test_a_runroot_that_lets_nobody_through_is_a_clear_error(tmp_path: Path, image_archives: dict[str, Path]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: brief}\nspec:\n  hostUsers: false\n"
    text += "  containers: [{name: main, image: 'busybox:1', command: [sleep, '1000']}]\n"
    with playing(closed, image_archives) as made:
        said = made.play(text, status=125)
        assert f"{closed} is closed to the root of a pod with a user namespace of its own" in said.err
        assert f"chmod o+x {closed}" in said.err
