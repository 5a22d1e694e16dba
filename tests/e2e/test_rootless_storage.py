"""Images, layers, volumes and builds of an ordinary user, by the commands: what works, what is told, and what a hostile image cannot do."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import ROOT
from tests.support.images import PATH_ENV, Member, busybox_members, directory, docker_archive, file, hardlink, layer, symlink
from tests.support.registry import registry
from tests.support.user import User, user

pytestmark = pytest.mark.root
DRIVERS = ("overlay", "fuse-overlayfs", "vfs")
DEVICES = [Member("dev/null", type=b"3", mode=0o666, device=(1, 3)), Member("dev/sda", type=b"4", mode=0o660, device=(8, 0))]
POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  hostNetwork: true
  containers:
  - {name: c, image: localhost/three:1, command: [sh, -c, "%s; touch /ready; sleep 1000"]}
"""
CHANGES = "echo hi > /new; chown 1000:100 /new; rm /own; rm -r /d; mkdir /d; echo n > /d/n"
CONTAINERFILE = """FROM localhost/three:1
COPY f /copied
COPY --chown=1000:100 f /given
RUN rm -r /d && mkdir /d && touch /d/q && chown 33:33 /d/q && id -u
RUN --mount=type=bind,source=.,target=/ctx,rw echo spoilt > /ctx/f
"""


@pytest.fixture(scope="module")
def base() -> bytes:
    return layer(busybox_members())


@pytest.fixture(scope="module")
def alice(base: bytes) -> Iterator[User]:
    """A user with an image of three layers: owners, set-id bits, devices, deletions, a capability."""
    with user() as made:
        two = layer([directory("d"), file("d/x", b"x"), file("own", b"o", uid=1000, gid=100), file("su", b"s", 0o4755), *DEVICES,
                     hardlink("dev/zero", "dev/null")])  # fmt: skip
        three = layer([directory("d"), file("d/.wh..wh..opq"), file("d/y", b"y"), file("kept", b"k", uid=33)])
        docker_archive(made.home / "three.tar", ["localhost/three:1"], [base, two, three], {"Env": PATH_ENV, "Cmd": ["sh"]})
        yield made


