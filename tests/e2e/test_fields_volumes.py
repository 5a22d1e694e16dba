"""Volumes of real containers: every source, its modes, and how it is mounted (VO1-VO13, TM1 aside)."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing
from tests.support.seen import mounts, plain_user, seen

pytestmark = pytest.mark.root

OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
immutable: true
data: {a: text-a, b.txt: text-b}
binaryData: {raw: AAH/}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
immutable: true
type: example.com/own
data: {pass: czNjcjN0}
stringData: {user: me}
---
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}, volumeMode: Filesystem}
---
"""
EMPTY = """
apiVersion: v1
kind: Pod
metadata: {name: empty%s}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: named-only}
  - {name: limited, emptyDir: {sizeLimit: 1Gi}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  initContainers:
  - {name: seed, image: busybox:1, command: [sh, -c, "echo from-init > /s/init"], volumeMounts: [{name: shared, mountPath: /s}]}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: named-only, mountPath: /named}
    - {name: limited, mountPath: /limited}
    - {name: memory, mountPath: /memory}
  - name: other
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts: [{name: shared, mountPath: /theirs, readOnly: true}]
---
"""
FILES = """
apiVersion: v1
kind: Pod
metadata: {name: files}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - {name: conf, configMap: {name: conf}}
  - name: items
    configMap:
      name: conf
      defaultMode: 0440
      optional: true
      items: [{key: a, path: deep/er/a, mode: 0700}, {key: raw, path: raw}]
  - {name: hidden, secret: {secretName: hidden, defaultMode: 256, optional: false}}
  - {name: some, secret: {secretName: hidden, items: [{key: pass, path: p/w, mode: 0404}]}}
  - {name: gone, configMap: {name: nosuch, optional: true}}
  - {name: gone-too, secret: {secretName: nosuch, optional: true}}
  - {name: claim, persistentVolumeClaim: {claimName: claim}}
  - {name: claim-ro, persistentVolumeClaim: {claimName: claim, readOnly: true}}
  - {name: image, image: {reference: "data:1", pullPolicy: IfNotPresent}}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: DEEP, value: x/y}]
    volumeMounts:
    - {name: conf, mountPath: /conf}
    - {name: items, mountPath: /items}
    - {name: hidden, mountPath: /hidden}
    - {name: some, mountPath: /some}
    - {name: gone, mountPath: /gone}
    - {name: gone-too, mountPath: /gone-too}
    - {name: claim, mountPath: /claim}
    - {name: claim-ro, mountPath: /claim-ro}
    - {name: image, mountPath: /image}
    - {name: image, mountPath: /deep.txt, subPath: sub/deep.txt}
    - {name: conf, mountPath: /etc/b.txt, subPath: b.txt}
    - {name: conf, mountPath: /nokey, subPath: nokey}
    - {name: claim, mountPath: /outer/inner, subPath: made/here}
    - {name: claim, mountPath: /outer}
    - {name: claim, mountPath: /expr, subPathExpr: "$(NAME)/$(DEEP)"}
    - {name: claim, mountPath: relative, subPath: rel, readOnly: true, recursiveReadOnly: IfPossible}
---
"""


