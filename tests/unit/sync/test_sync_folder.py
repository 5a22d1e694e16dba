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
