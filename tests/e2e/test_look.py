"""What people look at a pod with: get, describe, events, logs, wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = [pytest.mark.root, pytest.mark.slow]

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, labels: {app: web}}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: S3cr3t-value}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web, tier: front}}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - {name: first, image: busybox:1, command: [sh, -c, echo init]}
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, 'echo main; exec sleep 100000']
    ports: [{name: http, containerPort: 8080}]
    env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: key, key: password}}}]
    volumeMounts: [{name: e, mountPath: /e}]
  - {name: side, image: busybox:1, command: [sh, -c, 'echo side; exec sleep 100000']}
  volumes: [{name: e, emptyDir: {}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 2
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: busybox:1, command: [sh, -c, 'echo one of many; exec sleep 100000']}]
"""
TWICE = """
apiVersion: v1
kind: Pod
metadata: {name: twice}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, 'if [ -e /e/been ]; then echo second; exec sleep 100000; fi; touch /e/been; echo first; exit 3']
    volumeMounts: [{name: e, mountPath: /e}]
  volumes: [{name: e, emptyDir: {}}]
"""


READY = '{.items[*].status.conditions[?(@.type=="Ready")].status}'


def many(machine: Machine) -> list[str]:
    """Names of the Deployment's pods."""
    return [name.removeprefix("pod/") for name in machine("get", "pods", "-l", "app=many", "-o", "name").lines]


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("look"), image_archives, MANIFEST) as machine:
        machine.play(TWICE)
        machine.wait(lambda: machine("get", "pods", "web", *many(machine), "-o", f"jsonpath={READY}").out == "True True True")
        machine.wait(lambda: len(machine("logs", "web", "--all-containers").lines) == 3)
        yield machine


@contextmanager
def following(kp: Machine, *words: str, seconds: float = 100) -> Iterator[IO[str]]:
    """The output of a command that stays, which is ended with the block, and in any case in time."""
    process = kp.start(*words)
    late = threading.Timer(seconds, process.kill)
    late.start()
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        late.cancel()
        process.kill()
        process.communicate()


# get
def test_get_shows_kubectls_columns(kp: Machine) -> None:
    header, row, *_ = kp("get", "pods", "web").lines
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["web", "2/2", "Running", "0"]
    wide = kp("get", "po", "web", "-o", "wide").lines[1].split()
    assert wide[5] == kp.ip("web") and wide[7:] == ["<none>", "<none>"]
    assert len(many(kp)) == 2 and all(name.startswith("many-") for name in many(kp))
    assert kp("get", "deploy", "--no-headers").out.split()[:4] == ["many", "2/2", "2", "2"]
    assert kp("get", "rs", "--noheading").out.split()[1:4] == ["2", "2", "2"]
    service = kp("get", "svc", "web", "-o", "wide").lines[1].split()
    assert service[:2] == ["web", "ClusterIP"] and service[4] == "80/TCP" and service[6] == "app=web"
    everything = kp("get", "all").out
    assert "pod/web " in everything and "service/web " in everything and "deployment.apps/many " in everything
    assert {"default"} <= set(kp("get", "ns", "-o", "jsonpath={.items[*].metadata.name}").out.split())
    assert "Started container main" in kp("get", "events", "--field-selector", "involvedObject.name=web").out


def test_get_gives_the_whole_object_with_its_status(kp: Machine) -> None:
    pod = kp("get", "pod", "web", "-o", "json").json
    assert pod["kind"] == "Pod" and pod["status"]["phase"] == "Running" and pod["metadata"]["uid"] == kp.pod("web")["metadata"]["uid"]
    assert pod["spec"]["nodeName"]
    listed = kp("get", "pods", "-o", "json").json
    assert listed["kind"] == "List" and {one["metadata"]["name"] for one in listed["items"]} > {"web", "twice"}
    assert kp("get", "pod/web", "svc/web", "-o", "name").lines == ["pod/web", "service/web"]
    yaml = kp("get", "pod", "web", "-o", "yaml").out
    assert yaml.startswith("apiVersion: v1\nkind: Pod\nmetadata:\n") and "\nstatus:\n" in yaml
    assert kp("get", "pod", "web", "-o", "jsonpath={.status.phase}").out == "Running"
    assert kp("get", "pod", "web", "-o", "custom-columns=N:.metadata.name,L:.metadata.labels.app").lines == ["N     L", "web   web"]
    assert kp("get", "pod", "web", "--format", "{{.metadata.name}}").out == "web\n"
    given = kp("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}").out
    assert given.startswith("10.")


