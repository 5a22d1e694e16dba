"""Containers of an ordinary user: what the runtime must do otherwise than for root, and that nothing more gets in or stays."""

from __future__ import annotations

import contextlib
import os
import subprocess
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import images
from tests.support.kubeplay import status_of
from tests.support.user import User, user

pytestmark = pytest.mark.root
LEFT = ("71001", "71002", "71003")  # sleeps of theirs that leave their parents
DAEMONS = f"(setsid sleep {LEFT[0]} &); (setsid sh -c 'sleep {LEFT[1]} & exec sleep {LEFT[2]}' &); exec sleep 1000"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images.write_all(tmp_path_factory.mktemp("images"))["busybox"]


@pytest.fixture(scope="module")
def account(archive: Path) -> Iterator[User]:
    with user() as made:
        flagged = made.home / "flagged"  # before the first command: the namespaces have it as a mount of the machine's
        flagged.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"nosuid,nodev,noexec,uid={made.uid},gid={made.gid}", "flagged", flagged], check=True)
        try:
            load(made, archive)
            yield made
        finally:
            subprocess.run(["umount", "--lazy", flagged], check=True)


def load(made: User, archive: Path, *words: str) -> None:
    given(made, "busybox.tar", archive.read_bytes())
    made.run(made.kubeplay, *words, "load", "-q", "-i", "busybox.tar")


def given(made: User, name: str, data: bytes) -> Path:
    path = made.home / name
    path.write_bytes(data)
    os.chown(path, made.uid, made.gid)
    return path


def pod(name: str, script: str, spec: str = "", container: str = "") -> str:
    head = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 0\n"
    body = f"  containers:\n  - name: main\n    image: busybox:1\n    command: [sh, -c, {script!r}]\n"
    return head + textwrap.indent(spec, "  ") + ("\n" if spec else "") + body + textwrap.indent(container, "    ") + "\n"


@contextmanager
def played(made: User, text: str, *words: str) -> Iterator[subprocess.CompletedProcess[str]]:
    """A pod as long as the block runs; what play said."""
    file = given(made, "pod.yaml", text.encode())
    try:
        yield made.run(made.kubeplay, "play", "kube", *words, str(file))
    finally:
        made.run(made.kubeplay, "kube", "down", "-q", str(file))


def said(made: User, name: str, *, lines: int) -> list[str]:
    deadline = time.monotonic() + 60
    while len(found := made.run(made.kubeplay, "logs", name).stdout.splitlines()) < lines:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def first(made: User, name: str) -> int:
    """The number of a container's first process, 0 while it does not run."""
    found = made.run(made.kubeplay, "container", "inspect", "--format", "{{.State.Pid}}", f"{name}-main", status=None).stdout.strip()
    return int(found or "0")


def sleeping(made: User) -> set[str]:
    """Which of LEFT run."""
    found = set()
    for pid in made.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        found |= {word.decode() for word in words} & set(LEFT)
    return found


