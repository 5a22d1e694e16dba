"""What a folder of a source comes to: its files, those below it, or what its kustomization builds."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from kubeplay.errors import InvalidInput, NotFound
from kubeplay.sync import folder, sources
from kubeplay.sync.model import DIRECTORY, Spec


def _names(found: list[tuple[str, bytes]]) -> list[str]:
    return [f"{name}={data.decode()}" for name, data in found]


def _made(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name[0])
    return tmp_path


def test_files_by_name(tmp_path: Path) -> None:
    top = str(_made(tmp_path, "b.yml", "a.yaml", "c.json", "README.md", ".hidden.yaml", "below/d.yaml"))
    assert _names(folder.texts(top, "", "shop", False)) == ["shop/a.yaml=a", "shop/b.yml=b", "shop/c.json=c"]
    assert _names(folder.texts(top, "below", "shop", False)) == ["shop/below/d.yaml=b"]
    everything = ["shop/a.yaml=a", "shop/b.yml=b", "shop/c.json=c", "shop/below/d.yaml=b"]
    assert _names(folder.texts(top, "", "shop", True)) == everything


def test_an_empty_folder_is_an_error_and_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no .yaml"):
        folder.texts(str(tmp_path), "", "shop", False)
    with pytest.raises(InvalidInput, match="or below it"):
        folder.texts(str(tmp_path), "", "shop", True)
    _made(tmp_path, "apps/web.yaml")
    with pytest.raises(InvalidInput) as caught:
        folder.texts(str(tmp_path), "", "shop", False)
    assert "-R" in caught.value.hint


def test_a_folder_that_is_not_there_or_leads_out(tmp_path: Path) -> None:
    top = _made(tmp_path / "in", "a.yaml")
    _made(tmp_path, "out/b.yaml")
    (top / "link").symlink_to("../out")
    with pytest.raises(NotFound, match="no folder 'nope'"):
        folder.texts(str(top), "nope", "shop", False)
    for path in ("../out", "link", "/etc"):
        with pytest.raises(InvalidInput, match="leads out"):
            folder.texts(str(top), path, "shop", False)


def test_a_directory_s_revision_is_what_it_says(tmp_path: Path) -> None:
    _made(tmp_path, "a.yaml", "notes.txt")
    source = sources.Directory(Spec("s", DIRECTORY, str(tmp_path), str(tmp_path)))
    first = source.look()
    (tmp_path / "a.yaml").write_text("a")  # saved without a change
    (tmp_path / "notes.txt").write_text("other")
    assert source.look() == first
    (tmp_path / "a.yaml").write_text("b")
    second = source.look()
    assert second != first and source.build(second).texts[0][1] == b"b"
    (tmp_path / "a.yaml").write_bytes(base64.b64decode("//4="))
    assert source.build(first).revision not in (first, second)  # what was looked at is gone: what is there now has its own revision
    assert source.places() == [(str(tmp_path), False)]


BASE = "resources: [app.yaml]\nconfigMapGenerator: [{name: gen, literals: [x=1]}]\n"
APP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"


def _overlay(tmp_path: Path, base: str = "../base") -> Path:
    _made(tmp_path, "base/x", "over/prod/x")
    (tmp_path / "base/app.yaml").write_text(APP)
    (tmp_path / "base/kustomization.yaml").write_text(BASE)
    (tmp_path / "over/kustomization.yaml").write_text(f"resources: [{base}]\nnamePrefix: prod-\n")
    return tmp_path


def test_a_kustomization_is_built_and_its_bases_count(tmp_path: Path) -> None:
    top = str(_overlay(tmp_path))
    ((name, data),) = folder.texts(top, "over", "shop", False, fetched=True)
    assert name == "shop/over/kustomization" and b"name: prod-settings" in data and b"name: prod-gen-" in data
    assert [name for name, _ in folder.texts(top, "", "shop", True)] == ["shop/base/kustomization", "shop/over/kustomization"]
    source = sources.Directory(Spec("s", DIRECTORY, f"{top}/over", "over"))
    first = source.look()
    (tmp_path / "base/app.yaml").write_text(APP + "data: {a: b}\n")
    assert source.look() != first
    assert source.places() == [(f"{top}/over", True), (f"{top}/base", False)]


def test_a_fetched_kustomization_stays_within_its_source(tmp_path: Path) -> None:
    top = _overlay(tmp_path)
    assert folder.texts(str(top / "over"), "", "shop", False)  # a person's own may use what lies beside it
    with pytest.raises(InvalidInput, match="outside"):
        folder.texts(str(top / "over"), "", "shop", False, fetched=True)


def test_errors_name_the_source_and_not_our_copy(tmp_path: Path) -> None:
    class Origin:
        def revision(self) -> str:
            return "1"

        def watched(self) -> list[str]:
            return []

        def files(self, revision: str, directory: str) -> None:
            _overlay(Path(directory), "../nowhere")

    source = sources.Fetched(Spec("s", DIRECTORY, "x", "https://host/shop.git", path="over"), Origin(), str(tmp_path / "tree"))
    with pytest.raises((InvalidInput, NotFound)) as caught:
        source.build("1")
    assert str(tmp_path) not in str(caught.value) and "https://host/shop.git/" in str(caught.value)
    assert not (tmp_path / "tree").exists()


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a\udcff.yaml").write_text("a")
    assert folder.texts(str(tmp_path), "", "shop", False) == [("shop/a?.yaml", b"a")]
    assert sources.Directory(Spec("s", DIRECTORY, str(tmp_path), "shop")).look().startswith("sha256:")


def test_the_example_of_the_page() -> None:
    top = str(Path(__file__).parents[3] / "examples/kustomize")
    ((name, data),) = folder.texts(top, "overlays/production", "shop", False, fetched=True)
    assert name == "shop/overlays/production/kustomization" and b"kind: Deployment" in data
