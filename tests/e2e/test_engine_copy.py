"""cp between containers and this machine, with containers that plant links."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from kubeplay.engine import copy, views
from kubeplay.engine import exec as execs
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import Conflict, InvalidInput, NotFound, NotRunning
from tests.support.engines import Bench, bench_fixture, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root


@pytest.fixture
def row(bench: Bench) -> ContainerRow:
    return bench.run(shell("sleep 1000"))[0]


def tree(path: Path) -> Path:
    (path / "sub").mkdir(parents=True)
    (path / "a").write_text("A")
    (path / "a").chmod(0o640)
    os.chown(path / "a", 12, 34)
    (path / "sub/b").write_text("B")
    (path / "sub/link").symlink_to("/etc/passwd")
    return path


def test_directory_there_and_back(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    copy.into(bench.engine, row, str(tree(tmp_path / "src")), "/tmp")
    assert bench.exec(row, "stat", "-c", "%a %u %g", "/tmp/src/a") == "640 12 34\n"
    copy.out(bench.engine, row, "/tmp/src", str(tmp_path / "back"))
    assert (tmp_path / "back/sub/b").read_text() == "B" and os.readlink(tmp_path / "back/sub/link") == "/etc/passwd"
    status = os.stat(tmp_path / "back/a")
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 12, 34)


def test_names_and_targets(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    src = tree(tmp_path / "src")
    copy.into(bench.engine, row, str(src / "a"), "/tmp/renamed")
    assert bench.exec(row, "cat", "/tmp/renamed") == "A"
    copy.into(bench.engine, row, f"{src}/.", "/tmp/fresh")
    assert bench.exec(row, "ls", "/tmp/fresh").split() == ["a", "sub"]
    copy.into(bench.engine, row, f"{src}/.", "/tmp/fresh")  # again, into what is there
    with pytest.raises(Conflict):
        copy.into(bench.engine, row, str(src), "/tmp/renamed")
    with pytest.raises(NotFound):
        copy.into(bench.engine, row, str(src / "a"), "/nowhere/x")
    with pytest.raises(NotFound):
        copy.out(bench.engine, row, "/nowhere", str(tmp_path))


def test_cve_2018_15664_links_lead_nowhere_but_the_container(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    outside = tmp_path / "outside"
    (tmp_path / "file").write_text("new")
    bench.exec(row, "sh", "-c", f"mkdir -p {outside}; ln -s {outside} /evil; ln -s /../../../../../../etc /up; ln -s {outside}/a /evilfile")
    copy.into(bench.engine, row, str(tmp_path / "file"), "/evil/")
    assert os.listdir(outside) == []
    assert bench.exec(row, "cat", f"{outside}/file") == "new"
    copy.out(bench.engine, row, "/up/passwd", str(tmp_path / "passwd"))
    assert "app:x:1234" in (tmp_path / "passwd").read_text()
    bench.exec(row, "ln", "-s", "/etc/passwd", "/tmp/file")
    copy.into(bench.engine, row, str(tmp_path / "file"), "/tmp/file")
    assert "app" in bench.exec(row, "cat", "/etc/passwd") and os.listdir(outside) == []


def test_copy_out_never_writes_through_a_link_of_the_tree(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    """A directory and a link of one name in turn: what is written must stay below the target."""
    victim = tmp_path / "victim"
    victim.mkdir()
    bench.exec(row, "mkdir", "/t")
    script = f"while :; do rm -rf /t/d; mkdir /t/d; echo x >/t/d/f; rm -rf /t/d; ln -s {victim} /t/d; done"

    def swap() -> None:
        with pytest.raises(NotRunning):
            execs.capture(bench.engine, row, ["sh", "-c", script], 600.0)
            raise NotRunning("killed with its container")

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    wait_for(lambda: bench.exec(row, "ls", "/t"), "the swapping to begin")
    for number in range(40):
        try:
            copy.out(bench.engine, row, "/t", str(tmp_path / f"out{number % 4}"))
        except (NotFound, Conflict):
            continue
    assert os.listdir(victim) == []
    bench.engine.stop_container(row, 0)
    thread.join()


def test_tar_streams(bench: Bench, row: ContainerRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.into(bench.engine, row, str(tree(tmp_path / "src")), "/tmp")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, write_through=True))
    copy.out(bench.engine, row, "/tmp/src", "-")
    data = out.getvalue()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = {m.name: m for m in archive}
    assert set(names) == {"src", "src/a", "src/sub", "src/sub/b", "src/sub/link"} and names["src/a"].uid == 12
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    bench.exec(row, "mkdir", "/into")
    copy.into(bench.engine, row, "-", "/into")
    assert bench.exec(row, "cat", "/into/src/sub/b") == "B"


@pytest.mark.parametrize("kind", ["dotdot", "link", "device"])
def test_hostile_archives_stay_inside(bench: Bench, row: ContainerRow, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        if kind == "link":
            link = tarfile.TarInfo("l")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(link)
        member = tarfile.TarInfo({"dotdot": "../x", "link": "l/x", "device": "x"}[kind])
        if kind == "device":
            member.type = tarfile.CHRTYPE
        archive.addfile(member, io.BytesIO(b""))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw.getvalue())))
    with pytest.raises((InvalidInput, Conflict)):
        copy.into(bench.engine, row, "-", "/tmp")
    assert "x" not in bench.exec(row, "ls", "/etc").split() and "x" not in bench.exec(row, "ls", "/").split()


@pytest.mark.parametrize("kind", ["long name", "pax", "endless", "owner", "sparse"])
def test_archives_that_break_readers(bench: Bench, row: ContainerRow, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers that say 6 GiB, that never come to their member, or owners that are none: an error, and neither memory nor a traceback."""
    head = tarfile.TarInfo("x")
    head.type = {"long name": b"L", "pax": b"x", "endless": b"L"}.get(kind, b"0")
    head.size = {"long name": 6 << 30, "pax": 6 << 30, "endless": 4}.get(kind, 0)
    if kind == "owner":
        head.uid = 1 << 40
    data = head.tobuf(tarfile.GNU_FORMAT)
    if kind == "endless":
        data = (data + b"abc".ljust(512, b"\0")) * 3000
    if kind == "sparse":
        record = b"22 GNU.sparse.major=1\n"
        head.type, head.size = b"x", len(record)
        data = head.tobuf() + record.ljust(512, b"\0") + tarfile.TarInfo("y").tobuf() + bytes(1024)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(InvalidInput) if kind != "endless" else contextlib.nullcontext():
        copy.into(bench.engine, row, "-", "/tmp")


