"""The life of real containers: init containers, restarts, the way they are stopped, what they leave behind, their terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.images import busybox_members, docker_archive, layer
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

# says which signal ended it; a shell waits for a child before it runs a trap, hence the short sleeps
TRAPS = 'for s in TERM INT QUIT USR1 USR2; do trap "echo got $s; exit 7" $s; done; echo up; while true; do sleep 0.1; done'
HANGS = "trap '' TERM; echo up; while true; do sleep 0.1; done"


def one(name: str, command: str, more: str = "", container: str = "", image: str = "busybox:1") -> str:
    """A pod of one container that runs a shell line."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
{more}
  containers:
  - name: main
    image: {image}
    command: [sh, -c, {json.dumps(command)}]
{container}
---"""


NEVER = "  restartPolicy: Never"
ONCE = "test -e /v/f || { touch /v/f; exit 5; }"  # fails the first time
MOUNT = "    volumeMounts: [{name: v, mountPath: /v}]"
MANIFEST = (
    one("always", "echo run; exit 3", "  restartPolicy: Always")
    + one("onfail", ONCE, "  restartPolicy: OnFailure\n  volumes: [{name: v}]", MOUNT)
    + one("never", "exit 4", NEVER)
    + one("message", "echo -n told > /own/msg; exit 1", NEVER, "    terminationMessagePath: /own/msg")
    + one("long", "head -c 5000 /dev/zero | tr '\\0' x > /dev/termination-log", NEVER, "    terminationMessagePolicy: File")
    + one("fallback", "echo last words; exit 1", NEVER, "    terminationMessagePolicy: FallbackToLogsOnError")
    + one("quiet", "echo no words; exit 0", NEVER, "    terminationMessagePolicy: FallbackToLogsOnError")
    + one("signalled", "kill -SEGV 1; sh -c 'kill -USR1 $PPID'; exit 9", NEVER)
    + one("missing", "true", NEVER).replace('[sh, -c, "true"]', "[/no/such]")
    + one("tty", "tty; test -t 1 && echo terminal; stty size; exec cat", container="    tty: true\n    stdin: true")
    + one("stdin", "read line; echo read $line; echo done; sleep 1000", container="    stdin: true\n    stdinOnce: true")
    + one("nostdin", "cat; echo eof; test -t 0 || echo done; sleep 1000")
    + """
