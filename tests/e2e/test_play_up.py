"""Play with real containers: what it brings about, what it refuses, what it undoes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeplay.clock import RealClock
from kubeplay.engine.store.runtime import EXITED, STOP
from kubeplay.errors import Conflict, ImageError, InvalidInput, PodError, Timeout
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import lifecycle, runner
from tests.support.root import Root

pytestmark = pytest.mark.root

VOLUME = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: v}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---"""


def pod(
    name: str, command: str = "sleep 1000", policy: str = "Always", more: str = "", container: str = "", image: str = "busybox:1"
) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 0
{more}
  containers:
  - name: main
    image: {image}
    command: [sh, -c]
    args: [{command!r}]
{container}
"""


def test_play_starts_both_containers_and_says_so(root: Root) -> None:
    text = pod("two", "echo one; sleep 1000") + "  - {name: second, image: 'busybox:1', command: [sh, -c, 'echo two; sleep 1000']}\n"
    result = root.play(text)
    assert not result.unchanged
    assert [name for name, _ in result.pods[0].containers] == ["main", "second"]
    assert result.pods[0].phase == "Running" and result.pods[0].ready
    assert [e.kind for e in root.events] == ["pod", "container", "container"]
    root.wait(lambda: root.log("two") == "one\n" and root.log("two", "second") == "two\n")
    root.down(text)
    assert root.leaks() == []


def test_play_again_is_unchanged_and_down_is_idempotent(root: Root) -> None:
    text = pod("same")
    first = root.play(text)
    again = root.play(text)
    assert again.unchanged and again.pods[0].containers == first.pods[0].containers
    root.down(text)
    assert root.down(text).pods == ()
    assert root.leaks() == []


def test_a_changed_file_is_refused_with_the_difference(root: Root) -> None:
    root.play(pod("change"))
    with pytest.raises(Conflict) as caught:
        root.play(pod("change", "sleep 2000"))
    assert 'Pod default/change: spec.containers[0].args[0]: "sleep 1000" -> "sleep 2000"' in str(caught.value)
    assert root.status("change")["phase"] == "Running"


def test_replace_makes_it_anew(root: Root) -> None:
    first = root.play(pod("change"))
    second = root.play(pod("change", "sleep 2000"), replace=True)
    assert second.pods[0].uid != first.pods[0].uid
    assert [str(key) for key in second.replaced] == ["Pod default/change"]


def test_replace_of_an_unchanged_file_makes_its_pods_anew_and_leaves_namespaces_and_claims(root: Root) -> None:
    text = pod("change") + """---
apiVersion: v1
kind: Namespace
metadata: {name: side}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
    first = root.play(text)
    claim = root.engine.store.objects.get(ObjectKey("PersistentVolumeClaim", "default", "data")).uid
    second = root.play(text, replace=True)
    assert second.pods[0].uid != first.pods[0].uid
    assert [str(key) for key in second.replaced] == ["Pod default/change"]
    assert root.engine.store.objects.get(ObjectKey("PersistentVolumeClaim", "default", "data")).uid == claim
    assert root.play(text).unchanged


def test_a_changed_secret_is_refused_and_not_shown(root: Root) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: %s}\n"
    root.play(text % "hunter2")
    with pytest.raises(Conflict) as caught:
        root.play(text % "swordfish")
    assert "password" in str(caught.value)
    for value in ("hunter2", "swordfish", "aHVudGVyMg==", "c3dvcmRmaXNo"):
        assert value not in str(caught.value)


def test_missing_references_are_refused_before_anything_is_made(root: Root) -> None:
    more = "    env: [{name: A, valueFrom: {configMapKeyRef: {name: nosuch, key: k}}}]"
    with pytest.raises(InvalidInput, match="ConfigMap nosuch not found"):
        root.play(pod("refs", container=more))
    assert root.leaks() == []


def test_en5_keep_on_failure_waits_and_comes_up_when_the_config_map_does(root: Root) -> None:
    more = "    env: [{name: A, valueFrom: {configMapKeyRef: {name: late, key: k}}}]"
    result = root.play(pod("late", "echo got $A; sleep 1000", container=more), keep_on_failure=True)
    assert result.pods[0].failures[0].reason == "CreateContainerConfigError"
    assert root.container("late")["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": 'configmap "late" not found'}
    root.play("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late}\ndata: {k: value}\n")
    root.wait(lambda: root.log("late") == "got value\n")


