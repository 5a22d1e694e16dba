"""postStart and preStop of real containers, and the ways of their end: what runs, in which order, and what becomes of a hook that fails."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing, status_of

pytestmark = pytest.mark.root

TRAP = 'trap "echo got TERM; exit 0" TERM; echo up; while true; do sleep 0.05; done'
DEAF = "trap '' TERM; echo up; while true; do sleep 0.1; done"


def one(name: str, command: str, lifecycle: str = "", grace: int = 60, policy: str = "Never", last: str = "") -> str:
    """A pod of one container that runs a shell line."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: {grace}
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, {json.dumps(command)}]
    lifecycle: {lifecycle or "{}"}
{last}
---"""


def sh(script: str) -> str:
    return f"{{exec: {{command: [sh, -c, {json.dumps(script)}]}}}}"


REPLY = "HTTP/1.1 500 no\\\\r\\\\nContent-Length: 0\\\\r\\\\n\\\\r\\\\n"
SERVE = f'trap "exit 0" TERM; while true; do printf "{REPLY}" | nc -l -p 8080 & wait $!; done'
FIELDS = ("path", "port", "scheme", "host", "httpHeaders[].name", "httpHeaders[].value")
GET = "{httpGet: {path: '/bye?now', port: web, scheme: HTTP, httpHeaders: [{name: X-Who, value: hook}]}}"
PORT = "    ports: [{name: web, containerPort: 8080}]"
SAY = "echo %s > /proc/1/fd/1"
MANIFEST = (
    one("started", "until [ -e /hook ]; do sleep 0.05; done; echo seen; sleep 1000", f"{{postStart: {sh('sleep 0.5; touch /hook')}}}", 0)
    + one("slept", "sleep 1000", "{postStart: {sleep: {seconds: 1}}}", 1)
    + one("polite", TRAP, f"{{preStop: {sh(f'{SAY % 1}; sleep 0.5; {SAY % 2}')}}}")
    + one("failing", TRAP, f"{{preStop: {sh('exit 9')}}}")
    + one("sleeper", TRAP, "{preStop: {sleep: {seconds: 1}}}")
    + one("itself", "echo up; until [ -e /end ]; do sleep 0.05; done; exit 3", f"{{preStop: {sh(SAY % 'never')}}}")
    + one("asked", SERVE, f"{{preStop: {GET}}}", last=PORT)
    + one("elsewhere", TRAP, "{preStop: {httpGet: {host: 127.0.0.1, port: 1}}}")
    + one("graceless", TRAP, f"{{preStop: {sh(SAY % 'never')}}}", 0)
)


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("hooks"), image_archives, MANIFEST) as machine:
        yield machine


def events(kp: Machine, pod: str) -> list[tuple[str, str]]:
    found = [json.loads(line) for line in kp("events", "--format", "json").lines]
    return [(event["Reason"], event["Message"]) for event in found if event["Name"] == pod]


def minds(kp: Machine, pod: str, mask: str = "SigCgt") -> bool:
    """Whether the pod's shell has set its trap."""
    return bool(int(status_of(kp.pid(pod)).get(mask, "0"), 16) >> signal.SIGTERM - 1 & 1)


@covers("container.lifecycle.postStart.exec.command[] container.lifecycle.postStart.sleep.seconds")
def test_lh1_a_container_counts_as_started_when_its_hook_is_through(kp: Machine) -> None:
    kp.sh("started", "test -e /hook")  # the play came back after it
    kp.wait(lambda: kp.log("started") == "seen\n")
    assert kp.status("started")["started"] is True
    status = kp.pod("slept")["status"]
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert ready["lastTransitionTime"] > status["containerStatuses"][0]["state"]["running"]["startedAt"]


