"""Two ordinary users and root on one machine, and pods that try to be more than their user: all without effect.

Alice plays, Bob attacks or is attacked; root looks. What a container of Alice's may do is what Alice may do, and nobody sees her state.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import images
from tests.support.images import Member, directory, file, symlink
from tests.support.kubeplay import link
from tests.support.user import User, user

pytestmark = pytest.mark.root
TOKEN = "t0ken-of-the-caller"


class Person:
    """A user, and short ways to what the user's kubeplay does."""

    def __init__(self, account: User) -> None:
        self.account = account
        self.groups: tuple[int, ...] = ()

    def kp(self, *argv: str, status: int | None = 0, **more: object) -> subprocess.CompletedProcess[str]:
        return self.account.run(self.account.kubeplay, *argv, status=status, **more)

    def sh(self, script: str, status: int | None = 0, **more: object) -> str:
        """A shell of the user's on the machine."""
        return self.account.run("sh", "-c", script, status=status, **more).stdout

    def own(self, name: str, data: bytes | str, mode: int = 0o600) -> Path:
        """A file of the user's, in the home."""
        path = self.account.home / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)
        os.chown(path, self.account.uid, self.account.gid)
        return path

    def play(self, text: str, *flags: str, status: int | None = 0, **more: object) -> subprocess.CompletedProcess[str]:
        return self.kp("play", "kube", "-q", *flags, str(self.own("play.yaml", text)), status=status, **more)

    def inside(self, pod: str, script: str, container: str = "main", status: int | None = 0) -> str:
        """What a shell in a container prints, errors included."""
        return self.kp("exec", "-c", container, pod, "sh", "-c", f"({script}) 2>&1", status=status).stdout.strip()

    def pid(self, pod: str, container: str = "main") -> int:
        found = json.loads(self.kp("inspect", "--type", "container", f"{pod}-{container}").stdout)
        return int(found[0]["State"]["Pid"])


def pod(name: str, *volumes: str, image: str = "busybox:1", spec: str = "", security: str = "", port: int = 0) -> str:
    """A pod that sleeps; each volume is a path of the host, seen at /vN."""
    listed = ", ".join(f"{{name: v{n}, hostPath: {{path: {path}}}}}" for n, path in enumerate(volumes))
    mounts = ", ".join(f"{{name: v{n}, mountPath: /v{n}}}" for n in range(len(volumes)))
    ports = f"ports: [{{containerPort: 80, hostPort: {port}}}]" if port else ""
    return f"""---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{listed}]
  {spec}
  containers:
  - name: main
    image: {image}
    imagePullPolicy: Never
    command: [sleep, "1000"]
    securityContext: {{{security}}}
    volumeMounts: [{mounts}]
    {ports}
"""


@pytest.fixture(scope="module")
def alice(image_archives: dict[str, Path]) -> Iterator[Person]:
    with user() as account:
        person = Person(account)
        person.kp("image", "load", "-q", "-i", str(person.own("busybox.tar", image_archives["busybox"].read_bytes())))
        yield person


@pytest.fixture(scope="module")
def bob(image_archives: dict[str, Path]) -> Iterator[Person]:
    with user() as account:
        person = Person(account)
        person.kp("image", "load", "-q", "-i", str(person.own("busybox.tar", image_archives["busybox"].read_bytes())))
        yield person


@pytest.fixture(scope="module")
def secret(bob: Person) -> Path:
    """A file that only Bob may read, in a home that everybody may enter."""
    bob.account.home.chmod(0o755)
    return bob.own("secret", "of-bob\n")


@pytest.fixture(scope="module")
def running(alice: Person, secret: Path) -> Iterator[Person]:
    """Alice with everything of the host in her pods that a manifest can ask for."""
    strong = "privileged: true"
    text = pod("plain", spec="enableServiceLinks: false") + pod("whole", "/", security=strong)
    text += pod("hostly", spec="hostNetwork: true\n  hostPID: true\n  hostIPC: true", security=strong)
    alice.play(text, **{"AUTH_TOKEN": TOKEN})
    yield alice


# files of the host


@pytest.mark.parametrize("container", ["uid 0", "uid 1000"])
def test_host_paths_give_a_container_what_its_user_may_do(running: Person, secret: Path, container: str) -> None:
    text = pod("paths", "/etc", "/root", str(secret), "/var/lib", security="" if container == "uid 0" else "runAsUser: 1000")
    running.play(text, "--keep-on-failure", status=None)
    script = "cat /v0/shadow; echo x >> /v0/passwd; touch /v0/made; ls /v1; cat /v2; mkdir /v3/made; chmod 777 /v0"
    said = running.inside("paths", script, status=None)
    running.kp("pod", "rm", "-f", "-t", "0", "paths")
    assert "of-bob" not in said and "root:" not in said
    assert said.count("denied") + said.count("not permitted") == 7, said
    assert not Path("/etc/made").exists() and not Path("/var/lib/made").exists() and stat.S_IMODE(os.stat("/etc").st_mode) == 0o755


