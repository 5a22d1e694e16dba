"""cluster/pull and plain: a namespace of the API server's double as files, without what ties it to that cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeplay.cluster import access, kubeconfig, plain, pull
from kubeplay.cluster.connection import Connection
from kubeplay.cluster.pull import Pulled, PullOptions
from kubeplay.errors import ClusterError, NotFound
from kubeplay.kube import check, kinds, load, write
from kubeplay.kube.portable.model import PLACEHOLDER
from tests.support.apiserver import ApiServer, api_server

STACK = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
  annotations: {deployment.kubernetes.io/revision: "3", kubectl.kubernetes.io/last-applied-configuration: "{}", team: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {disk: ssd}
      priorityClassName: gold
      tolerations: [{key: dedicated, operator: Exists}]
      containers:
      - name: web
        image: registry.example/web:1
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: login}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, nodePort: 30080}], loadBalancerIP: 192.0.2.1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: fast}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-root-ca.crt}
data: {ca.crt: x}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
data: {password: c2VjcmV0}
---
apiVersion: v1
kind: Secret
type: helm.sh/release.v1
metadata: {name: sh.helm.release.v1.web.v1}
data: {release: eA==}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {pv.kubernetes.io/bind-completed: "yes"}}
spec: {accessModes: [ReadWriteOnce], storageClassName: gp3, volumeName: pvc-1, resources: {requests: {storage: 1Gi}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: abc, controller: true}]
spec: {containers: [{name: web, image: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec:
  nodeName: node-7
  tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]
  containers:
  - name: a
    image: busybox
    volumeMounts: [{name: kube-api-access-x1, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]
  volumes: [{name: kube-api-access-x1, emptyDir: {}}]
"""


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path) as made:
        made.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        for document in load.load(STACK.encode(), "stack"):
            made.put({**document.value, "metadata": {**document.value["metadata"], "namespace": "shop"}})
        yield made


def _pull(server: ApiServer, **options: Any) -> Pulled:
    with Connection(access.choose(kubeconfig.read({}, str(server.kubeconfig()))), lambda seconds: None) as connected:
        return pull.pull(connected, PullOptions(**{"namespace": "shop", **options}))


def _named(found: Pulled) -> dict[str, Any]:
    return {f"{one.object['kind']}/{one.object['metadata']['name']}": one.object for one in found.found}


def test_a_namespace_comes_down(server: ApiServer) -> None:
    found = _pull(server)
    named = _named(found)
    assert list(named) == ["Namespace/shop", "PersistentVolumeClaim/data",
                           "Service/web", "ConfigMap/settings", "Secret/login", "Deployment/web",
                           "HorizontalPodAutoscaler/web", "Pod/bare"]  # fmt: skip
    web = named["Deployment/web"]
    assert web["metadata"] == {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"team": "shop"}}
    assert web["spec"]["template"]["spec"] == {"containers": [{
        "name": "web", "image": "registry.example/web:1",
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "login"}}]}]}  # fmt: skip
    assert named["Service/web"]["spec"] == {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}
    assert named["PersistentVolumeClaim/data"]["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert named["Pod/bare"]["spec"] == {"containers": [{"name": "a", "image": "busybox"}]}
    assert named["Secret/login"]["data"] == {"password": PLACEHOLDER}
    assert found.notes == ("Secret sh.helm.release.v1.web.v1 is left out: helm's own record of a release",)


def test_what_ties_it_to_its_nodes_is_noted(server: ApiServer) -> None:
    taken = {f"{one.object['kind']}/{one.object['metadata']['name']}": dict(one.taken) for one in _pull(server).found if one.taken}
    assert taken["Deployment/web"] == {
        "spec.template.spec.nodeSelector": '{"disk": "ssd"}', "spec.template.spec.priorityClassName": "gold",
        "spec.template.spec.tolerations": '[{"key": "dedicated", "operator": "Exists"}]'}  # fmt: skip
    assert taken["Service/web"] == {"spec.loadBalancerIP": "192.0.2.1"}
    assert taken["PersistentVolumeClaim/data"] == {"spec.storageClassName": "gp3"}
    assert taken["Pod/bare"] == {"spec.nodeName": "node-7"}


def test_what_came_down_plays_here(server: ApiServer) -> None:
    objects = [one.object for one in _pull(server, show_secrets=True).found]
    found = check.inspect(write.documents(objects).encode(), "pulled")
    assert not found.faults and len(found.manifests) == len(objects)
    assert _named(_pull(server, show_secrets=True))["Secret/login"]["data"] == {"password": "c2VjcmV0"}


def test_a_selector_brings_what_is_referred_to(server: ApiServer) -> None:
    with_them = ["Namespace/shop", "Service/web", "ConfigMap/settings", "Secret/login", "Deployment/web"]
    assert list(_named(_pull(server, selector="app=web"))) == with_them
    with pytest.raises(NotFound, match="nothing to pull from namespace shop with labels app=nothing"):
        _pull(server, selector="app=nothing")


def test_pages(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "PAGE", 2)
    for number in range(7):
        server.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}", "namespace": "shop"}})
    assert sum(name.startswith("ConfigMap/c") for name in _named(_pull(server))) == 7
    monkeypatch.setattr(pull, "MAX_OBJECTS", 5)
    with pytest.raises(Exception, match="more than 5 objects"):
        _pull(server)


