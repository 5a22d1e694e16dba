"""Section 10, files in volumes: VO1-VO6, VO9, VO10. The rest of the section: test_s10_storage.py."""

from __future__ import annotations

import json
import os
import stat
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.store.runtime import RUN, PodRow
from kubeplay.engine.volumes import atomic, subpath
from kubeplay.engine.volumes.atomic import File
from kubeplay.errors import InvalidInput, VolumeError
from kubeplay.kube import check
from kubeplay.kube.downward import NodeFacts, PodFacts
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import EmptyDir, in_memory
from kubeplay.play import stack as stacks
from kubeplay.play import update
from kubeplay.reconcile import live
from kubeplay.reconcile.files import Facts, volume_files
from kubeplay.reconcile.model import FILES
from kubeplay.reconcile.objects import Contents

FACTS = Facts(lambda: PodFacts("p", "default", "u"), lambda: NodeFacts(1000, 1, 1), lambda item: f"token {item.seconds} {item.audience}")


def plan(*volumes: dict[str, Any], mounts: list[dict[str, Any]] | None = None, name: str = "p") -> PodPlan:
    spec = {"volumes": list(volumes), "containers": [{"name": "main", "image": "i:1", "volumeMounts": mounts or []}]}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    return stacks.build(check.read(json.dumps(obj).encode(), "x")).pods[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "state.db"))
    body = {"data": {"a": "A", "b": "B"}, "binaryData": {"bin": b64encode(b"\xff").decode()}}
    made.objects.create(ObjectKey("ConfigMap", "default", "c"), json.dumps(body))
    made.objects.create(ObjectKey("Secret", "default", "s"), json.dumps({"data": {"a": b64encode(b"secret").decode()}}))
    return made


def files(store: Store, source: dict[str, Any]) -> dict[str, File]:
    return volume_files(plan({"name": "v", **source}), Contents(store, "default"), FACTS)["v"]


def test_vo1_no_source_is_an_empty_dir_and_names_are_unique_labels() -> None:
    assert plan({"name": "v"}).volumes[0].source == EmptyDir()
    for names in (["v", "v"], ["V"], ["a.b"], [""]):
        with pytest.raises(InvalidInput):
            plan(*[{"name": name} for name in names])


KEYED = [{"configMap": {"name": "c"}}, {"secret": {"secretName": "s"}}]


@pytest.mark.parametrize("source", KEYED)
def test_vo2_modes_of_the_volume_and_of_an_item(store: Store, source: dict[str, Any]) -> None:
    kind, value = next(iter(source.items()))
    assert files(store, source)["a"].mode == 0o644
    assert files(store, {kind: {**value, "defaultMode": 256}})["a"].mode == 0o400
    items = [{"key": "a", "path": "x", "mode": 0o777}, {"key": "a", "path": "y"}]
    assert {k: f.mode for k, f in files(store, {kind: {**value, "defaultMode": 0o440, "items": items}}).items()} == {"x": 0o777, "y": 0o440}
    with pytest.raises(InvalidInput):
        files(store, {kind: {**value, "defaultMode": 0o1000}})


def test_vo2_what_we_write_is_read_only_and_secrets_stay_off_the_disk() -> None:
    sources = {"c": KEYED[0], "s": KEYED[1], "d": {"downwardAPI": {}}, "p": {"projected": {"sources": []}}}
    made = plan(*[{"name": n, **s} for n, s in sources.items()], mounts=[{"name": n, "mountPath": f"/{n}"} for n in sources])
    assert {v.name: in_memory(v.source) for v in made.volumes} == {"c": False, "s": True, "d": True, "p": True}  # type: ignore[arg-type]
    assert all(mount.read_only for mount in made.containers[0].mounts)


def test_vo3_items_project_what_they_list(store: Store) -> None:
    assert files(store, KEYED[0]) == {"a": File(b"A", 0o644), "b": File(b"B", 0o644), "bin": File(b"\xff", 0o644)}
    items = [{"key": "b", "path": "deep/b"}]
    assert files(store, {"configMap": {"name": "c", "items": items}}) == {"deep/b": File(b"B", 0o644)}
    missing = {"name": "c", "items": [*items, {"key": "z", "path": "z"}]}
    with pytest.raises(VolumeError, match="non-existent config key: z"):
        files(store, {"configMap": missing})
    assert list(files(store, {"configMap": {**missing, "optional": True}})) == ["deep/b"]


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/abs", "..data", ""])
def test_vo3_paths_stay_inside(store: Store, path: str) -> None:
    with pytest.raises(InvalidInput):
        files(store, {"configMap": {"name": "c", "items": [{"key": "a", "path": path}]}})


def test_vo3_a_missing_object_is_an_empty_directory_where_it_is_optional(store: Store) -> None:
    with pytest.raises(VolumeError, match='configmap "no" not found'):
        files(store, {"configMap": {"name": "no"}})
    assert files(store, {"configMap": {"name": "no", "optional": True}}) == {}


