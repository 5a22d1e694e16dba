"""How an ordinary user's command gets into the user's namespaces: made once, held by one small process, found again when that died."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.cli import ROOT
from tests.support.kubeplay import kill, status_of
from tests.support.user import User, user

pytestmark = pytest.mark.root
NAMESPACES = ("readlink", "/proc/self/ns/user", "/proc/self/ns/mnt")
HIDE = 'mount --make-rprivate /; while [ "$1" != -- ]; do mount --bind "$2" "$1"; shift 2; done; shift; exec "$@"'

LIMITED = """
import os, sys
from kubeplay.engine.host import syscalls
syscalls.unshare(syscalls.CLONE_NEWUSER)
print("unshared", flush=True)
sys.stdin.readline()
open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="module")
def account() -> Iterator[User]:
    with user() as made:
        yield made


@pytest.fixture
def alice(account: User) -> Iterator[User]:
    """The account as after a boot: nothing of it runs, its runtime directories are empty."""
    account.end()
    _wipe(account)
    yield account
    account.end()
    _wipe(account)


def _wipe(account: User) -> None:
    for path in (f"{account.runtime}/kubeplay-user", f"/tmp/kubeplay-run-{account.uid}", f"{account.home}/.local", f"{account.home}/run"):
        subprocess.run(["rm", "-rf", path], check=True)


def unshare(account: User, *words: str, **more: object) -> list[str]:
    """The lines that a program in the namespaces prints."""
    said = account.run(account.kubeplay, "unshare", *words, **more)
    assert not said.stderr, said
    return said.stdout.splitlines()


def holder(account: User, directory: str = "") -> int:
    """The holder's process number, as it is noted down."""
    return int(Path(f"{directory or account.runtime}/kubeplay-user/holder").read_text().split()[0])


def holders(account: User) -> list[int]:
    """Every living process of the account that runs catatonit."""
    return [pid for pid in account.processes() if status_of(pid).get("Name") == "catatonit"]


