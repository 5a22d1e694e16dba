"""Names to stored objects, over a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.store.applied import Applied
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.resources import VolumeRow
from kubeplay.errors import Ambiguous, NotFound
from kubeplay.generate import lookup
from kubeplay.generate.options import GenerateOptions
from kubeplay.plan.stack import ObjectKey
from tests.support.manifests import play

FILE = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: 'i:1'}, {name: d, image: 'i:1', env: [{name: A, valueFrom: {configMapKeyRef: {name: m, key: k}}}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: 'i:1'}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: c, image: 'i:1'}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data: {k: v}
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: v1
kind: Pod
metadata: {name: q, namespace: other}
spec: {containers: [{name: c, image: 'i:1'}]}
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "db"))
    for one in play(FILE).objects:
        opened.objects.create(one.key, one.body, uid="0abc" if one.key.name == "p" else "")
    opened.resources.add_volume(VolumeRow("default", "data", "local", (("uid", "7"),), (), 0.0))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("p", ["ConfigMap", "Pod"]),
        ("pod/web", ["Pod"]),
        ("deploy/web", ["Deployment"]),
        ("other/q", ["Pod"]),
        ("p-c", ["Pod"]),
        ("p/d", ["ConfigMap", "Pod"]),
        ("data", ["PersistentVolumeClaim"]),
        ("volume/data", ["PersistentVolumeClaim"]),
        ("cm/m", ["ConfigMap"]),
        ("ns/other", ["Namespace"]),
        ("0ab", ["ConfigMap", "Pod"]),
    ],
)
def test_names(store: Store, name: str, kinds: list[str]) -> None:
    text = lookup.text(store, [name])
    assert [line.split()[1] for line in text.splitlines() if line.startswith("kind:")] == kinds


def test_a_name_that_fits_a_pod_and_its_namesake_is_ambiguous(store: Store) -> None:
    with pytest.raises(Ambiguous, match="pod/web, deployment/web"):
        lookup.find(store, ["web"])


@pytest.mark.parametrize("name", ["nothing", "pod/nothing", "p/nothing", "elsewhere/p", "volume/nothing", "ffff"])
def test_nothing_of_that_name(store: Store, name: str) -> None:
    with pytest.raises(NotFound):
        lookup.find(store, [name])


def test_several_names_make_one_file(store: Store) -> None:
    text = lookup.text(store, ["p", "deploy/web", "data"], options=GenerateOptions(type=""))
    assert text.count("---") == 4
    wanted = lookup.find(store, ["p-c", "p-d"])
    assert [name for _, name in wanted.containers] == ["c", "d"]


def test_stored_gives_only_what_is_there(store: Store) -> None:
    get = lookup.stored(store)
    assert get(ObjectKey("ConfigMap", "default", "m")) is not None
    assert get(ObjectKey("ConfigMap", "default", "none")) is None


NOTED = """
apiVersion: v1
kind: Pod
metadata: {name: made, annotations: {kubeplay.io/container-prefix: "false", a: b}}
spec: {containers: [{name: made, image: 'i:1'}]}
"""


@pytest.mark.parametrize(("given", "kept"), [("", False), ('{"metadata":{}}', False), ('{"kubeplay.io/container-prefix":"false"}', True)])
def test_notes_of_run_go_and_those_of_a_file_stay(store: Store, given: str, kept: bool) -> None:
    (one,) = play(NOTED).objects
    uid = store.objects.create(one.key, one.body).uid
    if given:
        Applied(store).put(uid, 0, given)
    assert ("container-prefix" in lookup.text(store, ["made"])) == kept
    assert "a: b" in lookup.text(store, ["made"])
    assert "container-prefix" in lookup.text(store, ["made"], options=GenerateOptions(podman_only=True))


SCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 9}
"""


@pytest.mark.parametrize(("given", "line"), [("", ""), ('{"spec":{}}', ""), ('{"spec":{"replicas":2}}', "replicas: 2")])
def test_an_autoscalers_size_is_no_part_of_the_file(store: Store, given: str, line: str) -> None:
    key = ObjectKey("Deployment", "default", "web")
    row = store.objects.get(key)
    body = json.loads(row.body)
    body["spec"]["replicas"] = 7
    store.objects.update(key, json.dumps(body))
    if given:
        Applied(store).put(row.uid, 0, given)
    assert "replicas: 7" in lookup.text(store, ["deploy/web"])
    (scaler,) = play(SCALER).objects
    store.objects.create(scaler.key, scaler.body)
    text = lookup.text(store, ["deploy/web"])
    assert "replicas: 7" not in text and line in text
    assert "replicas: 4" in lookup.text(store, ["deploy/web"], options=GenerateOptions("deployment", 4))