class Driver:
    """Commands of one user with one way of stacking."""

    def __init__(self, account: User, driver: str) -> None:
        self.account = account
        self.root = account.home / f"root-{driver or 'default'}"
        self.words = ["--root", str(self.root), "--runroot", f"{account.runtime}/{driver or 'default'}"]
        self.words += ["--storage-driver", driver] if driver else []

    def __call__(self, *words: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.account.run(self.account.kubeplay, *self.words, *words, status=status)

    def put(self, name: str, text: str) -> str:
        (self.account.home / name).write_text(text)
        os.chown(self.account.home / name, self.account.uid, self.account.gid)
        return str(self.account.home / name)

    def play(self, changes: str) -> None:
        self("play", "kube", self.put("pod.yaml", POD % changes))
        self("exec", "p", "sh", "-c", "while [ ! -e /ready ]; do sleep 0.05; done")

    def ended(self) -> None:
        """Everything goes, files of mapped ids too, and no process of a mount stays."""
        self("system", "reset", "-f")
        assert not self.root.exists() or os.listdir(self.root) == []
        assert "fuse-overlayfs" not in subprocess.run(["ps", "-U", str(self.account.uid), "-o", "stat=,args="], capture_output=True,
                                                      text=True).stdout.replace("[fuse-overlayfs]", "")  # fmt: skip


def _names(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as opened:
        return {member.name: member for member in opened}


@pytest.mark.parametrize("driver", DRIVERS)
def test_containers_commits_and_builds(alice: User, driver: str) -> None:
    kp = Driver(alice, driver)
    said = kp("load", "-q", "-i", str(alice.home / "three.tar"))
    assert "WARNING: 3 device nodes left out" in said.stderr
    assert json.loads(kp("info", "--format", "json").stdout)["store"]["snapshotter"]["driver"] == driver
    kp.play(CHANGES)
    changes = kp("diff", "p").stdout.splitlines()
    assert {"C /d", "A /d/n", "D /d/y", "A /new", "D /own"} <= set(changes) and "C /kept" not in changes, changes
    kp("commit", "p", "localhost/committed:1")
    assert "3 device nodes" in kp("export", "p", "-o", f"{alice.home}/tree.tar").stderr
    found = _names(alice.home / "tree.tar")
    assert (found["new"].uid, found["new"].gid, found["kept"].uid) == (1000, 100, 33) and "own" not in found and found["su"].mode == 0o4755
    kp("cp", "p:/new", f"{alice.home}/out-{driver}")
    assert (alice.home / f"out-{driver}").stat().st_uid == alice.uid
    kp("kube", "down", f"{alice.home}/pod.yaml")
    (alice.home / "context").mkdir(exist_ok=True)
    kp.put("context/f", "from the context")
    kp.put("context/Containerfile", CONTAINERFILE)
    said = kp("build", "-t", "localhost/built:1", str(alice.home / "context"))
    assert (alice.home / "context/f").read_text() == "from the context" and "\n0\n" in f"\n{said.stdout}{said.stderr}"
    for image, names in (("committed", ["new", "d/n"]), ("built", ["copied", "given", "d/q"])):
        kp("save", "-o", f"{alice.home}/{image}-{driver}.tar", f"localhost/{image}:1")
        changed = kp("image", "diff", f"localhost/{image}:1", "localhost/three:1").stdout
        assert all(f"A /{name}\n" in changed for name in names) and "D /d/y" in changed, changed
    assert "nothing is missing or damaged" in kp("system", "check", status=None).stdout
    kp("rmi", "-a", "-f")
    assert os.listdir(kp.root / "layers") == [] and (not (kp.root / "vfs").exists() or os.listdir(kp.root / "vfs") == [])
    kp.ended()


def test_what_is_saved_is_what_was_loaded(alice: User) -> None:
    """Devices that could not be made are in the archive again: layers come out byte for byte."""
    kp = Driver(alice, "")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    kp("save", "-q", "--uncompressed", "--format", "oci-dir", "-o", f"{alice.home}/saved", "localhost/three:1")
    with tarfile.open(alice.home / "three.tar") as archive:
        manifest = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        wanted = {archive.extractfile(name).read() for name in manifest[0]["Layers"]}  # type: ignore[union-attr]
    saved = {path.read_bytes() for path in (alice.home / "saved").rglob("*") if path.is_file()}
    assert wanted <= saved
    image = json.loads(kp("image", "inspect", "localhost/three:1").stdout)[0]
    assert [entry["devices"] for entry in image["Lacking"]] == [["c 1:3 dev/null", "b 8:0 dev/sda", "h 0:0 dev/zero"]]
    assert image["GraphDriver"]["Name"] == "overlay"
    kp.ended()


def test_to_a_registry_and_back(alice: User, tmp_path: Path) -> None:
    """Logins are the user's; what is pushed has every layer as it came, what is pulled is the same image."""
    kp = Driver(alice, "")
    with registry(tmp_path / "hub", users={"me": "secret"}) as hub:
        kp("load", "-q", "-i", str(alice.home / "three.tar"))
        name = hub.name("team/three", "1")
        kp("login", "--tls-verify=false", "-u", "me", "-p", "secret", hub.address)
        accounts = Path(alice.runtime, "containers/auth.json")
        assert accounts.stat().st_uid == alice.uid and stat.S_IMODE(accounts.stat().st_mode) == 0o600
        kp("push", "-q", "--tls-verify=false", "localhost/three:1", name)
        before = json.loads(kp("image", "inspect", "localhost/three:1").stdout)[0]
        kp("rmi", "-a", "-f")
        assert "3 device nodes left out" in kp("pull", "-q", "--tls-verify=false", name).stderr
        after = json.loads(kp("image", "inspect", name).stdout)[0]
        assert (after["Id"], after["RootFS"]) == (before["Id"], before["RootFS"])
        kp("logout", hub.address)
    kp.ended()


def test_scp_between_roots(alice: User, tmp_path: Path) -> None:
    """Between two roots of one user; root keeps its hands off a user's store, whose ids and marks are others."""
    kp, other = Driver(alice, ""), Driver(alice, "vfs")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    other("images")
    kp("image", "scp", "-q", "localhost/three:1", f"{other.root}::")
    assert json.loads(other("images", "--format", "json").stdout)[0]["Names"] == ["localhost/three:1"]
    words = ["--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run", "image", "scp", f"{kp.root}::localhost/three:1"]
    done = subprocess.run([sys.executable, "-m", "kubeplay", *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 125 and f"belongs to {alice.name}" in done.stderr and "kubeplay save IMAGE" in done.stderr, done
    assert next((kp.root / "layers").glob("*/fs")).stat().st_uid == alice.uid
    other.ended()
    kp.ended()


def test_a_damaged_layer_is_found_and_repaired(alice: User) -> None:
    kp = Driver(alice, "")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    assert "stacked by overlay" in kp("system", "check", status=None).stdout
    (next((kp.root / "layers").glob("*/fs/kept"))).write_bytes(b"K")  # another content of the same length
    assert "its files are not what they were" in kp("system", "check", status=None).stdout
    said = kp("system", "check", "--repair", status=None)
    assert "localhost/three:1" in said.stdout + said.stderr, said
    assert json.loads(kp("images", "--format", "json").stdout) == []
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    assert "nothing is missing or damaged" in kp("system", "check", status=None).stdout
    kp("system", "prune", "-a", "-f")
    assert os.listdir(kp.root / "layers") == []
    kp.ended()


def test_image_mount_is_for_those_who_see_it(alice: User) -> None:
    kp = Driver(alice, "")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    for words in (("image", "mount", "localhost/three:1"), ("image", "unmount", "localhost/three:1"), ("mount",)):
        said = kp(*words, status=125).stderr
        assert "as an ordinary user" in said and "kubeplay unshare" in said
    script = 'p=$("$0" "$@" image mount localhost/three:1) && cat $p/d/y && stat -c %u $p/kept && "$0" "$@" image unmount localhost/three:1'
    said = kp("unshare", "sh", "-c", script, alice.kubeplay, *kp.words)
    assert said.stdout.startswith("y33\n"), said
    kp.ended()


def test_the_store_is_closed_to_others(alice: User) -> None:
    """A set-id file of a layer would give its user's rights to whoever can run it."""
    kp = Driver(alice, "")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    su = list((kp.root / "layers").glob("*/fs/su"))
    assert len(su) == 1 and su[0].stat().st_uid == alice.uid and su[0].stat().st_mode & stat.S_ISUID
    assert stat.S_IMODE(kp.root.stat().st_mode) == 0o700 and stat.S_IMODE((kp.root / "layers").stat().st_mode) == 0o700
    alice.home.chmod(0o755)  # as homes are elsewhere
    try:
        for words in (("cat", str(su[0])), ("ls", str(kp.root)), (str(su[0]),)):
            other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
            done = subprocess.run(other, capture_output=True, text=True)
            assert done.returncode != 0 and "Permission denied" in done.stderr, done
    finally:
        alice.home.chmod(0o700)
    private = [p for p in kp.root.iterdir() if p.is_file() and p.stat().st_mode & 0o077]
    assert not private, private
    kp.ended()


def test_hostile_layers(alice: User, base: bytes, tmp_path: Path) -> None:
    """Links to root's and to the user's own files, owners nobody has, devices of the machine: nothing outside of the layer changes."""
    kp = Driver(alice, "")
    victim = alice.home / "victim"
    kp.put("victim", "mine")
    tmp_path.chmod(0o755)
    (tmp_path / "root").write_text("root's")
    (tmp_path / "root").chmod(0o644)
    evil = [
        symlink("l", str(victim)), file("l", b"evil"), symlink("up", "../../../../../../../.."), file(f"up{victim}", b"evil"),
        file(f"up{tmp_path}/root", b"evil"),
        Member("dev", type=b"3", device=(1, 1)), Member("disk", type=b"4", device=(254, 0)), file("s", b"#!/bin/sh\n", 0o6777, uid=0),
    ]  # fmt: skip
    docker_archive(alice.home / "evil.tar", ["localhost/evil:1"], [base, layer(evil)])
    kp("load", "-q", "-i", str(alice.home / "evil.tar"))
    through = layer([symlink("out", str(alice.home)), file("out/victim", b"evil")])
    docker_archive(alice.home / "through.tar", ["localhost/through:1"], [base, through])
    assert "out/victim" in kp("load", "-q", "-i", str(alice.home / "through.tar"), status=125).stderr
    assert victim.read_text() == "mine" and (tmp_path / "root").read_text() == "root's"
    assert not [p for p in kp.root.rglob("*") if stat.S_ISBLK(p.lstat().st_mode)], "no device of the machine was made"
    assert all(p.lstat().st_rdev == 0 for p in kp.root.rglob("*") if stat.S_ISCHR(p.lstat().st_mode))
    for owner in (65_537, 70_000, 3_000_000_000, 4_294_967_294):
        archive = docker_archive(alice.home / "far.tar", ["localhost/far:1"], [base, layer([file("usr/far", b"x", uid=owner)])])
        said = kp("load", "-q", "-i", str(archive), status=125).stderr
        assert "usr/far" in said and str(owner) in said and "hint:" in said, said
        assert "/etc/subuid" in said or owner > 1 << 24, said
    assert len(json.loads(kp("images", "--format", "json").stdout)) == 1
    kp.ended()


VOLUMES = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {volume.podman.io/uid: "1234", volume.podman.io/gid: "2345"}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {key: value}
---
apiVersion: v1
kind: Pod
metadata: {name: v}
spec:
  restartPolicy: Never
  hostNetwork: true
  securityContext: {fsGroup: 3456, runAsUser: 1234}
  volumes:
  - {name: scratch, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: claim, persistentVolumeClaim: {claimName: data}}
  - {name: cm, configMap: {name: cm}}
  - {name: host, hostPath: {path: %(home)s/shared, type: DirectoryOrCreate}}
  - {name: image, image: {reference: localhost/three:1}}
  containers:
  - name: c
    image: localhost/three:1
    command: [sh, -c, "id -u; id -G; for d in /scratch /claim /cm; do stat -c '%%n %%u %%g %%a' $d; done; cat /cm/key; echo;
      echo 1 > /scratch/f; echo 2 > /claim/f; echo 3 > /memory/f; stat -c '%%g' /scratch/f; cat /image/d/y; echo; ls /sub;
      touch /image/x || echo ro; ls /host/closed || echo closed"]
    volumeMounts:
    - {name: scratch, mountPath: /scratch}
    - {name: memory, mountPath: /memory}
    - {name: claim, mountPath: /claim}
    - {name: claim, mountPath: /sub, subPath: a/b}
    - {name: cm, mountPath: /cm}
    - {name: host, mountPath: /host}
    - {name: image, mountPath: /image}
"""


def _until_ended(kp: Driver, pod: str) -> str:
    kp("wait", pod, status=None)
    return kp("logs", pod).stdout


def test_volumes_belong_to_whom_they_should(alice: User) -> None:
    kp = Driver(alice, "")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    closed = alice.home / "shared/closed"
    closed.mkdir(parents=True)
    os.chown(closed.parent, alice.uid, alice.gid)
    closed.chmod(0o700)  # root's, in a directory of the user's
    kp("play", "kube", kp.put("volumes.yaml", VOLUMES % {"home": alice.home}))
    lines = _until_ended(kp, "v").splitlines()
    assert lines[0] == "1234" and "3456" in lines[1].split()
    assert lines[2] == "/scratch 0 3456 2777" and lines[3].startswith("/claim 1234 3456 ") and lines[4].split()[2] == "3456"
    assert lines[5:] == ["value", "3456", "y", "ro", "closed"], lines
    assert (kp.root / "volumes").is_dir() and stat.S_IMODE(kp.root.stat().st_mode) == 0o700
    kp("kube", "down", "--force", str(alice.home / "volumes.yaml"))
    assert os.listdir(kp.root / "volumes") == [], "files of mapped ids go too"
    kp.ended()


HOST = """
apiVersion: v1
kind: Pod
metadata: {name: h}
spec:
  restartPolicy: Never
  hostNetwork: true
  volumes: [{name: host, hostPath: {path: %s, type: %s}}]
  containers:
  - {name: c, image: localhost/three:1, command: [sh, -c, "%s"], volumeMounts: [{name: host, mountPath: /host}]}
"""


@pytest.mark.parametrize(("path", "kind", "script", "wanted"), [
    ("/etc", "Directory", "cat /host/shadow || echo no; touch /host/x || echo no", ["no", "no"]),
    ("/root", "Directory", "ls /host || echo no", ["no"]),
    ("/var/tmp", "Directory", "chmod 777 /host || echo no; chown 5 /host || echo no", ["no", "no"]),
])  # fmt: skip
def test_a_host_path_gives_the_users_own_rights_and_no_more(alice: User, path: str, kind: str, script: str, wanted: list[str]) -> None:
    kp = Driver(alice, "")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    kp("play", "kube", kp.put("host.yaml", HOST % (path, kind, script)))
    said = [line for line in _until_ended(kp, "h").splitlines() if ":" not in line]
    assert said == wanted, said
    kp.ended()


def test_a_host_path_that_the_user_cannot_make_is_told(alice: User) -> None:
    kp = Driver(alice, "")
    kp("load", "-q", "-i", str(alice.home / "three.tar"))
    done = kp("play", "kube", "--wait-ready", kp.put("host.yaml", HOST % ("/etc/of-nobody/x", "DirectoryOrCreate", "true")), status=None)
    text = done.stdout + done.stderr + kp("describe", "pod", "h", status=None).stdout + kp("events", "--stream=false", status=None).stdout
    assert "/etc/of-nobody" in text and "Permission denied" in text, text
    assert not os.path.exists("/etc/of-nobody")
    kp.ended()


def test_without_subordinate_ids_all_belongs_to_the_user(base: bytes) -> None:
    with user() as made:
        for table in ("/etc/subuid", "/etc/subgid"):
            subprocess.run(["sed", "-i", f"/^{made.name}:/d", table], check=True)
        docker_archive(made.home / "owners.tar", ["localhost/o:1"], [base, layer([file("a", b"1", uid=1000), file("b", b"2", uid=33)])])
        kp = Driver(made, "")
        said = kp("load", "-q", "-i", str(made.home / "owners.tar")).stderr
        assert "2 files of other owners given to you" in said and "/etc/subuid" in said
        owners: dict[str, Any] = {name: next((kp.root / "layers").glob(f"*/fs/{name}")).stat().st_uid for name in ("a", "b")}
        assert owners == {"a": made.uid, "b": made.uid}
        kp.ended()