def await_sleeping(made: User, wanted: set[str]) -> None:
    deadline = time.monotonic() + 60
    while (found := sleeping(made)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.parametrize("spec", ["hostPID: true", "shareProcessNamespace: true", ""])
@pytest.mark.parametrize("way", ["rm", "killed", "restart"])
def test_nothing_of_a_container_outlives_it(account: User, spec: str, way: str) -> None:
    """Without a cgroup: processes that left their parents, in their own or in a shared PID namespace."""
    with played(account, pod("left", DAEMONS, spec)):
        await_sleeping(account, set(LEFT))
        before = first(account, "left")
        if way == "killed":  # its first process alone, from outside: the supervisor takes the rest away and starts it again
            os.kill(before, 9)
        elif way == "restart":
            account.run(account.kubeplay, "restart", "left")
        else:
            account.run(account.kubeplay, "pod", "rm", "-f", "left")
            assert sleeping(account) == set()
            return
        deadline = time.monotonic() + 60
        while not (now := first(account, "left")) or now == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        await_sleeping(account, set(LEFT))
        theirs = [pid for pid in account.processes() if any(f"sleep\0{name}".encode() in cmdline(pid) for name in LEFT)]
        assert len(theirs) == len([pid for pid in theirs if b"\0sleep" not in cmdline(pid)]) == 3, "the old ones are still there"
    assert sleeping(account) == set()


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_the_machines_own_namespaces(account: User) -> None:
    """What shows a namespace of the machine's is the machine's own, read-only and masked as ever."""
    script = (
        "ls /sys/class/net | tr '\\n' ' '; echo; (echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused;"
        " touch /sys/x 2>/dev/null || echo refused; cat /proc/keys | wc -c; ls -d /proc/%d; ls /sys/firmware | wc -l; sleep 1000"
    )
    with played(account, pod("host", script % os.getpid(), "hostNetwork: true\nhostPID: true\nhostIPC: true")):
        links, *rest = said(account, "host", lines=6)
        assert set(links.split()) == set(os.listdir("/sys/class/net"))
        assert rest == ["refused", "refused", "0", f"/proc/{os.getpid()}", "0"]
        found = first(account, "host")
        for kind in ("net", "pid", "ipc", "uts"):
            assert os.readlink(f"/proc/{found}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
        assert os.readlink(f"/proc/{found}/ns/user") != os.readlink("/proc/self/ns/user")


def test_privileged_is_no_more_than_the_user(account: User) -> None:
    """Every capability of the user's namespace, the devices that the user may open, and nothing of the machine's root."""
    directory = Path("/srv") / account.name
    directory.mkdir(mode=0o755)
    secret = directory / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    script = (
        "grep CapEff /proc/self/status | cut -f2; find /dev -type b | wc -l; ls /dev/mem /dev/kmsg 2>/dev/null;"
        " cat /host/secret 2>/dev/null || echo refused; (echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused;"
        " mknod /tmp/disk b 254 0 2>/dev/null || echo refused; echo done; sleep 1000"
    )
    volume = f"volumes: [{{name: host, hostPath: {{path: {directory}}}}}]"
    mounted = "securityContext: {privileged: true}\nvolumeMounts: [{name: host, mountPath: /host}]"
    try:
        with played(account, pod("strong", script, volume, mounted)):
            found = said(account, "strong", lines=6)
    finally:
        secret.unlink()
        directory.rmdir()
    capabilities, disks, *rest = found
    rest = [line for line in rest if line != "/dev/kmsg" or not os.stat("/dev/kmsg").st_mode & 0o004]
    assert int(capabilities, 16).bit_count() > 30 and disks == "0" and rest == ["refused", "refused", "refused", "done"]


def open_files(pid: int) -> list[str]:
    """What a process that lives on has open; it closes some meanwhile."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def test_nothing_of_the_caller_gets_in(account: User, tmp_path: Path) -> None:
    """Supplementary groups, environment and open files, of the command that plays: not in container, monitor or supervisor."""
    private = tmp_path / "private"
    private.write_text("secret")
    text = pod("clean", "exit 3", "restartPolicy: Always") + "---\n" + pod("stays", "sleep 1000")
    file = given(account, "clean.yaml", text.encode())
    argv = account.argv(account.kubeplay, "play", "kube", "-q", str(file), groups=(account.gid, 4, 27), LEAKED="secret")
    fds = [os.open(private, os.O_RDONLY) for _ in range(3)]
    try:
        subprocess.run(argv, check=True, pass_fds=fds, capture_output=True, timeout=300)
        deadline = time.monotonic() + 60
        while not (supervisors := [pid for pid in account.processes() if b"kubeplay.supervisor" in cmdline(pid)]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        monitors = [pid for pid in account.processes() if cmdline(pid).startswith(b"/usr/bin/conmon")]
        seen = []
        for pid in (first(account, "stays"), *monitors, *supervisors):
            try:
                groups = set(map(int, status_of(pid).get("Groups", "").split()))
                environ = Path(f"/proc/{pid}/environ").read_bytes()
                held = open_files(pid)
                session = os.getsid(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue  # the monitor of an instance of "clean" ends at any time
            assert not groups & {4, 27, 0}, (cmdline(pid), groups)
            assert b"LEAKED" not in environ
            assert str(private) not in held
            assert session != os.getsid(0)
            seen.append(pid)
        assert first(account, "stays") in seen and set(supervisors) & set(seen) and set(monitors) & set(seen)
    finally:
        for fd in fds:
            os.close(fd)
        account.run(account.kubeplay, "kube", "down", "-q", str(file))


def test_one_session_keyring_for_all_and_none_of_the_login(account: User) -> None:
    script = """
        import ctypes, threading
        from kubeplay.engine.host import credentials
        from kubeplay.engine.host.syscalls import call
        def name():
            text = ctypes.create_string_buffer(256)
            assert call(250, ctypes.c_long(6), ctypes.c_long(-3), text, ctypes.c_size_t(256)) > 0  # KEYCTL_DESCRIBE, the session's
            return text.value.decode()
        def work():
            credentials.shed()
            print(name().rsplit(";")[-1])
        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        print("_kubeplay" in name())
    """
    if os.uname().machine != "x86_64":
        pytest.skip("the number of keyctl(2) is written for x86_64")
    words = (account.kubeplay, "unshare", account.python, "-c", textwrap.dedent(script))
    assert account.run(*words).stdout.split() == ["_kubeplay", "_kubeplay", "False"]


def test_limits_without_effect_are_named_once(account: User) -> None:
    limited = pod("limited", "sleep 1000", "", "resources: {limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 100m}}")
    with played(account, limited + "---\n" + pod("free", "sleep 1000")) as done:
        notices = [line for line in done.stderr.splitlines() if "without effect" in line]
        assert len(notices) == 1 and "default/limited/main (cpu, memory): " in notices[0] and "free" not in notices[0]
        again = account.run(account.kubeplay, "play", "kube", str(account.home / "pod.yaml"))
        assert "without effect" not in again.stderr  # nothing has changed, nothing is said again
    with played(account, pod("free", "sleep 1000")) as done:
        assert "without effect" not in done.stderr
    facts = account.run(account.kubeplay, "info").stdout
    assert "limits of cpu, memory, pids, cpuset have no effect" in facts


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("securityContext: {runAsUser: 70000}", "user 70000 is not among the ids you have (0 to 65536, by /etc/subuid)"),
        ("securityContext: {runAsUser: 5, runAsGroup: 70000}", "group 70000 is not among the ids you have (0 to 65536, by /etc/subgid)"),
        ("securityContext: {supplementalGroups: [90000]}", "group 90000 is not among the ids you have (0 to 65536, by /etc/subgid)"),
    ],
)
def test_ids_beyond_the_users_are_refused(account: User, spec: str, message: str) -> None:
    file = given(account, "ids.yaml", pod("ids", "sleep 1000", spec).encode())
    refused = account.run(account.kubeplay, "play", "kube", str(file), status=125)
    assert f'CreateContainerError: container "main": {message}' in refused.stderr
    assert "ids" not in account.run(account.kubeplay, "pod", "ps", "-q", "--format", "{{.Name}}").stdout.split()


def test_read_only_binds_keep_the_flags_of_the_machines_mounts(account: User) -> None:
    """The kernel refuses a remount in a user namespace that would lose them."""
    volume = f"volumes: [{{name: v, hostPath: {{path: {account.home}/flagged}}}}]"
    mounted = "volumeMounts: [{name: v, mountPath: /v, readOnly: true}]"
    with played(account, pod("flags", "touch /v/x 2>&1; grep ' /v ' /proc/mounts; sleep 1000", volume, mounted)):
        refused, options = said(account, "flags", lines=2)
        assert "Read-only" in refused and {"ro", "nosuid", "nodev", "noexec"} <= set(options.split()[3].split(","))


def test_terminals_devices_and_users(account: User) -> None:
    script = (
        "id -u; id -G; tty; stat -c %g $(tty); echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c;"
        " ls -1 /dev/full /dev/random /dev/tty; mount -t tmpfs x /tmp 2>/dev/null || echo refused; sleep 1000"
    )
    spec = "securityContext: {runAsUser: 1234, runAsGroup: 77, fsGroup: 99, supplementalGroups: [5]}"
    with played(account, pod("dev", script, spec, "tty: true\nstdin: true")):
        found = said(account, "dev", lines=10)
        assert found == ["1234", "77 5 99 3456", "/dev/pts/0", "5", "4", "4", "/dev/full", "/dev/random", "/dev/tty", "refused"]
        assert status_of(first(account, "dev"))["Uid"].split()[0] not in ("0", str(account.uid), "1234")


def test_sysctls_and_ping_of_a_pod(account: User) -> None:
    sysctls = 'securityContext: {sysctls: [{name: net.ipv4.ip_local_port_range, value: "2000 3000"}]}'
    script = "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/ping_group_range; sleep 1000"
    with played(account, pod("sys", script, sysctls)):
        found = [line.split() for line in said(account, "sys", lines=2)]
        assert found == [["2000", "3000"], ["0", "65536"]]  # all groups there are


def test_only_the_own_id(archive: Path) -> None:
    """Without subordinate ids a container runs as root alone; any other user is refused by name."""
    with user() as made:
        for path in (Path("/etc/subuid"), Path("/etc/subgid")):
            path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith(f"{made.name}:")))
        load(made, archive)
        with played(made, pod("alone", "id -u; tty; sleep 1000", "", "tty: true")):
            assert said(made, "alone", lines=2) == ["0", "/dev/pts/0"]
        file = given(made, "other.yaml", pod("other", "sleep 1000", "securityContext: {runAsUser: 1}").encode())
        refused = made.run(made.kubeplay, "play", "kube", str(file), status=125)
        assert "user 1 is not among the ids you have (0 to 0, by /etc/subuid)" in refused.stderr


def version_2_only(made: User, group: str, *words: str) -> list[str]:
    """A command line of the user's on a machine whose only cgroups are version 2's, in a mount namespace of its own, in `group`."""
    enter = f"echo $$ > {group}/cgroup.procs"
    mounts = "mount --bind /sys/fs/cgroup/unified /mnt && umount -R -l /sys/fs/cgroup && mount --move /mnt /sys/fs/cgroup"
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{enter} && {mounts} && exec "$@"', "sh", *made.argv(*words)]


def delegated_to(made: User) -> Path:
    """A group below the machine's version 2 tree, handed over as cgroup-v2.rst has it, and one in it for the caller."""
    top = Path(f"/sys/fs/cgroup/unified/{made.name}")
    for group in (top, top / "shell"):
        group.mkdir()
        for path in (group, *(group / name for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"))):
            os.chown(path, made.uid, made.gid)
    return top


@pytest.mark.skipif(not os.path.isdir("/sys/fs/cgroup/unified"), reason="needs a version 2 tree beside version 1")
def test_a_delegated_cgroup_is_used(archive: Path) -> None:
    with user() as made:
        top = delegated_to(made)

        def run(*words: str) -> str:
            argv = version_2_only(made, f"{top}/shell", made.kubeplay, *words)
            return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300).stdout

        def members(below: str) -> list[int]:
            return [int(pid) for file in top.glob(below) for pid in file.read_text().split()]

        try:
            given(made, "busybox.tar", archive.read_bytes())
            run("load", "-q", "-i", f"{made.home}/busybox.tar")
            given(made, "pod.yaml", pod("grouped", DAEMONS, "hostPID: true").encode())
            run("play", "kube", "-q", f"{made.home}/pod.yaml")
            await_sleeping(made, set(LEFT))
            inside = "kubeplay-*/kubepods/besteffort/pod*/*/cgroup.procs"
            assert len(members(inside)) >= 4 and members("kubeplay-*/monitors/cgroup.procs") and not members("cgroup.procs")
            assert f"/{made.name}" in run("info") and "v2" in run("info")
            run("commit", "-q", "grouped", "still:1")  # by the freezer
            assert members(inside) and "frozen 0" in next(top.glob(inside.replace(".procs", ".events"))).read_text()
            run("pod", "rm", "-f", "grouped")
            assert sleeping(made) == set() and not list(top.glob("kubeplay-*/kubepods"))
        finally:
            made.end()
            remove_groups(top)


def remove_groups(top: Path) -> None:
    groups = [Path(directory) for directory, _, _ in os.walk(top)]
    deadline = time.monotonic() + 100
    for group in reversed(groups):
        while True:
            try:
                group.rmdir()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def test_pods_with_everything_killed_come_back_with_pod_start(account: User) -> None:
    """The user's last session ended with all its processes: as after a reboot, state is void, nothing is left, pods start again."""
    kinds: Sequence[str] = ("", "hostPID: true", "shareProcessNamespace: true", "securityContext: {runAsUser: 1234}", "hostNetwork: true")
    text = "---\n".join(pod(f"back-{n}", "sleep 1000", kind) for n, kind in enumerate(kinds))
    names = [f"back-{n}" for n in range(len(kinds))]
    with played(account, text):
        account.end()
        states = account.run(account.kubeplay, "ps", "-a", "--format", "{{.State}}").stdout.split()
        assert set(states) == {"exited"} and len(states) == len(kinds)
        account.run(account.kubeplay, "pod", "start", *names)
        states = account.run(account.kubeplay, "ps", "--format", "{{.State}}").stdout.split()
        assert states == ["running"] * len(kinds)
