"""kill -9 of the command at each step of play and down; then play and down again: nothing doubled, nothing leaked.

The points are read from the source, so a new step is covered as soon as it has one.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from kubeplay.errors import KubeplayError
from kubeplay.play import record
from tests.support.root import REPOSITORY, Root

pytestmark = [pytest.mark.root, pytest.mark.slow]

STACK = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {k: v}
---
apiVersion: v1
kind: Secret
metadata: {name: sec}
stringData: {k: v}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: vol}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  shareProcessNamespace: true
  volumes:
  - {name: c, configMap: {name: conf}}
  - {name: s, secret: {secretName: sec}}
  - {name: v, persistentVolumeClaim: {claimName: vol}}
  - {name: e, emptyDir: {medium: Memory}}
  initContainers:
  - {name: i, image: "busybox:1", command: [sh, -c, "echo init"]}
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "exec sleep 1000"]
    ports: [{containerPort: 80, hostPort: 28080}]
    volumeMounts: [{name: c, mountPath: /c}, {name: s, mountPath: /s}, {name: v, mountPath: /v}, {name: e, mountPath: /e}]
"""

# workers of pytest-xdist share the machine's ports
STACK = STACK.replace("28080", str(28080 + int("0" + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"))))

_SOURCE = "".join(path.read_text() for path in sorted((REPOSITORY / "kubeplay").rglob("*.py")))
POINTS = sorted(set(re.findall(r'faults\.point\("([^"]+)"\)', _SOURCE)))
DOWN = ("down:", "terminate:", "delete:", "unsandbox:", "remove:", "stop:")
OTHERS = ("rootless:", "mapped:", "play:replaced", "play:recreated", "play:taken", "reconcile:finished", "exec:", "copy:", "load:",
          "import:", "image:", "rotate:", "pull:", "commit:", "rmi:", "prune:", "collect:",
          "join:", "leave:", "rename:", "live:", "reconcile:bound", "reconcile:restarting-all", "reconcile:autoremove")  # fmt: skip
PLAY_POINTS = [p for p in POINTS if not p.startswith(DOWN + OTHERS)]
DOWN_POINTS = [p for p in POINTS if p.startswith(DOWN)]


def test_points_exist() -> None:
    assert len(PLAY_POINTS) > 15 and len(DOWN_POINTS) > 10


@pytest.mark.parametrize("point", PLAY_POINTS)
def test_play_killed_then_played_and_taken_down(root: Root, point: str) -> None:
    killed = root.command("play", STACK, KUBEPLAY_FAULT=point)
    if killed.returncode == 0:
        pytest.fail(f"{point} was not reached")
    assert killed.returncode == -signal.SIGKILL, killed.stderr_text  # type: ignore[attr-defined]
    result = root.play(STACK)
    assert [p.phase for p in result.pods] == ["Running"]
    root.wait(lambda: root.container("web")["state"].get("running"))
    assert len([r for r in root.rows("web") if r.state == "running"]) == 1
    root.down(STACK, force=True)
    root.wait(lambda: root.leaks() == [])


@pytest.mark.parametrize("point", PLAY_POINTS[::4])
def test_play_killed_then_taken_down_at_once(root: Root, point: str) -> None:
    root.command("play", STACK, KUBEPLAY_FAULT=point)
    root.down(STACK, force=True)
    assert root.leaks() == []


@pytest.mark.parametrize("point", DOWN_POINTS)
def test_down_killed_then_taken_down(root: Root, point: str) -> None:
    root.play(STACK)
    killed = root.command("down", STACK, "force=yes", KUBEPLAY_FAULT=point)
    assert killed.returncode in (-signal.SIGKILL, 0)
    root.down(STACK, force=True)
    assert root.leaks() == []


AGAIN = """
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: e, emptyDir: {}}]
  initContainers:
  - {name: side, image: "busybox:1", restartPolicy: Always, command: [sleep, "1000"]}
  - name: i
    image: busybox:1
    command: [sh, -c, "test -e /e/f && exit 0; touch /e/f; exit 42"]
    volumeMounts: [{name: e, mountPath: /e}]
    restartPolicy: Never
    restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]
  containers: [{name: main, image: "busybox:1", command: [sleep, "1000"]}]
"""


def test_rr2_killed_while_all_containers_are_restarted(root: Root) -> None:
    """Who sees the exit first does it, this play or the supervisor; each container begins anew once, whoever goes on."""
    root.command("play", AGAIN, KUBEPLAY_FAULT="reconcile:restarting-all")
    root.play(AGAIN)
    root.wait(lambda: root.container("again")["state"].get("running"))
    assert [root.container("again", name)["restartCount"] for name in ("side", "i", "main")] == [1, 1, 0]
    assert root.container("again", "i")["lastState"]["terminated"]["reason"] == "RestartingAllContainers"
    assert len([r for r in root.rows("again") if r.state == "running"]) == 2
    root.down(AGAIN, force=True)
    root.wait(lambda: root.leaks() == [])


def test_a_killed_play_of_another_file_is_undone(root: Root) -> None:
    root.command("play", STACK, KUBEPLAY_FAULT="play:started")
    root.play("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {}\n")
    assert root.engine.store.runtime.find_pod("default", "web") is None
    assert root.engine.store.resources.volumes() == []
    root.clear()
    assert root.leaks() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_undoes_the_play(root: Root, number: int) -> None:
    slow = STACK.replace("echo init", "echo init; sleep 100")
    process = root.command("play", slow, wait=False)
    root.wait(lambda: root.engine.store.runtime.find_pod("default", "web") and root.status("web").get("initContainerStatuses"))
    root.wait(lambda: "running" in root.container("web", "i")["state"])
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert root.leaks() == []


def test_two_plays_of_one_file_at_once_make_one_stack(root: Root) -> None:
    both = [root.command("play", STACK, wait=False) for _ in range(2)]
    texts = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    said = sorted(out.splitlines()[-1] for out, _ in texts)
    assert said == ["False", "True"]
    assert len([r for r in root.rows("web") if r.state == "running"]) == 1
    root.down(STACK, force=True)
    assert root.leaks() == []


def test_plays_and_downs_against_each_other(root: Root) -> None:
    small = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: "busybox:1", command: [sleep, "1000"]}]}
"""
    errors: list[Exception] = []

    def churn(name: str) -> None:
        for _ in range(3):
            for step in (root.play, root.down):
                try:
                    step(small % name)
                except KubeplayError as error:
                    errors.append(error)

    threads = [threading.Thread(target=churn, args=(name,)) for name in ("a", "a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e for e in errors if "removed by another command" not in str(e)] == []
    root.clear()
    assert root.leaks() == []


def test_a_record_of_a_living_process_is_waited_for(root: Root) -> None:
    from kubeplay.plan.stack import ObjectKey

    key = ObjectKey("ConfigMap", "default", "c")
    first, second = record.Record(root.engine, [key]), record.Record(root.engine, [key])
    assert first.take() == []
    begin = time.monotonic()
    threading.Timer(0.3, first.release).start()
    assert second.take() == []
    assert time.monotonic() - begin > 0.25
    second.release()


def test_nothing_of_a_play_reaches_the_disk_unguarded(root: Root) -> None:
    """Secrets: the database is 0600 in a 0700 directory, projected copies lie on tmpfs."""
    root.play(STACK)
    assert Path(root.settings.root).stat().st_mode & 0o777 == 0o700
    assert Path(root.engine.paths.database).stat().st_mode & 0o777 == 0o600
    copies = Path(root.engine.paths.pod_tmpfs(root.uid("web"))) / "s"
    assert copies.is_mount()
    root.down(STACK, force=True)
