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


@pytest.mark.parametrize("mode", ["auto", "nomap"])
def test_what_is_not_there_yet_says_so(kp: Rootless, mode: str) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: other}\nspec: {containers: [{name: main, image: 'busybox:1'}]}\n"
    said = kp("play", "kube", "-q", f"--userns={mode}", kp.file("other.yaml", text.encode()), status=125)
    assert "not supported for an ordinary user yet" in said and "--userns=keep-id" in said
