"""A new layer out of an upper directory, and tars of trees: what goes in, in which order, and that it comes out the same."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers.depot import Depot, Meta
from kubeplay.engine.layers.stream import Blob
from kubeplay.engine.layers.walk import Manner
from kubeplay.engine.layers.write import tar_tree
from kubeplay.errors import InvalidInput, NotFound, NotSupported, StoreError
from tests.support.images import Member, digest, directory, file, hardlink, layer, symlink

pytestmark = pytest.mark.root
# cap_net_bind_service=ep, VFS_CAP_REVISION_2
CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run")))


@pytest.fixture
def depot(paths: Paths) -> Depot:
    return Depot(paths)


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """One of everything that an upper directory may hold."""
    top = tmp_path / "root/containers/1/upper"
    (top / "d/deep").mkdir(parents=True)
    (top / "d/deep/f").write_bytes(b"x" * 1500)
    os.link(top / "d/deep/f", top / "again")
    os.symlink("../nowhere", top / "d/link")
    os.symlink("t" * 200, top / "d/longlink")
    os.mkfifo(top / "fifo", 0o620)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "disk", stat.S_IFBLK | 0o600, os.makedev(259, 70000))
    os.mknod(top / "gone", stat.S_IFCHR, 0)
    (top / "hiding").mkdir(mode=0o1777)
    os.setxattr(top / "hiding", "trusted.overlay.opaque", b"y")
    os.setxattr(top / "d", "trusted.overlay.origin", b"\0abc")
    (top / "hiding/own").touch(mode=0o4755)
    os.chmod(top / "hiding/own", 0o4755)
    os.setxattr(top / "hiding/own", "security.capability", CAPABILITY)
    os.setxattr(top / "d/deep/f", "user.note", b"a\nb\0c")
    os.chown(top / "d/deep", 3_000_000, 70_000)
    long = top / ("n" * 120) / ("m" * 200)
    long.parent.mkdir()
    long.write_bytes(b"long")
    (top / "d" / os.fsdecode(b"latin-\xe9")).write_bytes(b"e")
    (top / "d/schön").write_bytes(b"u")
    with open(top / "sparse", "wb") as opened:
        opened.write(b"start")
        opened.seek(5 << 20)
        opened.write(b"middle")
        opened.truncate(8 << 20)
    with socket.socket(socket.AF_UNIX) as server:
        with contextlib.chdir(top):
            server.bind("socket")
    os.utime(top / "d/deep/f", ns=(0, 1_600_000_000_987_654_321))
    os.utime(top / "d/schön", ns=(0, -5_500_000_000))
    return top


def tar_of(depot: Depot, meta: Meta) -> bytes:
    data = read(depot.tar(meta.diff_id))
    assert digest(data) == meta.diff_id and len(data) == meta.size
    return data


def read(reader: object) -> bytes:
    return b"".join(iter(lambda: reader.read(10_000), b""))  # type: ignore[attr-defined]


def listing(where: Path) -> dict[str, object]:
    """Everything about every file below a directory."""
    found: dict[str, object] = {}
    for here, directories, files in os.walk(os.fsencode(where)):
        for name in sorted([*directories, *files]):
            path = os.path.join(here, name)
            status = os.lstat(path)
            xattrs = {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)}
            content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else b""
            content = os.readlink(path) if stat.S_ISLNK(status.st_mode) else content
            owner = (status.st_uid, status.st_gid, status.st_mtime_ns, status.st_rdev)
            nlink = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink
            found[os.fsdecode(os.path.relpath(path, os.fsencode(where)))] = (oct(status.st_mode), owner, nlink, content, xattrs)
    return found


def files_of(paths: Paths, meta: Meta) -> dict[str, object]:
    """A stored layer's files; a whiteout's time is nobody's."""
    files = listing(Path(paths.layer(meta.diff_id), "fs"))
    assert files.pop("gone")[0] == "0o20000"  # type: ignore[index]
    return files