def test_vo4_one_rename_switches_all_files(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    top = os.open(tmp_path / "v", os.O_RDONLY)
    try:
        assert atomic.write(top, {"a": File(b"1", 0o644), "d/x": File(b"2", 0o400)}, "..2026_01_02_03_04_05.1")
        assert os.readlink(tmp_path / "v/..data") == "..2026_01_02_03_04_05.1"
        assert (os.readlink(tmp_path / "v/a"), os.readlink(tmp_path / "v/d")) == ("..data/a", "..data/d")
        assert stat.S_IMODE(os.stat(tmp_path / "v/..data/").st_mode) == 0o755
        assert not atomic.write(top, {"a": File(b"1", 0o644), "d/x": File(b"2", 0o400)}, "..2026_01_02_03_04_06.1")
        seen: list[list[str]] = []
        changed = {"b": File(b"3", 0o644)}
        assert atomic.write(top, changed, "..2026_01_02_03_04_07.1", ready=lambda fd: seen.append(sorted(os.listdir(tmp_path / "v"))))
        assert seen == [["..2026_01_02_03_04_05.1", "..2026_01_02_03_04_07.1", "..data", "a", "d"]]  # nobody sees it before it is whole
        assert sorted(os.listdir(tmp_path / "v")) == ["..2026_01_02_03_04_07.1", "..data", "b"]
    finally:
        os.close(top)


class _Engine:
    """As much of an engine as marking needs."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, store.clock


def test_vo5_a_change_marks_the_pods_that_show_the_object(store: Store) -> None:
    shows = {
        "all": {"configMap": {"name": "c"}}, "part": {"projected": {"sources": [{"configMap": {"name": "c", "optional": True}}]}},
        "other": {"configMap": {"name": "d"}}, "secret": {"secret": {"secretName": "c"}}, "none": {"emptyDir": {}},
    }  # fmt: skip
    for name, source in shows.items():
        made = plan({"name": "v", **source}, name=name)
        store.runtime.add_pod(PodRow(name, "default", name, codec.dumps(made), RUN, True, None, 0, False))
    engine: Any = _Engine(store)
    assert live.mark(engine, [ObjectKey("ConfigMap", "default", "c")]) == ["all", "part"]
    assert [name for name in sorted(shows) if FILES in store.runtime.backoffs(name)] == ["all", "part"]
    assert sorted(store.runtime.due(store.clock.now())) == ["all", "part"]  # whoever comes next does it
    assert live.mark(engine, [ObjectKey("ConfigMap", "elsewhere", "c"), ObjectKey("Pod", "default", "all")]) == []


def test_vo5_immutable_data_does_not_change() -> None:
    old = json.dumps({"metadata": {"name": "c"}, "data": {"a": "1"}, "immutable": True})
    assert update.faults("ConfigMap", old, old.replace('"1"', '"2"')) == ["data: field is immutable when `immutable` is set"]
    assert update.faults("ConfigMap", old.replace(', "immutable": true', ""), old) == []


def test_vo6_sources_of_every_kind_in_one_directory(store: Store) -> None:
    sources = [
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "x/a"}]}}, {"secret": {"name": "s"}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}, {"serviceAccountToken": {"path": "t"}},
    ]  # fmt: skip
    found = files(store, {"projected": {"sources": sources}})
    assert {path: file.content for path, file in found.items()} == {"x/a": b"A", "a": b"secret", "name": b"p", "t": b"token 3600 "}


@pytest.mark.parametrize("sources", [
    [{"serviceAccountToken": {"path": "t", "expirationSeconds": 599}}],
    [{"configMap": {"name": "c", "items": [{"key": "a", "path": "t"}]}}, {"serviceAccountToken": {"path": "t"}}],
    [{"configMap": {"name": "c"}, "secret": {"name": "s"}}],
    [{}],
])  # fmt: skip
def test_vo6_what_is_no_projection(store: Store, sources: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidInput):
        files(store, {"projected": {"sources": sources}})


def test_vo9_a_sub_path_is_made_and_never_leads_out(tmp_path: Path) -> None:
    root = tmp_path / "v"
    root.mkdir(mode=0o750)
    os.symlink("/etc", root / "out")
    os.close(subpath.open_below(str(root), "a/b", create=True))
    assert (root / "a/b").is_dir() and stat.S_IMODE((root / "a/b").stat().st_mode) == stat.S_IMODE(root.stat().st_mode)
    for path in ("out", "out/passwd", "../x"):
        with pytest.raises(VolumeError):
            subpath.open_below(str(root), path, create=True)
    with pytest.raises(InvalidInput):
        plan({"name": "v"}, mounts=[{"name": "v", "mountPath": "/v", "subPath": "a", "subPathExpr": "b"}])


def test_vo10_mounts_by_depth_and_absolute() -> None:
    made = plan({"name": "v"}, mounts=[{"name": "v", "mountPath": path} for path in ("/a/b/c", "rel", "/a", "/a/b")])
    assert [mount.path for mount in made.containers[0].mounts] == ["/rel", "/a", "/a/b", "/a/b/c"]
    with pytest.raises(InvalidInput):
        plan({"name": "v"}, mounts=[{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}])
