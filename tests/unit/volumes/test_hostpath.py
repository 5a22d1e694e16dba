"""hostPath types (VO8)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kubeplay.engine.volumes import hostpath
from kubeplay.errors import VolumeError
from kubeplay.plan.volumes import HostPath


def test_vo8_created(tmp_path: Path) -> None:
    for kind, name in (("", "plain"), ("DirectoryOrCreate", "dir")):
        hostpath.prepare(HostPath(str(tmp_path / name), kind))
        assert (tmp_path / name).is_dir() and (tmp_path / name).stat().st_mode & 0o777 == 0o755
    hostpath.prepare(HostPath(str(tmp_path / "file"), "FileOrCreate"))
    assert (tmp_path / "file").is_file() and (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_vo8_file_or_create_does_not_make_parents(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="No such file"):
        hostpath.prepare(HostPath(str(tmp_path / "a/b"), "FileOrCreate"))


@pytest.mark.parametrize("kind", ["Directory", "File", "Socket", "CharDevice", "BlockDevice"])
def test_vo8_missing(tmp_path: Path, kind: str) -> None:
    with pytest.raises(VolumeError, match="hostPath type check failed"):
        hostpath.prepare(HostPath(str(tmp_path / "none"), kind))


def test_vo8_mismatch(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.close()
    file, sock = tmp_path / "f", tmp_path / "s"
    rows = {"Directory": file, "File": tmp_path, "Socket": file, "CharDevice": sock, "BlockDevice": Path("/dev/null")}
    for kind, path in rows.items():
        with pytest.raises(VolumeError, match="is not a"):
            hostpath.prepare(HostPath(str(path), kind))
    assert hostpath.prepare(HostPath("/dev/null", "CharDevice")) == "/dev/null"
    assert hostpath.prepare(HostPath(str(tmp_path / "s"), "Socket")) == str(tmp_path / "s")