def test_everything_is_written_in_one_order(depot: Depot, upper: Path) -> None:
    meta = depot.commit(str(upper))
    assert upper.exists()
    with tarfile.open(fileobj=io.BytesIO(tar_of(depot, meta)), errors="surrogateescape") as archive:
        members = {member.name: member for member in archive}
        names = list(members)
        content = archive.extractfile("sparse")
        assert content is not None and content.read() == (upper / "sparse").read_bytes()
    assert names == [
        "again",
        "d",
        "d/deep",
        "d/deep/f",
        "d/latin-\udce9",
        "d/link",
        "d/longlink",
        "d/schön",
        "disk",
        "fifo",
        ".wh.gone",
        "hiding",
        "hiding/.wh..wh..opq",
        "hiding/own",
        "n" * 120,
        "n" * 120 + "/" + "m" * 200,
        "null",
        "sparse",
    ]
    assert members["d/deep/f"].islnk() and members["d/deep/f"].linkname == "again"
    assert (members["d/deep"].uid, members["d/deep"].gid) == (3_000_000, 70_000)
    assert (members["again"].mtime, members["d/schön"].mtime) == (1_600_000_000, -6)
    assert members["again"].pax_headers["SCHILY.xattr.user.note"] == "a\nb\0c"
    assert (members["disk"].devmajor, members["disk"].devminor, members["disk"].mode) == (259, 70000, 0o600)
    assert members["hiding/own"].mode == 0o4755 and members["d/longlink"].linkname == "t" * 200
    assert not any("trusted" in key for member in members.values() for key in member.pax_headers)
    assert meta.size < 100_000 and meta.entries == len(names) and meta.reproducible


def test_gnu_tar_reads_it(depot: Depot, upper: Path, tmp_path: Path) -> None:
    data = tar_of(depot, depot.commit(str(upper)))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xp", "--xattrs", "--xattrs-include=*", "-C", out], input=data, check=True)
    (out / ".wh.gone").unlink()
    (out / "hiding/.wh..wh..opq").unlink()
    subprocess.run(["tar", "-d", "-C", out], input=data, capture_output=True, check=False)
    mine, theirs = listing(upper), listing(out)
    del mine["gone"], mine["socket"]
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert mine[name][3] == theirs[name][3] and mine[name][0] == theirs[name][0], name  # type: ignore[index]


def test_moved_copied_and_unpacked_are_one_layer(depot: Depot, paths: Paths, upper: Path, tmp_path: Path) -> None:
    """The directory that is moved into place ends up as its tar unpacks elsewhere, to the last xattr and nanosecond."""
    copied = depot.commit(str(upper))
    copied_files = files_of(paths, copied)
    data = tar_of(depot, copied)
    depot.collect(lambda: [])
    inode = (upper / "sparse").stat().st_ino
    moved = depot.commit(str(upper), move=True)
    where = Path(paths.layer(moved.diff_id))
    assert moved == copied and not upper.exists() and (where / "fs/sparse").stat().st_ino == inode
    assert files_of(paths, moved) == copied_files and "socket" not in copied_files
    assert tar_of(depot, moved) == data
    assert sorted(os.listdir(where)) == ["fs", "headers", "meta"] and not [n for n in os.listdir(where.parent) if n[0] == "."]


