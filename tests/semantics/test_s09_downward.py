"""Section 9, the downward API: DA1-DA4, as variables and as files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.volumes import atomic
from kubeplay.errors import InvalidInput
from kubeplay.kube import check, environment
from kubeplay.kube.downward import NodeFacts, PodFacts
from kubeplay.plan.pod import PodPlan
from kubeplay.play import stack as stacks
from kubeplay.play import update
from kubeplay.reconcile import live
from kubeplay.reconcile.files import Facts, volume_files
from kubeplay.reconcile.objects import Contents

NODE = NodeFacts(cpu_milli=4000, memory=8 << 30, ephemeral=100 << 30)
META = {"name": "p", "labels": {"app": "x", "example.com/tier": "back"}, "annotations": {"note": "two\nlines"}}


def built(spec: dict[str, Any], meta: dict[str, Any] = META) -> Any:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    return stacks.build(check.read(json.dumps(obj).encode(), "x"))


def facts(plan: PodPlan) -> PodFacts:
    return environment.facts_of(plan, "u-1", ("10.0.0.2", "fd00::2"), ("192.0.2.2",), "node1")


def variable(source: dict[str, Any], **container: Any) -> str:
    entry = {"name": "V", "valueFrom": source}
    plan = built({"containers": [{"name": "main", "image": "i:1", "env": [entry], **container}]}).pods[0]
    made = environment.resolve(plan, plan.containers[0], facts(plan), NODE, lambda *_: None, {}, lambda *_: ("", None))
    return dict(made.env)["V"]


def file(item: dict[str, Any], tmp_path: Path, meta: dict[str, Any] = META, **container: Any) -> str:
    volume = {"name": "d", "downwardAPI": {"items": [{"path": "f", **item}]}}
    plan = built({"volumes": [volume], "containers": [{"name": "main", "image": "i:1", **container}]}, meta).pods[0]
    contents = Contents(Store(str(tmp_path / "state.db")), "default")
    found = volume_files(plan, contents, Facts(lambda: facts(plan), lambda: NODE, lambda item: ""))
    return found["d"]["f"].content.decode()


@pytest.mark.parametrize(("path", "value"), [
    ("metadata.name", "p"), ("metadata.namespace", "default"), ("metadata.uid", "u-1"), ("metadata.labels['app']", "x"),
    ("metadata.labels['example.com/tier']", "back"), ("metadata.labels['none']", ""), ("metadata.annotations['note']", "two\nlines"),
    ("spec.nodeName", "node1"), ("spec.serviceAccountName", "default"), ("status.hostIP", "192.0.2.2"), ("status.hostIPs", "192.0.2.2"),
    ("status.podIP", "10.0.0.2"), ("status.podIPs", "10.0.0.2,fd00::2"),
])  # fmt: skip
def test_da1_fields_as_variables(path: str, value: str) -> None:
    assert variable({"fieldRef": {"fieldPath": path}}) == value


@pytest.mark.parametrize("path", ["metadata.labels", "metadata.annotations", "spec.hostname", "status.phase", "metadata.name['x']"])
def test_da1_what_a_variable_cannot_show(path: str) -> None:
    with pytest.raises(InvalidInput):
        variable({"fieldRef": {"fieldPath": path}})


@pytest.mark.parametrize(("path", "value"), [
    ("metadata.name", "p"), ("metadata.namespace", "default"), ("metadata.uid", "u-1"),
    ("metadata.labels", 'app="x"\nexample.com/tier="back"'), ("metadata.annotations", 'note="two\\nlines"'),
    ("metadata.labels['app']", "x"), ("metadata.annotations['none']", ""),
])  # fmt: skip
def test_da2_fields_as_files(tmp_path: Path, path: str, value: str) -> None:
    assert file({"fieldRef": {"fieldPath": path}}, tmp_path) == value


@pytest.mark.parametrize("path", ["status.podIP", "spec.nodeName"])
def test_da2_addresses_are_no_files(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput):
        file({"fieldRef": {"fieldPath": path}}, tmp_path)


RESOURCES = {"limits": {"cpu": "1500m", "memory": "100Mi"}, "requests": {"cpu": "125m"}}


@pytest.mark.parametrize(("resource", "divisor", "value"), [
    ("limits.cpu", "", "2"), ("limits.cpu", "1m", "1500"), ("requests.cpu", "1", "1"), ("requests.cpu", "1m", "125"),
    ("limits.memory", "1Mi", "100"), ("limits.memory", "", str(100 << 20)), ("limits.memory", "1G", "1"),
    ("requests.memory", "1Mi", "100"),  # RS1: the limit
    ("limits.ephemeral-storage", "1Gi", "100"), ("requests.ephemeral-storage", "", "0"),
])  # fmt: skip
def test_da3_amounts_are_divided_and_rounded_up(tmp_path: Path, resource: str, divisor: str, value: str) -> None:
    ref = {"resource": resource, **({"divisor": divisor} if divisor else {})}
    assert variable({"resourceFieldRef": ref}, resources=RESOURCES) == value
    assert file({"resourceFieldRef": {**ref, "containerName": "main"}}, tmp_path, resources=RESOURCES) == value


def test_da3_without_a_limit_it_is_the_nodes(tmp_path: Path) -> None:
    assert variable({"resourceFieldRef": {"resource": "limits.cpu"}}) == "4"
    assert variable({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}}) == "8"
    assert variable({"resourceFieldRef": {"resource": "requests.cpu"}}) == "0"


@pytest.mark.parametrize("ref", [
    {"resource": "limits.cpu", "divisor": "2"}, {"resource": "limits.memory", "divisor": "1m"}, {"resource": "limits.gpu"}, {},
])  # fmt: skip
def test_da3_what_is_no_resource(ref: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        variable({"resourceFieldRef": ref})


def test_da3_a_file_must_name_its_container(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="containerName"):
        file({"resourceFieldRef": {"resource": "limits.cpu"}}, tmp_path)


def test_da4_labels_may_change_and_their_files_follow(tmp_path: Path) -> None:
    """With a running pod: e2e/test_live_updates.py."""
    item = {"fieldRef": {"fieldPath": "metadata.labels"}}
    other = {**META, "labels": {"app": "y"}}
    spec: dict[str, Any] = {
        "volumes": [{"name": "d", "downwardAPI": {"items": [{"path": "f", **item}]}}], "containers": [{"name": "main", "image": "i:1"}],
    }  # fmt: skip
    old, new = built(spec), built(spec, other)
    assert update.faults("Pod", old.objects[0].body, new.objects[0].body) == update.plan_faults(old.pods[0], new.pods[0]) == []
    assert live.shows_itself(new.pods[0])
    (tmp_path / "v").mkdir()
    directory = os.open(tmp_path / "v", os.O_RDONLY)
    for number, meta in enumerate((META, other)):
        atomic.write(directory, {"f": atomic.File(file(item, tmp_path, meta).encode(), 0o644)}, f"..{number}")
    os.close(directory)
    assert (tmp_path / "v/f").read_text() == 'app="y"'
