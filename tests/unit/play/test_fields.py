"""The field table covers every field of every kind, and says what it should."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from kubeplay.play import fields
from kubeplay.play.fields import NO_EFFECT, NOT_SUPPORTED, WORKS


def model_of(kind: str) -> str:
    """Its class; of an autoscaler, the later version's."""
    return f"V2{kind}" if kind == "HorizontalPodAutoscaler" else f"V1{kind}"


def schema_paths(model: str, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, ...]]:
    """Every field path of a class of the public `kubernetes` package."""
    import kubernetes.client.models as models

    cls: Any = getattr(models, model)
    for attribute, name in cls.attribute_map.items():
        kind = cls.openapi_types[attribute]
        inner = re.sub(r"^(?:list\[|dict[\[(]str, )(.*)[\])]$", r"\1", kind)
        yield (name,)
        if kind.startswith("dict"):
            yield (name, "some-key")
        elif hasattr(models, inner) and inner not in seen:
            for rest in schema_paths(inner, seen | {inner}):
                yield (name, *rest)


@pytest.mark.parametrize("kind", fields.KINDS)
def test_every_schema_path_has_a_row(kind: str) -> None:
    lost = {".".join(path) for path in schema_paths(model_of(kind)) if fields.find(kind, path) is None}
    # a map whose keys have rows needs none of its own; `volumes[].name` and the like are fields of their own
    lost -= {path for path in lost if path.endswith((".limits", ".requests"))}
    lost -= {path for path in lost if path in ("metadata", "spec") or path.endswith(("template.metadata", "template.spec"))}
    assert not lost


@pytest.mark.parametrize("kind", fields.KINDS)
def test_every_row_is_a_schema_path(kind: str) -> None:
    known = {".".join(path) for path in schema_paths(model_of(kind))}
    if kind == "HorizontalPodAutoscaler":  # two versions, one table
        known |= {".".join(path) for path in schema_paths("V1HorizontalPodAutoscaler")}
    rows = {re.sub(r"\[\]|\{.*?\}", "", row.path) for row in fields.rows(kind)}
    assert rows <= known


def test_rows_are_unique() -> None:
    for kind in fields.KINDS:
        paths = [row.path for row in fields.rows(kind)]
        assert len(paths) == len(set(paths))


def test_what_is_not_supported_says_when_it_comes_or_why_not() -> None:
    for kind in fields.KINDS:
        for row in fields.rows(kind):
            if row.support != WORKS or row.only or row.never:
                assert row.note, row.path


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


def container(**fields_of_it: Any) -> dict[str, Any]:
    return pod(containers=[fields_of_it])


UNSUPPORTED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("Pod", pod(containers=[{"name": "a"}, {"volumeDevices": [{}]}]), ["spec.containers[1].volumeDevices"]),
    ("Pod", pod(initContainers=[{"restartPolicy": "Always"}]), []),
    ("Pod", pod(initContainers=[{"volumeDevices": [{"name": "a"}]}]), ["spec.initContainers[0].volumeDevices"]),
    ("Pod", pod(volumes=[{"nfs": {}}, {"emptyDir": {}}]), ["spec.volumes[0].nfs"]),
    ("Pod", pod(volumes=[{"emptyDir": {}}, {"projected": {"sources": [{"configMap": {}}, {"podCertificate": {}}]}}]),
     ["spec.volumes[1].projected.sources[1].podCertificate"]),
    ("Pod", pod(volumes=[{"emptyDir": {"medium": "HugePages-2Mi"}}]), []),
    ("Pod", pod(volumes=[{"emptyDir": {"medium": "Memory"}}, {"emptyDir": {"medium": "memory"}}]), []),
    ("Pod", pod(hostUsers=False, runtimeClassName="x"), ["spec.runtimeClassName"]),
    ("Pod", pod(hostUsers=True, runtimeClassName=None, resourceClaims=[], resources={}), []),
    ("Pod", pod(os={"name": "windows"}), ["spec.os.name"]),
    (
        "Pod",
        container(lifecycle={"stopSignal": "SIGUSR1", "preStop": {"sleep": {"seconds": 1}}}),
        [],
    ),
    (
        "Pod",
        container(resources={"limits": {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": 1}, "claims": [{"name": "c"}]}),
        ["spec.containers[0].resources.claims"],
    ),
    (
        "Deployment",
        {"spec": {"template": container(resources={"claims": [{}]})}},
        ["spec.template.spec.containers[0].resources.claims"],
    ),
    ("Deployment", {"spec": {"paused": True, "strategy": {"type": "Recreate"}}}, []),
    ("Service", {"spec": {"type": "LoadBalancer"}}, []),
    ("Service", {"spec": {"type": "NodePort", "clusterIP": ""}}, []),
    ("Service", {"spec": {"clusterIP": "None"}}, []),
    ("Service", {"spec": {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}}, []),
    ("PersistentVolumeClaim", {"spec": {"volumeMode": "Block"}}, ["spec.volumeMode"]),
    ("ConfigMap", {"data": {"livenessProbe": "x"}, "metadata": {"labels": {"projected": ""}}}, []),
    ("Pod", pod(notAField={"livenessProbe": 1}), []),
]


@pytest.mark.parametrize(("kind", "obj", "paths"), UNSUPPORTED)
def test_unsupported(kind: str, obj: dict[str, Any], paths: list[str]) -> None:
    faults = fields.unsupported(obj, kind)
    assert [fault.path for fault in faults] == paths
    assert all(fault.reason == "NotSupported" and "not supported" in str(fault) and fault.path in str(fault) for fault in faults)


def test_no_effect_is_noted_but_not_refused() -> None:
    windows = {"windowsOptions": {"hostProcess": False}}
    obj = pod(nodeSelector={"a": "b"}, tolerations=[{"key": "x"}], affinity={}, containers=[{"securityContext": windows}])
    paths = [path for path, _ in fields.no_effect(obj, "Pod")]
    assert paths == ["spec.nodeSelector", "spec.tolerations", "spec.containers[0].securityContext.windowsOptions"]
    assert not fields.unsupported(obj, "Pod")


def test_find_says_what_covers_a_field() -> None:
    def support(kind: str, *path: str) -> str:
        row = fields.find(kind, path)
        assert row is not None
        return row.support

    assert support("Pod", "spec", "resourceClaims", "name") == NOT_SUPPORTED
    assert support("Pod", "spec", "affinity", "nodeAffinity") == NO_EFFECT
    assert support("Pod", "spec", "containers", "env", "name") == WORKS
    assert fields.find("Pod", ("spec", "bogus")) is None


def test_the_way_out_writes_the_metadata_that_the_table_says() -> None:
    from kubeplay.generate import prune

    rows = [row for row in fields.rows("Pod") if row.path.startswith("metadata.") and "out" in row.direction]
    out = {row.path.removeprefix("metadata.").rstrip("{}") for row in rows}
    assert out == set(prune._METADATA)