def host(directory: Path) -> str:
    """A pod with every type of hostPath; `directory` holds what must be there."""
    (directory / "there").mkdir()
    (directory / "there/f").write_text("from the host")
    (directory / "file").write_text("one file")
    (directory / "link").symlink_to("there")
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: host}}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - {{name: any, hostPath: {{path: {directory}/there}}}}
  - {{name: missing, hostPath: {{path: {directory}/missing, type: ""}}}}
  - {{name: dir, hostPath: {{path: {directory}/link, type: Directory}}}}
  - {{name: newdir, hostPath: {{path: {directory}/new/dir, type: DirectoryOrCreate}}}}
  - {{name: file, hostPath: {{path: {directory}/file, type: File}}}}
  - {{name: newfile, hostPath: {{path: {directory}/newfile, type: FileOrCreate}}}}
  - {{name: socket, hostPath: {{path: {directory}/socket, type: Socket}}}}
  - {{name: char, hostPath: {{path: /dev/zero, type: CharDevice}}}}
  - {{name: block, hostPath: {{path: {block_device(directory)}, type: BlockDevice}}}}
  - {{name: grows, hostPath: {{path: {directory}/grows, type: DirectoryOrCreate}}}}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts:
    - {{name: any, mountPath: /any}}
    - {{name: missing, mountPath: /missing}}
    - {{name: dir, mountPath: /dir, readOnly: true}}
    - {{name: newdir, mountPath: /newdir}}
    - {{name: file, mountPath: /file}}
    - {{name: newfile, mountPath: /newfile}}
    - {{name: socket, mountPath: /socket}}
    - {{name: char, mountPath: /dev/own-zero}}
    - {{name: block, mountPath: /dev/own-block}}
    - {{name: grows, mountPath: /none}}
    - {{name: grows, mountPath: /slave, mountPropagation: HostToContainer}}
  - name: shares
    image: busybox:1
    command: [sleep, "1000"]
    securityContext: {{privileged: true}}
    volumeMounts: [{{name: grows, mountPath: /shared, mountPropagation: Bidirectional}}]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The host's side of hostPath volumes; `grows` is a shared mount, as a host's file systems usually are."""
    directory = tmp_path_factory.mktemp("hostpath")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "socket"))
    if not plain_user():
        subprocess.run(["mknod", str(block_device(directory)), "b", "7", "0"], check=True)
    (directory / "grows").mkdir()
    for words in (["mount", "-t", "tmpfs", "tmpfs", directory / "grows"], ["mount", "--make-shared", directory / "grows"]):
        run(*words)
    yield directory
    if not plain_user():  # a user's went with the namespaces, at the reset
        run("umount", "-R", directory / "grows")
    listener.close()


def block_device(directory: Path) -> Path:
    """One of our own; an ordinary user can make none, and takes the machine's first."""
    return min(path for path in Path("/dev").iterdir() if path.is_block_device()) if plain_user() else directory / "block"


def run(*words: object) -> None:
    """On the host; an ordinary user mounts in the own mount namespace."""
    seen(lambda: subprocess.run([str(word) for word in words], check=True).returncode)


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path], place: Path) -> Iterator[Machine]:
    text = OBJECTS + CLAIM + EMPTY % "" + EMPTY % "-two" + FILES + host(place)
    with playing(tmp_path_factory.mktemp("volumes"), image_archives, text, images=("busybox", "data")) as machine:
        yield machine


@covers("volume.name volume.emptyDir container.volumeMounts[].name container.volumeMounts[].mountPath container.volumeMounts[].readOnly")
def test_vo7_empty_dirs_belong_to_the_pod_and_are_shared_in_it(kp: Machine) -> None:
    assert kp.sh("empty", "stat -c '%a %u %g' /shared /named; cat /shared/init") == "777 0 0\n777 0 0\nfrom-init"
    kp.sh("empty", "echo mine > /shared/f")
    assert kp.sh("empty", "cat /theirs/f; touch /theirs/g 2>&1; true", "other").startswith("mine\ntouch: /theirs/g: Read-only")
    assert kp.sh("empty-two", "ls /shared") == "init"
    kp("restart", "-t", "0", "empty-main")
    assert "mine" in kp.sh("empty", "cat /theirs/f", "other")


@covers("volume.emptyDir.medium volume.emptyDir.sizeLimit")
def test_vo7_memory_is_a_tmpfs_of_that_size(kp: Machine) -> None:
    assert kp.sh("empty", "grep ' /memory ' /proc/mounts").split()[2] == "tmpfs"
    assert kp.sh("empty", "stat -c %a /memory; df -k /memory | tail -1 | tr -s ' ' | cut -d' ' -f2") == "1777\n1024"
    assert "No space" in kp.sh("empty", "dd if=/dev/zero of=/memory/f bs=64k count=32 2>&1; true")
    assert kp.sh("empty", "dd if=/dev/zero of=/limited/f bs=64k count=32 2>/dev/null; stat -c %s /limited/f") == str(2 << 20)


@covers("volume.configMap.name ConfigMap.data{} ConfigMap.binaryData{} ConfigMap.immutable")
def test_vo2_vo4_config_maps_are_written_atomically(kp: Machine) -> None:
    assert kp.sh("files", "cat /conf/a /conf/b.txt; od -An -tx1 /conf/raw") == "text-atext-b 00 01 ff"
    assert kp.sh("files", "readlink /conf/a; stat -Lc '%a %u' /conf /conf/a") == "..data/a\n777 0\n644 0"
    assert re.fullmatch(r"\.\.\d{4}(_\d\d){5}\.\d+", kp.sh("files", "readlink /conf/..data"))
    assert "Read-only" in kp.sh("files", "touch /conf/x 2>&1; true")


@covers("volume.configMap.items[].key volume.configMap.items[].path volume.configMap.items[].mode volume.configMap.defaultMode "
        "volume.configMap.optional")  # fmt: skip