def without(account: User, hidden: dict[str, str], *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run a command for the user on a machine on which other files lie over some (in a mount namespace of its own)."""
    pairs = [word for pair in hidden.items() for word in pair]
    argv = ["unshare", "-m", "sh", "-ec", HIDE, "sh", *pairs, "--", *account.argv(account.kubeplay, *words, **more)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)


# making and entering
def test_the_user_is_root_over_the_own_and_the_subordinate_ids(alice: User) -> None:
    first, second = (line.split() for line in unshare(alice, "cat", "/proc/self/uid_map"))
    assert first == ["0", str(alice.uid), "1"] and second[0] == "1" and int(second[2]) >= 65536
    assert unshare(alice, "sh", "-c", "id -u; id -g; pwd; echo $HOME") == ["0", "0", str(alice.home), str(alice.home)]
    shared = ("/proc/self/ns/net", "/proc/self/ns/pid", "/proc/self/ns/ipc", "/proc/self/ns/uts")
    assert unshare(alice, "readlink", *shared) == list(map(os.readlink, shared))


def test_the_namespaces_are_made_once(alice: User) -> None:
    assert unshare(alice, *NAMESPACES) == unshare(alice, *NAMESPACES)
    assert holders(alice) == [holder(alice)]


def test_nothing_of_the_caller_stays_with_the_holder(alice: User) -> None:
    """Descriptors, environment, groups, directory, session: `catatonit -P` has none of the first command's."""
    argv = alice.argv(alice.kubeplay, "unshare", "true", groups=(alice.gid, 4, 6), SECRET="hunter2")
    with open(alice.home / "open", "w") as file:
        subprocess.run(argv, check=True, pass_fds=(file.fileno(),), stdin=subprocess.DEVNULL)
    pid = holder(alice)
    proc = Path(f"/proc/{pid}")
    assert (proc / "environ").read_bytes() == f"_KUBEPLAY_DIRECTORY={alice.runtime}/kubeplay-user\0".encode()
    assert os.readlink(proc / "cwd") == "/"
    assert {os.readlink(fd) for fd in (proc / "fd").iterdir()} <= {"/dev/null", "anon_inode:[signalfd]"}
    status = status_of(pid)
    assert status["Groups"] == "" and set(status["Uid"].split()) == {str(alice.uid)} and set(status["Gid"].split()) == {str(alice.gid)}
    assert os.getsid(pid) == pid


def test_what_is_noted_is_for_the_user_alone(alice: User) -> None:
    unshare(alice, "true")
    directory = Path(f"{alice.runtime}/kubeplay-user")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700 and directory.stat().st_uid == alice.uid
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_mounts_stay_inside(alice: User) -> None:
    before = Path("/proc/self/mountinfo").read_text().count("kp-inside")
    unshare(alice, "mount", "-t", "tmpfs", "kp-inside", "/mnt")
    assert "kp-inside" in "".join(unshare(alice, "cat", "/proc/self/mountinfo"))
    assert Path("/proc/self/mountinfo").read_text().count("kp-inside") == before


def test_a_file_that_the_users_group_may_read_can_be_read(alice: User, tmp_path: Path) -> None:
    (alice.home / "shared").write_text("for the group\n")
    os.chown(alice.home / "shared", 0, 4)
    os.chmod(alice.home / "shared", 0o640)
    assert unshare(alice, "cat", "shared", groups=(alice.gid, 4)) == ["for the group"]


def test_the_working_directory_and_the_umask_are_the_callers(alice: User) -> None:
    (alice.home / "dir").mkdir(exist_ok=True)
    argv = alice.argv("sh", "-c", f"cd dir && umask 027 && {alice.kubeplay} unshare sh -c 'pwd; umask'")
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split() == [f"{alice.home}/dir", "0027"]


def test_nested_commands_are_inside_already(alice: User) -> None:
    outer = unshare(alice, *NAMESPACES)
    assert unshare(alice, alice.kubeplay, "unshare", alice.kubeplay, "unshare", *NAMESPACES) == outer
    assert unshare(alice, alice.kubeplay, "ps", "-q") == []
    assert len(holders(alice)) == 1


def test_six_first_commands_at_once_make_one(alice: User) -> None:
    with ThreadPoolExecutor(6) as pool:
        said = set(pool.map(lambda _: tuple(unshare(alice, *NAMESPACES)), range(6)))
    assert len(said) == 1 and holders(alice) == [holder(alice)]


@pytest.mark.parametrize("point", ["rootless:unshared", "rootless:mapped", "rootless:alone", "rootless:noted"])
def test_killed_while_making_them(alice: User, point: str) -> None:
    """Parent or child: nothing stays that the next command does not use or end."""
    said = alice.run(alice.kubeplay, "unshare", "true", status=None, KUBEPLAY_FAULT=point)
    assert said.returncode in (-signal.SIGKILL, 137, 125)
    first = unshare(alice, *NAMESPACES)
    assert unshare(alice, *NAMESPACES) == first
    deadline = time.monotonic() + 100
    while alice.processes() != [holder(alice)]:
        assert time.monotonic() < deadline, alice.processes()
        time.sleep(0.05)


# the holder has died
def test_a_dead_holder_is_replaced(alice: User) -> None:
    unshare(alice, "true")
    kill(holder(alice))
    assert unshare(alice, *NAMESPACES) == unshare(alice, *NAMESPACES)
    assert holders(alice) == [holder(alice)]


def test_a_holder_that_dies_while_a_command_goes_in_is_replaced_from_inside(alice: User) -> None:
    """Between looking and joining it is killed: the command stays where it is, and the next one finds the same place."""
    unshare(alice, "true")
    killed = f"kill -9 {holder(alice)}; while [ -d /proc/{holder(alice)} ] && ! grep -q ' Z ' /proc/{holder(alice)}/stat; do :; done"
    program = (
        "import os, sys; from kubeplay.engine.rootless import enter as room; plain = room.join\n"
        f"room.join = lambda *fds: (os.system({killed!r}), plain(*fds))\n"
        "room.enter(); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    said = alice.run("env", "-C", str(alice.checkout), alice.python, "-c", program, *NAMESPACES)
    assert said.stdout.splitlines() == unshare(alice, *NAMESPACES) and holders(alice) == [holder(alice)]


def test_a_note_of_another_process_is_not_believed(alice: User) -> None:
    """Its number is somebody else's by now, or its namespaces are: the user's command goes nowhere that root or another user has made."""
    unshare(alice, "true")
    note = Path(f"{alice.runtime}/kubeplay-user/holder")
    old = holder(alice)
    fields = note.read_text().split()
    kill(old)
    trap = subprocess.Popen(["unshare", "--user", "--map-root-user", "--mount", "sleep", "1000"])
    try:
        deadline = time.monotonic() + 100
        while os.readlink(f"/proc/{trap.pid}/ns/user") == os.readlink("/proc/self/ns/user"):
            assert time.monotonic() < deadline
        start = Path(f"/proc/{trap.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        rest = fields[4:]
        inodes = [str(os.stat(f"/proc/{trap.pid}/ns/{kind}").st_ino) for kind in ("user", "mnt")]
        for forged in ([str(trap.pid), start, *inodes, *rest], [str(trap.pid), *fields[1:]], [fields[0], start, *inodes, *rest], ["x"], []):
            note.write_text(" ".join(forged))
            assert os.readlink(f"/proc/{trap.pid}/ns/user") not in unshare(alice, *NAMESPACES)
            kill(holder(alice))
    finally:
        trap.kill()
        trap.wait()


def test_namespaces_that_the_user_made_for_something_else_are_not_taken(alice: User) -> None:
    """Podman's, a browser's sandbox: no runroot of ours is in them. Also not with the same program and a mount of the same name."""
    other = subprocess.Popen(alice.argv("unshare", "-r", "-m", "catatonit", "-P"), stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 100
        while not holders(alice):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        theirs = os.readlink(f"/proc/{holders(alice)[0]}/ns/user")
        assert theirs not in unshare(alice, *NAMESPACES)
    finally:
        other.kill()
        other.wait()


# a machine that is not prepared
@pytest.mark.parametrize("missing", ["/usr/bin/newuidmap", "/usr/bin/newgidmap", "/etc/subuid", "/etc/subgid"])
def test_without_subordinate_ids_there_is_the_own_one_and_a_notice(alice: User, tmp_path: Path, missing: str) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    hidden = {missing: str(empty)}
    said = without(alice, hidden, "unshare", "cat", "/proc/self/uid_map", "/proc/self/setgroups")
    assert said.stdout.split() == ["0", str(alice.uid), "1", "deny"] and said.returncode == 0
    lines = said.stderr.splitlines()
    assert lines[0].startswith("notice: there are no subordinate ids (") and len(lines) <= 5
    assert ("apt-get install uidmap" if "map" in missing else "usermod --add-sub") in lines[-1]
    assert without(alice, hidden, "unshare", "true").stderr == "", "it is said once"
    with_rights = unshare(alice, "cat", "/proc/self/uid_map")
    assert len(with_rights) == 2, "the administrator has done it, and nothing runs: the next command has all ids"


def test_helpers_without_their_right(alice: User, tmp_path: Path) -> None:
    """A newuidmap that lost its set-uid bit, as in images that were copied by an ordinary user."""
    plain = tmp_path / "newuidmap"
    shutil.copy("/usr/bin/newuidmap", plain)
    plain.chmod(0o755)
    said = without(alice, {"/usr/bin/newuidmap": str(plain)}, "unshare", "cat", "/proc/self/uid_map")
    assert said.stdout.split() == ["0", str(alice.uid), "1"]
    assert "newuidmap has no right to map them" in said.stderr and said.stderr.endswith("  apt-get install --reinstall uidmap\n")


def test_a_session_without_new_privileges(alice: User) -> None:
    """It can use the namespaces, not make them; falling back to one id would show a store of files that are nobody's."""
    words = ("setpriv", "--no-new-privs", alice.kubeplay, "unshare", "id", "-u")
    said = alice.run(*words, status=125)
    assert "no_new_privs" in said.stderr and len(said.stderr.splitlines()) <= 5 and not holders(alice)
    unshare(alice, "true")
    assert alice.run(*words).stdout == "0\n"


def test_another_current_group(alice: User) -> None:
    """newuidmap wants the login group, and the error says so; once there are namespaces it does not matter."""
    argv = [word.replace(f"--regid={alice.gid}", "--regid=100") for word in alice.argv(alice.kubeplay, "unshare", "id", "-g")]
    said = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert said.returncode == 125 and "newgrp" in said.stderr and not holders(alice)
    unshare(alice, "true")
    assert subprocess.run(argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout == "0\n"


@pytest.mark.parametrize("device, state", [("/dev/net/tun", "missing"), ("/dev/fuse", "note")])
def test_a_device_that_is_closed_is_told_with_its_remedy(alice: User, tmp_path: Path, device: str, state: str) -> None:
    closed = tmp_path / "closed"
    closed.touch(0o600)
    said = without(alice, {device: str(closed)}, "system", "check")
    assert any(line.split()[:2] == [state, device] and "Permission denied" in line for line in said.stdout.splitlines()), said
    assert f"chmod 0666 {device}" in said.stdout


def test_no_user_namespaces(alice: User) -> None:
    """As with user.max_user_namespaces=0, which each user namespace has for itself: this machine's own stays as it is."""
    argv = [sys.executable, "-c", LIMITED, *alice.argv(alice.kubeplay, "unshare", "true")]
    inner = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert inner.stdout and inner.stdout.readline() == "unshared\n"
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{inner.pid}/{name}").write_text("0 0 4294967295\n")
    _, said = inner.communicate("go\n", timeout=300)
    assert inner.returncode == 125, said
    assert said.splitlines()[0] == (
        f"Error: {alice.name} (user {alice.uid}) cannot have a user namespace on this machine: unshare: No space left on device"
    )
    assert "sysctl -w user.max_user_namespaces=" in said and len(said.splitlines()) <= 5


def test_system_check_on_a_bare_machine(alice: User, tmp_path: Path) -> None:
    """Everything is missing at once; the check itself works, names each thing and its remedy, and makes nothing."""
    empty = tmp_path / "empty"
    empty.touch()
    names = ("newuidmap", "catatonit", "conmon", "nft", "unbound", "pasta", "slirp4netns", "runc", "crun")
    hidden = {path: str(empty) for name in names for path in (f"/usr/bin/{name}", f"/usr/sbin/{name}") if os.path.exists(path)}
    hidden |= {"/etc/subuid": str(empty), "/etc/subgid": str(empty)}
    said = without(alice, hidden, "system", "check")
    assert said.returncode == 1 and not said.stderr, said
    for package in ("uidmap", "catatonit", "conmon", "nftables", "unbound", "passt", "runc"):
        assert any(line.strip().startswith("apt-get install") and package in line for line in said.stdout.splitlines()), package
    assert f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {alice.name}" in said.stdout
    assert not (alice.home / ".local/share/kubeplay").exists() and not holders(alice)
    refused = without(alice, hidden, "ps")
    assert refused.returncode == 125 and len(refused.stderr.splitlines()) <= 5 and "catatonit" in refused.stderr


def test_system_check_on_this_machine(alice: User) -> None:
    said = alice.run(alice.kubeplay, "system", "check", "--format", "{{.Name}}={{.State}}", status=None)
    states = dict(line.split("=") for line in said.stdout.splitlines() if "=" in line)
    names = ("user namespace", "newuidmap, newgidmap", "subordinate ids", "runtime directory", "key quota", "inotify", "open files")
    for name in (*names, "host ports", "/dev/fuse"):
        assert states[name] == "ok", (name, said)


# a user without a session
@pytest.mark.parametrize("trap", ["nothing", "another's directory", "a link", "a file", "an open directory"])
def test_without_a_runtime_directory(alice: User, trap: str) -> None:
    """`su`: a directory in /tmp, unless somebody was there first; then one in the home. What lies in wait is not touched."""
    place = Path(f"/tmp/kubeplay-run-{alice.uid}")
    if trap == "another's directory":
        place.mkdir(mode=0o777)
        place.chmod(0o777)
    elif trap == "a link":
        target = alice.home / "elsewhere"
        target.mkdir(mode=0o700, exist_ok=True)
        os.chown(target, alice.uid, alice.gid)
        place.symlink_to(target)
    elif trap == "a file":
        place.touch()
    elif trap == "an open directory":
        place.mkdir()
        os.chown(place, alice.uid, alice.gid)
        place.chmod(0o777)
    os.rename(alice.runtime, f"{alice.runtime}.away")
    try:
        first = unshare(alice, *NAMESPACES, runtime=False)
        assert unshare(alice, *NAMESPACES, runtime=False) == first
        used = place if trap in ("nothing", "an open directory") else alice.home / ".local/state/kubeplay-run"
        assert holder(alice, str(used)) in holders(alice) and stat.S_IMODE(used.stat().st_mode) == 0o700
        if used != place:
            assert not list(place.iterdir()) if place.is_dir() else place.is_file()
    finally:
        os.rename(f"{alice.runtime}.away", alice.runtime)
        subprocess.run(["rm", "-rf", str(place)], check=True)


def test_a_session_with_another_runtime_directory_finds_the_same(alice: User) -> None:
    """One pair of namespaces and one set of files per user, whatever the session; also once the first holder has died."""
    other = alice.home / "run"
    other.mkdir(mode=0o700)
    os.chown(other, alice.uid, alice.gid)
    words = ("sh", "-c", "readlink /proc/self/ns/user /proc/self/ns/mnt; echo $_KUBEPLAY_USERNS")
    first = unshare(alice, *words)
    for _ in range(2):
        assert unshare(alice, *words, XDG_RUNTIME_DIR=str(other)) == first and len(holders(alice)) == 1
    assert first[2].endswith(f":{alice.runtime}/kubeplay-user")
    kill(holder(alice))
    assert unshare(alice, *words, XDG_RUNTIME_DIR=str(other))[2] == f"{alice.uid}:{alice.gid}:{other}/kubeplay-user"
    alice.run(alice.kubeplay, "ps", XDG_RUNTIME_DIR=str(other))
    assert alice.run(alice.kubeplay, "system", "reset", "--force").stdout.endswith("namespaces: removed\n")
    assert not list(other.iterdir()) and not os.path.exists(f"{alice.runtime}/kubeplay-user") and not alice.processes()


def test_what_cleans_up_in_tmp_passes_the_directory_over(alice: User) -> None:
    """systemd-tmpfiles leaves alone what somebody holds a lock on (tmpfiles.d(5)): the mounts inside would go with an old directory."""
    os.rename(alice.runtime, f"{alice.runtime}.away")
    try:
        unshare(alice, "true", runtime=False)
        fd = os.open(f"/tmp/kubeplay-run-{alice.uid}", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kill(holder(alice, f"/tmp/kubeplay-run-{alice.uid}"))
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
    finally:
        os.rename(f"{alice.runtime}.away", alice.runtime)


def test_anothers_home_and_runtime_directory_are_not_used(alice: User) -> None:
    """As `sudo -E` and `su -m` leave them."""
    words = ("sh", "-c", "echo $HOME; echo $XDG_RUNTIME_DIR")
    said = unshare(alice, *words, HOME="/root", XDG_RUNTIME_DIR="/root")
    assert said == [str(alice.home), alice.runtime]


def test_root_is_not_made_a_user_by_a_variable(alice: User) -> None:
    environ = {**os.environ, "_KUBEPLAY_USERNS": f"{alice.uid}:{alice.gid}:{alice.runtime}/kubeplay-user"}
    said = subprocess.run([alice.kubeplay, "unshare", "true"], env=environ, capture_output=True, text=True)
    assert said.returncode == 125 and "for ordinary users" in said.stderr


def test_a_user_is_not_let_in_by_a_variable(alice: User) -> None:
    """The variable of another user's namespaces changes nothing: the own ones are entered."""
    said = unshare(alice, "sh", "-c", "echo $_KUBEPLAY_USERNS", _KUBEPLAY_USERNS="0:0:/root")
    assert said == [f"{alice.uid}:{alice.gid}:{alice.runtime}/kubeplay-user"]
