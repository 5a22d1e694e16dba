"""volume prune, export and import: what is removed, what an archive brings, and what it may not."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Kubeplay, installed

pytestmark = pytest.mark.root

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claimed}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    yield from installed(tmp_path_factory.mktemp("volumes"))


@pytest.fixture
def volume(kp: Kubeplay) -> Iterator[str]:
    kp("volume", "create", "v")
    yield "v"
    kp("volume", "rm", "-f", "v")


def place(kp: Kubeplay, name: str) -> Path:
    return Path(kp("volume", "inspect", name, "-f", "{{.Mountpoint}}").out.strip())


def archive(path: Path, *members: tuple[str, bytes, str, str], mode: str = "w") -> str:
    """Members as (name, type, content, link)."""
    with tarfile.open(path, mode) as tar:
        for name, kind, content, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, link, 0o755 if kind == tarfile.DIRTYPE else 0o640
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    return str(path)


FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
GOOD = (("d", DIR, "", ""), ("d/f", FILE, "text", ""), ("d/s", LINK, "", "f"), ("h", HARD, "", "d/f"), ("./e", FILE, "e", ""))


@pytest.mark.parametrize("packed", ["w", "w:gz", "w:xz"])
def test_import_brings_files_links_and_directories(kp: Kubeplay, volume: str, tmp_path: Path, packed: str) -> None:
    inside = place(kp, volume)
    (inside / "e").write_text("before")
    (inside / "kept").write_text("kept")
    kp("volume", "import", volume, archive(tmp_path / "a", *GOOD, mode=packed))
    assert (inside / "d/f").read_text() == "text" and os.readlink(inside / "d/s") == "f"
    assert (inside / "h").stat().st_ino == (inside / "d/f").stat().st_ino
    assert ((inside / "e").read_text(), (inside / "kept").read_text()) == ("e", "kept")
    assert oct((inside / "d/f").stat().st_mode)[-3:] == "640"


def test_what_is_exported_can_be_imported(kp: Kubeplay, volume: str, tmp_path: Path) -> None:
    kp("volume", "import", volume, archive(tmp_path / "a", *GOOD))
    kp("volume", "export", volume, "-o", str(tmp_path / "out.tar"))
    kp("volume", "create", "w")
    kp("volume", "import", "w", str(tmp_path / "out.tar"))
    copy = place(kp, "w")
    assert sorted(os.listdir(copy)) == ["d", "e", "h"] and (copy / "d/s").read_text() == (copy / "h").read_text() == "text"
    kp("volume", "rm", "w")


@pytest.mark.parametrize("members", [
    (("../out", FILE, "x", ""),),
    (("a/../../out", FILE, "x", ""),),
    (("s", LINK, "", ".."), ("s/out", FILE, "x", "")),
    (("s", LINK, "", "/"), ("s/tmp/out", FILE, "x", "")),
    (("h", HARD, "", "../secret"),),
    (("s", LINK, "", ".."), ("h", HARD, "", "s/secret")),
    (("dev", tarfile.CHRTYPE, "", ""),),
], ids=["up", "up-later", "link-up", "link-root", "hard", "hard-by-link", "device"])  # fmt: skip
def test_an_archive_does_not_leave_its_volume(
    kp: Kubeplay, volume: str, tmp_path: Path, members: tuple[tuple[str, bytes, str, str], ...]
) -> None:
    outside = place(kp, volume).parent
    (outside / "secret").write_text("secret")
    said = kp("volume", "import", volume, archive(tmp_path / "a", *members), status=125)
    assert said.err.startswith("Error: ") and "Traceback" not in said.err
    assert not (outside / "out").exists() and not Path("/tmp/out").exists()
    assert not any(path.stat().st_nlink > 1 for path in outside.iterdir() if path.is_file())


def test_what_is_no_archive(kp: Kubeplay, volume: str, tmp_path: Path) -> None:
    for content in (b"", b"no archive at all" * 100, b"\x1f\x8b\x08broken"):
        (tmp_path / "x").write_bytes(content)
        assert "cannot be read" in kp("volume", "import", volume, str(tmp_path / "x"), status=125).err
    assert "No such file" in kp("volume", "import", volume, str(tmp_path / "nosuch"), status=125).err
    assert "no volume" in kp("volume", "import", "nosuch", str(tmp_path / "x"), status=125).err
    assert "no volume" in kp("volume", "export", "nosuch", status=125).err


def test_prune_leaves_what_is_claimed(kp: Kubeplay) -> None:
    kp("play", "kube", "-q", kp.file("claim.yaml", CLAIM))
    kp("volume", "create", "old", "-l", "a=b")
    kp("volume", "create", "new")
    assert "old" in kp("volume", "prune", stdin="n\n", status=1).out
    assert kp("volume", "prune", "-f", "--filter", "label=a=c").out == kp("volume", "prune", "-f", "--filter", "until=1h").out == ""
    assert kp("volume", "prune", "-f", "--filter", "label!=a=b").lines == ["new"]
    assert kp("volume", "prune", stdin="y\n").lines[-1].endswith("old")
    kp("kube", "down", "-q", str(kp.directory / "claim.yaml"))
    assert kp("volume", "prune", "-f").lines == ["claimed"]
    kp("volume", "create", "one")
    assert "--filter" in kp("volume", "prune", "-f", "--filter", "x=y", status=125).err
    kp("volume", "rm", "one")
