"""What a plan says of files against a store: merging, fields, pods. No containers: pods are rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeplay.apply import merging, planning
from kubeplay.apply.model import CREATE, LEAVE, REFUSE, REMOVE, REPLACE, UPDATE, Change, Effect
from kubeplay.errors import InvalidInput
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import given
from kubeplay.play.kinds import base
from kubeplay.play.stack import build
from tests.support.stored import CONTAINER, OPTIONS, Cluster, autoscaler, config, deployment, pod, read

Json = dict[str, Any]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.store.close()


def paths(change: Change) -> list[tuple[str, Any, Any]]:
    return [(one.path, one.old, one.new) for one in change.fields]


def test_what_is_new_is_created_with_its_pods(cluster: Cluster) -> None:
    found = cluster.one(deployment(replicas=2))
    assert (found.action, found.live, found.api_version) == (CREATE, "", "apps/v1")
    assert [(one.action, one.pod.kind) for one in found.effects] == [("create", "Pod")] * 2


def test_what_was_applied_is_left(cluster: Cluster) -> None:
    objects = (config({"a": "1"}), pod(), deployment(replicas=2), autoscaler())
    cluster.apply(*objects)
    assert {one.action for one in cluster.plan(*objects)} == {LEAVE}
    assert not planning.plan(cluster.engine, read(*objects), OPTIONS).differs


def test_defaults_that_a_file_says_or_not_are_no_difference(cluster: Cluster) -> None:
    cluster.apply(pod())
    said = {**CONTAINER, "imagePullPolicy": "IfNotPresent", "resources": {"limits": {}}, "terminationMessagePath": "/dev/termination-log"}
    assert cluster.one(pod(containers=[said], restartPolicy="Always", dnsPolicy="ClusterFirst")).action == LEAVE


def test_an_empty_list_is_none(cluster: Cluster) -> None:
    cluster.apply(pod(containers=[{**CONTAINER, "env": []}], nodeSelector={}))
    assert cluster.one(pod()).action == LEAVE
    found = cluster.one(pod(containers=[{**CONTAINER, "image": "nginx:2", "args": [], "volumeMounts": None}]))
    assert (found.action, [one.path for one in found.fields]) == (UPDATE, ["spec.containers[name=web].image"])


def test_three_ways(cluster: Cluster) -> None:
    """What the file dropped goes, what others have put stays."""
    cluster.apply(config({"a": "1", "b": "2"}, labels={"w": "0", "x": "1"}))
    key = ObjectKey("ConfigMap", "default", "c")
    body = json.loads(cluster.store.objects.get(key).body)
    body["data"]["z"], body["metadata"]["labels"]["theirs"] = "9", "yes"
    cluster.store.objects.update(key, json.dumps(body, sort_keys=True, separators=(",", ":")))
    found = cluster.one(config({"a": "3"}, labels={"w": "0"}))
    assert paths(found) == [("data.a", "1", "3"), ("data.b", "2", None), ("metadata.labels.x", "1", None)]
    merged = json.loads(found.merged)
    assert merged["data"] == {"a": "3", "z": "9"} and merged["metadata"]["labels"] == {"w": "0", "theirs": "yes"}


def test_kubectls_annotation_counts_where_we_have_nothing(cluster: Cluster) -> None:
    before = config({"a": "1", "b": "2"})
    text = json.dumps(before)
    cluster.store.objects.create(
        ObjectKey("ConfigMap", "default", "c"),
        build(read(config({"a": "1", "b": "2", "z": "9"}, annotations={given.LAST_APPLIED: text}))).objects[0].body,
    )
    assert paths(cluster.one(config({"a": "1"}))) == [("data.b", "2", None)]


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"kind":"ConfigMap","data":7,"metadata":[]}', "[" * 100_000,
                                  '{"kind":"ConfigMap","$patch":"delete","data":{"$patch":"delete"}}'])  # fmt: skip
def test_an_annotation_may_hold_anything(cluster: Cluster, text: str) -> None:
    body = build(read(config({"a": "1"}, annotations={given.LAST_APPLIED: text}))).objects[0].body
    cluster.store.objects.create(ObjectKey("ConfigMap", "default", "c"), body)
    assert paths(cluster.one(config({"a": "2"}))) == [("data.a", "1", "2")]


def test_a_null_takes_a_default_back(cluster: Cluster) -> None:
    cluster.apply(deployment(replicas=3))
    assert paths(cluster.one(deployment(replicas=None))) == [("spec.replicas", 3, 1)]


def test_an_image_restarts_its_container(cluster: Cluster) -> None:
    cluster.apply(pod())
    found = cluster.one(pod(containers=[{**CONTAINER, "image": "nginx:2"}]))
    assert found.action == UPDATE
    assert paths(found) == [("spec.containers[name=web].image", "nginx:1", "nginx:2")]
    assert found.effects == (Effect(found.key, "restart", ("web",)),)


def test_what_may_not_change_is_replaced_by_what_the_file_says(cluster: Cluster) -> None:
    cluster.apply(pod())
    found = cluster.one(pod(hostNetwork=True))
    assert (found.action, found.effects) == (REPLACE, (Effect(found.key, "replace"),))
    assert ("spec.hostNetwork", None, True) in paths(found)
    assert any("pod updates may not change fields other than" in line for line in found.why)


def test_a_claim_is_never_replaced(cluster: Cluster) -> None:
    def claim(mode: str) -> Json:
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "v"},
                "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip

    cluster.apply(claim("ReadWriteOnce"))
    assert cluster.one(claim("ReadWriteOnce")).action == LEAVE
    found = cluster.one(claim("ReadWriteMany"))
    assert found.action == REFUSE and found.why and not found.effects


def test_a_template_rolls_the_pods_that_stand(cluster: Cluster) -> None:
    cluster.apply(deployment(replicas=2))
    found = cluster.one(deployment({**CONTAINER, "image": "nginx:2"}, replicas=2))
    assert [one.action for one in found.effects] == ["replace", "replace"]
    assert "its pods are made anew by RollingUpdate" in found.why


def test_a_strategy_that_becomes_another_leaves_nothing_of_the_first(cluster: Cluster) -> None:
    cluster.apply(deployment())
    found = cluster.one(deployment(strategy={"type": "Recreate"}))
    assert json.loads(found.merged)["spec"]["strategy"] == {"type": "Recreate"}


def test_defaults_of_what_was_said_before_stand_in_nobodys_way(cluster: Cluster) -> None:
    """A server would refuse rollingUpdate, which it has filled in itself, beside OnDelete."""
    sets = {**deployment(), "kind": "StatefulSet"}
    cluster.apply(sets)
    found = cluster.one({**sets, "spec": {**sets["spec"], "updateStrategy": {"type": "OnDelete"}}})
    assert json.loads(found.merged)["spec"]["updateStrategy"] == {"type": "OnDelete"} and found.action == UPDATE


def test_replicas_that_somebody_has_scaled_stay_until_the_file_says_another_number(cluster: Cluster) -> None:
    cluster.apply(deployment(replicas=2))
    cluster.edit("Deployment", "d", replicas=5)
    found = cluster.one(deployment(replicas=2))
    assert found.action == LEAVE
    assert found.why == ("spec.replicas: 5 stays, as it was scaled and the file's 2 is what it was",)
    assert paths(cluster.one(deployment(replicas=3))) == [("spec.replicas", 5, 3)]


def test_replicas_that_the_file_never_said_stay(cluster: Cluster) -> None:
    cluster.apply(deployment())
    cluster.edit("Deployment", "d", replicas=5)
    assert cluster.one(deployment()).action == LEAVE


def test_replicas_are_an_autoscalers(cluster: Cluster) -> None:
    cluster.apply(deployment(replicas=2), autoscaler())
    cluster.edit("Deployment", "d", replicas=5)
    found = cluster.one(deployment(replicas=3))
    assert (found.action, found.why) == (LEAVE, ("spec.replicas: 5 stays, an autoscaler sets it",))


def test_values_of_secrets_are_marked(cluster: Cluster) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"pw": "old"}}
    cluster.apply(secret)
    assert cluster.one(secret).action == LEAVE
    (field,) = cluster.one({**secret, "stringData": {"pw": "new"}}).fields
    assert (field.path, field.secret) == ("data.pw", True)


def test_a_config_map_says_who_sees_it(cluster: Cluster) -> None:
    files = pod(volumes=[{"name": "v", "configMap": {"name": "c"}}])
    env = pod(containers=[{**CONTAINER, "envFrom": [{"configMapRef": {"name": "c"}}]}])
    env["metadata"] = {"name": "q"}
    cluster.apply(config({"a": "1"}), files, env)
    found = cluster.one(config({"a": "2"}))
    assert found.effects == (Effect(ObjectKey("Pod", "default", "p"), "refresh"),)
    assert found.why == ("containers of q keep their variables until they restart",)


def test_what_is_pruned_goes_with_its_pods(cluster: Cluster) -> None:
    cluster.apply(deployment(replicas=1), config({}))
    kept, gone = cluster.plan(config({}), removed=(ObjectKey("Deployment", "default", "d"),))
    assert (kept.action, gone.action, gone.merged) == (LEAVE, REMOVE, "")
    assert [one.action for one in gone.effects] == ["remove"]


def test_what_comes_out_must_be_valid(cluster: Cluster) -> None:
    """A port that somebody else has added bears the name of the file's new one."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "a"}]}}
    cluster.apply(service)
    cluster.edit("Service", "s", ports=[{"port": 80, "name": "a", "protocol": "TCP", "targetPort": 80},
                                        {"port": 81, "name": "b", "protocol": "TCP", "targetPort": 81}])  # fmt: skip
    with pytest.raises(InvalidInput, match="merged with what is stored it would not be valid"):
        cluster.plan({**service, "spec": {"ports": [{"port": 80, "name": "b"}]}})


def test_an_empty_store_creates_everything() -> None:
    found = planning.fresh(read(config({}), deployment(replicas=2)), OPTIONS)
    assert [one.action for one in found.changes] == [CREATE, CREATE]


@pytest.mark.parametrize(
    ("annotations", "rest"),
    [
        ({"deployment.kubernetes.io/revision": "1"}, None),
        ({"a": "1", "deployment.kubernetes.io/revision": "1"}, {"a": "1"}),
        ({"deployment.kubernetes.io/revision": '1"}\\', "z": "1"}, {"z": "1"}),
        ({"a": "1", "deployment.kubernetes.io/revision": "2", "deployment.kubernetes.io/max": "3", "z": "1"}, {"a": "1", "z": "1"}),
    ],
)
def test_controllers_marks_are_no_text_of_a_file(annotations: Json, rest: Json | None) -> None:
    plain = {"name": "d", "labels": {"app": "d"}}
    marked = base.body({**deployment(), "metadata": {**plain, "annotations": annotations}})
    assert json.loads(merging.bare(marked)) == {**deployment(), "metadata": plain | ({"annotations": rest} if rest else {})}