def test_lh1_until_then_it_waits_and_may_be_removed(kp: Machine) -> None:
    text = one("hanging", DEAF, f"{{postStart: {sh('sleep 1000')}}}", 0)
    play = kp.start("play", "kube", kp.written(text))
    kp.wait(lambda: "up" in kp("logs", "hanging", status=None).out)
    assert kp.status("hanging")["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert kp.pod("hanging")["status"]["phase"] == "Pending"
    kp("rm", "-f", "hanging")
    play.communicate(timeout=300)
    assert kp("pod", "exists", "hanging", status=1).status == 1


def test_lh1_a_hook_that_fails_kills_the_container(kp: Machine) -> None:
    text = one("bad", DEAF, f"{{postStart: {sh('echo no >&2; exit 3')}}}", 0) + one(
        "again", "sleep 1000", f"{{postStart: {sh('exit 3')}}}", 0, "Always"
    )
    kp.play(text, "--keep-on-failure", status=None)
    assert kp.ended("bad")["exitCode"] == 137
    kp.wait(lambda: kp.pod("bad")["status"]["phase"] == "Failed")
    found = events(kp, "bad")
    assert ("FailedPostStartHook", "PostStartHook failed") in found and ("Killing", "FailedPostStartHook") in found
    kp.wait(lambda: kp.status("again")["restartCount"] == 1)
    kp.wait(lambda: '"exitCode": 137' in json.dumps(kp.status("again")))
    kp.down(text)


@covers("container.lifecycle.preStop.exec.command[] container.lifecycle.preStop.sleep.seconds")
def test_lh2_the_hook_runs_before_the_stop_signal(kp: Machine) -> None:
    kp.wait(lambda: all(minds(kp, name) for name in ("polite", "failing", "sleeper")))
    began = time.monotonic()
    kp("stop", "sleeper")
    assert time.monotonic() - began >= 1
    kp("stop", "polite", "failing")
    assert kp.log("polite") == "up\n1\n2\ngot TERM\n"
    assert kp.log("failing") == "up\ngot TERM\n"
    assert ("FailedPreStopHook", "PreStopHook failed") in events(kp, "failing")
    assert [kp.ended(name)["exitCode"] for name in ("polite", "failing", "sleeper")] == [0, 0, 0]


@covers(" ".join(f"container.lifecycle.preStop.httpGet.{field}" for field in FIELDS))
def test_lh3_a_get_whatever_the_answer(kp: Machine) -> None:
    kp.wait(lambda: ":1F90 " in kp.sh("asked", "cat /proc/net/tcp /proc/net/tcp6") and minds(kp, "elsewhere"))
    kp("stop", "asked", "elsewhere")
    said = kp.log("asked").splitlines()
    assert said[0] == "GET /bye?now HTTP/1.1" and {"User-Agent: kube-lifecycle/1.36", "X-Who: hook"} <= set(said)
    assert "FailedPreStopHook" not in dict(events(kp, "asked"))  # its 500 is an answer
    assert ("FailedPreStopHook", "PreStopHook failed") in events(kp, "elsewhere")  # this machine's own port 1, not the pod's
    assert kp.log("elsewhere") == "up\ngot TERM\n"


@covers(" ".join(f"container.lifecycle.postStart.httpGet.{field}" for field in FIELDS))
def test_lh3_no_answer_fails_the_start(kp: Machine) -> None:
    text = one("unheard", "sleep 1000", f"{{postStart: {GET}}}", 0, "Always", PORT)
    text += one("nobody", "sleep 1000", "{postStart: {httpGet: {host: 127.0.0.1, port: 1}}}", 0)
    kp.play(text, "--keep-on-failure", status=None)
    assert kp.ended("nobody")["exitCode"] == 137
    kp.wait(lambda: kp.status("unheard")["restartCount"] >= 1)
    kp.down(text)


def test_lh2_no_hook_for_one_that_ends_itself_or_has_no_grace(kp: Machine) -> None:
    kp.wait(lambda: minds(kp, "graceless"))
    kp("stop", "graceless")
    assert kp.log("graceless") == "up\ngot TERM\n"  # TE2: it has an answer to the signal, so it gets the time for it
    kp.sh("itself", "touch /end")
    assert kp.ended("itself")["exitCode"] == 3
    kp("rm", "itself")
    kp("play", "kube", "-q", kp.written(one("itself", "echo up; sleep 1000", f"{{preStop: {sh(SAY % 'now')}}}", 2)))
    kp("stop", "itself")
    assert kp.log("itself").splitlines()[:1] == ["up"] and "now" in kp.log("itself")


def test_te1_a_second_deletion_shortens_the_first(kp: Machine) -> None:
    text = one("slow", DEAF, grace=3000)
    kp.play(text)
    kp.wait(lambda: minds(kp, "slow", "SigIgn"))
    first = kp.start("rm", "-f", "slow")
    shown = kp.wait(lambda: found if "deletionTimestamp" in (found := kp.pod("slow"))["metadata"] else None)
    assert shown["metadata"]["deletionGracePeriodSeconds"] == 3000
    assert "Terminating" in kp("pod", "ps", "--filter", "name=slow").out
    kp("rm", "-f", "--time", "1", "slow")
    first.communicate(timeout=300)
    assert first.returncode == 0 and "slow" not in kp("pod", "ps").out


def test_te1_a_second_stop_shortens_the_first(kp: Machine) -> None:
    text = one("slow", DEAF, f"{{preStop: {sh('sleep 1000')}}}", grace=3000)
    kp.play(text)
    kp.wait(lambda: minds(kp, "slow", "SigIgn"))
    first = kp.start("stop", "slow")
    kp.wait(lambda: ("Killing", "Stopping container main") in events(kp, "slow"))
    kp("stop", "--time", "1", "slow")
    first.communicate(timeout=300)
    assert first.returncode == 0 and kp.ended("slow")["exitCode"] == 137
    assert "FailedPreStopHook" not in dict(events(kp, "slow"))  # a kubelet says nothing of one that outlasts the grace (record 156)
    kp.down(text)


def test_te2_pods_that_are_named_together_end_together(kp: Machine) -> None:
    """Each needs the other's end to go: one after the other they would take their whole grace."""
    meet = "trap 'touch /v/%s' TERM; touch /v/up-%s; until [ -e /v/%s ]; do sleep 0.05; done; exit 0"
    both = one("here", meet % ("h", "h", "t"), grace=3000) + one("there", meet % ("t", "t", "h"), grace=3000)
    mounts = "    volumeMounts: [{name: v, mountPath: /v}]\n  volumes: [{name: v, hostPath: {path: %s}}]\n---"
    shared = kp.directory / "meet"
    shared.mkdir()
    text = both.replace("---", mounts % shared)
    for command in (["stop"], ["rm", "-f"]):
        for file in shared.iterdir():
            file.unlink()
        kp.play(text)
        kp("start", "here", "there")
        kp.wait(lambda: {file.name for file in shared.iterdir()} >= {"up-h", "up-t"})
        assert set(kp(*command, "here", "there").lines) == {"here", "there"}
    assert not {"here", "there"} & set(kp("pod", "ps", "--format", "{{.Name}}", "--noheading").lines)