def test_move_over_a_file_system_copies(depot: Depot, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    syscalls.mount("tmpfs", str(other), "tmpfs", 0, "")
    try:
        (other / "upper").mkdir()
        (other / "upper/f").write_bytes(b"f")
        meta = depot.commit(str(other / "upper"), move=True)
        assert meta.content == 1 and not (other / "upper").exists()
    finally:
        syscalls.umount(str(other))


def test_times_roots_and_left_out_paths(depot: Depot, paths: Paths, upper: Path) -> None:
    def skip(path: bytes, status: os.stat_result) -> bool:
        return path.startswith((b"d/", b"n")) or stat.S_ISFIFO(status.st_mode)

    os.chmod(upper, 0o711)
    clamped = depot.commit(str(upper), root=True, clamp=1_000_000, skip=skip)
    with tarfile.open(fileobj=io.BytesIO(tar_of(depot, clamped))) as archive:
        assert archive.getnames() == [".", "again", "d", "disk", ".wh.gone", "hiding", "hiding/.wh..wh..opq", "hiding/own", "sparse"]
        assert {member.mtime for member in archive} == {0, 1_000_000} and archive.getmember(".").mode == 0o711
    assert os.path.exists(f"{paths.layer(clamped.diff_id)}/root")
    dated = depot.commit(str(upper), timestamp=77, skip=skip, move=True)
    with tarfile.open(fileobj=io.BytesIO(tar_of(depot, dated))) as archive:
        assert {member.mtime for member in archive} == {77}
    files = listing(Path(paths.layer(dated.diff_id), "fs"))
    assert sorted(files) == ["again", "d", "disk", "gone", "hiding", "hiding/own", "sparse"]
    assert {status[1][2] for name, status in files.items() if name != "gone"} == {77_000_000_000}  # type: ignore[index]


def test_the_empty_layer_is_the_usual_one(depot: Depot, tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    assert depot.commit(str(tmp_path / "upper")).diff_id == digest(b"\0" * 1024)


def test_a_real_overlay_gives_its_changes_to_another(depot: Depot, tmp_path: Path) -> None:
    """Delete, replace, empty and change in one overlay; the layer over the same base shows the same."""
    lower, upper, work, merged = (tmp_path / name for name in ("lower", "upper", "work", "merged"))
    for path in (lower, upper, work, merged):
        path.mkdir()
    (lower / "keep").mkdir()
    for name in ("a", "b", "keep/a", "keep/b"):
        (lower / name).write_bytes(name.encode())
    (lower / "dir/sub").mkdir(parents=True)
    (lower / "dir/sub/f").write_bytes(b"below")
    mount(tmp_path, f"lowerdir={lower},upperdir={upper},workdir={work}")
    try:
        (merged / "a").unlink()
        (merged / "keep/b").write_bytes(b"changed")
        subprocess.run(["rm", "-r", merged / "dir"], check=True)
        (merged / "dir").mkdir()
        (merged / "dir/new").write_bytes(b"new")
        os.rename(merged / "b", merged / "c")
        wanted = {name: status[3] for name, status in listing(merged).items()}  # type: ignore[index]
    finally:
        syscalls.umount(str(merged))
    meta = depot.commit(str(upper), move=True)
    mount(tmp_path, f"lowerdir={depot._paths.layer(meta.diff_id)}/fs:{lower}")
    try:
        assert {name: status[3] for name, status in listing(merged).items()} == wanted  # type: ignore[index]
        fd = os.open(merged, os.O_RDONLY)
        whole = read(tar_tree(fd))
        os.close(fd)
    finally:
        syscalls.umount(str(merged))
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert archive.getnames() == [".", "c", "dir", "dir/new", "keep", "keep/a", "keep/b"]


def mount(where: Path, options: str) -> None:
    syscalls.mount("overlay", str(where / "merged"), "overlay", 0, options)


def test_names_that_a_layer_cannot_hold_are_refused(depot: Depot, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / "d").mkdir(parents=True)
    (upper / "d/.wh.x").touch()
    for move in (False, True):
        with pytest.raises(InvalidInput, match=r"d/\.wh\.x.*cannot be put into a layer"):
            depot.commit(str(upper), move=move)
    assert depot.list() == []


def test_deep_trees_are_refused_not_fatal(depot: Depot, tmp_path: Path) -> None:
    deep = tmp_path / "upper"
    deep.mkdir()
    with contextlib.chdir(deep):
        for _ in range(600):
            os.mkdir("d")
            os.chdir("d")
    with pytest.raises(InvalidInput, match="deep"):
        depot.commit(str(deep), move=True)
    assert not deep.exists()


@pytest.mark.parametrize("before, after", [(500_000, 100), (100_000, 500_000), (3 << 20, 0)])
def test_files_that_change_size_while_they_are_read(tmp_path: Path, before: int, after: int) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_bytes(b"x" * before)
    fd = os.open(tree, os.O_RDONLY)
    from kubeplay.engine.layers.walk import Walk

    pieces: Iterator[tuple[bool, bytes]] = Walk(fd, Manner()).pieces()
    data = next(pieces)[1]
    (tree / "f").write_bytes(b"y" * after)
    data += b"".join(piece for _, piece in pieces)
    os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        opened = archive.extractfile("f")
        assert opened is not None and opened.read() == (b"y" * after).ljust(before, b"\0")[:before]


def test_cve_2023_0778_a_directory_that_becomes_a_link_gives_nothing_from_outside(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "d").mkdir(parents=True)
    outside.mkdir()
    for number in range(20):
        (tree / f"d/{number}").write_bytes(b"inside")
        (outside / f"{number}").write_bytes(b"SECRET")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.rename(tree / "d", tree / "e")
            os.symlink(outside, tree / "d")
            os.unlink(tree / "e/5")
            os.symlink(outside / "5", tree / "e/5")
            os.unlink(tree / "d")
            os.rename(tree / "e", tree / "d")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        fd = os.open(tree, os.O_RDONLY)
        for _ in range(100):
            assert b"SECRET" not in read(tar_tree(fd))
        os.close(fd)
    finally:
        done.set()
        swapper.join()


# the tar of a stored layer
def add(depot: Depot, tmp_path: Path, data: bytes) -> Meta:
    (tmp_path / "blob").write_bytes(data)
    fd = os.open(tmp_path / "blob", os.O_RDONLY)
    try:
        return depot.add(Blob(fd))
    finally:
        os.close(fd)


def test_stored_layers_come_back_to_the_byte(depot: Depot, tmp_path: Path) -> None:
    members = [directory("./", 0o711), file("a", b"hello"), hardlink("b", "a"), symlink("l", "d"), directory("d"), file("l/x", b"1" * 600)]
    for data in (layer(members), layer(members, tarfile.GNU_FORMAT), layer(members) + b"\0" * 9000 + b"rest", b""):
        assert tar_of(depot, add(depot, tmp_path, data)) == data


def test_many_files_come_back_to_the_byte(depot: Depot, tmp_path: Path) -> None:
    data = layer([file(f"d{number % 50}/f{number}", b"%d" % number * (number % 700)) for number in range(3000)])
    assert tar_of(depot, add(depot, tmp_path, data)) == data


@pytest.mark.parametrize(
    "members",
    [
        [file("a", b"1"), file("a", b"2"), file("a", b"3" * 600)],
        [file("d/x", b"x"), file("d/y/z", b"z"), hardlink("kept", "d/x"), file("d", b"2"), directory("d"), file("d/x", b"new")],
        [file("a", b"1"), hardlink("b", "a"), file("a", b"2"), file("b", b"3")],
        [file("a", b"1"), symlink("a", "b"), file("b", b"2")],
        [file("a"), file("a", b"1"), file("a"), file("b", b"2"), file("a", b"3")],
    ],
)
def test_layers_that_replace_their_own_files_come_back_too(depot: Depot, paths: Paths, tmp_path: Path, members: list[Member]) -> None:
    data = layer(members)
    meta = add(depot, tmp_path, data)
    assert meta.reproducible and tar_of(depot, meta) == data
    assert "replaced" in os.listdir(paths.layer(meta.diff_id))


def test_what_cannot_come_back_says_so(depot: Depot, paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match="cannot be given back"):
        depot.tar(add(depot, tmp_path, layer([directory("d"), symlink("a", "d"), file("a/x", b"1"), directory("a")])).diff_id)
    with pytest.raises(NotFound):
        depot.tar("sha256:" + "0" * 64)
    meta = add(depot, tmp_path, layer([file("a", b"1"), file("b", b"2" * 100)]))
    os.truncate(f"{paths.layer(meta.diff_id)}/fs/b", 50)
    with pytest.raises(StoreError, match="'b' is not as it was stored: it is too short"):
        read(depot.tar(meta.diff_id))
    os.unlink(f"{paths.layer(meta.diff_id)}/fs/b")
    os.symlink("a", f"{paths.layer(meta.diff_id)}/fs/b")
    with pytest.raises(StoreError, match="'b' is not as it was stored"):
        read(depot.tar(meta.diff_id))
    Path(paths.layer(meta.diff_id), "headers").write_bytes(b"\x00garbage")
    with pytest.raises(StoreError, match="damaged"):
        read(depot.tar(meta.diff_id))