def test_the_whole_host_privileged_is_still_the_user(running: Person, secret: Path) -> None:
    script = f"cat /v0/etc/shadow; cat /v0{secret}; touch /v0/made; touch /v0/usr/bin/made; ls /v0/root; echo x > /v0/etc/passwd"
    said = running.inside("whole", script, status=None)
    assert said.count("denied") + said.count("not permitted") == 6 and "of-bob" not in said, said
    assert running.inside("whole", f"cat /v0{running.account.home}/play.yaml | head -1") == "---"  # her own she may read


def test_links_in_volumes_lead_nowhere(alice: Person, secret: Path) -> None:
    """Neither a link in a directory of hers nor a sub path over it reaches what she may not read."""
    where = alice.account.home / "links"
    alice.sh(f"mkdir -p {where} && cd {where} && ln -s /etc/shadow shadow && ln -s {secret} bob && ln -s /root up && ln -s / all")
    for name in ("shadow", "bob", "up", "all/root"):
        text = pod("links", str(where)).replace("mountPath: /v0", f"mountPath: /v0, subPath: {name}")
        done = alice.play(text, "--keep-on-failure", status=None)
        said = alice.kp("exec", "links", "sh", "-c", "cat /v0; ls /v0/", status=None)
        alice.kp("pod", "rm", "-f", "-t", "0", "links", status=None)
        assert "root:" not in said.stdout + done.stdout and "of-bob" not in said.stdout and ".bashrc" not in said.stdout, (name, said)


# hostile images


def hostile_layer(victim: Path) -> bytes:
    members: list[Member] = [
        *images.busybox_members(),
        file("bin/setuid", b"#!/bin/sh\n", 0o6755),
        file("bin/busybox-root", Path("/bin/busybox").read_bytes(), 0o4755),
        file("of-other", b"x", 0o4777, uid=1000, gid=1000),
        Member("dev/disk", b"", tarfile.BLKTYPE, 0o666, device=(os.major(os.stat("/").st_dev), os.minor(os.stat("/").st_dev))),
        Member("mem", b"", tarfile.CHRTYPE, 0o666, device=(1, 1)),
        Member("kmsg", b"", tarfile.CHRTYPE, 0o666, device=(1, 11)),
        Member("pipe", b"", tarfile.FIFOTYPE, 0o666),
        symlink("shadow", "/../../../../../../../etc/shadow"),
        symlink("victim", str(victim)),
        directory("open", 0o7777),
    ]
    return images.layer(members)


@pytest.fixture(scope="module")
def hostile(alice: Person, secret: Path, tmp_path_factory: pytest.TempPathFactory) -> Person:
    archive = images.docker_archive(
        tmp_path_factory.mktemp("hostile") / "h.tar", ["docker.io/library/hostile:1"], [hostile_layer(secret)],
        {"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000"]},
    )  # fmt: skip
    said = alice.kp("image", "load", "-i", str(alice.own("hostile.tar", archive.read_bytes())))
    assert "hostile:1" in said.stdout
    alice.play(pod("hostile", image="hostile:1"))
    return alice


def everything(top: Path) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(top):
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from everything(Path(entry.path))


def test_a_layer_s_setuid_files_are_the_user_s_and_out_of_everybody_else_s_reach(hostile: Person, bob: Person) -> None:
    ids = range(*_subids(hostile.account))
    files = [entry for entry in everything(hostile.account.home) if entry.is_file(follow_symlinks=False)]
    found = [entry for entry in files if entry.stat(follow_symlinks=False).st_mode & 0o6000]
    assert found, "the layer's setuid files are there"
    for entry in found:
        info = entry.stat(follow_symlinks=False)
        assert info.st_uid == hostile.account.uid or info.st_uid in ids, entry.path
        assert "denied" in bob.account.run("sh", "-c", f"{entry.path} id 2>&1", status=None).stdout, entry.path
    assert hostile.inside("hostile", "/bin/busybox-root cat /proc/self/status | grep CapBnd").split() == ["CapBnd:", "00000000a80425fb"]


