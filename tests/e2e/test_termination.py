"""Pods on their way down, looked after by the supervisor: many at once, and nobody waits for another's grace period."""

from __future__ import annotations

import pytest

from kubeplay import supervisor
from kubeplay.engine.store.runtime import DELETE
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor import loop
from tests.support.root import Root

pytestmark = pytest.mark.root


def pod(name: str, command: str, grace: int) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: {grace}
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, {command!r}]
---"""


DEAF = "trap : TERM; while true; do sleep 1000 & wait $!; done"


def test_te2_pods_in_their_grace_period_hold_up_nobody(root: Root) -> None:
    names = [f"deaf{number}" for number in range(loop.WORKERS + 1)]
    slow = "".join(pod(name, DEAF, 3000) for name in names)
    root.play(slow + pod("other", "until [ -e /go ]; do sleep 0.1; done", 0))
    for name in names:
        root.engine.store.objects.mark_deleted(ObjectKey("Pod", "default", name), 3000)
        root.engine.store.runtime.set_pod(root.uid(name), desired=DELETE)
    supervisor.ensure(root.engine)  # as if who removes them had been killed
    root.wait(lambda: {event.key.name for event in root.engine.store.events.list() if event.reason == "Killing"} >= set(names))
    assert root.engine.signal_container(root.rows("other")[-1], 9)
    root.wait(lambda: root.container("other")["restartCount"] == 1)
    assert all(root.rows(name)[-1].state == "running" for name in names)
    root.down(slow, timeout=0)  # TE1: the supervisor, which is at it, hurries
    assert [row.name for row in root.engine.store.runtime.pods("default")] == ["other"]
    root.clear()
    root.wait(lambda: root.leaks() == [])
