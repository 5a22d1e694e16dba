"""What projected and downwardAPI volumes hold: sources together, modes, owners, and the messages of a kubelet (VO6, DA2, DA3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.volumes.atomic import File
from kubeplay.errors import VolumeError
from kubeplay.kube.downward import NodeFacts, PodFacts
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.security import Security
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import Volume
from kubeplay.play.compile import volumes
from kubeplay.reconcile.files import Facts, volume_files
from kubeplay.reconcile.objects import Contents

POD = PodFacts("p", "ns", "u-1", {"b": "2", "a": ""}, {"note": 'tab\t"q" \\ ü \x7f\u00ad\U0001f600\u2028'}, "node1")
FACTS = Facts(lambda: POD, lambda: NodeFacts(4000, 8 << 30, 100), lambda item: f"token for {item.audience}")
A, B = ContainerPlan("a", "i", resources=Resources(cpu_limit=1500)), ContainerPlan("b", "i")


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    store = Store(str(tmp_path / "state.db"))
    store.objects.create(ObjectKey("ConfigMap", "ns", "c"), json.dumps({"data": {"x": "from c", "y": "why"}}))
    store.objects.create(ObjectKey("Secret", "ns", "s"), json.dumps({"stringData": {"x": "from s"}}))
    return Contents(store, "ns")


def files(contents: Contents, source: dict[str, Any], *containers: ContainerPlan) -> dict[str, File]:
    """Of a volume as written in a manifest; the plan goes to the store and back on the way."""
    made: tuple[Volume, ...] = volumes.plan({"volumes": [{"name": "v", **source}]})
    plan = codec.loads(codec.dumps(PodPlan("ns", "p", SandboxPlan("p"), containers or (A, B), made)))
    return volume_files(plan, contents, FACTS)["v"]


def projected(*sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"projected": {"sources": list(sources), **more}}


FIELD = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}


def test_vo6_sources_share_a_directory_and_the_later_wins(contents: Contents) -> None:
    some = {"configMap": {"name": "c", "items": [{"key": "y", "path": "d/y", "mode": 0o600}]}}
    found = files(contents, projected({"configMap": {"name": "c"}}, {"secret": {"name": "s"}}, some, {"downwardAPI": {"items": [FIELD]}}))
    plain = 0o644
    assert found == {"x": File(b"from s", plain), "y": File(b"why", plain), "d/y": File(b"why", 0o600), "name": File(b"p", plain)}


def test_vo2_a_projected_volume_s_mode_is_that_of_all_sources(contents: Contents) -> None:
    found = files(contents, projected({"secret": {"name": "s"}}, {"downwardAPI": {"items": [FIELD]}}, defaultMode=0o400))
    assert {file.mode for file in found.values()} == {0o400}


def test_vo6_everything_that_is_missing_is_told_at_once(contents: Contents) -> None:
    sources = [{"configMap": {"name": "no"}}, {"secret": {"name": "gone"}}, {"configMap": {"name": "opt", "optional": True}}]
    said = r'failed for volume "v" : \[configmap "no" not found, secret "gone" not found\]$'
    with pytest.raises(VolumeError, match=said):
        files(contents, projected(*sources))
    assert files(contents, projected(sources[2])) == {}


def test_vo3_paths_are_cleaned(contents: Contents) -> None:
    assert list(files(contents, {"configMap": {"name": "c", "items": [{"key": "x", "path": "./a//b"}]}})) == ["a/b"]


def test_da2_all_labels_and_annotations_as_go_quotes_them(contents: Contents) -> None:
    items = [{"path": f"{n}", "fieldRef": {"fieldPath": f"metadata.{n}"}} for n in ("labels", "annotations")]
    items.append({"path": "one", "fieldRef": {"fieldPath": "metadata.annotations['none']"}, "mode": 0o440})
    found = files(contents, {"downwardAPI": {"items": items, "defaultMode": 0o600}})
    assert found["labels"] == File(b'a=""\nb="2"', 0o600)
    assert found["annotations"].content.decode() == 'note="tab\\t\\"q\\" \\\\ ü \\x7f\\u00ad\U0001f600\\u2028"'
    assert found["one"] == File(b"", 0o440)


def test_da3_resources_of_a_named_container(contents: Contents) -> None:
    def item(container: str, resource: str, divisor: str = "0") -> dict[str, Any]:
        ref = {"containerName": container, "resource": resource, "divisor": divisor}
        return {"downwardAPI": {"items": [{"path": "f", "resourceFieldRef": ref}]}}

    assert files(contents, item("a", "limits.cpu"))["f"].content == b"2"
    assert files(contents, item("b", "limits.memory", "1Gi"))["f"].content == b"8"  # the node's
    with pytest.raises(VolumeError, match="container nosuch not found"):
        files(contents, item("nosuch", "limits.cpu"))


TOKEN = {"serviceAccountToken": {"path": "t", "audience": "me"}}


def who(user: int | None, group: int | None = None) -> ContainerPlan:
    return ContainerPlan("c", "i", security=Security(run_as_user=user, fs_group=group))


@pytest.mark.parametrize(("containers", "mode", "owner"), [
    ((who(None),), 0o644, -1), ((who(1000),), 0o600, 1000), ((who(1000), who(1000)), 0o600, 1000), ((who(1000), who(2)), 0o644, -1),
    ((who(1000), who(None)), 0o644, -1), ((who(None, 5),), 0o600, -1), ((who(7, 5), who(8, 5)), 0o600, -1),
])  # fmt: skip
def test_vo6_whose_a_token_is(contents: Contents, containers: tuple[ContainerPlan, ...], mode: int, owner: int) -> None:
    assert files(contents, projected(TOKEN), *containers) == {"t": File(b"token for me", mode, owner)}


def test_the_root_certificate_of_a_cluster_is_there_and_empty(contents: Contents) -> None:
    source = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    assert files(contents, projected(source)) == {"ca.crt": File(b"", 0o644)}
