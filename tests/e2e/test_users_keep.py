"""--userns as an ordinary user: who plays is the same one inside, and everybody else is somebody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.user import User, user

pytestmark = pytest.mark.root

POD = """
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {word: shh}
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 2000}
  volumes:
  - {name: hidden, secret: {secretName: hidden, defaultMode: 0400}}
  - {name: disk, emptyDir: {}}
  - {name: picture, image: {reference: "busybox:1"}}
  - {name: home, hostPath: {path: HOME}}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts:
    - {name: hidden, mountPath: /hidden}
    - {name: disk, mountPath: /disk}
    - {name: picture, mountPath: /picture}
    - {name: home, mountPath: /home}
"""


class Rootless:
    """Commands of an ordinary user."""

    def __init__(self, who: User) -> None:
        self.who = who

    def __call__(self, *words: str, status: int | None = 0) -> str:
        done = self.who.run(self.who.kubeplay, *words, status=status)
        return done.stdout if not status else done.stderr

    def sh(self, script: str, *flags: str) -> list[str]:
        return self("exec", *flags, "own", "sh", "-c", script).split()

    def file(self, name: str, data: bytes) -> str:
        path = self.who.home / name
        path.write_bytes(data)
        os.chown(path, self.who.uid, self.who.gid)
        return str(path)


@pytest.fixture(scope="module")
def kp(image_archives: dict[str, Path]) -> Iterator[Rootless]:
    with user(own_network=True) as who:
        made = Rootless(who)
        made("load", "-q", "-i", made.file("busybox.tar", image_archives["busybox"].read_bytes()))
        shared = who.home / "shared"
        shared.mkdir()
        os.chown(shared, who.uid, who.gid)
        made("play", "kube", "-q", "--userns=keep-id", made.file("own.yaml", POD.replace("HOME", str(shared)).encode()))
        yield made
        made("system", "reset", "--force")


def test_who_plays_is_the_same_inside(kp: Rootless) -> None:
    me = kp.who.uid
    assert kp.sh("cat /proc/self/uid_map")[:6] == ["0", "1", str(me), str(me), "0", "1"]
    kp.sh("echo x > /home/mine", "-u", f"{me}:{kp.who.gid}")
    kp.sh("echo x > /home/roots")
    mine, roots = (kp.who.home / "shared" / name for name in ("mine", "roots"))
    assert (mine.stat().st_uid, mine.stat().st_gid) == (me, kp.who.gid)
    assert roots.stat().st_uid not in (0, me), "root inside is a subordinate id"
    assert kp.sh("stat -c %u /home/mine /home/roots /home") == [str(me), "0", str(me)]


def test_its_files_are_its_own(kp: Rootless) -> None:
    assert kp.sh("stat -c %u:%g / /bin /bin/busybox /picture/bin /etc/hosts") == ["0:0"] * 5
    kp.sh("echo x > /file; chown 7:8 /file; echo x > /disk/file; echo 10.0.0.1 added >> /etc/hosts")
    assert kp.sh("stat -c %u:%g /file /disk/file; cat /hidden/word") == ["7:8", "0:2000", "shh"]
    assert kp.sh("id -G")[-1] == "2000"
    kp("cp", kp.file("in", b"in"), "own:/tmp/in")
    assert kp.sh("echo more >> /tmp/in; stat -c %u:%g /tmp/in") == ["0:0"]
    assert "A /file" in kp("diff", "own-main").splitlines()
    kp("commit", "-q", "own-main", "localhost/committed:1")
    assert kp.who.run(kp.who.kubeplay, "unshare", "sh", "-c", 'stat -c %u:%g "$(kubeplay image mount localhost/committed:1)/file"',
                      PATH=f"{Path(kp.who.kubeplay).parent}:/usr/bin:/bin").stdout.split() == ["7:8"]  # fmt: skip


def test_another_id_may_be_kept(kp: Rootless) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: own2}\nspec:\n  terminationGracePeriodSeconds: 0\n"
    text += "  containers: [{name: main, image: 'busybox:1', command: [sleep, '1000'], securityContext: {runAsUser: 7}}]\n"
    path = kp.file("own2.yaml", text.encode())
    kp("play", "kube", "-q", "--userns=keep-id:uid=7,gid=8", path)
    assert kp("exec", "own2", "sh", "-c", "id -u; cat /proc/self/uid_map").split()[:7] == ["7", "0", "1", "7", "7", "0", "1"]
    kp("down", path)


OTHER = """
apiVersion: v1
kind: Pod
metadata: {name: other}
spec:
  terminationGracePeriodSeconds: 0
  shareProcessNamespace: true
  volumes: [{name: e, emptyDir: {}}, {name: t, emptyDir: {medium: Memory}}]
  containers:
  - {name: main, image: 'busybox:1', command: [sleep, '1000'], volumeMounts: [{name: e, mountPath: /e}, {name: t, mountPath: /t}]}
  - {name: app, image: 'busybox:1', command: [sleep, '1000'], securityContext: {runAsUser: 7, runAsGroup: 8}}
"""


@pytest.mark.parametrize("mode", ["auto", "auto:size=1000", "nomap"])
def test_ids_without_the_own(kp: Rootless, mode: str) -> None:
    """Who plays is no id of such a pod: its root finds its root file system by another way (engine/host/passage.py)."""
    path = kp.file("other.yaml", OTHER.encode())
    kp("play", "kube", "-q", f"--userns={mode}", path)
    inside, outside, length = (int(word) for word in kp("exec", "-c", "main", "other", "cat", "/proc/self/uid_map").split())
    assert inside == 0 and outside > 0 and length == {"auto": 4096, "auto:size=1000": 1000}.get(mode, length)
    made = "echo a >/e/a && echo b >/t/b && touch /c && stat -c %u:%g /e/a /t/b /c /bin/busybox"
    assert kp("exec", "-c", "main", "other", "sh", "-c", made).split() == ["0:0"] * 4
    assert kp("exec", "-c", "app", "other", "id").split()[:2] == ["uid=7", "gid=8"]
    if length > 1234:
        assert kp("exec", "-c", "app", "-u", "app", "other", "id", "-u").strip() == "1234"
    else:
        assert "1234" in kp("exec", "-c", "app", "-u", "app", "other", "id", "-u", status=125)
    assert kp("exec", "-c", "main", "other", "sh", "-c", "ls /proc/1/root/ >/dev/null; cat /proc/1/comm").strip() == "catatonit"
    assert all(not list(Path(place).iterdir()) for place in Path("/tmp").glob("kubeplay-*-[0-9]")), "others see what is in it"
    kp("down", path)


def test_a_manifest_may_ask_for_no_host_users(kp: Rootless) -> None:
    path = kp.file("host.yaml", OTHER.replace("  shareProcessNamespace: true\n", "  hostUsers: false\n").encode())
    kp("play", "kube", "-q", path)
    assert kp("exec", "-c", "main", "other", "cat", "/proc/self/uid_map").split()[2] == "4096"
    kp("down", path)
