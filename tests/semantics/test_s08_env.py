"""Section 8, environment, command and arguments: EN1-EN6, CM1, CM2. A container's manifest goes through the compiler and is resolved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeplay.engine.oci import spec as oci
from kubeplay.engine.oci.user import Identity
from kubeplay.errors import ContainerError, InvalidInput
from kubeplay.kube import check, environment
from kubeplay.kube.downward import NodeFacts
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.play import stack as stacks

MAPS: dict[tuple[str, str], dict[str, str]] = {
    ("ConfigMap", "one"): {"A": "one-a", "B": "$(A)", "not=fit": "x"},
    ("ConfigMap", "two"): {"A": "two-a"},
    ("Secret", "s"): {"P": "pass"},
}
SERVICES = {"WEB_SERVICE_HOST": "10.96.0.9", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}
FILES = {("d", "e"): b"KEY='from file'\n", ("d", "bad"): b"KEY=bare\n"}


def resolved(maps: dict[tuple[str, str], dict[str, str]] = MAPS, **container: Any) -> Resolved:
    spec = {"volumes": [{"name": "d", "emptyDir": {}}], "containers": [{"name": "main", "image": "i:1", **container}]}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    plan = stacks.build(check.read(json.dumps(obj).encode(), "x")).pods[0]
    plan = codec.loads(codec.dumps(plan))
    facts = environment.facts_of(plan, "uid", ("10.0.0.2",), ("192.0.2.2",), "node")
    return environment.resolve(
        plan, plan.containers[0], facts, NodeFacts(1000, 1 << 30, 1), lambda kind, name: maps.get((kind, name)), SERVICES,
        lambda volume, path: (f"/v/{volume}/{path}", FILES.get((volume, path))),
    )  # fmt: skip


def env(**container: Any) -> dict[str, str]:
    return {name: value for name, value in resolved(**container).env if name not in SERVICES}


def ref(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {kind: fields}}


def test_en1_envfrom_in_order_then_env_then_services() -> None:
    sources = [{"configMapRef": {"name": "one"}}, {"configMapRef": {"name": "two"}}, {"prefix": "X_", "secretRef": {"name": "s"}}]
    assert env(envFrom=sources) == {"A": "two-a", "B": "$(A)", "X_P": "pass"}
    assert env(envFrom=sources, env=[{"name": "A", "value": "own"}])["A"] == "own"
    assert dict(resolved(env=[{"name": "WEB_SERVICE_HOST", "value": "mine"}]).env)["WEB_SERVICE_HOST"] == "mine"
    assert dict(resolved().env) == SERVICES


@pytest.mark.parametrize(("value", "made"), [
    ("$(A)", "1"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$A", "$A"), ("$(A", "$(A"), ("$(NO)", "$(NO)"), ("$(LATER)", "$(LATER)"),
    ("$(WEB_SERVICE_HOST)", "10.96.0.9"), ("$(PATH)", "$(PATH)"), ("$(NESTED)", "$(A)"), ("$$", "$"), ("$()", "$()"),
])  # fmt: skip
def test_en2_references_see_what_came_before(value: str, made: str) -> None:
    values = {"A": "1", "NESTED": "$$(A)", "V": value, "LATER": "2"}
    assert env(env=[{"name": name, "value": text} for name, text in values.items()])["V"] == made


def test_en2_what_comes_from_objects_is_not_expanded() -> None:
    assert env(env=[{"name": "A", "value": "1"}, ref("configMapKeyRef", name="one", key="B")])["V"] == "$(A)"


def test_en3_words_and_sub_paths_see_the_final_environment() -> None:
    mounts = [{"name": "d", "mountPath": "/m", "subPathExpr": "$(V)/x"}]
    made = resolved(command=["$(V)", "$$(V)"], args=["$(NO)"], env=[ref("configMapKeyRef", name="one", key="A")], volumeMounts=mounts)
    assert (made.command, made.args, made.sub_paths) == (("one-a", "$(V)"), ("$(NO)",), ("one-a/x",))
    for value in ({}, {"env": [{"name": "V"}]}):
        with pytest.raises(ContainerError, match="V"):
            resolved(volumeMounts=mounts, **value)


@pytest.mark.parametrize("name", ["a.b-c", "1num", "!@#%", "with space", ".."])
def test_en4_any_printable_name_is_one(name: str) -> None:
    assert env(env=[{"name": name, "value": "x"}]) == {name: "x"}


@pytest.mark.parametrize("entry", [
    {"name": "a=b", "value": "x"}, {"name": ""}, {"name": "V", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "V", "valueFrom": {}},
])  # fmt: skip
def test_en4_what_is_no_variable(entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        env(env=[entry])


MISSING = [
    (ref("configMapKeyRef", name="no", key="k"), 'configmap "no" not found'),
    (ref("configMapKeyRef", name="one", key="k"), "couldn't find key k in ConfigMap default/one"),
    (ref("secretKeyRef", name="no", key="k"), 'secret "no" not found'),
    (ref("fileKeyRef", volumeName="d", path="none", key="KEY"), "couldn't parse env file"),
    (ref("fileKeyRef", volumeName="d", path="e", key="NO"), 'environment variable key "NO" not found in file "/v/d/e"'),
]


@pytest.mark.parametrize(("entry", "said"), MISSING)
def test_en5_a_missing_reference_is_a_config_error_unless_optional(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ContainerError) as caught:
        env(env=[entry])
    assert caught.value.reason == "CreateContainerConfigError" and caught.value.message == said
    kind = next(iter(entry["valueFrom"]))
    entry = {"name": "V", "valueFrom": {kind: {**entry["valueFrom"][kind], "optional": True}}}
    assert env(env=[entry, {"name": "W", "value": "w"}]) == {"W": "w"}


def test_en5_missing_sources_of_whole_objects() -> None:
    with pytest.raises(ContainerError, match='configmap "no" not found'):
        env(envFrom=[{"configMapRef": {"name": "no"}}])
    assert env(envFrom=[{"configMapRef": {"name": "no", "optional": True}}]) == {}


def test_en5_a_key_of_a_file() -> None:
    assert env(env=[ref("fileKeyRef", volumeName="d", path="e", key="KEY"), {"name": "W", "value": "$(V)"}]) == {
        "V": "from file", "W": "from file",
    }  # fmt: skip
    with pytest.raises(ContainerError, match="couldn't parse env file"):
        env(env=[ref("fileKeyRef", volumeName="d", path="bad", key="KEY", optional=True)])


IMAGE = oci.ImageDefaults(entrypoint=("/entry", "e"), cmd=("c",), working_dir="/from-image")


@pytest.mark.parametrize(("container", "line"), [
    ({}, ("/entry", "e", "c")),
    ({"args": ["a"]}, ("/entry", "e", "a")),
    ({"command": ["/mine"]}, ("/mine",)),
    ({"command": ["/mine"], "args": ["a"]}, ("/mine", "a")),
    ({"command": [], "args": []}, ("/entry", "e", "c")),
])  # fmt: skip
def test_cm1_command_and_args_against_the_image(container: dict[str, Any], line: tuple[str, ...]) -> None:
    assert oci.command_line(ContainerPlan("main", "i"), resolved(**container), IMAGE) == line


@pytest.mark.parametrize(("mine", "image", "used"), [("/mine", IMAGE, "/mine"), ("", IMAGE, "/from-image"), ("", oci.ImageDefaults(), "/")])
def test_cm2_the_working_directory(mine: str, image: oci.ImageDefaults, used: str) -> None:
    plan = ContainerPlan("main", "i", working_dir=mine)
    assert oci.working_dir(oci.SpecInputs(plan, Resolved(command=("x",)), image, Identity(), "p", "/r", "/g", (), oci.HostFacts())) == used


def test_en6_what_was_resolved_stays_when_the_object_changes() -> None:
    """A later instance is resolved anew; with a running pod: e2e/test_live_updates.py."""
    maps = {("ConfigMap", "c"): {"k": "old"}}
    words: dict[str, Any] = {"env": [ref("configMapKeyRef", name="c", key="k")]}
    before = resolved(maps, **words)
    maps["ConfigMap", "c"]["k"] = "new"
    assert dict(before.env)["V"] == "old" and dict(resolved(maps, **words).env)["V"] == "new"
