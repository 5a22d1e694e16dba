"""cluster/apply, sending and rollout against the API server's double: what is sent, what the server says, and when it is up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.cluster import access, apply, discovery, kubeconfig, rollout, sending
from kubeplay.cluster.apply import Applied, ApplyOptions
from kubeplay.cluster.connection import Connection
from kubeplay.errors import ClusterError, InvalidInput, KubeplayError, Timeout
from tests.support.apiserver import ApiServer, api_server

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example/web:1
        ports: [{containerPort: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path) as made:
        yield made


def _apply(server: ApiServer, text: str, **options: Any) -> list[Applied]:
    found = access.choose(kubeconfig.read({}, str(server.kubeconfig())))
    with Connection(found, lambda seconds: None) as connected:
        return list(apply.apply(connected, sending.items([("app.yaml", text.encode())]), ApplyOptions(**options)))


def _error(server: ApiServer, text: str, **options: Any) -> str:
    (one,) = [one for one in _apply(server, text, **options) if one.error is not None]
    return str(one.error)


def test_what_is_sent(server: ApiServer) -> None:
    done = _apply(server, WEB, manager="me")
    assert [one.title for one in done] == ["deployment.apps/web", "service/web"] and not any(one.error for one in done)
    sent = [one for one in server.seen if one.method == "PATCH"]
    assert sent[0].path == "/apis/apps/v1/namespaces/default/deployments/web"
    assert sent[0].query == {"fieldManager": "me", "force": "false", "fieldValidation": "Strict"}
    assert sent[0].headers["Content-Type"] == "application/apply-patch+yaml"
    owners = {entry["manager"]: entry["operation"] for entry in server.get("Deployment", "default", "web")["metadata"]["managedFields"]}
    assert owners == {"me": "Apply"}


def test_again_changes_nothing_and_a_field_left_out_goes(server: ApiServer) -> None:
    _apply(server, WEB)
    before = server.get("Deployment", "default", "web")["metadata"]["resourceVersion"]
    assert server.get("Deployment", "default", "web")["metadata"]["labels"] == {"app": "web"}
    _apply(server, WEB)
    assert server.get("Deployment", "default", "web")["metadata"]["resourceVersion"] == before
    _apply(server, WEB.replace(", labels: {app: web}}\nspec:\n  replicas: 2", "}\nspec:\n  replicas: 3", 1))
    web = server.get("Deployment", "default", "web")
    assert "labels" not in web["metadata"] and web["spec"]["replicas"] == 3 and web["metadata"]["generation"] == 2


def test_fields_of_others_are_refused_and_shown(server: ApiServer) -> None:
    _apply(server, WEB, manager="hpa")
    other = WEB.replace("web:1", "web:2").replace("replicas: 2", "replicas: 5")
    said = _error(server, other)
    assert "app.yaml:1: Deployment web: 2 fields belong to others in the cluster:" in said
    assert '\n  .spec.template.spec.containers[name="web"].image is hpa\'s' in said and "\n  .spec.replicas is hpa's" in said
    assert "--force-conflicts" in said
    _apply(server, other, force=True)
    web = server.get("Deployment", "default", "web")
    assert web["spec"]["replicas"] == 5 and web["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:2"
    assert not any("f:replicas" in one["fieldsV1"].get("f:spec", {}) for one in web["metadata"]["managedFields"] if one["manager"] == "hpa")


def test_one_field_of_another(server: ApiServer) -> None:
    _apply(server, WEB, manager="hpa")
    assert "a field belongs to others" in _error(server, WEB.replace("replicas: 2", "replicas: 5"))


def test_a_dry_run_stores_nothing(server: ApiServer) -> None:
    done = _apply(server, WEB, dry_run=True)
    assert done[0].object["spec"]["strategy"]["type"] == "RollingUpdate"  # the server's own defaults
    assert not [key for key in server.objects if key[0] == "Deployment"]
    assert all(one.query["dryRun"] == "All" for one in server.seen if one.method == "PATCH")


def test_what_is_invalid_keeps_nothing_else_back(server: ApiServer) -> None:
    text = WEB.replace("image: registry.example/web:1", 'image: ""')
    done = _apply(server, text)
    assert [one.error is None for one in done] == [False, True]
    error = done[0].error
    assert isinstance(error, ClusterError) and (error.status, error.reason) == (422, "Invalid")
    assert 'Deployment.apps "web" is invalid: spec.template.spec.containers[0].image' in str(error)
    assert error.causes[0]["field"] == "spec.template.spec.containers[0].image"


def test_unknown_fields_and_kinds(server: ApiServer) -> None:
    assert "field not declared in schema" in _error(server, WEB.replace("replicas: 2", "replicaz: 2"))
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: {anything: [1]}\n"
    said = _error(server, widget)
    assert 'app.yaml:1: Widget a: the cluster has no kind "Widget" in version "example.com/v1"' in said and "CustomResource" in said
    server.serve("example.com/v1", "Widget", "widgets")
    assert _apply(server, widget)[0].title == "widget.example.com/a"
    assert server.get("Widget", "default", "a")["spec"] == {"anything": [1]}


def test_namespaces(server: ApiServer) -> None:
    said = _error(server, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata: {a: b}\n")
    assert 'namespaces "shop" not found' in said and "--create-namespace" in said
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n"
    done = _apply(server, config, namespace="shop", create_namespace=True)
    assert [one.title for one in done] == ["namespace/shop", "configmap/a"] and ("ConfigMap", "shop", "a") in server.objects
    done = _apply(server, config + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: late}\n", namespace="late")
    assert [one.title for one in done] == ["namespace/late", "configmap/a"]  # what others need comes first
    _apply(server, "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: pv, namespace: x}\nspec: {capacity: {storage: 1Gi}, "
                   "accessModes: [ReadWriteOnce], hostPath: {path: /x}}")  # fmt: skip
    assert ("PersistentVolume", "", "pv") in server.objects


def test_forbidden_and_nobody(server: ApiServer) -> None:
    server.forbidden.add(("patch", "deployments"))
    done = _apply(server, WEB)
    assert "is forbidden" in str(done[0].error) and "auth can-i" in str(done[0].error) and done[1].error is None
    server.failures.append((401, {}))
    with pytest.raises(ClusterError):  # every further object would meet the same
        _apply(server, WEB)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Pod\nmetadata: {name: a}", "apiVersion not set"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}", "apply needs to know which object is meant"),
        ("apiVersion: v1\nkind: Pod", "name is required"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: other}", "say --namespace other"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, managedFields: [{}]}", "must not be set"),
        ('apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: "<hidden: generate again with --show-secrets>"}', "--show-secrets"),
        ("[]", "a list"),
        ("# nothing", "no objects"),
    ],
)
def test_files_that_nobody_sends(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="nothing was sent") as caught:
        sending.items([("app.yaml", text.encode())], "shop")
    assert said in str(caught.value)


def test_a_status_in_the_file_is_not_sent(server: ApiServer) -> None:
    _apply(server, WEB + "status: {loadBalancer: {}}\n")
    assert "status" not in server.get("Service", "default", "web")


def test_the_client_checks_kinds_it_knows() -> None:
    texts = [("app.yaml", (WEB + "---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n").encode())]
    assert sending.checked(texts, "") == []
    bad = [("app.yaml", WEB.replace("replicas: 2", "replicas: -2").encode())]
    assert [fault.path for fault in sending.checked(bad, "")] == ["spec.replicas"]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), st.none() | st.text() | st.lists(st.dictionaries(st.text(), st.text() | st.booleans()))))
def test_any_discovery_is_read(answer: dict[str, Any]) -> None:
    assert isinstance(discovery.read("g", "v1", answer), dict)


def test_discovery_of_a_hostile_server() -> None:
    items = [{"name": "../../secrets", "kind": "Deployment"}, {"name": "pods/exec", "kind": "Pod"}, {"name": "a?b", "kind": "B"}, 5]
    assert discovery.read("apps", "v1", {"resources": items}) == {}


def _of(kind: str, spec: Any = None, status: Any = None, generation: int = 1) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"generation": generation}, "spec": spec or {}, "status": status or {}}


SEEN = {"observedGeneration": 1}
DEADLINE = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet web-1 has timed out"}
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("obj", "done", "why"),
    [
        (_of("ConfigMap"), True, ""),
        (_of("Deployment", generation=2, status={**SEEN, "updatedReplicas": 1}), False, "has not seen"),
        (_of("Deployment", {"replicas": 3}, {**SEEN, "updatedReplicas": 1}), False, "1 of 3 replicas have been updated"),
        (_of("Deployment", {"replicas": 1}, {**SEEN, "updatedReplicas": 1, "replicas": 2}), False, "1 old replicas are still ending"),
        (_of("Deployment", {"replicas": 1}, {**SEEN, "updatedReplicas": 1, "replicas": 1}), False, "0 of 1 updated"),
        (_of("Deployment", {}, {**SEEN, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}), True, ""),
        (_of("Deployment", {"replicas": 0}, SEEN), True, ""),
        (_of("Deployment", {}, {**SEEN, "conditions": [DEADLINE]}), None, "web-1 has timed out"),
        (_of("StatefulSet", {"replicas": 2}, {**SEEN, "readyReplicas": 1}), False, "1 of 2 pods are ready"),
        (_of("StatefulSet", {"replicas": 2}, {**SEEN, "readyReplicas": 2, "updatedReplicas": 1, "updateRevision": "b"}), False, "1 of 2"),
        (_of("StatefulSet", {"replicas": 2}, {**SEEN, "readyReplicas": 2, "updatedReplicas": 2, "updateRevision": "b"}), True, ""),
        (_of("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, {**SEEN, "readyReplicas": 1}), True, ""),
        (_of("DaemonSet", {}, {**SEEN, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}), False, "1 of 2"),
        (_of("DaemonSet", {}, {**SEEN, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}), True, ""),
        (_of("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}), True, ""),
        (_of("Job", {}, {"conditions": [{"type": "Failed", "status": "True", "message": "backoff"}]}), None, "backoff"),
        (_of("Job", {}, {"conditions": 5}), False, "0 of 1 completions"),
        (_of("Job", {"completions": 3}, {"succeeded": 1}), False, "1 of 3 completions"),
        (_of("Pod", {}, {"phase": "Running"}), False, "Running, not ready"),
        (_of("Pod", {}, {"phase": "Running", "conditions": READY}), True, ""),
        (_of("Pod", {}, {"phase": "Succeeded"}), True, ""),
        (_of("Pod", {}, {"phase": "Failed", "reason": "Evicted"}), None, "Evicted"),
        ({"kind": "Deployment", "status": "nonsense", "spec": []}, False, "0 of 1"),
    ],
)  # fmt: skip
def test_when_it_is_up(obj: dict[str, Any], done: bool | None, why: str) -> None:
    found = rollout.verdict(obj)
    assert (found.done, found.failed) == (bool(done), done is None) and (done or why in found.why)


def _wait(server: ApiServer, done: list[Applied], looks: list[Any]) -> list[str]:
    """Wait in a time of our own: each rest runs the next of `looks`."""
    said: list[str] = []
    now = [0.0]

    def rest(seconds: float) -> None:
        now[0] += seconds
        if looks:
            looks.pop(0)()

    with Connection(access.choose(kubeconfig.read({}, str(server.kubeconfig())))) as connected:
        rollout.wait(connected, done, 10.0, said.append, lambda: now[0], rest)
    return said


def test_waiting(server: ApiServer) -> None:
    server.ready = False
    done = _apply(server, WEB)

    def status(count: int) -> Any:
        return lambda: server.status("Deployment", "default", "web", {
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": count})  # fmt: skip

    said = _wait(server, done, [status(0), status(1), status(1), status(2)])
    assert said == ["deployment.apps/web: the controller has not seen the change yet",
                    "deployment.apps/web: 0 of 2 updated replicas are available",
                    "deployment.apps/web: 1 of 2 updated replicas are available"]  # fmt: skip
    status(1)()
    with pytest.raises(Timeout, match="not up after 10 s:\n  deployment.apps/web: 1 of 2"):
        _wait(server, done, [])
    with pytest.raises(KubeplayError, match="progress deadline"):
        _wait(server, done, [lambda: server.status("Deployment", "default", "web", {**SEEN, "conditions": [DEADLINE]})])
    del server.objects["Deployment", "default", "web"]
    with pytest.raises(KubeplayError, match="deleted meanwhile"):
        _wait(server, done, [])


def test_a_namespace_is_one_segment_of_a_path() -> None:
    asked: list[str] = []

    class Double:
        def get(self, path: str) -> dict[str, Any]:
            asked.append(path)
            return {}

    assert not list(apply._namespace(Double(), None, "../nodes?x", set(), apply.ApplyOptions()))  # type: ignore[arg-type]
    assert asked == ["/api/v1/namespaces/..%2Fnodes%3Fx"]