def test_sparse_files_of_an_archive(bench: Bench, row: ContainerRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "holes", "wb") as file:
        file.seek(3 << 20)
        file.write(b"middle")
        file.truncate(9 << 20)
    data = subprocess.run(["tar", "-cSf", "-", "-C", str(tmp_path), "holes"], capture_output=True, check=True).stdout
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    copy.into(bench.engine, row, "-", "/tmp")
    assert bench.exec(row, "sha256sum", "/tmp/holes").split()[0] == hashlib.sha256((tmp_path / "holes").read_bytes()).hexdigest()


def test_owners_and_set_id_bits(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    src = tree(tmp_path / "src")
    (src / "a").chmod(0o4755)
    copy.into(bench.engine, row, str(src), "/tmp/user", copy.How((1234, 2345)))
    assert bench.exec(row, "stat", "-c", "%a %u %g", "/tmp/user/a", "/tmp/user/sub/link") == "755 1234 2345\n777 1234 2345\n"
    copy.into(bench.engine, row, str(src), "/tmp/kept")
    assert bench.exec(row, "stat", "-c", "%a %u %g", "/tmp/kept/a") == "4755 12 34\n"
    copy.out(bench.engine, row, "/tmp/kept", str(tmp_path / "back"), copy.How((0, 0)))
    status = os.stat(tmp_path / "back/a")
    assert (status.st_mode & 0o7777, status.st_uid) == (0o755, 0)  # no set-uid root program out of a container
    bench.exec(row, "sh", "-c", "cp /bin/busybox /tmp/su 2>/dev/null || cp /bin/sh /tmp/su; chmod 6755 /tmp/su")
    copy.out(bench.engine, row, "/tmp/su", str(tmp_path / "su"))
    assert os.stat(tmp_path / "su").st_mode & 0o7777 == 0o755
    assert views.container_owner(bench.engine, row) == (0, 0)


def test_overwrite(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    (tmp_path / "one/x/deep").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two/x").write_text("file")
    for first, second in (("one", "two"), ("two", "one")):
        where = f"/tmp/{first}"
        copy.into(bench.engine, row, f"{tmp_path / first}/.", where)
        with pytest.raises(Conflict) as refused:
            copy.into(bench.engine, row, f"{tmp_path / second}/.", where)
        assert "--overwrite" in refused.value.hint
        copy.into(bench.engine, row, f"{tmp_path / second}/.", where, copy.How(overwrite=True))
        assert bench.exec(row, "stat", "-c", "%F", f"{where}/x").strip() == ("regular file" if second == "two" else "directory")
    bench.exec(row, "sh", "-c", "mkdir /tmp/l; ln -s /etc /tmp/l/x")
    copy.into(bench.engine, row, f"{tmp_path / 'one'}/.", "/tmp/l", copy.How(overwrite=True))
    assert bench.exec(row, "stat", "-c", "%F", "/tmp/l/x").strip() == "directory" and "deep" not in bench.exec(row, "ls", "/etc").split()


def test_between_containers_and_out_of_ended_ones(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    other = bench.run(shell("sleep 1000"), name="q")[0]
    copy.into(bench.engine, row, str(tree(tmp_path / "src")), "/tmp")
    copy.between(bench.engine, row, "/tmp/src", other, "/tmp/new", copy.How((1, 2)))
    assert bench.exec(other, "stat", "-c", "%u %g", "/tmp/new/sub/b") == "1 2\n" and bench.exec(other, "cat", "/tmp/new/a") == "A"
    ended = bench.engine.stop_container(other, 0)
    copy.out(bench.engine, ended, "/tmp/new/a", str(tmp_path / "a"))
    assert (tmp_path / "a").read_text() == "A"
    copy.into(bench.engine, ended, str(tmp_path / "a"), "/tmp/b")
    with pytest.raises(NotRunning):
        copy.out(bench.engine, ended._replace(id="0" * 64), "/tmp", str(tmp_path / "x"))


def test_overwriting_while_a_directory_and_a_link_take_turns(bench: Bench, row: ContainerRow, tmp_path: Path) -> None:
    """What is removed to make room, and what is written, stays in the container."""
    victim = tmp_path / "victim"
    (victim / "keep").mkdir(parents=True)
    bench.exec(row, "sh", "-c", f"mkdir -p /t {victim}/keep")
    links = f"ln -s {victim} /t/d; ln -sfn {victim}/keep /t/d"
    script = f"touch /swapping; while :; do mkdir -p /t/d/keep; rm -rf /t/d; {links}; rm -f /t/d; done"

    def swap() -> None:
        with pytest.raises(NotRunning):
            execs.capture(bench.engine, row, ["sh", "-c", script], 600.0)
            raise NotRunning("killed with its container")

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    (tmp_path / "tree/d/keep").mkdir(parents=True)
    (tmp_path / "tree/d/file").write_text("x")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat/d").write_text("x")
    bench.exec(row, "sh", "-c", "until [ -e /swapping ]; do sleep 0.01; done")
    for number in range(60):
        try:
            copy.into(bench.engine, row, f"{tmp_path / ('tree' if number % 2 else 'flat')}/.", "/t", copy.How(overwrite=True))
        except (NotFound, Conflict, OSError):
            continue
    assert os.listdir(victim) == ["keep"] and os.listdir(victim / "keep") == []
    bench.engine.stop_container(row, 0)
    thread.join()
