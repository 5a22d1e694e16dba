"""label, annotate, set, delete, scale: what a command line means, and what becomes of a body, without a store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.cli import choosing, deleting, exposing, marking, scaling, setting
from kubeplay.engine.store.objects import StoredObject
from kubeplay.errors import Conflict, InvalidInput, NotFound, NotSupported
from kubeplay.kube.kinds import named
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import edit, rollout

Json = dict[str, Any]


def body() -> Json:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "1"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {
                "containers": [{"name": "main", "image": "i:1", "env": [{"name": "OLD", "value": "1"}]}, {"name": "side", "image": "s:1"}],
                "initContainers": [{"name": "first", "image": "f:1"}]}}},
    }  # fmt: skip


def stored(made: Json) -> StoredObject:
    return StoredObject(ObjectKey("Deployment", "shop", "web"), "u", 1, 1, 0.0, None, None, "", json.dumps(made), "")


# label and annotate
def test_objects_come_before_their_labels() -> None:
    names, marks = marking.parse(["pods", "web", "db", "a=b", "c-", "d="], field="labels")
    assert names == ["pods", "web", "db"] and marks == marking.Marks((("a", "b"), ("d", "")), ("c",))
    with pytest.raises(InvalidInput, match="neither KEY=VALUE nor KEY-"):
        marking.parse(["pod", "web", "a=b", "other"], field="labels")
    with pytest.raises(InvalidInput, match="can not both modify and remove a label"):
        marking.parse(["pod", "web", "a=b", "a-"], field="labels")


WORDS = st.lists(st.text("ab=-/,. \x1b\u00e9", max_size=6), max_size=5)


@given(WORDS, st.sampled_from(["labels", "annotations"]))
def test_whatever_is_typed_is_marks_or_refused(words: list[str], field: str) -> None:
    try:
        names, marks = marking.parse(words, field=field)
    except InvalidInput:
        return
    assert all("=" not in name and not name.endswith("-") for name in names)
    for key, value in marks.put:
        if not marking.faults(marking.Marks(((key, value),), ()), field):
            assert key and key.isascii() and "\x1b" not in key and (field == "annotations" or value.isprintable())


def test_a_label_is_overwritten_on_demand_only() -> None:
    marks = marking.Marks((("a", "2"), ("b", "3")), ("gone",))
    with pytest.raises(Conflict, match=r"'a' already has a value \(1\), and --overwrite is false"):
        marking.marked({"a": "1"}, marks, False)
    assert marking.marked({"a": "1", "gone": "x"}, marks, True) == {"a": "2", "b": "3"}
    assert marking.marked({"a": "2"}, marks, False) == {"a": "2", "b": "3"}


@pytest.mark.parametrize(
    ("key", "value", "field", "right"),
    [("a", "b", "labels", True), ("a b", "c", "labels", False), ("a", "x y", "labels", False), ("a", "x y", "annotations", True),
     ("x" * 64, "v", "labels", False), ("-a", "v", "annotations", False), ("Ex.io/A", "v", "annotations", True),
     ("a/b/c", "", "labels", False)],
)  # fmt: skip
def test_keys_and_values_are_checked(key: str, value: str, field: str, right: bool) -> None:
    assert (not marking.faults(marking.Marks(((key, value),), ()), field)) == right


# set
def deployment() -> Any:
    found = named("deployment")
    assert found is not None
    return found


def test_images_of_containers_by_name_and_all() -> None:
    spec = rollout.pod_spec(body())
    assert [one["name"] for one in setting._fitting(spec, "*", "x")] == ["first", "main", "side"]
    assert [one["name"] for one in setting._fitting(spec, "ma*,side", "x")] == ["main", "side"]
    with pytest.raises(NotFound, match="unable to find container named 'other'"):
        setting._fitting(spec, "other", "deployment.apps/web")
    with pytest.raises(NotSupported, match="ConfigMap c has no pods"):
        rollout.pod_spec({"kind": "ConfigMap", "metadata": {"name": "c"}})


def test_variables_keep_their_order_and_go() -> None:
    container = {"name": "main", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    setting._variables(container, [{"name": "C", "value": "3"}, {"name": "A", "value": "9"}], {"B"}, True)
    assert container["env"] == [{"name": "A", "value": "9"}, {"name": "C", "value": "3"}]
    with pytest.raises(InvalidInput, match="'A' already has a value"):
        setting._variables(container, [{"name": "A", "value": "0"}], set(), False)
    setting._variables(container, [], {"A", "C"}, True)
    assert "env" not in container
    assert setting._entry({"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}) == "# K from s, key k"
    assert setting._variable("a.b-c") == "A_B_C"


def test_amounts() -> None:
    assert setting._amounts("--limits", "cpu=1,memory=64Mi") == {"cpu": "1", "memory": "64Mi"}
    with pytest.raises(InvalidInput, match="--limits 'cpu' is not NAME=AMOUNT"):
        setting._amounts("--limits", "cpu")


# the door
def test_an_edit_goes_the_way_of_an_update() -> None:
    new = edit.edited(stored(body()), lambda made: made["spec"].update(replicas=5))
    assert new["spec"]["replicas"] == 5 and new["spec"]["revisionHistoryLimit"] == 10  # with its defaults
    with pytest.raises(InvalidInput) as caught:
        edit.edited(stored(body()), lambda made: made["spec"].update(replicas=-1))
    assert [fault.path for fault in caught.value.faults] == ["spec.replicas"]
    with pytest.raises(InvalidInput) as caught:
        edit.edited(stored(body()), lambda made: rollout.pod_spec(made)["containers"][0].update(image=""))
    assert [fault.path for fault in caught.value.faults] == ["spec.template.spec.containers[0].image"]


def test_what_may_never_change_does_not() -> None:
    def other(made: Json) -> None:
        made["spec"]["selector"] = {"matchLabels": {"app": "web", "b": "c"}}
        made["spec"]["template"]["metadata"]["labels"]["b"] = "c"

    with pytest.raises(Conflict, match="field is immutable"):
        edit.edited(stored(body()), other)


def test_old_faults_stand_in_nobodys_way() -> None:
    wrong = body()
    wrong["metadata"]["labels"] = {"a": "not a label!"}  # an older version took it
    assert edit.edited(stored(wrong), lambda made: made["spec"].update(replicas=3))["spec"]["replicas"] == 3


# delete and scale
@pytest.mark.parametrize(
    ("given", "seconds"),
    [({}, None), ({"now": True}, 1), ({"force": True}, 0), ({"force": True, "grace_period": 0}, 0), ({"grace_period": 0}, 1),
     ({"grace_period": 7}, 7)],
)  # fmt: skip
def test_the_grace_of_a_deletion(given: Json, seconds: float | None) -> None:
    assert deleting._grace({"grace_period": -1, "now": False, "force": False, **given}) == seconds


@pytest.mark.parametrize("given", [{"now": True, "grace_period": 3}, {"force": True, "grace_period": 3}])
def test_graces_that_exclude_each_other(given: Json) -> None:
    with pytest.raises(InvalidInput, match="cannot be specified together"):
        deleting._grace({"grace_period": -1, "now": False, "force": False, **given})


def test_what_is_said() -> None:
    kind, made = deployment(), body()
    assert choosing.said(kind, made, "scaled", {"dry_run": "none"}) == "deployment.apps/web scaled\n"
    assert choosing.said(kind, made, "scaled", {"dry_run": "server"}) == "deployment.apps/web scaled (server dry run)\n"
    assert choosing.said(kind, made, "scaled", {"output": "name"}) == "deployment.apps/web\n"
    assert choosing.said(kind, made, "scaled", {"output": "yaml"}).startswith("apiVersion: apps/v1\nkind: Deployment\n")
    with pytest.raises(InvalidInput, match="forms: name, json, yaml"):
        choosing.said(kind, made, "scaled", {"output": "wide"})
    assert deleting._said(kind, made, {"output": None}, None) == 'deployment.apps "web" deleted from shop namespace\n'
    assert deleting._said(kind, made, {"output": None}, 0) == 'deployment.apps "web" force deleted from shop namespace\n'
    assert deleting._said(kind, made, {"output": "name"}, None) == "deployment.apps/web\n"


def exposed(kind: str, made: Json, **given: Any) -> Json:
    names = ("port", "target_port", "type", "cluster_ip", "external_ip", "session_affinity")
    found = named(kind)
    assert found is not None
    return exposing.service(found, made, {**dict.fromkeys(names), "protocol": "TCP", **given})


def test_a_service_for_a_workload() -> None:
    made = body()
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
    assert exposed("deploy", made) == {"selector": {"app": "web"}, "ports": [
        {"port": 80, "protocol": "TCP", "targetPort": 80, "name": "port-1"},
        {"port": 53, "protocol": "UDP", "targetPort": 53, "name": "port-2"}]}  # fmt: skip
    one = exposed("deploy", made, port=8, target_port="http", type="NodePort", cluster_ip="None")
    assert one["ports"] == [{"port": 8, "protocol": "TCP", "targetPort": "http"}]
    assert (one["type"], one["clusterIP"]) == ("NodePort", "None")
    made["spec"]["selector"]["matchExpressions"] = [{"key": "a", "operator": "Exists"}]
    with pytest.raises(InvalidInput, match="by expressions"):
        exposed("deploy", made)
    with pytest.raises(InvalidInput, match="has no labels"):
        exposed("pod", {"metadata": {"name": "p"}, "spec": {}}, port=1)
    with pytest.raises(InvalidInput, match="cannot expose a configmap"):
        exposed("cm", {"metadata": {"name": "c"}}, port=1)


def test_metrics_of_an_autoscaler() -> None:
    def targets(**given: Any) -> list[Json]:
        made = scaling._metrics({"cpu": None, "cpu_percent": None, "memory": None, **given})
        return [{one["resource"]["name"]: one["resource"]["target"]} for one in made]

    assert targets() == [{"cpu": {"type": "Utilization", "averageUtilization": 80}}]
    share = {"type": "Utilization", "averageUtilization": 60}
    assert targets(cpu="500m", memory="60%") == [{"cpu": {"type": "AverageValue", "averageValue": "500m"}}, {"memory": share}]
    assert targets(cpu_percent=50) == [{"cpu": {"type": "Utilization", "averageUtilization": 50}}]
    with pytest.raises(InvalidInput, match="neither a percentage nor an amount"):
        targets(cpu="x%")
