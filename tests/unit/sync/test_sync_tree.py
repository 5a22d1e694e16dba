"""Files of somebody else's archive: what they may name, how much they may be, where their links lead."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.engine.layers.stream import Blob, Incoming
from kubeplay.errors import InvalidInput
from kubeplay.sync import tree
from kubeplay.sync.tree import Tree, unpack

Members = list[tuple[str, bytes, str]]  # name, typeflag, content or link


def _tar(members: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind in (tarfile.REGTYPE, tarfile.AREGTYPE):
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                archive.addfile(info)
    return out.getvalue()


def _unpacked(directory: Path, data: bytes) -> Path:
    made = Tree(str(directory), "the source")
    unpack(Incoming(io.BytesIO(data), len(data)), made)
    made.finish()
    return directory


FILE, DIR, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE


def test_files_folders_and_links_within(tmp_path: Path) -> None:
    members: Members = [("./", DIR, ""), ("./base", DIR, ""), ("base/a.yaml", FILE, "a"), ("over/b.yaml", FILE, "b"),
                        ("over/a.yaml", LINK, "../base/a.yaml"), ("here", LINK, ".")]  # fmt: skip
    made = _unpacked(tmp_path, _tar(members))
    assert (made / "over/a.yaml").read_text() == "a" and (made / "here/over/b.yaml").read_text() == "b"


def test_a_packed_archive(tmp_path: Path) -> None:
    assert (_unpacked(tmp_path, gzip.compress(_tar([("a", FILE, "x")]))) / "a").read_text() == "x"


@pytest.mark.parametrize(
    "members",
    [
        [("../a", FILE, "x")], [("a/../../b", FILE, "x")], [("/etc/passwd", FILE, "x")], [("a//b", FILE, "x")],
        [(".git/config", FILE, "x")], [("sub/.GIT/hooks/x", FILE, "x")], [("../d", DIR, "")], [("x" * 256, FILE, "x")],
        [("a", FILE, "x"), ("a", FILE, "y")], [("a", FILE, "x"), ("a/b", FILE, "y")], [("a", FILE, "x"), ("a", DIR, "")],
        [("a", LINK, "/etc")], [("a", LINK, "../x")], [("a/b/c", LINK, "../../../x")],
        [("a", FILE, "x"), ("a", LINK, "b")], [("d", LINK, "."), ("d/x", LINK, "y")],
        # a link by whose own target `..` leads further up than its text says
        [("a/b/up", LINK, "../.."), ("out", LINK, "a/b/up/../x")],
        [("a", LINK, "b"), ("b", LINK, "../c")],
        [("a", tarfile.LNKTYPE, "b")], [("a", tarfile.CHRTYPE, "")], [("a", tarfile.FIFOTYPE, "")],
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, members: Members) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    with pytest.raises(InvalidInput):
        _unpacked(inside, _tar(members))
    assert os.listdir(tmp_path) == ["in"]


def test_a_link_to_itself_is_only_useless(tmp_path: Path) -> None:
    made = _unpacked(tmp_path, _tar([("a", LINK, "a"), ("b.yaml", FILE, "b")]))
    assert (made / "b.yaml").read_text() == "b"


def test_no_more_than_so_many_files_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_FILES", 3)
    with pytest.raises(InvalidInput, match="more than 3 files"):
        _unpacked(tmp_path, _tar([(str(n), FILE, "") for n in range(4)]))
    monkeypatch.setattr(tree, "MAX_BYTES", 1 << 20)
    with pytest.raises(InvalidInput):  # a bomb: a megabyte and a half of zeros is a few kB of gzip
        _unpacked(tmp_path, gzip.compress(_tar([("zeros", FILE, "\0" * (3 << 19))])))


def test_what_a_digest_does_not_vouch_for(tmp_path: Path) -> None:
    data = _tar([("a", FILE, "x")])
    with pytest.raises(InvalidInput):
        unpack(Incoming(io.BytesIO(data), len(data), "sha256:" + "0" * 64), Tree(str(tmp_path), "s"))


def test_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(_tar([("a", FILE, "x")]))
    (tmp_path / "out").mkdir()
    with open(tmp_path / "t", "rb") as file:
        unpack(Blob(file.fileno()), Tree(str(tmp_path / "out"), "s"))
    assert (tmp_path / "out/a").read_text() == "x"


NAMES = st.text(st.sampled_from("ab./"), min_size=1, max_size=12)


@given(st.lists(st.tuples(NAMES, st.sampled_from([FILE, DIR, LINK]), NAMES), max_size=8))
def test_nothing_ever_lands_or_leads_outside(tmp_path_factory: pytest.TempPathFactory, members: Members) -> None:
    top = tmp_path_factory.mktemp("t")
    inside = top / "in"
    inside.mkdir()
    try:
        _unpacked(inside, _tar(members))
    except InvalidInput:
        pass
    else:
        for here, folders, files in os.walk(inside):
            for name in (*folders, *files):
                assert os.path.realpath(f"{here}/{name}").startswith(str(inside))
    assert os.listdir(top) == ["in"]


def test_a_link_below_a_link_makes_nothing_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ours").mkdir()
    with pytest.raises(InvalidInput, match="there twice"):
        _unpacked(tmp_path / "ours", _tar([("a", tarfile.SYMTYPE, str(tmp_path / "elsewhere")), ("a/b/c", tarfile.SYMTYPE, "x")]))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_below_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there twice"):
        _unpacked(tmp_path, _tar([("a", tarfile.REGTYPE, "x"), ("a/b/c", tarfile.SYMTYPE, "x")]))