def test_a_layer_s_device_nodes_do_not_exist_and_open_nothing(hostile: Person) -> None:
    nodes = [entry.path for entry in everything(hostile.account.home) if stat.S_ISBLK(mode := entry.stat(follow_symlinks=False).st_mode)
             or stat.S_ISCHR(mode) and entry.stat(follow_symlinks=False).st_rdev != 0]  # fmt: skip
    assert nodes == []  # 0:0 is an overlay's whiteout
    said = hostile.inside("hostile", "head -c 1 /dev/disk; head -c 1 /mem; head -c 1 /kmsg; mknod /n b 7 0 && head -c 1 /n", status=None)
    assert said.count("No such") + said.count("denied") + said.count("not permitted") == 4, said


def test_a_layer_s_links_are_the_container_s_own(hostile: Person) -> None:
    said = hostile.inside("hostile", "cat /shadow; cat /victim; cat /victim/../../../etc/shadow", status=None)
    assert "of-bob" not in said and "root:" not in said and said.count("No such") == 3, said


# the kernel


WRITES = {
    "/proc/sys/kernel/core_pattern": "|/tmp/x", "/proc/sys/kernel/modprobe": "/tmp/x", "/proc/sys/vm/overcommit_memory": "1",
    "/proc/sys/kernel/hostname": "taken", "/proc/sys/net/ipv4/ip_forward": "0", "/proc/sys/fs/file-max": "7", "/proc/sysrq-trigger": "h",
    "/sys/kernel/profiling": "1", "/sys/module/kernel/parameters/panic": "9", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1",
    "/proc/1/oom_score_adj": "5", "/sys/class/net/lo/mtu": "1000",
}  # fmt: skip


@pytest.mark.parametrize("name", ["whole", "hostly", "plain"])
def test_writes_to_proc_and_sys_change_nothing_of_the_machine(running: Person, name: str) -> None:
    readable = [path for path in WRITES if os.path.exists(path) and os.access(path, os.R_OK) and path != "/proc/sysrq-trigger"]
    before = {path: Path(path).read_bytes() for path in readable if "sysrq" not in path}
    running.inside(name, "; ".join(f"echo '{value}' > {path}" for path, value in WRITES.items()), status=None)
    assert {path: Path(path).read_bytes() for path in before} == before


def test_a_privileged_pod_of_the_host_s_namespaces_reaches_no_process_of_others(running: Person, bob: Person) -> None:
    victims = [subprocess.Popen(["sleep", "1000"]), subprocess.Popen(bob.account.argv("sleep", "1000"))]
    try:
        for process in victims:
            place = f"/proc/{process.pid}"
            script = f"kill -9 {process.pid}; ls {place}/root/; cat {place}/environ; nsenter -t {process.pid} -m true"
            said = running.inside("hostly", script, status=None)
            assert said.count("denied") + said.count("not permitted") == 4, said
            assert process.poll() is None
        script = "kill -9 1; nsenter -t 1 -m -n echo got; chroot /proc/1/root echo got; reboot -f; echo alive"
        said = running.inside("hostly", script, status=None)
        assert "got" not in said and said.endswith("alive") and said.count("denied") + said.count("not permitted") >= 4, said
    finally:
        for process in victims:
            process.kill()
            process.wait()


# what a caller has and a container must not get


