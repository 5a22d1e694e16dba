"""The atomic writer: layout, updates, and symlinks planted by a hostile container (VO4, CVE-2025-9566)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.volumes import atomic
from kubeplay.engine.volumes.atomic import File


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    volume = tmp_path / "volume"
    volume.mkdir()
    fd = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def _write(directory: int, stamp: str, **files: str) -> bool:
    return atomic.write(directory, {name.replace("__", "/"): File(text.encode(), 0o644) for name, text in files.items()}, f"..{stamp}")


def test_vo4_layout(directory: int, tmp_path: Path) -> None:
    assert _write(directory, "one", key="value", sub__deep="x")
    volume = tmp_path / "volume"
    assert os.readlink(volume / "..data") == "..one"
    assert os.readlink(volume / "key") == "..data/key"
    assert os.readlink(volume / "sub") == "..data/sub"
    assert (volume / "sub/deep").read_text() == "x"
    assert (volume / "..one").stat().st_mode & 0o7777 == 0o755
    assert (volume / "key").stat().st_mode & 0o7777 == 0o644


def test_vo4_no_write_when_identical(directory: int) -> None:
    assert _write(directory, "one", key="value")
    assert not _write(directory, "two", key="value")
    assert sorted(os.listdir(directory)) == ["..data", "..one", "key"]


def test_vo4_update_removes_keys_and_truncates(directory: int, tmp_path: Path) -> None:
    _write(directory, "one", key="a long value", gone="x")
    assert _write(directory, "two", key="v")
    assert sorted(os.listdir(directory)) == ["..data", "..two", "key"]
    assert (tmp_path / "volume/key").read_text() == "v"


def test_mode_change_is_a_change(directory: int) -> None:
    atomic.write(directory, {"k": File(b"v", 0o644)}, "..one")
    assert atomic.write(directory, {"k": File(b"v", 0o400)}, "..two")


@pytest.mark.parametrize("name", ["key", "..data", "..data_tmp", "..two"])
@pytest.mark.parametrize("kind", ["file", "directory", "dangling"])
def test_planted_symlink_is_never_followed(directory: int, tmp_path: Path, name: str, kind: str) -> None:
    _write(directory, "one", key="old")
    outside = tmp_path / "outside"
    if kind == "directory":
        outside.mkdir()
        (outside / "key").write_text("host")
    elif kind == "file":
        outside.write_text("host")
    volume = tmp_path / "volume"
    (volume / name).unlink(missing_ok=True)
    (volume / name).symlink_to(outside)
    try:
        _write(directory, "two", key="new")
    except FileExistsError:
        assert name == "..two"  # the stamp is random in use: nobody can plant it beforehand
    if kind == "file":
        assert outside.read_text() == "host"
    elif kind == "directory":
        assert [(p.name, p.read_text()) for p in outside.iterdir()] == [("key", "host")]
    else:
        assert not outside.exists()
    if name != "..two":
        assert (volume / "key").read_text() == "new"


def test_data_directory_replaced_by_real_directory(directory: int, tmp_path: Path) -> None:
    (tmp_path / "volume/..data").mkdir()
    _write(directory, "one", key="v")
    assert (tmp_path / "volume/key").read_text() == "v"


def test_remove_tree_does_not_leave(directory: int, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    (tmp_path / "volume/d").mkdir()
    (tmp_path / "volume/d/link").symlink_to(outside)
    atomic.remove_tree(directory, "d")
    assert (outside / "keep").exists() and not (tmp_path / "volume/d").exists()
