"""run and create over real containers: what a person types, sees and gets back."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.cli import Kubeplay, installed

pytestmark = pytest.mark.root
IMAGE = "localhost/bb:1"
SLEEP = ("sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done")


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    for machine in installed(tmp_path_factory.mktemp("run")):
        machine.image(IMAGE, "CMD sh", "EXPOSE 80")
        yield machine


def gone(kp: Kubeplay, name: str) -> None:
    """Wait until there is no such pod."""
    deadline = time.monotonic() + 100
    while kp("pod", "exists", name, status=None).status == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# in the foreground
def test_output_and_exit_status_are_the_containers(kp: Kubeplay) -> None:
    said = kp("run", "--name", "once", IMAGE, "sh", "-c", 'echo out "$0" "$@"; echo err >&2; exit 3', "a", "-b", status=3)
    assert (said.out, said.err) == ("out a -b\n", "err\n")
    assert kp("ps", "-a", "--format", "{{.Names}} {{.Status}}").out.startswith("once Exited (3)")
    assert kp("logs", "once").out == "out a -b\n"
    assert "already in use" in kp("run", "--name", "once", IMAGE, "true", status=125).err
    assert kp("run", "--replace", "--name", "once", "--rm", IMAGE, "echo", "again").out == "again\n"
    kp("pod", "exists", "once", status=1)


def test_standard_input_reaches_the_container_and_ends_there(kp: Kubeplay) -> None:
    text = "".join(f"line {n}\n" for n in range(20000))
    assert kp("run", "--rm", "-i", IMAGE, "cat", stdin=text).out == text
    assert kp("run", "--rm", IMAGE, "cat", stdin="not passed on").out == ""


@pytest.mark.parametrize(("program", "status"), [("no-such-program", 127), ("/etc", 126)])
def test_a_program_that_cannot_be_run_has_podmans_exit_status_and_leaves_nothing(kp: Kubeplay, program: str, status: int) -> None:
    for more in ((), ("-d",)):
        said = kp("run", "--name", "fails", *more, IMAGE, program, status=status)
        assert said.err.startswith("Error: ") and program in said.err
        kp("pod", "exists", "fails", status=1)


def test_our_failures_are_125(kp: Kubeplay) -> None:
    assert "localhost/none:1" in kp("run", "localhost/none:1", status=125).err
    assert "a-b would do" in kp("run", "--name", "A_b", IMAGE, status=125).err
    assert "No such option" in kp("run", "--no-such-flag", IMAGE, status=125).err
    assert "does not exist" in kp("run", "-v", "/no/where:/x", IMAGE, status=125).err
    assert kp("ps", "-aq").out == ""


def test_signals_go_to_the_container(kp: Kubeplay) -> None:
    script = "trap 'echo got; exit 7' USR1; echo up; while :; do sleep 0.1; done"
    process = kp.start("run", "--rm", "--name", "sig", IMAGE, "sh", "-c", script)
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (7, "got\n"), err
    kp("pod", "exists", "sig", status=1)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, kp: Kubeplay, *argv: str) -> None:
        ours, theirs = pty.openpty()
        self.fd, self.seen = ours, b""
        stdio = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(kp.argv(*argv), env=kp.env, **stdio, start_new_session=True, cwd="/")
        os.close(theirs)

    def until(self, text: bytes, seconds: float = 100) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))[0], self.seen
            self.seen += os.read(self.fd, 4096)

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)

    def end(self) -> int:
        status = self.process.wait(100)
        os.close(self.fd)
        return status


def test_a_terminal_is_the_containers_and_the_keys_leave_it(kp: Kubeplay) -> None:
    terminal = Terminal(kp, "run", "-it", "--name", "shell", IMAGE, "sh", "-c", "stty size; PS1='> ' exec sh -i")
    terminal.until(b"> ")
    terminal.type(b"echo $((40 + 2)); tty\n")
    terminal.until(b"42\r\n/dev/pts/0")
    terminal.type(b"\x10\x11")  # ctrl-p ctrl-q
    assert terminal.end() == 0
    assert kp("ps", "--format", "{{.Names}}").lines == ["shell"]
    kp("rm", "-f", "-t", "0", "shell")


def test_the_end_of_a_shell_on_a_terminal_is_its_exit_status(kp: Kubeplay) -> None:
    terminal = Terminal(kp, "run", "--rm", "-it", "--name", "ends", IMAGE, "sh")
    terminal.until(b"# ")
    terminal.type(b"exit 5\n")
    assert terminal.end() == 5
    kp("pod", "exists", "ends", status=1)


# in the background
def test_detached_prints_the_id_and_the_container_has_its_flags(kp: Kubeplay, tmp_path: Path) -> None:
    shared = kp.directory / "shared"
    shared.mkdir(mode=0o755)
    (shared / "given").write_text("from the host\n")
    (tmp_path / "vars").write_text("FROM_FILE=yes\n")
    cid = tmp_path / "cid"
    said = kp(
        "run", "-d", "--name", "flags", "--cidfile", str(cid), "-e", "A=$(HOME)", "--env-file", str(tmp_path / "vars"),
        "-v", f"{shared}:/host:ro", "-v", "stuff:/data", "--tmpfs", "/scratch:size=64k", "--read-only", "-u", "app", "-w", "/scratch",
        "-l", "app=flags", "--hostname", "inside", "--add-host", "db:10.9.8.7", "--cap-drop", "all", "--cap-add", "net_raw", "-m", "64m",
        "--stop-timeout", "1", IMAGE, *SLEEP,
    )  # fmt: skip
    (identity,) = said.lines
    assert cid.read_text() == identity and kp("ps", "-q", "--no-trunc", "--filter", "name=flags").lines == [identity]
    script = (
        "id; pwd; echo $A $FROM_FILE; hostname; cat /etc/hosts; grep CapBnd /proc/self/status; df -k /scratch | tail -1;"
        " touch /x; touch /data/kept; echo > /host/given"
    )
    inside = kp("exec", "flags", "sh", "-c", script, status=None)
    wanted = ("uid=1234(app) gid=2345", "/scratch\n", "$(HOME) yes\n", "inside\n", "10.9.8.7\tdb", "0000000000002000", " 64 ")
    assert [text for text in wanted if text not in inside.out] == [], inside
    assert "Read-only file system" in inside.err
    assert kp("ps", "--filter", "label=app=flags", "-q").lines != []
    assert kp("volume", "exists", "stuff").status == 0
    kp("run", "-d", "--name", "flags", IMAGE, status=125)
    kp("stop", "flags")
    kp("rm", "flags")


def test_create_start_stop_and_start_again(kp: Kubeplay) -> None:
    (identity,) = kp("create", "--name", "made", "--stop-timeout", "1", IMAGE, *SLEEP).lines
    assert kp("ps", "-a", "--filter", "name=made", "--no-trunc", "--format", "{{.ID}} {{.Status}}").out == f"{identity} Created\n"
    assert kp("start", "made").out == "made\n"
    kp.says("made", "up\n")
    kp("stop", "made")
    kp("start", "made")
    assert kp("wait", "--condition", "running", "made").status == 0
    kp("rm", "-f", "made")


def test_one_to_be_removed_goes_when_it_has_ended_and_when_it_is_stopped(kp: Kubeplay) -> None:
    kp("run", "-d", "--rm", "--name", "brief", IMAGE, "true")
    gone(kp, "brief")
    kp("run", "-d", "--rm", "--name", "stopped", "--stop-timeout", "1", IMAGE, *SLEEP)
    kp("stop", "stopped")
    gone(kp, "stopped")


def test_a_restart_policy_starts_it_again(kp: Kubeplay) -> None:
    kp("run", "-d", "--name", "again", "--restart", "on-failure", IMAGE, "sh", "-c", "echo start; exit 1")
    deadline = time.monotonic() + 100
    while kp("pod", "ps", "--format", "{{.Name}} {{.Restarts}}").out.split()[1] == "0":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    kp("rm", "-f", "again")


def test_ports_are_published_where_asked_and_at_free_ones(kp: Kubeplay) -> None:
    kp("run", "-d", "--name", "ports", "-p", "81", "-P", "--stop-timeout", "0", IMAGE, "httpd", "-f", "-p", "80")
    shown = kp("port", "ports").lines
    assert [line.split(" -> ")[0] for line in shown] == ["81/tcp", "80/tcp"]
    number = shown[1].rpartition(":")[2]
    deadline = time.monotonic() + 100
    while "404" not in kp("exec", "ports", "sh", "-c", "wget -O- http://localhost:80/ 2>&1", status=None).out:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert int(number) > 1023
    kp("rm", "-f", "ports")


# what a cluster gets of it
def test_generate_writes_a_pod_that_plays_to_the_same(kp: Kubeplay) -> None:
    program = ("sh", "-c", "echo $A; sleep 1000")
    kp("run", "-d", "--name", "written", "-v", "keep:/data", "-e", "A=$(B)", "--stop-timeout", "0", IMAGE, *program)
    kp.says("written", "$(B)\n")
    text = kp("generate", "kube", "written").out
    claim, pod = yaml.safe_load_all(text)
    assert claim["kind"] == "PersistentVolumeClaim" and pod["spec"]["containers"][0]["args"] == list(program)
    file = kp.file("written.yaml", text)
    assert "Nothing has changed" in kp("play", "kube", file).out
    kp("rm", "-f", "written")
    kp("play", "kube", file)
    kp.says("written", "$(B)\n")
    kp("kube", "down", "--force", file)


def test_a_directory_is_the_root_file_system(kp: Kubeplay) -> None:
    tree = kp.directory / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-C", str(tree), "-xf", str(kp.directory / "bb.tar")], check=True)
    said = kp("run", "--rm", "--rootfs", str(tree), "/bin/busybox", "sh", "-c", "echo made > /file; echo $0", "x")
    assert said.out == "x\n" and (tree / "file").read_text() == "made\n"
    kp("create", "--name", "rooted", "--rootfs", str(tree), "/bin/busybox", "cat", "/file")
    assert kp("start", "-a", "rooted").out == "made\n"
    assert "no cluster can" in kp("generate", "kube", "rooted", status=125).err
    kp("rm", "rooted")
    assert (tree / "bin/busybox").exists()
    assert "not a directory" in kp("run", "--rootfs", str(tree / "none"), "sh", status=125).err
    file = kp.file("rootfs.yaml", POD_ON_ROOTFS.replace("TREE", str(tree)))
    assert "unknown kubeplay annotation" in kp("play", "kube", file, status=125).err


POD_ON_ROOTFS = """
apiVersion: v1
kind: Pod
metadata: {name: smuggled, annotations: {rootfs.kubeplay.io/app: TREE}}
spec: {containers: [{name: app, image: localhost/bb:1}]}
"""


def test_start_attached_gives_the_exit_status_each_time(kp: Kubeplay) -> None:
    kp("create", "--name", "attached", "-i", IMAGE, "sh", "-c", "read line; echo got $line; exit 6")
    for text in ("one", "two"):
        assert kp("start", "-ai", "attached", stdin=f"{text}\n", status=6).out == f"got {text}\n"
    kp("rm", "attached")


def test_an_unhealthy_container_is_not_ready_and_one_to_be_restarted_is(kp: Kubeplay) -> None:
    kp("run", "-d", "--name", "health", "--health-cmd", "test -e /ok", "--health-interval", "1s", IMAGE, *SLEEP)
    assert kp("pod", "ps", "--filter", "name=health", "--format", "{{.Ready}}").out == "0/1\n"
    kp("exec", "health", "touch", "/ok")
    kp("wait", "--condition", "ready", "--timeout", "100", "health")
    kp("rm", "-f", "-t", "0", "health")
    flags = ("--health-on-failure", "restart", "--health-interval", "1s", "--health-retries", "1", "--restart", "always")
    kp("run", "-d", "--name", "sick", "--health-cmd", "false", *flags, "--stop-timeout", "0", IMAGE, *SLEEP)
    deadline = time.monotonic() + 100
    while kp("pod", "ps", "--filter", "name=sick", "--format", "{{.Restarts}}").out.split(" ")[0].strip() in ("", "0"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    kp("rm", "-f", "-t", "0", "sick")


def test_secrets_are_files_and_variables(kp: Kubeplay) -> None:
    file = kp.file("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: open}\n")
    kp("play", "kube", file)
    flags = ("--secret", "login", "--secret", "login,type=env,target=WORD")
    assert kp("run", "--rm", *flags, IMAGE, "sh", "-c", "cat /run/secrets/login; echo; echo $WORD").out == "open\nopen\n"
    assert "no such Secret" in kp("run", "--rm", "--secret", "none", IMAGE, status=125).err


def test_a_deadline_ends_it_while_run_stays(kp: Kubeplay) -> None:
    assert kp("run", "--rm", "--timeout", "1", "--stop-timeout", "0", IMAGE, "sleep", "1000", status=None, timeout=100).status in (137, 143)


def test_the_files_of_one_that_has_ended_are_there_until_it_is_made_anew(kp: Kubeplay) -> None:
    kp("run", "--name", "files", "--stop-timeout", "0", IMAGE, "sh", "-c", "echo $RANDOM > /made; sleep 1000 & exit 1", status=1)
    assert "A /made" in kp("diff", "files").lines
    kp("cp", "files:/made", str(kp.directory / "copied"))
    assert (kp.directory / "copied").read_text() == kp("cp", "files:/made", "-").out[512:].partition("\0")[0]
    kp("commit", "-q", "files", "localhost/committed:1")
    assert kp("run", "--rm", "localhost/committed:1", "cat", "/made").out == (kp.directory / "copied").read_text()
    kp("init", "files")
    assert "A /made" not in kp("diff", "files").lines
    kp("rm", "-f", "files")
    kp("rmi", "localhost/committed:1")
