"""Changing stored workloads: scale, undo, restart, pause, set image, and how far a rollout is, in kubectl's words."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.errors import Conflict, InvalidInput, KubeplayError, NotFound, NotSupported
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import rollout, verdicts
from kubeplay.play.kinds import base, deployment
from tests.support.replicas import deployed

Json = dict[str, Any]
WEB = ObjectKey("Deployment", "default", "web")


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    store = Store(str(tmp_path / "state.db"))
    yield SimpleNamespace(store=store, clock=store.clock)
    store.close()


def stored(engine: Any, body: Json, key: ObjectKey = WEB, owner: str = "") -> str:
    return str(engine.store.objects.create(key, base.body(body), owner_uid=owner).uid)


def body(engine: Any, key: ObjectKey = WEB) -> Json:
    found: Json = json.loads(engine.store.objects.get(key).body)
    return found


def with_history(engine: Any) -> None:
    """Three revisions, the last of them the present one."""
    uid = ""
    for number, image in enumerate(("a:1", "a:2", "a:3"), 1):
        one = deployed(2, image)
        one["metadata"]["annotations"] = {rollout.CAUSE: f"version {number}"}
        made = deployment.replica_set_of(one, deployment.code(one["spec"]["template"]), 0, number)
        if not uid:
            now = deployed(2, "a:3")
            now["metadata"]["annotations"] = {rollout.CAUSE: "version 3", deployment.REVISION: "3", "mine": "goes"}
            uid = stored(engine, now)
        stored(engine, made, ObjectKey("ReplicaSet", "default", made["metadata"]["name"]), uid)


def image(found: Json) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def test_de4_scaling_grows_the_generation_and_the_same_does_not(engine: Any) -> None:
    stored(engine, deployed(2))
    assert rollout.scale(engine, WEB, 5) and not rollout.scale(engine, WEB, 5)
    assert body(engine)["spec"]["replicas"] == 5 and engine.store.objects.get(WEB).generation == 2


def test_scale_refuses(engine: Any) -> None:
    stored(engine, deployed(2))
    with pytest.raises(Conflict, match="Expected replicas to be 3, was 2"):
        rollout.scale(engine, WEB, 5, current=3)
    with pytest.raises(InvalidInput):
        rollout.scale(engine, WEB, -1)
    with pytest.raises(NotSupported):
        rollout.scale(engine, ObjectKey("DaemonSet", "default", "web"), 1)
    with pytest.raises(NotFound):
        rollout.scale(engine, ObjectKey("Deployment", "default", "other"), 1)


def test_de3_history_and_undo(engine: Any) -> None:
    with_history(engine)
    assert [(one.number, one.cause) for one in rollout.history(engine, WEB)] == [(1, "version 1"), (2, "version 2"), (3, "version 3")]
    assert rollout.undo(engine, WEB) == "rolled back" and image(body(engine)) == "a:2"
    marks = body(engine)["metadata"]["annotations"]
    assert marks == {rollout.CAUSE: "version 2", deployment.REVISION: "3"}
    assert "pod-template-hash" not in body(engine)["spec"]["template"]["metadata"]["labels"]
    assert rollout.undo(engine, WEB, 1) == "rolled back" and image(body(engine)) == "a:1"
    assert rollout.undo(engine, WEB, 1) == "skipped rollback (current template already matches revision 1)"


@pytest.mark.parametrize(("number", "text"), [(9, "unable to find specified revision 9 in history"), (-1, "is no revision")])
def test_de3_undo_to_what_is_not_there(engine: Any, number: int, text: str) -> None:
    with_history(engine)
    with pytest.raises(KubeplayError, match=text):
        rollout.undo(engine, WEB, number)


def test_de3_undo_without_history_or_paused(engine: Any) -> None:
    stored(engine, deployed(2))
    with pytest.raises(NotFound, match='no rollout history found for deployment "web"'):
        rollout.undo(engine, WEB)
    rollout.pause(engine, WEB)
    with pytest.raises(Conflict, match="you cannot rollback a paused deployment"):
        rollout.undo(engine, WEB)


def test_de6_pause_and_resume(engine: Any) -> None:
    stored(engine, deployed(2))
    with pytest.raises(Conflict, match="not paused"):
        rollout.resume(engine, WEB)
    assert rollout.pause(engine, WEB) and body(engine)["spec"]["paused"] is True
    with pytest.raises(Conflict, match="already paused"):
        rollout.pause(engine, WEB)
    with pytest.raises(Conflict, match="can't restart paused deployment"):
        rollout.restart(engine, WEB)
    assert rollout.resume(engine, WEB) and "paused" not in body(engine)["spec"]


def test_restart_marks_the_template_with_the_time(engine: Any) -> None:
    stored(engine, deployed(2))
    assert rollout.restart(engine, WEB)
    assert body(engine)["spec"]["template"]["metadata"]["annotations"][rollout.RESTARTED].endswith("Z")
    assert not deployment.same_template(deployed(2)["spec"]["template"], body(engine)["spec"]["template"])


def test_set_image_of_one_and_of_all(engine: Any) -> None:
    stored(engine, deployed(2))
    assert rollout.set_image(engine, WEB, {"c": "b:2"}) and image(body(engine)) == "b:2"
    assert body(engine)["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert rollout.set_image(engine, WEB, {"*": "b"})
    assert body(engine)["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"  # DF2: set once, at creation
    with pytest.raises(NotFound, match='unable to find container named "x"'):
        rollout.set_image(engine, WEB, {"x": "b:2"})


def test_set_image_of_a_cron_job_and_of_what_has_no_pods() -> None:
    job = {"spec": {"template": {"spec": {"containers": [{"name": "x", "image": "a"}]}}}}
    cron: Json = {"kind": "CronJob", "metadata": {"name": "c"}, "spec": {"jobTemplate": job}}
    rollout.with_images({"x": "b"})(cron)
    assert rollout.pod_spec(cron) == {"containers": [{"name": "x", "image": "b"}]}
    with pytest.raises(NotSupported):
        rollout.pod_spec({"kind": "Service", "metadata": {"name": "s"}, "spec": {}})


SEEN = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
STUCK = {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}


@pytest.mark.parametrize(("status", "done", "text"), [
    ({"observedGeneration": 0}, False, "Waiting for deployment spec update to be observed..."),
    ({"updatedReplicas": 1}, False, 'Waiting for deployment "web" rollout to finish: 1 out of 3 new replicas have been updated...'),
    ({"replicas": 5}, False, 'Waiting for deployment "web" rollout to finish: 2 old replicas are pending termination...'),
    ({"availableReplicas": 1}, False, 'Waiting for deployment "web" rollout to finish: 1 of 3 updated replicas are available...'),
    ({}, True, 'deployment "web" successfully rolled out'),
])  # fmt: skip
def test_de5_status_in_kubectls_words(status: Json, done: bool, text: str) -> None:
    assert verdicts.deployment(deployed(3), {**SEEN, **status}, 1) == verdicts.Verdict(done, text=text)


def test_de5_a_deadline_that_has_passed_has_failed(engine: Any) -> None:
    stored(engine, deployed(3))
    engine.store.objects.set_status(WEB, json.dumps({**SEEN, **STUCK}))
    assert rollout.status(engine, WEB).failed == 'deployment "web" exceeded its progress deadline'
    with pytest.raises(Conflict, match="desired revision .2. is different from the running revision .0."):
        rollout.status(engine, WEB, 2)


STATEFUL = {"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 3, "currentRevision": "a", "updateRevision": "a"}
DAEMON = {"observedGeneration": 1, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}


@pytest.mark.parametrize(("kind", "spec", "status", "done", "text"), [
    ("StatefulSet", {}, {"readyReplicas": 1}, False, "Waiting for 2 pods to be ready..."),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, {"updatedReplicas": 1}, False, "1 out of 2 new pods"),
    ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 0}}}, {}, True, "partitioned roll out complete: 3 new pods"),
    ("StatefulSet", {}, {"updateRevision": "b", "updatedReplicas": 2}, False, "to complete 2 pods at revision b..."),
    ("DaemonSet", {}, {"updatedNumberScheduled": 0}, False, "0 out of 1 new pods have been updated..."),
    ("DaemonSet", {}, {"numberAvailable": 0}, False, "0 of 1 updated pods are available..."),
    ("DaemonSet", {}, {}, True, 'daemon set "web" successfully rolled out'),
    ("ReplicaSet", {}, {"observedGeneration": 1, "replicas": 3, "availableReplicas": 2}, False, "2 of 3 replicas are available..."),
    ("Job", {"completions": 3}, {"succeeded": 1}, False, "1 of 3 pods have succeeded..."),
    ("Job", {"suspend": True}, {}, True, "is suspended"),
    ("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}, True, 'job "web" complete'),
    ("Deployment", {"paused": True}, {}, True, "is paused"),
    ("ConfigMap", {}, {}, True, ""),
])  # fmt: skip
def test_when_a_workload_is_there(kind: str, spec: Json, status: Json, done: bool, text: str) -> None:
    known = {"StatefulSet": STATEFUL, "DaemonSet": DAEMON}.get(kind, {})
    found = verdicts.judge({"kind": kind, "metadata": {"name": "web"}, "spec": {"replicas": 3, **spec}}, {**known, **status}, 1)
    assert found.done == done and text in found.text


def test_a_job_that_has_failed_is_told_with_its_reason() -> None:
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "why"}]}
    assert verdicts.judge({"kind": "Job", "metadata": {"name": "web"}, "spec": {}}, failed, 1).failed == (
        'job "web" failed: BackoffLimitExceeded: why'
    )
