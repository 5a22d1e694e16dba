"""subPath: confined to its volume whatever a container plants there (VO9, CVE-2017-1002101, CVE-2021-25741)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeplay.engine.volumes import subpath
from kubeplay.errors import VolumeError


def _target(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def test_vo9_made_with_the_roots_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert _target(subpath.open_below(str(tmp_path), "a/b", create=True)) == str(tmp_path / "a/b")
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o777
    assert (tmp_path / "a/b").stat().st_mode & 0o7777 == 0o777


def test_vo9_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    assert _target(subpath.open_below(str(tmp_path), "f", create=True)) == str(tmp_path / "f")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "..", "a/.."])
def test_vo9_dotdot_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(VolumeError, match=r"\.\."):
        subpath.open_below(str(tmp_path), path, create=True)


def test_vo9_a_link_within_the_volume_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert _target(subpath.open_below(str(tmp_path), "link", create=True)) == str(tmp_path / "real")


@pytest.mark.parametrize("target", ["/etc", "..", "missing", "/", "/proc/self/root"])
@pytest.mark.parametrize("path", ["link", "link/deeper"])
def test_a_link_out_of_the_volume_is_refused(tmp_path: Path, target: str, path: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(VolumeError, match="subPath"):
        subpath.open_below(str(tmp_path), path, create=True)


def test_missing_is_an_error_where_nothing_may_be_made(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="No such file"):
        subpath.open_below(str(tmp_path), "none", create=False)
