"""The commands over a real pod: what a person types, and what comes back."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.net import networks
from tests.support.cli import Kubeplay, installed

pytestmark = pytest.mark.root

WEB = """
apiVersion: v1
kind: ConfigMap
metadata: {name: web-conf}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: web-secret}
stringData: {password: S3cr3t-value}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: web-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: localhost/bb:1
    command: [sh, -c, 'echo started; trap "exit 0" TERM; while true; do sleep 0.1; done']
    env:
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: web-conf, key: greeting}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: web-secret, key: password}}}
    volumeMounts: [{name: data, mountPath: /data}]
  - name: side
    image: localhost/bb:1
    command: [sh, -c, 'echo side; exec sleep 1000']
  volumes: [{name: data, persistentVolumeClaim: {claimName: web-data}}]
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    yield from installed(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def kp(machine: Kubeplay) -> Iterator[Kubeplay]:
    """The machine with the pod of WEB running on it."""
    machine.image()
    path = machine.file("web.yaml", WEB)
    machine("play", "kube", path)
    said(machine, "web")
    yield machine
    machine("kube", "down", "--force", path)


@pytest.fixture(scope="module")
def web(machine: Kubeplay) -> Iterator[Kubeplay]:
    """As kp, but shared by tests that only look."""
    machine.image()
    path = machine.file("web.yaml", WEB.replace("web", "shown"))
    machine("play", "kube", path)
    said(machine, "shown")
    yield machine
    machine("kube", "down", "--force", path)


def said(machine: Kubeplay, pod: str) -> None:
    """Wait until both containers have said their first line: `play` returns when they are started."""
    deadline = time.monotonic() + 100
    while sorted(machine("pod", "logs", pod).lines) != ["app started", "side side"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# play and down
def test_play_prints_ids_and_down_takes_everything_away(machine: Kubeplay) -> None:
    machine.image()
    path = machine.file("once.yaml", WEB)
    said = machine("play", "kube", path)
    uid, ids = said.lines[1], said.lines[3:5]
    assert said.lines[0] == "Pod:" and said.lines[2] == "Containers:"
    assert "pod default/web: created" in said.err and "container default/web/app: started" in said.err
    assert machine("pod", "inspect", "web", "--format", "{{.metadata.uid}}").out.strip() == uid
    assert set(machine("ps", "-q", "--no-trunc", "--filter", "pod=web").lines) == set(ids)
    again = machine("play", "kube", path)
    assert again.lines[0] == "Nothing has changed." and uid in again.lines
    machine("play", "kube", "--dry-run", path)
    down = machine("kube", "down", path)
    assert down.lines[:4] == ["Pods stopped:", uid, "Pods removed:", uid]
    assert machine("kube", "down", path).lines == ["Pods stopped:", "Pods removed:"]
    assert machine("volume", "exists", "web-data").status == 0
    machine("play", "kube", "--down", "--force", path)
    machine("volume", "exists", "web-data", status=1)


def test_a_changed_file_is_refused_and_replace_takes_it(kp: Kubeplay) -> None:
    path = kp.file("changed.yaml", WEB.replace("greeting: hello", "greeting: bye"))
    dry = kp("play", "kube", "--dry-run", path)
    assert [line.split()[-1] for line in dry.lines if line.startswith("ConfigMap")] == ["differs"]
    assert "ConfigMap default/web-conf: data.greeting" in dry.err
    said = kp("play", "kube", path, status=125)
    assert "greeting" in said.err and "--replace" in said.err
    kp("play", "kube", "--replace", "-q", path)
    assert kp("exec", "web-app", "sh", "-c", "echo $GREETING").out == "bye\n"


def test_every_fault_of_every_file_is_told_at_once_and_nothing_is_made(machine: Kubeplay) -> None:
    bad = machine.file("bad.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: BAD}\nspec:\n  containers:\n  - {name: a, imge: x}\n")
    worse = machine.file("worse.yaml", "kind: Pod\n")
    said = machine("play", "kube", bad, worse, status=125)
    assert f"{bad}:6:" in said.err and f"{worse}:1:" in said.err and "did you mean `image`" in said.err
    assert said.err.startswith("Error: ")
    logged = machine("--log-format=json", "play", "kube", bad, status=125)
    assert '"faults"' in logged.err
    machine("pod", "exists", "BAD", status=1)


def test_inspect_shows_mounts_and_times_as_podman_does(web: Kubeplay) -> None:
    found = web("inspect", "shown-app").json[0]
    (mount,) = found["Mounts"]
    assert (mount["Type"], mount["Name"], mount["Destination"], mount["RW"]) == ("volume", "shown-data", "/data", True)
    assert Path(mount["Source"]).is_dir()
    assert found["State"]["FinishedAt"] == "0001-01-01T00:00:00Z" < found["State"]["StartedAt"]
    assert "GREETING=<ConfigMap shown-conf: greeting>" in found["Config"]["Env"]


def test_inspect_of_the_newest_and_of_sizes(web: Kubeplay) -> None:
    newest = web("ps", "-a", "-l", "-q", "--no-trunc").out.strip()
    found = web("inspect", "-l", "-s").json[0]
    assert found["Id"] == newest and found["SizeRootFs"] > found["SizeRw"] >= 0
    assert web("container", "inspect", "--latest", "--format", "{{.Id}}").out.strip() == newest
    assert "SizeRw" not in web("container", "inspect", newest).json[0]
    assert (
        web("inspect", "-l", "--type", "pod", "--format", "{{.metadata.name}}").out
        == web("pod", "inspect", "-l", "--format", "{{.metadata.name}}").out
    )
    assert "exclude each other" in web("inspect", "-l", newest, status=125).err
    assert "means a container or a pod" in web("inspect", "-l", "--type", "image", status=125).err


def test_dry_run_needs_no_root_directory(tmp_path: Path) -> None:
    kp = Kubeplay(tmp_path)
    said = kp("play", "kube", "--dry-run", "-o", "json", "-", stdin=WEB)
    assert [one["kind"] for one in said.json["items"]] == ["ConfigMap", "Secret", "PersistentVolumeClaim", "Pod"]
    assert "S3cr3t-value" not in said.out and "localhost/bb:1" in said.err
    assert not kp.root.exists() and not kp.runroot.exists()


def test_dry_run_warns_of_ports_that_are_taken(tmp_path: Path) -> None:
    import socket

    with socket.socket() as busy:
        busy.bind(("0.0.0.0", 0))
        busy.listen()
        port = busy.getsockname()[1]
        text = WEB.replace("image:", f"ports: [{{containerPort: 80, hostPort: {port}}}]\n    image:", 1)
        said = Kubeplay(tmp_path)("play", "kube", "--dry-run", "-", stdin=text)
    assert f"Warning: Pod default/web: port {port} is already in use by a program on this machine (tcp)" in said.err


def test_standard_input_directories_and_urls(machine: Kubeplay, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    (tmp_path / "b.yml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n")
    machine("play", "kube", str(tmp_path))
    assert {"a", "b"} <= set(machine("configmap", "ls", "-q").lines)
    machine("kube", "down", "-", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    machine("down", str(tmp_path))
    assert not {"a", "b"} & set(machine("configmap", "ls", "-q").lines)
    assert "Connection refused" in machine("play", "kube", "http://127.0.0.1:9/x.yaml", status=125).err


def test_an_update_changes_what_differs(machine: Kubeplay, tmp_path: Path) -> None:
    file = tmp_path / "u.yaml"
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: updated}\ndata: {a: %s}\n"
    file.write_text(text % "one")
    machine("play", "kube", str(file))
    file.write_text(text % "two")
    assert "--update" in machine("play", "kube", str(file), status=125).err
    assert "exclude each other" in machine("play", "kube", "--update", "--replace", str(file), status=125).err
    assert "ConfigMap default/updated: updated" in machine("play", "kube", "--update", str(file)).err
    assert machine("configmap", "inspect", "updated", "--format", "{{.data.a}}").out == "two\n"
    assert "Nothing has changed" in machine("play", "kube", "--update", str(file)).out
    machine("kube", "down", str(file))


def test_configmaps_and_secrets_from_values(machine: Kubeplay, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("from a file")
    (tmp_path / "env").write_text("# none\nA=1\n")
    words = ["--from-literal", "l=x=y", "--from-file", str(tmp_path / "f.txt"), "--from-env-file", str(tmp_path / "env"), "-l", "made=here"]
    uid = machine("configmap", "create", "values", *words).lines[0]
    found = machine("configmap", "inspect", "values").json[0]
    assert found["data"] == {"l": "x=y", "f.txt": "from a file", "A": "1"} and found["metadata"]["labels"] == {"made": "here"}
    assert "already exists" in machine("configmap", "create", "values", status=125).err
    assert machine("configmap", "create", "--ignore", "values").lines == [uid]
    assert machine("configmap", "create", "--replace", "--immutable", "--from-literal", "a=b", "values").lines == [uid]
    assert "immutable" in machine("configmap", "create", "--replace", "--from-literal", "a=c", "values", status=125).err
    machine("secret", "create", "word", "-", stdin="s3cret")
    assert machine("secret", "inspect", "--show-secrets", "word").json[0]["data"] == {"word": "czNjcmV0"}
    machine.env["WORD"] = "other"
    machine("secret", "create", "--replace", "--env", "word", "WORD")
    assert machine("secret", "inspect", "word", "--format", "{{.data.word}}").out == "<5 bytes>\n"
    assert "  k: dg==\n" in machine("secret", "create", "--dry-run", "--from-literal", "k=v", "shown").out
    assert machine("secret", "exists", "shown", status=1).out == ""
    assert "Invalid value" in machine("secret", "create", "Bad_Name", "-", status=125).err
    machine("configmap", "rm", "values")
    machine("secret", "rm", "word")


def test_wait_stays_until_the_pod_ends_and_cleans_up(machine: Kubeplay) -> None:
    machine.image()
    path = machine.file("brief.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: brief}\nspec:\n  restartPolicy: Never\n  containers:\n"
                        "  - {name: a, image: 'localhost/bb:1', command: [sleep, '0.3']}\n")  # fmt: skip
    said = machine("play", "kube", "--wait", path)
    assert "ctrl+c" in said.err and "Pods removed:" in said.out
    machine("pod", "exists", "brief", status=1)


def test_wait_cleans_up_on_a_signal(machine: Kubeplay) -> None:
    machine.image()
    path = machine.file("long.yaml", WEB.replace("web", "long"))
    running = machine.start("play", "kube", "--wait", path)
    assert running.stderr is not None
    for line in running.stderr:
        if "ctrl+c" in line:
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    assert "Pods removed:" in out and "Cleaning up" in err
    machine("pod", "exists", "long", status=1)


# looking
def test_ps_in_all_its_forms(web: Kubeplay) -> None:
    table = web("ps", "--filter", "pod=shown").lines
    assert table[0].split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert {line.split()[-1] for line in table[1:]} == {"shown-app", "shown-side"}
    assert web("ps", "--format", "{{.Names}} {{.State}}", "--filter", "name=shown-app").lines == ["shown-app running"]
    assert web("ps", "--filter", "name=shown-app", "--format", r"table {{.Names}}\t{{.Image}}").lines[0].split() == ["NAMES", "IMAGE"]
    made = {one["Names"][0]: one for one in web("ps", "--format", "json").json}
    assert made["shown-app"]["State"] == "running" and made["shown-app"]["Pid"] > 0
    assert web("ps", "-n", "elsewhere", "-q").lines == []
    assert len(web("ps", "-A", "-q", "--filter", "pod=shown").lines) == 2
    assert web("ps", "--noheading", "--filter", "status=exited", "--filter", "pod=shown").out == ""
    assert "unknown key" in web("ps", "--filter", "colour=red", status=125).err
    assert len(web("ps", "-q", "--filter", f"network={networks.DEFAULT}", "--filter", "pod=shown").lines) == 2
    assert len(web("ps", "-q", "--filter", "network=bridge", "--filter", "pod=shown").lines) == 2  # --network's word for it
    assert web("ps", "-q", "--filter", "network=other").lines == []


def test_exists(web: Kubeplay) -> None:
    for words in (("container", "exists", "shown-app"), ("network", "exists", networks.DEFAULT), ("secret", "exists", "shown-secret"),
                  ("configmap", "exists", "default/shown-conf"), ("volume", "exists", "shown-data")):  # fmt: skip
        web(*words)
        web(*words[:2], "nonesuch", status=1)
    assert web("container", "inspect", "shown-app", "--format", "{{.Name}}").out == "shown-app\n"


def test_pod_ps(web: Kubeplay) -> None:
    line = web("pod", "ps", "--filter", "name=^shown$", "--noheading").out.split()
    assert line[1:3] == ["shown", "Running"] and line[-1] == "2"
    assert web("pod", "ps", "--filter", "label=app=shown", "--format", "{{.Name}} {{.Ready}} {{.Restarts}}").lines == ["shown 2/2 0"]
    web("pod", "exists", "shown")
    web("pod", "exists", "other", status=1)


@pytest.mark.parametrize("name", ["shown-app", "shown/app", "default/shown-app", "default/shown/app"])
def test_names_of_a_container(web: Kubeplay, name: str) -> None:
    assert web("inspect", name, "--format", "{{.Name}}").out == "shown-app\n"


def test_ids_and_their_beginnings(web: Kubeplay) -> None:
    full = web("ps", "-q", "--no-trunc", "--filter", "name=shown-app").out.strip()
    assert web("inspect", full[:12], "-f", "{{.Id}}").out.strip() == full
    uid = web("pod", "ps", "-q", "--no-trunc", "--filter", "name=^shown$").out.strip()
    assert web("pod", "inspect", uid[:8], "-f", "{{.metadata.name}}").out == "shown\n"
    assert "namespace elsewhere" in web("-n", "elsewhere", "logs", "shown", status=125).err


def test_no_secret_is_shown(web: Kubeplay) -> None:
    for command in (["inspect", "shown-app"], ["pod", "inspect", "shown"], ["secret", "inspect", "shown-secret"], ["secret", "ls"],
                    ["events"],
                    ["inspect", "shown"], ["ps", "-a", "--format", "json"], ["generate", "kube", "shown"], ["info"]):  # fmt: skip
        said = web(*command)
        assert "S3cr3t-value" not in said.out + said.err and "UzNjcjN0LXZhbHVl" not in said.out, command
    assert web("secret", "inspect", "shown-secret", "--format", "{{.data.password}}").out == "<12 bytes>\n"
    assert "UzNjcjN0LXZhbHVl" in web("secret", "inspect", "--show-secrets", "shown-secret").out


def test_logs(web: Kubeplay) -> None:
    assert web("logs", "shown-app").out == "started\n"
    assert web("logs", "shown", "-c", "side").out == "side\n"
    assert web("pod", "logs", "shown").out.splitlines() in (["app started", "side side"], ["side side", "app started"])
    assert web("logs", "--since", "1h", "--tail", "0", "shown-app").out == ""
    assert web("logs", "-t", "shown-app").out.endswith(" started\n")
    assert "no previous instance" in web("logs", "-p", "shown-app", status=125).err
    assert web("logs", "shown", "side").out == "side\n"


def test_logs_of_a_pod_without_any(machine: Kubeplay) -> None:
    machine.image()
    path = machine.file("mute.yaml", WEB.replace("web", "mute"))
    machine("play", "kube", "-q", "--log-driver", "none", path)
    assert "--log-driver none" in machine("logs", "mute", status=125).err
    machine("kube", "down", "--force", path)


def test_a_missing_runtime_is_told_before_anything_is_made(machine: Kubeplay) -> None:
    machine.image()
    said = machine("--runtime", "/nonesuch", "play", "kube", machine.file("unrun.yaml", WEB.replace("web", "unrun")), status=125)
    assert "/nonesuch: not installed" in said.err
    machine("pod", "exists", "unrun", status=1)
    assert machine("configmap", "ls", "-q", "--filter", "name=unrun").lines == []


def test_exec_gives_the_command_s_own_status(web: Kubeplay) -> None:
    assert web("exec", "shown-app", "sh", "-c", "exit 7", status=7).out == ""
    assert web("exec", "shown", "-c", "side", "--", "echo", "-n", "x").out == "x"
    web("exec", "shown-app", "/nonesuch", status=127)
    web("exec", "shown-app", "/etc/passwd", status=126)
    web("exec", "nonesuch", "true", status=125)
    assert "directory /nosuch is not there" in web("exec", "-w", "/nosuch", "shown-app", "true", status=127).err
    assert "is no directory" in web("exec", "-w", "/etc/passwd", "shown-app", "true", status=126).err
    assert "not an absolute path" in web("exec", "-w", "etc", "shown-app", "true", status=125).err
    assert web("exec", "-w", "/proc/self", "shown-app", "true").err == ""
    assert web("exec", "-e", "A=1", "-u", "app", "-w", "/tmp", "shown-app", "sh", "-c", "echo $A $(id -u) $(pwd)").out == "1 1234 /tmp\n"
    assert web("exec", "-i", "shown-app", "cat", stdin="through").out == "through"


def test_exec_with_a_terminal(web: Kubeplay) -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(web.argv("exec", "-it", "shown-app", "sh", "-c", "tty >/dev/null && echo is-a-tty"), env=web.env,
                               stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)  # fmt: skip
    os.close(theirs)
    text = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:
            break
        if not data:
            break
        text += data
    os.close(ours)
    assert running.wait(timeout=300) == 0 and b"is-a-tty" in text


def test_top_port_cp(web: Kubeplay, tmp_path: Path) -> None:
    assert "sleep 1000" in web("top", "shown-side", "pid,user,args").out
    assert web("top", "shown-side", "pid").lines == ["PID", "1"]
    shown = web("top", "shown-side", "-eo", "pid,pgid,user,group,huser,hgroup,seccomp").lines[1].split()
    assert shown == ["1", "1", "root", "root", "root", "root", "filter"]
    assert "unknown column" in web("top", "shown-side", "pod", status=125).err
    assert web("wait", "--condition", "running,exited", "--interval", "50ms", "shown").out == "0\n"
    (tmp_path / "in").write_text("copied")
    web("cp", str(tmp_path / "in"), "shown-app:/tmp/in")
    web("cp", "shown-app:/tmp/in", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "copied"
    assert "must be CONTAINER:PATH" in web("cp", "/a", "/b", status=125).err


def test_events(web: Kubeplay) -> None:
    reasons = set(web("events", "shown", "--format", "{{.Reason}}").lines)
    assert {"Created", "Started"} <= reasons
    assert web("events", "-f", "reason=Started", "--format", "json").out.count("\n") >= 2


def test_generate_gives_the_file_back(web: Kubeplay, tmp_path: Path) -> None:
    target = tmp_path / "made.yaml"
    web("generate", "kube", "shown", "-f", str(target))
    assert "kind: Pod" in target.read_text()
    assert "file exists" in web("kube", "generate", "shown", "-f", str(target), status=125).err
    shown = tmp_path / "secrets.yaml"
    web("generate", "kube", "--show-secrets", "shown", "-f", str(shown))
    assert "UzNjcjN0LXZhbHVl" in shown.read_text() and shown.stat().st_mode & 0o077 == 0
    assert web("play", "kube", "--dry-run", str(shown)).lines[-1].split()[-1] in ("unchanged", "differs")


# doing
def test_nobody_waits_for_ever_for_a_pod_that_has_ended_to_be_ready(machine: Kubeplay) -> None:
    machine.image()
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: once}\nspec:\n  restartPolicy: Never\n"
    text += "  containers: [{name: c, image: localhost/bb:1, command: [sh, -c, 'exit 3']}]\n"
    path = machine.file("once.yaml", text)
    machine("play", "kube", "-q", path)
    assert machine("wait", "--condition", "exited", "once").out == "3\n"
    machine("wait", "--condition", "ready", "--condition", "exited", "once")
    said = machine("wait", "--condition", "ready", "once", status=125)
    assert "pod default/once has ended (Failed) and will not be ready" in said.err
    machine("kube", "down", "-q", path)


def test_down_needs_only_the_names(machine: Kubeplay) -> None:
    """A file that has become invalid since it was played, and documents that name nothing: the rest goes all the same."""
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
    machine("play", "kube", "-q", machine.file("maps.yaml", "---\n".join(config % name for name in ("one", "two", "three"))))
    wrong = f"{config % 'one'}data: [wrong]\nbogus: 1\n"
    said = machine("kube", "down", "-q", machine.file("maps.yaml", wrong))
    assert "ConfigMaps removed:\none" in said.out and not said.err
    path = machine.file("maps.yaml", f"{config % 'two'}---\nkind: ConfigMap\n---\nx: {{\n---\n{config % 'three'}---\n"
                        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: j}\n")  # fmt: skip
    said = machine("play", "kube", "--down", path, status=125)
    assert "ConfigMaps removed:\nthree\ntwo" in said.out or "ConfigMaps removed:\ntwo\nthree" in said.out
    assert "not every document names an object; what the others name has been removed" in said.err
    assert f"{path}:5:1: apiVersion: apiVersion not set" in said.err and f"{path}:8:1:" in said.err
    assert "Warning: " in said.err and "the kind Lease is not supported yet" in said.err
    assert "nothing was removed" in machine("kube", "down", machine.file("none.yaml", "x: {\n"), status=125).err


def test_down_of_a_service_whose_address_is_not_of_this_root(machine: Kubeplay) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: far}\nspec: {clusterIP: 192.0.2.7, selector: {a: b}, ports: [{port: 80}]}\n"
    path = machine.file("far.yaml", service)
    assert "clusterIP" in machine("play", "kube", path, status=125).err
    assert machine("kube", "down", path).lines == ["Pods stopped:", "Pods removed:"]


def test_a_pod_that_was_only_created(machine: Kubeplay) -> None:
    machine.image()
    path = machine.file("cold.yaml", WEB.replace("web", "cold"))
    machine("play", "kube", "-q", "--start=false", path)
    assert machine("pod", "ps", "--filter", "status=created", "--format", "{{.Name}} {{.Status}}").lines == ["cold Created"]
    machine("pod", "start", "cold")
    assert machine("pod", "ps", "--filter", "name=^cold$", "--format", "{{.Status}}").lines == ["Running"]
    machine("kube", "down", "--force", path)


def test_a_volume_of_another_namespace(machine: Kubeplay) -> None:
    assert machine("volume", "create", "other/made").out == "other/made\n"
    assert machine("volume", "ls", "-n", "other", "-q").lines == ["made"]
    machine("volume", "rm", "other/made")


def test_a_reference_that_is_missing_is_told_when_it_is_waited_for(machine: Kubeplay) -> None:
    machine.image()
    spec = "{containers: [{name: a, image: 'localhost/bb:1', command: [sleep, '99'], envFrom: [{configMapRef: {name: nope}}]}]}"
    path = machine.file("wait.yaml", f"apiVersion: v1\nkind: Pod\nmetadata: {{name: waits}}\nspec: {spec}\n")
    said = machine("play", "kube", "-q", "--keep-on-failure", path)
    assert "ConfigMap nope: missing: the pod waits until it is there" in said.err
    machine("kube", "down", "--force", path)


def test_stop_start_restart_kill_rm(kp: Kubeplay) -> None:
    assert kp("pod", "stop", "web").out == "web\n"
    assert kp("ps", "-q", "--filter", "pod=web").out == ""
    assert kp("pod", "ps", "--filter", "name=^web$", "--format", "{{.Status}}").out == "Stopped\n"
    kp("start", "web")
    assert len(kp("ps", "-q", "--filter", "pod=web").lines) == 2
    kp("stop", "-t", "0", "web-side")
    assert kp("ps", "--filter", "pod=web", "--format", "{{.Names}}").lines == ["web-app"]
    kp("start", "web-side")
    before = kp("inspect", "web-app", "-f", "{{.Id}}").out
    kp("restart", "-t", "0", "web-app")
    assert kp("inspect", "web-app", "-f", "{{.Id}}").out != before
    kp("kill", "-s", "USR1", "web-side")
    assert "invalid signal" in kp("kill", "-s", "NOPE", "web", status=125).err
    assert "is running" in kp("rm", "web", status=125).err
    assert kp("pod", "rm", "-f", "-t", "0", "web").out == "web\n"
    kp("pod", "exists", "web", status=1)
    assert kp("pod", "rm", "--ignore", "web").out == ""
    kp("pod", "rm", "web", status=125)


def test_a_killed_container_comes_back_without_a_command(kp: Kubeplay) -> None:
    before = kp("inspect", "web-side", "-f", "{{.Id}}").out
    kp("kill", "web-side")
    deadline = time.monotonic() + 100
    while kp("inspect", "web-side", "-f", "{{.Id}} {{.State.Status}}").out in (f"{before.strip()} exited\n", f"{before.strip()} running\n"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert kp("logs", "-p", "web-side").out == "side\n"


def test_wait_gives_the_exit_status(machine: Kubeplay) -> None:
    machine.image()
    path = machine.file("ends.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: ends}\nspec:\n  restartPolicy: Never\n  containers:\n"
                        "  - {name: a, image: 'localhost/bb:1', command: [sh, -c, 'sleep 0.3; exit 9']}\n")  # fmt: skip
    machine("play", "kube", path)
    assert machine("wait", "ends").out == "9\n"
    deadline = time.monotonic() + 100  # PH1: the terminal phase is shown when everything has been torn down, a moment later
    while machine("pod", "ps", "--filter", "name=^ends$", "--format", "{{.Phase}}").out != "Failed\n":
        assert time.monotonic() < deadline
    assert "after 0.1 s" in machine("wait", "--condition", "running", "--timeout", "100ms", "ends", status=125).err
    machine("down", path)


def test_what_is_in_use_is_not_removed(kp: Kubeplay) -> None:
    assert "used by pod web" in kp("volume", "rm", "web-data", status=125).err
    assert "used by pod web" in kp("secret", "rm", "web-secret", status=125).err
    kp("image", "rm", "localhost/bb:1", status=2)
    kp("image", "rm", "localhost/none:1", status=1)
    assert "web-data" in kp("volume", "ls", "-q").lines


def test_volumes_networks_images(machine: Kubeplay) -> None:
    machine("volume", "create", "v1", "-l", "a=b")
    assert "already exists" in machine("volume", "create", "v1", status=125).err
    machine("volume", "create", "--ignore", "v1")
    assert machine("volume", "inspect", "v1", "-f", "{{.Labels.a}}").out == "b\n"
    assert machine("volume", "ls", "-q", "--filter", "label=a=b").lines == ["v1"]
    machine("volume", "rm", "v1")
    machine("volume", "rm", "-f", "v1")
    machine("network", "create", "n1", "--subnet", "10.201.77.0/24")
    assert machine("network", "inspect", "n1", "-f", "{{(index .subnets 0).gateway}}").out == "10.201.77.1\n"
    assert "n1" in machine("network", "ls", "-q").lines
    machine("network", "rm", "n1")
    machine.image("localhost/two:1", 'CMD ["true"]')
    machine("tag", "localhost/two:1", "localhost/three:3")
    assert {"localhost/two:1", "localhost/three:3"} <= set(machine("images", "--format", "{{.Repository}}:{{.Tag}}").lines)
    assert machine("image", "inspect", "two:1", "-f", "{{json .Config.Cmd}}").out == '["true"]\n'
    assert "Untagged: localhost/three:3" in machine("rmi", "localhost/three:3").out
    machine("rmi", "localhost/two:1")
    machine("image", "exists", "localhost/two:1", status=1)


def test_output_that_nobody_reads_is_no_error(web: Kubeplay) -> None:
    done = subprocess.run(
        ["sh", "-c", " ".join(web.argv("ps", "--format", "json")) + " | true"], env=web.env, capture_output=True, text=True, cwd="/"
    )
    assert done.stderr == ""


def test_interrupting_a_follower_is_quiet(web: Kubeplay) -> None:
    running = web.start("logs", "-f", "shown-app")
    assert running.stdout is not None and running.stdout.readline() == "started\n"
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=300) == ("", "") and running.returncode == 130