def test_get_selects_sorts_and_says_what_is_not_there(kp: Machine) -> None:
    assert kp("get", "pods", "-l", "app in (web),tier!=back", "-o", "name").lines == ["pod/web"]
    assert kp("get", "cm,pods", "-l", "app=web", "-o", "name").lines == ["configmap/conf", "pod/web"]
    assert kp("get", "pods", "--filter", "name=^tw", "-q").lines == ["pod/twice"]
    assert kp("get", "pods", "--sort-by", "{.metadata.name}", "-o", "name").lines[-1] == "pod/web"
    assert kp("get", "pods", "-L", "tier", "--show-labels", "web").lines[1].split()[-2:] == ["front", "app=web,tier=front"]
    nothing = kp("get", "pods", "-n", "empty")
    assert (nothing.out, nothing.err) == ("", "No resources found in empty namespace.\n")
    assert "no pod 'absent'" in kp("get", "pod", "absent", status=125).err
    assert kp("get", "pod", "absent", "--ignore-not-found").out == ""
    assert "did you mean pod" in kp("get", "podz", status=125).err
    assert "forms:" in kp("get", "pods", "-o", "xml", status=125).err
    assert kp("get", "pods", "-A", "web", status=125).err.startswith("Error: a name is of one namespace")


def test_secrets_keep_their_values(kp: Machine) -> None:
    for form in ("yaml", "json", "jsonpath={.data}", "go-template={{.}}", "wide"):
        assert "UzNjcjN0LXZhbHVl" not in kp("get", "secret", "key", "-o", form).out
    assert "UzNjcjN0LXZhbHVl" in kp("get", "secret", "key", "-o", "yaml", "--show-secrets").out
    shown = kp("describe", "secret", "key").out
    assert "12 bytes" in shown and "UzNj" not in shown


# describe
def test_describe_a_pod(kp: Machine) -> None:
    shown = kp("describe", "pod", "web").out
    for line in ("Labels: app=web tier=front", "Status: Running", "State: Running", "Ready: True", "/e from e (rw)", "Reason: Completed",
                 "PASSWORD: <set to the key 'password' in secret 'key'> Optional: false",
                 "Type: EmptyDir (a temporary directory"):  # fmt: skip
        assert line in " ".join(shown.split()), (line, shown)
    assert "Started container main" in shown and "S3cr3t" not in shown
    restarted = kp.wait(lambda: with_last_state(kp))
    assert "Exit Code:    3" in restarted and "Restart Count:  1" in restarted
    assert kp("describe", "pods", "-l", "app=many").out.count("Name:  ") == 2


def with_last_state(kp: Machine) -> str:
    shown = kp("describe", "pod/twice").out
    return shown if "Last State" in shown else ""