def test_cs5_a_missing_volume_object_is_failed_mount(root: Root) -> None:
    more = "  volumes: [{name: c, configMap: {name: nosuchcm}}]"
    result = root.play(pod("vol", more=more), keep_on_failure=True)
    assert result.pods[0].failures[0].reason == "FailedMount"
    assert root.container("vol")["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert any("nosuchcm" in e.message for e in root.engine.store.events.list() if e.reason == "FailedMount")


def test_cs11_an_absent_image_is_refused_before_anything_is_made(root: Root) -> None:
    with pytest.raises(ImageError, match='container main: ErrImagePull: failed to pull image "registry.test/nosuch:1"'):
        root.play(pod("img", image="registry.test/nosuch:1"))
    with pytest.raises(ImageError, match="localhost is no registry") as caught:
        root.play(pod("img", image="localhost/nosuch:1"))
    assert "kubeplay load" in str(caught.value)
    assert root.leaks() == []


def test_cs11_never_pull_keeps_waiting_when_kept(root: Root) -> None:
    text = pod("never", image="nosuch:1", container="    imagePullPolicy: Never")
    result = root.play(text, keep_on_failure=True)
    assert result.pods[0].failures[0].reason == "ErrImageNeverPull"
    message = root.container("never")["state"]["waiting"]["message"]
    assert message == 'Container image "nosuch:1" is not present with pull policy of Never'


def test_init_containers_have_ended_when_play_returns(root: Root) -> None:
    more = "  initContainers:\n  - {name: i, image: 'busybox:1', command: [sh, -c, 'echo init; sleep 0.3']}"
    root.play(pod("init", more=more))
    assert root.container("init", "i")["state"]["terminated"]["reason"] == "Completed"
    assert "running" in root.container("init")["state"]


def test_a_dying_init_container_fails_the_play_with_its_last_words(root: Root) -> None:
    more = "  initContainers:\n  - {name: i, image: 'busybox:1', command: [sh, -c, 'echo no database; exit 3']}"
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n---"
    with pytest.raises(PodError) as caught:
        root.play(config + pod("dead", policy="Never", more=more))
    assert "exit code 3" in str(caught.value) and "no database" in str(caught.value) and "container i" in str(caught.value)
    assert root.leaks() == []


def test_a_failure_undoes_this_play_and_nothing_else(root: Root) -> None:
    root.play(pod("bystander"))
    bad = pod("bad").replace("command: [sh, -c]", "command: [/no/such]")
    with pytest.raises(PodError, match="no such file"):
        root.play(VOLUME + pod("good") + "---" + bad)
    assert [row.name for row in root.engine.store.runtime.pods() if row.namespace == "default"] == ["bystander"]
    assert root.engine.store.resources.volumes() == []
    root.down(pod("bystander"))
    assert root.leaks() == []


def test_a_container_that_ends_later_is_no_failure(root: Root) -> None:
    result = root.play(pod("short", "exit 7", policy="Never"))
    assert result.pods[0].name == "short"
    root.wait(lambda: root.status("short").get("phase") == "Failed")
    assert root.container("short")["state"]["terminated"]["exitCode"] == 7


def test_start_false_makes_and_does_not_start(root: Root) -> None:
    root.play(pod("made", "echo ran; sleep 1000"), start=False)
    assert [row.state for row in root.rows("made")] == ["created"]
    lifecycle.start_pods(root.engine, [root.uid("made")])
    root.wait(lambda: root.log("made") == "ran\n")
    assert [row.attempt for row in root.rows("made")] == [0]


def test_wait_ready_times_out_and_undoes(root: Root) -> None:
    more = "  initContainers:\n  - {name: i, image: 'busybox:1', command: [sh, -c, 'sleep 1000']}"
    with pytest.raises(Timeout, match="default/slow"):
        root.play(pod("slow", more=more), timeout=0.5)
    assert root.leaks() == []


class Impatient(RealClock):
    """Time that has run out, however slow the machine, as soon as `enough` has come about; a wait has begun with the first question."""

    def __init__(self, enough: Callable[[], object]) -> None:
        self._enough, self._begun = enough, False

    def monotonic(self) -> float:
        late = self._begun and self._enough()
        self._begun = True
        return super().monotonic() + (1e6 if late else 0.0)


def test_wait_ready_says_what_it_has_waited_for(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    more = "  initContainers:\n  - {name: i, image: 'busybox:1', command: [sh, -c, 'echo still at it; sleep 1000']}"
    shown = Impatient(lambda: root.log("slow", "i") == "still at it\n" and "running" in root.container("slow", "i")["state"])
    monkeypatch.setattr(root.engine, "clock", shown)
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.1)
    with pytest.raises(Timeout) as caught:
        root.play(pod("slow", more=more), timeout=600)
    assert "pod default/slow, container i: it is running" in str(caught.value) and "\n  still at it" in str(caught.value)
    assert "container main" not in str(caught.value)


def test_wait_ready_of_what_is_there_and_not_ready(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    text = pod("sad", "echo going down; exit 3", container="  - {name: well, image: 'busybox:1', command: [sleep, '1000']}")
    root.play(text)

    def backs_off() -> bool:
        """And the third has ended, too: this state is seen first at the moment when the third is started, which has said nothing yet."""
        last = max(row.attempt for row in root.rows("sad") if row.name == "main")
        ended = all(row.state == EXITED for row in root.rows("sad") if row.name == "main")
        return ended and last >= 2 and "CrashLoopBackOff" in str(root.status("sad")) and root.log("sad", attempt=last) == "going down\n"

    monkeypatch.setattr(root.engine, "clock", Impatient(backs_off))
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.1)
    with pytest.raises(Timeout) as caught:
        root.play(text, wait_ready=True, timeout=600)
    assert "pod default/sad, container main: CrashLoopBackOff" in str(caught.value) and "exit code 3" in str(caught.value)
    assert "going down" in str(caught.value) and "container well" not in str(caught.value)
    assert root.status("sad")["phase"] == "Running", "an unchanged pod is not taken back"


def test_wait_ready_of_a_pod_that_has_completed(root: Root, tmp_path: Path) -> None:
    """Succeeded is where its file wants it (as kstatus has it), although its condition Ready is False: told, and no failure."""
    wait = '  initContainers: [{name: i, image: "busybox:1", command: [sh, -c, "until [ -e /go/now ]; do sleep 0.1; done"]'
    wait += f", volumeMounts: [{{name: go, mountPath: /go}}]}}]\n  volumes: [{{name: go, hostPath: {{path: {tmp_path}}}}}]"
    job, stays = pod("job", "exit 0", policy="OnFailure"), pod("stays", more=wait)
    # a container that has just been started is ready: the other pod comes when this one has ended
    go = threading.Thread(target=lambda: root.wait(lambda: root.status("job").get("phase") == "Succeeded") and (tmp_path / "now").touch())
    go.start()
    result = root.play(f"{job}---{stays}", wait_ready=True, timeout=300)
    go.join()
    assert {one.name: (one.phase, one.ready) for one in result.pods} == {"job": ("Succeeded", False), "stays": ("Running", True)}
    assert ("completed", "default/job") in [(event.action, event.name) for event in root.events]
    assert "PodCompleted" in str(root.status("job")["conditions"])


def test_wait_ready_of_a_pod_that_has_failed(root: Root) -> None:
    text = pod("over", "exit 3", policy="Never")
    root.play(text)
    root.wait(lambda: root.status("over")["phase"] == "Failed")
    with pytest.raises(Timeout, match="will never be ready: default/over"):
        root.play(text, wait_ready=True, timeout=300)


def test_only_what_has_started_is_told(root: Root) -> None:
    root.play(pod("old"))
    root.events.clear()
    bad = "  - {name: bad, image: 'busybox:1', command: [nosuch]}"
    with pytest.raises(PodError, match="container bad"):
        root.play(pod("old") + "---" + pod("new", container=bad))
    told = {(e.name, e.action) for e in root.events}
    assert ("default/new", "created") in told and ("default/new/bad", "started") not in told
    assert not [name for name, action in told if name.startswith("default/old") and action in ("created", "started")]


def test_stop_start_restart(root: Root) -> None:
    root.play(pod("life", "echo up; sleep 1000"))
    uid = root.uid("life")
    lifecycle.stop_pods(root.engine, [uid], 0)
    assert root.engine.store.runtime.pod(uid).desired == STOP
    assert root.engine.store.runtime.sandboxes(uid) == []
    assert root.status("life")["phase"] == "Failed"
    lifecycle.start_pods(root.engine, [uid])
    assert root.status("life")["phase"] == "Running"
    assert root.container("life")["restartCount"] == 1
    lifecycle.restart_pods(root.engine, [uid], 0)
    assert root.container("life")["restartCount"] == 2
    assert len(root.rows("life")) == 2


def test_stop_and_start_one_container(root: Root) -> None:
    root.play(pod("one") + "  - {name: second, image: 'busybox:1', command: [sleep, '1000']}\n")
    row = next(r for r in root.rows("one") if r.name == "second")
    lifecycle.stop_container(root.engine, row, 0)
    assert "terminated" in root.container("one", "second")["state"]
    assert "running" in root.container("one", "main")["state"]
    lifecycle.start_container(root.engine, row.pod_uid, "second")
    assert root.container("one", "second")["restartCount"] == 1


def test_down_keeps_volumes_unless_forced(root: Root) -> None:
    text = VOLUME + pod("keeper", "echo data > /d/f; sleep 1000", more="  volumes: [{name: d, persistentVolumeClaim: {claimName: v}}]",
                        container="    volumeMounts: [{name: d, mountPath: /d}]")  # fmt: skip
    root.play(text)
    path = root.engine.volumes.named.path("default", "v")
    root.wait(lambda: Path(path, "f").exists())
    root.down(text)
    assert root.engine.store.resources.volume("default", "v") is not None
    root.play(text)
    root.down(text, force=True)
    assert root.engine.store.resources.volume("default", "v") is None
    assert root.leaks() == []


def test_a_deployments_pods_live_on_when_they_cannot_start(root: Root) -> None:
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 2
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "nosuch:1", imagePullPolicy: Never}]
"""
    result = root.play(text)
    assert len(result.pods) == 2
    assert {f.reason for p in result.pods for f in p.failures} == {"ErrImageNeverPull"}
    root.down(text)
    assert root.leaks() == []