def test_what_may_not_be_read_is_noted(server: ApiServer) -> None:
    server.forbidden |= {("list", "secrets"), ("get", "secrets")}
    found = _pull(server, selector="app=web")
    assert "Secret/login" not in _named(found)
    assert any("no secrets: " in note and "forbidden" in note for note in found.notes)
    assert any("Secret login, which is referred to, is not in it" in note for note in found.notes)


@pytest.mark.parametrize(
    "obj",
    [
        {"metadata": {"name": "a"}, "spec": "nonsense"},
        {"metadata": {"name": "a"}, "spec": {"template": []}},
        {"metadata": {"name": "a", "labels": [1]}, "spec": {"template": {"spec": {"containers": "x", "volumes": [1]}}}},
        {"metadata": {"name": 5}},
        {"metadata": []},
        {"kind": "Secret", "metadata": {"name": "a"}},
    ],
)
def test_hostile_objects(server: ApiServer, obj: Any) -> None:
    server.objects["Deployment", "shop", "evil"] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, **obj}
    server.matching = lambda kind, namespace, query: [  # type: ignore[method-assign]
        {"apiVersion": "apps/v1", "kind": "Deployment", **obj}] if kind.kind == "Deployment" else []  # fmt: skip
    try:
        found = _pull(server)
    except (ClusterError, NotFound):
        return
    assert json.dumps([one.object for one in found.found])


def test_jobs_and_sets_lose_what_their_controllers_drew() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "labels": {"controller-uid": "x", "own": "y"}},
           "spec": {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "x"}},
                    "template": {"metadata": {"labels": {"controller-uid": "x", "job-name": "a"}, "creationTimestamp": None},
                                 "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}}}  # fmt: skip
    kind = kinds.find("batch/v1", "Job")
    assert kind is not None
    made = plain.plain(job, kind).object
    assert made["metadata"]["labels"] == {"own": "y"} and "selector" not in made["spec"]
    assert made["spec"]["template"] == {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
    claim = {"metadata": {"name": "d", "creationTimestamp": None}, "status": {"phase": "Pending"},
             "spec": {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}}  # fmt: skip
    sts = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"}, "spec": {"volumeClaimTemplates": [claim]}}
    kind = kinds.find("apps/v1", "StatefulSet")
    assert kind is not None
    found = plain.plain(sts, kind)
    assert found.taken == (("spec.volumeClaimTemplates[0].spec.storageClassName", "fast"),)
    assert found.object["spec"]["volumeClaimTemplates"] == [{"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