def test_vo3_items_paths_and_modes(kp: Machine) -> None:
    assert kp.sh("files", "ls /items; stat -Lc %a /items/deep/er/a /items/raw; cat /items/deep/er/a") == "deep\nraw\n700\n440\ntext-a"


@covers("volume.secret.secretName volume.secret.items[].key volume.secret.items[].path volume.secret.items[].mode "
        "volume.secret.defaultMode Secret.immutable Secret.type Secret.data{} Secret.stringData{}")  # fmt: skip
def test_vo2_secrets_live_in_memory(kp: Machine) -> None:
    assert kp.sh("files", "grep ' /hidden ' /proc/mounts").split()[2] == "tmpfs"
    assert kp.sh("files", "cat /hidden/pass /hidden/user; stat -Lc %a /hidden/pass; stat -c %a /hidden") == "s3cr3tme400\n1777"
    assert kp.sh("files", "ls /some; cat /some/p/w; stat -Lc %a /some/p/w") == "p\ns3cr3t404"
    assert kp("secret", "inspect", "hidden", "--format", "{{.type}}").out.strip() == "example.com/own"


@covers("volume.configMap.optional volume.secret.optional")
def test_vo3_optional_objects_that_are_missing_are_empty(kp: Machine) -> None:
    assert kp.sh("files", "ls -A /gone /gone-too | grep -v '^\\.\\.'") == "/gone:\n\n/gone-too:"


@covers("volume.persistentVolumeClaim.claimName volume.persistentVolumeClaim.readOnly PersistentVolumeClaim.spec.volumeMode")
def test_pv4_a_claim_outlives_its_pods(kp: Machine) -> None:
    kp.sh("files", "echo kept > /claim/f")
    assert kp.sh("files", "cat /claim-ro/f; touch /claim-ro/g 2>&1; true").startswith("kept\ntouch: /claim-ro/g: Read-only")
    kp.down(FILES)
    kp.play(FILES)
    assert kp.sh("files", "cat /claim/f") == "kept"


@covers("volume.image.reference volume.image.pullPolicy")
def test_vo12_an_image_as_a_volume(kp: Machine) -> None:
    assert kp.sh("files", "cat /image/hello.txt; touch /image/x 2>&1; true").startswith(
        "hello from image volume\ntouch: /image/x: Read-only"
    )
    assert kp.sh("files", "cat /deep.txt") == "deep"


@covers("container.volumeMounts[].subPath container.volumeMounts[].subPathExpr container.volumeMounts[].recursiveReadOnly")
def test_vo9_vo10_sub_paths(kp: Machine) -> None:
    assert (
        kp.sh("files", "cat /etc/b.txt; test -d /nokey && ls -A /nokey | wc -l") == "text-b0"
    )  # a key that is not there: an empty directory
    assert kp.sh("files", "touch /outer/inner/n && ls /claim/made/here /outer/inner") == "/claim/made/here:\nn\n\n/outer/inner:\nn"
    assert kp.sh("files", "touch /expr/e && ls /claim/files/x/y") == "e"
    assert "Read-only" in kp.sh("files", "ls -d /claim/rel; touch /relative/r 2>&1; true")


def test_en3_a_sub_path_of_an_unknown_variable_is_a_fault(kp: Machine) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: expr}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, emptyDir: {}}]
  containers: [{name: main, image: "busybox:1", command: [sleep, "9"], volumeMounts: [{name: v, mountPath: /v, subPathExpr: a/$(NOSUCH)}]}]
"""
    kp.play(text, "--keep-on-failure", status=None)
    waiting = kp.status("expr")["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError" and "NOSUCH" in waiting["message"]
    kp.down(text)


@covers("volume.hostPath.path volume.hostPath.type")
def test_vo8_host_paths_of_every_type(kp: Machine, place: Path) -> None:
    assert kp.sh("host", "cat /any/f /file; cat /dir/f; touch /dir/g 2>&1; true").startswith(
        "from the hostone filefrom the hosttouch: /dir/g: Read-only"
    )
    kp.sh("host", "echo back > /any/back; echo back > /newfile; touch /newdir/n /missing/m")
    assert (place / "there/back").read_text() == (place / "newfile").read_text() == "back\n"
    assert (place / "new/dir/n").exists() and (place / "missing/m").exists()
    assert oct((place / "new/dir").stat().st_mode)[-3:] == "755" and oct((place / "newfile").stat().st_mode)[-3:] == "644"
    assert kp.sh("host", "test -S /socket && test -b /dev/own-block && head -c 4 /dev/own-zero | od -An -tx1") == " 00 00 00 00"


def test_vo8_a_wrong_type_keeps_the_pod_from_starting(kp: Machine, place: Path) -> None:
    wrong = [
        ("there", "File"),
        ("file", "Directory"),
        ("file", "Socket"),
        ("file", "CharDevice"),
        ("socket", "BlockDevice"),
        ("nosuch", "Directory"),
    ]
    pods = [
        f"""