def test_describe_other_kinds(kp: Machine) -> None:
    service = kp.wait(lambda: "" if kp.ip("web") not in (text := kp("describe", "svc", "web").out) else text)
    assert f"{kp.ip('web')}:8080" in service and "Selector:" in service
    assert "greeting:\n----\nhello\n" in kp("describe", "cm", "conf").out
    kp.wait(lambda: "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in kp("describe", "deploy", "many").out)
    assert "no pod 'absent'" in kp("describe", "pod", "absent", status=125).err


# events
def test_events_of_one_object_and_type(kp: Machine) -> None:
    reasons = kp("events", "--for", "pod/web", "--format", "{{.Reason}}", "--types", "Normal").lines
    assert reasons.count("Started") == 3 and reasons.index("Created") < reasons.index("Started")
    assert kp("events", "--for", "pod/web", "--types", "warning", "--noheading").out == ""
    assert kp("events", "web", "--until", "1h", "--noheading").out == ""
    assert "types:" in kp("events", "--types", "Odd", status=125).err
    assert "--for pod/web" in kp("events", "--for", "web", status=125).err


def test_followed_events_show_new_ones_and_those_that_come_again(kp: Machine) -> None:
    pod = TWICE.replace("twice", "again").replace("exit 3", "exec sleep 100000")
    with following(kp, "events", "--follow", "--for", "pod/again", "--format", "json") as follower:
        kp.play(pod)
        first = next(line for line in follower if '"Reason": "Started"' in line)
        assert '"Count": 1' in first
        kp("pod", "restart", "-t", "0", "again")
        again = next(line for line in follower if '"Reason": "Started"' in line)
        assert '"Count": 2' in again
    kp.down(pod)


# logs
def test_logs_as_kubectl_users_type_them(kp: Machine) -> None:
    assert kp("logs", "web", "side").out == "side\n"
    assert kp("logs", "pod/web", "-c", "side").out == "side\n"
    assert kp("logs", "web", "--all-containers", "--prefix").lines == ["[pod/web/first] init", "[pod/web/main] main", "[pod/web/side] side"]
    kp.wait(lambda: kp("logs", "-l", "app=many").out.count("one of many") == 2)
    lines = kp("logs", "--selector", "app=many").lines
    assert sorted(line.split()[0] for line in lines) == [f"{name}-main" for name in many(kp)]
    one = kp("logs", "deploy/many")
    assert one.out == "one of many\n" and one.err.startswith("Found 2 pods, using pod/many-")
    assert kp("logs", "svc/web", "-c", "main").out == "main\n"
    assert kp("logs", "web", "-c", "main", "--limit-bytes", "3").out == "mai"
    assert kp("logs", "web", "-c", "main", "--since-time", "2999-01-01T00:00:00Z").out == ""
    assert "nothing is named" in kp("logs", status=125).err
    assert "either names or --selector" in kp("logs", "web", "-l", "app=web", status=125).err
    assert "has the labels app=none" in kp("logs", "-l", "app=none", status=125).err


def test_logs_of_the_instance_before(kp: Machine) -> None:
    kp.wait(lambda: kp("logs", "twice").out == "second\n")
    assert kp("logs", "twice", "--previous").out == "first\n"
    assert kp("logs", "-p", "twice", "--all-containers").out == "first\n"
    assert "no previous instance" in kp("logs", "web", "-c", "main", "-p", status=125).err
    assert kp("logs", "web", "-c", "main", "-p", "--ignore-errors").out == ""


# wait --for
def test_wait_for_conditions_paths_and_the_end(kp: Machine) -> None:
    assert kp("wait", "pod/web", "--for=condition=Ready").out == "pod/web condition met\n"
    assert kp("wait", "web", "--for=jsonpath={.status.phase}=Running", "--timeout", "60s").out == "pod/web condition met\n"
    assert kp("wait", "pods", "-l", "app=many", "--for=condition=Ready", "--timeout", "60s").out.count("condition met") == 2
    late = kp("wait", "pod", "web", "--for=condition=Ready=False", "--timeout", "0", status=125)
    assert "timed out waiting for the condition on pods/web" in late.err
    assert "no pod 'absent'" in kp("wait", "pod/absent", "--for=condition=Ready", status=125).err
    brief = TWICE.replace("twice", "brief")
    created = kp.start("wait", "pod/brief", "--for=create", "--timeout=-1s")
    kp.play(brief)
    assert created.communicate(timeout=100)[0] == "pod/brief condition met\n"
    gone = kp.start("wait", "pod/brief", "--for=delete", "--timeout=-1s")
    kp.down(brief)
    assert gone.communicate(timeout=100)[0] == "pod/brief condition met\n"
    assert "it may be delete" in kp("wait", "web", "--for=end", status=125).err
    assert "need --for" in kp("wait", "pods", "--all", status=125).err


def test_watch_shows_what_changes(kp: Machine) -> None:
    pod = TWICE.replace("twice", "watched")
    form = "jsonpath={.metadata.name} {.status.phase},"
    with following(kp, "get", "pods", "--field-selector", "metadata.name=watched", "--watch", "-o", form) as watching:
        kp.play(pod)
        shown = ""
        while "watched Running," not in shown:
            more = watching.read(1)
            assert more, shown
            shown += more
    kp.down(pod)


def test_wait_for_the_end_of_a_pod_does_not_wait_for_its_sidecar(kp: Machine) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: ends}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  initContainers: [{name: side, image: busybox:1, restartPolicy: Always, command: [sleep, "100000"]}]
  containers: [{name: main, image: busybox:1, command: [sh, -c, exit 3]}]
"""
    kp.play(text, status=None)
    assert kp("wait", "ends").out == "3\n"
    kp.down(text)


def test_a_workload_means_one_of_its_pods(kp: Machine) -> None:
    assert kp("exec", "deploy/many", "echo", "here").out == "here\n"
    assert "no deployment 'none'" in kp("exec", "deploy/none", "true", status=125).err


# a reboot
def test_suspended_pods_are_resumed_and_stopped_ones_stay_so(kp: Machine) -> None:
    kp("pod", "stop", "twice")
    try:
        suspended = kp("system", "suspend", "-t", "0").lines
        assert "default/web" in suspended and "default/twice" not in suspended
        assert kp("get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].state.running}").out == ""
        assert sorted(kp("system", "resume").lines) == sorted(suspended)
        assert kp("wait", "pod/web", "--for=condition=Ready", "--timeout", "100s").status == 0
        assert kp("system", "resume").out == ""
        assert kp("pod", "ps", "--filter", "name=twice", "--format", "{{.Status}}").out == "Stopped\n"
    finally:
        kp("pod", "start", "twice")