def members(person: Person) -> dict[int, str]:
    """Every process of the user's: containers, monitors, supervisors, holder, helpers of the network."""
    found = {}
    for pid in person.account.processes():
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def test_no_descriptor_of_the_caller_stays_with_anybody(alice: Person) -> None:
    """Root leaves descriptors open to what Alice may not open: a file, a directory of the host, a socket."""
    ours, theirs = socket.socketpair()
    opened = [os.open("/etc/shadow", os.O_RDONLY), os.open("/root", os.O_RDONLY), os.open("/", os.O_PATH), theirs.fileno()]
    held = {os.readlink(f"/proc/self/fd/{fd}") for fd in opened} - {"/"}
    account = alice.account
    before = set(members(alice))
    try:
        for words in (
            ("play", "kube", "-q", str(alice.own("fds.yaml", pod("fds")))), ("exec", "fds", "ls", "-l", "/proc/self/fd"),
            ("exec", "-d", "fds", "sleep", "1000"), ("restart", "-t", "0", "fds-main"), ("unshare", "sh", "-c", "sleep 0"),
        ):  # fmt: skip
            done = subprocess.run(account.argv(account.kubeplay, *words), pass_fds=opened, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0 and "shadow" not in done.stdout, (words, done)
        made = {pid: words for pid, words in members(alice).items() if pid not in before}
        assert any("conmon" in words for words in made.values()) and any(words.startswith("sleep") for words in made.values())
        for pid in members(alice):
            with suppress(FileNotFoundError, ProcessLookupError):  # one that has just ended
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    target = link(f"/proc/{pid}/fd/{fd}")
                    assert target not in held, (made.get(pid), target)
        assert os.readlink(f"/proc/{alice.pid('fds')}/cwd") == "/"
    finally:
        for fd in opened[:3]:
            os.close(fd)
        ours.close()
        theirs.close()
        alice.kp("pod", "rm", "-f", "-t", "0", "fds", status=None)


def test_the_caller_s_environment_reaches_no_container(running: Person) -> None:
    """The fixture's play had AUTH_TOKEN in its environment."""
    assert "PATH=" in running.inside("plain", "env")
    for name in ("plain", "whole", "hostly"):
        environment = Path(f"/proc/{running.pid(name)}/environ").read_text() + running.inside(name, "env")
        assert TOKEN not in environment and "KUBEPLAY" not in environment and "XDG_" not in environment
    said = running.kp("exec", "plain", "env", AUTH_TOKEN=TOKEN).stdout
    assert TOKEN not in said and "KUBEPLAY" not in said


def test_supplementary_groups_of_the_caller_reach_no_container(alice: Person, tmp_path: Path) -> None:
    """As a member of `disk` or `adm` has them: a container would read what the group may."""
    gid = 64999
    readable = Path("/var/tmp") / f"kp-test-group-{os.getpid()}"
    readable.write_text("of-the-group\n")
    os.chown(readable, 0, gid)
    readable.chmod(0o640)
    groups = {"groups": (gid, alice.account.gid)}
    try:
        assert alice.sh(f"cat {readable}", **groups) == "of-the-group\n"  # she herself may
        for security in ("", "runAsUser: 1000", "privileged: true"):
            alice.play(pod("grouped", str(readable), security=security), **groups)
            said = alice.kp("exec", "grouped", "sh", "-c", "cat /v0 2>&1; id -G; grep Groups /proc/1/status", status=None, **groups).stdout
            kernel = Path(f"/proc/{alice.pid('grouped')}/status").read_text()
            alice.kp("pod", "rm", "-f", "-t", "0", "grouped")
            assert "denied" in said and "of-the-group" not in said and "65534" not in said, said
            assert str(gid) not in re.search(r"Groups:(.*)", kernel)[1].split()  # type: ignore[index]
        for pid, words in members(alice).items():
            found = re.search(r"Groups:(.*)", Path(f"/proc/{pid}/status").read_text())
            assert found and str(gid) not in found[1].split(), words
    finally:
        readable.unlink()


# one user and another


def test_nothing_of_a_user_is_open_to_another(running: Person, bob: Person) -> None:
    home, runtime = running.account.home, Path(running.account.runtime)
    for top in (home / ".local/share/kubeplay", runtime / "kubeplay", runtime / "kubeplay-user"):
        assert top.exists() and stat.S_IMODE(top.stat().st_mode) == 0o700, top
        assert "denied" in bob.sh(f"ls {top} 2>&1; true")
    for entry in everything(runtime):
        info = entry.stat(follow_symlinks=False)
        assert info.st_uid == running.account.uid and (stat.S_ISLNK(info.st_mode) or not info.st_mode & 0o077), (entry.path, info)


def test_nothing_of_a_user_listens_for_another(running: Person, bob: Person) -> None:
    """Sockets of files lie below closed directories; abstract ones, which know no modes, there are none."""
    mine = {os.readlink(f"/proc/{pid}/fd/{fd}") for pid in members(running) for fd in os.listdir(f"/proc/{pid}/fd")}
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    assert not [row for row in rows if f"socket:[{row[6]}]" in mine and len(row) > 7 and row[7].startswith("@")]


def test_a_user_can_neither_signal_nor_look_into_another_s_processes(running: Person, bob: Person) -> None:
    theirs = members(running)
    assert any("conmon" in words for words in theirs.values()) and any("catatonit" in words for words in theirs.values())
    for pid, words in theirs.items():
        said = bob.sh(f"(kill -9 {pid}; cat /proc/{pid}/environ; ls /proc/{pid}/root/; nsenter -t {pid} -U -m true; true) 2>&1")
        assert said.count("denied") + said.count("not permitted") == 4, (words, said)
    assert set(theirs) <= set(members(running))


def test_a_directory_that_somebody_else_made_ready_is_not_used(bob: Person) -> None:
    """Without $XDG_RUNTIME_DIR and /run/user the private directory lies in /tmp, whose names anybody may take first."""
    trap = bob.account.home / "trap"
    bob.sh(f"mkdir -m 777 {trap}")
    with user() as account:
        carol, place = Person(account), Path(f"/tmp/kubeplay-run-{account.uid}")
        os.rmdir(account.runtime)
        try:
            for prepare in (f"mkdir -m 777 {place}", f"ln -s {trap} {place}", f"touch {place}"):
                subprocess.run(["rm", "-rf", str(place)], check=True)
                bob.sh(prepare)
                carol.kp("ps", runtime=False)
                inside = list(place.iterdir()) if place.is_dir() else []
                assert place.lstat().st_uid == bob.account.uid and inside == [], inside
        finally:
            subprocess.run(["rm", "-rf", str(place)], check=True)


def test_a_forged_word_of_being_inside_is_not_believed(alice: Person, bob: Person, running: Person) -> None:
    trap = bob.account.home / "trap2"
    bob.sh(f"mkdir -m 777 {trap}")
    for forged in (f"0:0:{trap}", f"{alice.account.uid}:{alice.account.gid}:{trap}", f"{bob.account.uid}:{bob.account.gid}:{trap}"):
        said = alice.kp("ps", "--format", "{{.Names}}", _KUBEPLAY_USERNS=forged).stdout
        assert "plain-main" in said and list(trap.iterdir()) == []


def test_a_forged_record_of_a_holder_is_not_joined(bob: Person, running: Person) -> None:
    """Bob's own record names Alice's holder, or root's init: he gets namespaces of his own all the same."""
    record = Path(bob.account.runtime) / "kubeplay-user/holder"
    bob.kp("ps")
    before = record.read_text()
    roots = subprocess.Popen(["unshare", "--user", "--map-root-user", "--mount", "sleep", "1000"])
    try:
        for pid in (next(pid for pid, words in members(running).items() if "catatonit -P" in words), roots.pid):
            start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
            inodes = [re.sub(r"\D", "", os.readlink(f"/proc/{pid}/ns/{kind}")) for kind in ("user", "mnt")]
            record.write_text(" ".join([str(pid), start, *inodes]))
            said = bob.kp("unshare", "cat", "/proc/self/uid_map").stdout.split()
            assert said[1] == str(bob.account.uid), said
            assert record.read_text().split()[0] != str(pid)
    finally:
        roots.kill()
        roots.wait()
    assert before


def test_two_users_and_root_play_the_same_at_once(alice: Person, bob: Person, image_archives: dict[str, Path], tmp_path: Path) -> None:
    from tests.support.kubeplay import playing

    def of(who: str, port: int) -> str:
        script = f'[sh, -c, "mkdir /w; echo {who} > /w/index.html; httpd -f -p 80 -h /w"]'
        return pod("same", port=port).replace('[sleep, "1000"]', script)

    def answers() -> list[str]:
        found = []
        for port in (29101, 29102, 29103):
            words = ["curl", "-s", "-m", "5", "--retry", "10", "--retry-all-errors", "--retry-delay", "1", f"http://127.0.0.1:{port}/"]
            found.append(subprocess.run(words, capture_output=True, text=True).stdout.strip())
        return found

    with playing(tmp_path, image_archives, of("root", 29101)) as machine:
        alice.play(of("alice", 29102))
        bob.play(of("bob", 29103))
        assert answers() == ["root", "alice", "bob"]
        for taken in (29101, 29102):  # root's, which is a rule of the packet filter, and Alice's, which is a socket
            done = bob.play(pod("taken", port=taken), status=None)
            assert done.returncode != 0 and str(taken) in done.stderr, (taken, done)
        names = {person.account.name: person.kp("pod", "ps", "--format", "{{.Name}}").stdout.split() for person in (alice, bob)}
        assert names[bob.account.name] == ["same"] and "same" in names[alice.account.name]
        bob.kp("system", "reset", "--force")
        assert members(bob) == {} or all("catatonit" in words for words in members(bob).values())
        alice.kp("pod", "rm", "-f", "-t", "0", "same")
        assert machine.sh("same", "wget -qO- http://127.0.0.1/") == "root"


def test_a_reset_leaves_nothing_of_the_user_s(alice: Person, hostile: Person, running: Person) -> None:
    alice.kp("system", "reset", "--force")
    assert members(alice) == {}
    left = [entry.path for top in (alice.account.home / ".local", Path(alice.account.runtime)) if top.exists() for entry in everything(top)]
    assert not [path for path in left if "/share/kubeplay/" in path or path.endswith(("/kubeplay", "/netns", ".sock"))], left


def _subids(account: User) -> tuple[int, int]:
    first, count = next(line.split(":")[1:] for line in Path("/etc/subuid").read_text().splitlines() if line.startswith(f"{account.name}:"))
    return int(first), int(first) + int(count)