apiVersion: v1
kind: Pod
metadata: {{name: wrong{n}}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{{name: v, hostPath: {{path: {place}/{path}, type: {kind}}}}}]
  containers: [{{name: main, image: "busybox:1", command: [sleep, "9"], volumeMounts: [{{name: v, mountPath: /v}}]}}]
"""
        for n, (path, kind) in enumerate(wrong)
    ]
    kp.play("---".join(pods), "--keep-on-failure", status=None)
    assert [kp.status(f"wrong{n}")["state"] for n in range(len(wrong))] == [{"waiting": {"reason": "ContainerCreating"}}] * len(wrong)
    said = kp("events").out
    assert said.count("hostPath type check failed") >= len(wrong)
    kp.down("---".join(pods))
    assert not (place / "nosuch").exists()


@covers("container.volumeMounts[].mountPropagation")
def test_vo11_mount_propagation(kp: Machine, place: Path) -> None:
    run("mkdir", place / "grows/later")
    run("mount", "-t", "tmpfs", "tmpfs", place / "grows/later")
    run("touch", place / "grows/later/seen")
    assert kp.sh("host", "ls /none/later /slave/later") == "/none/later:\n\n/slave/later:\nseen"
    kp.sh("host", "mkdir /shared/mine && mount -t tmpfs tmpfs /shared/mine && touch /shared/mine/m", "shares")
    assert seen((place / "grows/mine/m").exists)
    own = [line for line in mounts() if str(kp.directory) in line]
    assert own and not any(" - proc " in line for line in own)  # what is the container's own stays in it
    kp.sh("host", "umount /shared/mine", "shares")
    assert not seen((place / "grows/mine/m").exists)
    run("umount", place / "grows/later")


def test_vo10_odd_places_to_mount_at(kp: Machine) -> None:
    """The user's own /etc/hosts wins, of two mounts at one place the later is seen, colons and dots mean nothing special."""
    text = """
apiVersion: v1
kind: Pod
metadata: {name: odd}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: c, configMap: {name: conf}}, {name: one, emptyDir: {}}, {name: two, emptyDir: {}}, {name: m, emptyDir: {medium: Memory}}]
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts:
    - {name: c, mountPath: /etc/hosts, subPath: a}
    - {name: one, mountPath: /d}
    - {name: two, mountPath: /d/}
    - {name: two, mountPath: "/with:colon"}
    - {name: one, mountPath: x/../here}
    - {name: m, mountPath: /dev/shm}
"""
    kp.play(text)
    assert kp.sh("odd", "cat /etc/hosts") == "text-a"
    assert kp.sh("odd", "touch /d/t /here/h && ls /with:colon /here; ls -d /x 2>/dev/null; true") == "/here:\nh\n\n/with:colon:\nt"
    assert "size=65536k" not in kp.sh("odd", "grep ' /dev/shm ' /proc/mounts")
    kp.down(text)


@pytest.mark.parametrize(("volume", "path", "state", "said"), [
    ("emptyDir: {}", "/", "StartError", ""),
    ("emptyDir: {medium: memory}", "/v", "ContainerCreating", 'unknown storage medium "memory"'),
    ("configMap: {name: conf, items: [{key: nosuch, path: x}]}", "/v", "ContainerCreating", "references non-existent config key: nosuch"),
    ("secret: {secretName: nosuch}", "/v", "ContainerCreating", 'secret "nosuch" not found'),
])  # fmt: skip
def test_cs5_a_volume_that_cannot_be_mounted(kp: Machine, volume: str, path: str, state: str, said: str) -> None:
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: bad}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  volumes: [{{name: v, {volume}}}]
  containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"], volumeMounts: [{{name: v, mountPath: {path}}}]}}]
"""
    kp.play(text, "--keep-on-failure", status=None)
    found = kp.status("bad")["state"]
    assert next(iter(found.values()))["reason"] == state
    assert said in kp("events").out
    kp.down(text)