apiVersion: v1
kind: Pod
metadata: {name: inits}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: first, image: busybox:1, command: [sh, -c, "sleep 0.3; echo first >> /v/order"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: second, image: busybox:1, command: [sh, -c, "echo second >> /v/order"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: main, image: busybox:1, command: [sh, -c, "echo main >> /v/order; sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}
"""
)


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("life")
    value = {"Env": ["PATH=/bin"], "StopSignal": "SIGQUIT"}
    stops = docker_archive(directory / "stops.tar", ["docker.io/library/stops:1"], [layer(busybox_members())], value)
    archives = {**image_archives, "stops": stops}
    with playing(directory, archives, MANIFEST, "--keep-on-failure", images=("busybox", "stops"), status=None) as machine:
        yield machine


def when(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@covers("pod.restartPolicy")
def test_rb1_rb6_restart_policies_and_the_back_off(kp: Machine) -> None:
    assert kp.ended("never")["exitCode"] == 4 and kp.status("never")["restartCount"] == 0
    kp.wait(lambda: kp.status("onfail")["restartCount"] == 1 and kp.pod("onfail")["status"]["phase"] == "Succeeded")
    count = kp.wait(lambda: kp.status("always")["restartCount"])  # the first restart is immediate
    status = kp.wait(lambda: found if (found := kp.status("always"))["restartCount"] > count else None)
    words = [kp.wait(lambda more=more: kp.log("always", "main", "-t", *more).split()) for more in (["--previous"], [])]  # type: ignore[misc]
    previous, last = (when(found[0]) for found in words)
    assert last - previous >= 10 * 2 ** (count - 1)  # the second came after 10 s, the third after 20 s: at least as many as we have seen
    if "message" in status["state"].get("waiting", {}):
        assert re.match(r"back-off [1248]0s restarting failed container=main pod=always_default\(", status["state"]["waiting"]["message"])
    assert kp.log("always", "main", "--previous") == "run\n"


@covers("container.terminationMessagePath container.terminationMessagePolicy")
def test_tm1_tm2_termination_messages(kp: Machine) -> None:
    assert kp.ended("message")["message"] == "told"
    assert kp.ended("long")["message"] == "x" * 4096
    assert kp.ended("fallback")["message"] == "last words\n"
    assert "message" not in kp.ended("quiet")


def test_cs7_reasons_and_exit_codes(kp: Machine) -> None:
    assert (kp.ended("never")["reason"], kp.ended("quiet")["reason"]) == ("Error", "Completed")
    missing = kp.ended("missing")
    assert (missing["reason"], missing["exitCode"]) == ("StartError", 128) and "no such file" in missing["message"]
    assert missing["message"].startswith("failed to create container task: OCI runtime create failed: ")
    assert "level=" not in missing["message"]
    assert kp.ended("signalled")["exitCode"] == 9  # process 1 is not killed from inside
    kp.wait(lambda: [kp.pod(name)["status"]["phase"] for name in ("never", "quiet", "missing")] == ["Failed", "Succeeded", "Failed"])


@covers("container.tty")
def test_cm2_a_terminal(kp: Machine) -> None:
    lines = kp.logged("tty", last="terminal")
    assert lines[0].startswith("/dev/")
    master, slave = pty.openpty()
    process = kp.start("exec", "-it", "tty-main", "sh", "-c", "test -t 0 && echo is-tty", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    assert process.wait(300) == 0
    assert b"is-tty" in os.read(master, 4096)
    os.close(master)


@covers("container.stdin container.stdinOnce")
def test_cm2_standard_input(kp: Machine) -> None:
    assert kp.logged("nostdin") == ["eof"]  # without stdin it is /dev/null
    assert kp.sh("stdin", "readlink /proc/1/fd/0").startswith("pipe:")
    assert "done" not in kp.log("stdin")  # nobody has written: it still waits
    assert kp.inspect("stdin")["Config"]["OpenStdin"] is True and kp.inspect("nostdin")["Config"]["OpenStdin"] is False


@covers("pod.initContainers[] container.name")
def test_in1_init_containers_one_after_the_other(kp: Machine) -> None:
    assert kp.wait(lambda: said if "main" in (said := kp.sh("inits", "cat /v/order")) else "") == "first\nsecond\nmain"
    first, second = (kp.status("inits", name)["state"]["terminated"] for name in ("first", "second"))
    assert first["reason"] == second["reason"] == "Completed" and when(first["finishedAt"]) <= when(second["startedAt"])


def test_in1_a_failing_init_container_under_never_fails_the_pod(kp: Machine) -> None:
    inits = '  initContainers:\n  - {name: bad, image: "busybox:1", command: [sh, -c, "exit 5"]}\n  - {name: later, image: "busybox:1"}'
    text = one("badinit", "echo never", f"{NEVER}\n{inits}")
    kp.play(text, "--keep-on-failure", status=None)
    assert kp.ended("badinit", "bad")["exitCode"] == 5
    kp.wait(lambda: kp.pod("badinit")["status"]["phase"] == "Failed")
    assert {kp.status("badinit", name)["state"]["waiting"]["reason"] for name in ("later", "main")} == {"PodInitializing"}
    conditions = {c["type"]: (c["status"], c.get("reason")) for c in kp.pod("badinit")["status"]["conditions"]}
    assert conditions["Initialized"] == ("False", "ContainersNotInitialized")
    kp.down(text)


def test_in1_a_failing_init_container_is_run_again(kp: Machine) -> None:
    init = f'  initContainers:\n  - name: bad\n    image: busybox:1\n    command: [sh, -c, "{ONCE}"]\n{MOUNT}'
    text = one("again", "sleep 1000", f"  volumes: [{{name: v}}]\n{init}")
    kp.play(text, "--keep-on-failure", status=None)
    kp.wait(lambda: "running" in kp.status("again")["state"])
    assert kp.status("again", "bad")["restartCount"] == 1
    kp.down(text)


@covers("pod.terminationGracePeriodSeconds container.lifecycle.stopSignal")
def test_te2_the_stop_sequence(kp: Machine) -> None:
    """TERM, the image's or the container's own signal first; KILL for what is left after the grace period."""
    os_linux = "  os: {name: linux}\n"
    text = (
        one("term", TRAPS, NEVER)
        + one("image", TRAPS, NEVER, image="stops:1")
        + one("chosen", TRAPS, os_linux + NEVER, "    lifecycle: {stopSignal: SIGUSR2}", "stops:1")
        + one("hangs", HANGS, NEVER + "\n  terminationGracePeriodSeconds: 3")
        + one("short", HANGS, NEVER + "\n  terminationGracePeriodSeconds: 0")
    )
    kp.play(text)
    names = ("term", "image", "chosen", "hangs", "short")
    kp.wait(lambda: all("up" in kp.log(name) for name in names))
    begin = time.monotonic()
    kp("stop", "hangs")
    assert 2.8 <= time.monotonic() - begin < 25  # not the 30 s of a pod that says nothing
    begin = time.monotonic()
    kp("stop", "short")
    assert time.monotonic() - begin < 25  # tests/unit/reconcile/test_grace.py: a grace of 0 is a kill at once
    begin = time.monotonic()
    kp("stop", "term", "image", "chosen")
    assert time.monotonic() - begin < 25  # no longer than they take
    said = {name: kp.log(name).splitlines()[-1] for name in names[:3]}
    assert said == {"term": "got TERM", "image": "got QUIT", "chosen": "got USR2"}
    assert [kp.ended(name)["exitCode"] for name in names] == [7, 7, 7, 137, 137]
    kp.down(text)


@covers("container.imagePullPolicy container.image")
def test_cs11_pull_policies(kp: Machine) -> None:
    for policy, reason in (("Never", "ErrImageNeverPull"), ("IfNotPresent", "ErrImagePull"), ("Always", "ErrImagePull")):
        text = one("pull", "true", container=f"    imagePullPolicy: {policy}", image="nosuch:1")
        kp.play(text, "--keep-on-failure", status=None)
        waiting = kp.status("pull")["state"]["waiting"]
        assert waiting["reason"] in (reason, reason.replace("ErrImagePull", "ImagePullBackOff")), (policy, waiting)
        if policy == "Never":
            assert waiting["message"] == 'Container image "nosuch:1" is not present with pull policy of Never'
        kp.down(text)
    for policy in ("Never", "IfNotPresent"):
        text = one("pull", "sleep 1000", container=f"    imagePullPolicy: {policy}")
        kp.play(text)
        assert "running" in kp.status("pull")["state"]
        kp.down(text)
