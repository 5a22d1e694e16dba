"""Dialects of real archivers: what they pack is unpacked as GNU tar does it, and given back to the byte."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers import encode
from kubeplay.engine.layers.depot import Depot, Meta
from kubeplay.engine.layers.stream import Incoming
from kubeplay.engine.layers.tar import Entry
from kubeplay.engine.layers.write import Pieces
from kubeplay.errors import InvalidInput
from tests.support.images import digest, directory, file, hardlink, layer

pytestmark = pytest.mark.root
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # cap_net_raw=ep


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    return Depot(Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run"))))


def add(depot: Depot, data: bytes, stored: bytes = b"") -> Path:
    """Store the layer, in the form `stored`; see that it is given back; its files."""
    stored = stored or data
    meta: Meta = depot.add(Incoming(Pieces(iter([stored[:100_000], stored[100_000:]])), len(stored), digest(stored)), digest(data))
    back = hashlib.sha256()
    reader = depot.tar(meta.diff_id)
    while piece := reader.read(1 << 20):
        back.update(piece)
    assert "sha256:" + back.hexdigest() == digest(data) == meta.diff_id
    return Path(depot._paths.layer(meta.diff_id), "fs")


def run(*command: str | Path, data: bytes | None = None) -> bytes:
    return subprocess.run(list(map(str, command)), input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What every dialect can say: short names, small owners."""
    top = tmp_path / "source"
    (top / "a/b").mkdir(parents=True)
    (top / "a/b/file").write_bytes(os.urandom(3001))
    (top / "a/suid").write_bytes(b"x")
    os.chown(top / "a/suid", 5, 6)
    os.chmod(top / "a/suid", 0o6755)
    (top / "empty").touch()
    os.link(top / "a/b/file", top / "hard")
    os.symlink("a/b", top / "link")
    os.chmod(top / "a", 0o1770)
    return top


def odd(top: Path) -> None:
    """What only some can say."""
    (top / ("n" * 180)).write_bytes(b"long name")
    os.symlink("t" * 300, top / "long link")
    (top / "a" / os.fsdecode(b"\xff\xfe \n")).write_bytes(b"no utf-8")
    os.chown(top / "hard", 70_000, 3_000_000_000)
    os.mkfifo(top / "fifo")
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 300))
    with open(top / "sparse", "wb") as opened:
        for at in range(0, 9 << 20, 300_000):
            opened.seek(at)
            opened.write(os.urandom(4096))
        opened.truncate(10 << 20)


def seen(top: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for here, directories, names in os.walk(top):
        for name in [*directories, *names]:
            path = Path(here, name)
            status = path.lstat()
            content: object = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
            links = status.st_nlink if not stat.S_ISDIR(status.st_mode) else 0
            found[str(path.relative_to(top))] = (
                oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev, links, int(status.st_mtime),
                os.readlink(path) if path.is_symlink() else content,
            )  # fmt: skip
    return found


GNU = [
    ["--format=v7"],
    ["--format=ustar"],
    ["--format=gnu"],
    ["--format=oldgnu"],
    ["--format=posix"],
    ["--format=posix", "--pax-option=globexthdr.name=g,comment=global"],
]


@pytest.mark.parametrize("options", GNU, ids=" ".join)
def test_simple_trees_in_every_format_of_gnu_tar(depot: Depot, source: Path, options: Sequence[str]) -> None:
    assert seen(add(depot, run("tar", "-c", *options, "-C", source, "."))) == seen(source)


SPARSE = [
    ["--format=gnu"],
    ["--format=gnu", "-S"],
    ["--format=oldgnu", "-S"],
    ["--format=posix"],
    *(["--format=posix", "-S", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0")),
]


@pytest.mark.parametrize("options", SPARSE, ids=" ".join)
def test_odd_trees(depot: Depot, source: Path, options: Sequence[str]) -> None:
    odd(source)
    assert seen(add(depot, run("tar", "-c", *options, "-C", source, "."))) == seen(source)


@pytest.mark.parametrize("options", [["--label=label"], ["--incremental"]], ids=" ".join)
def test_members_that_are_no_files_are_refused(depot: Depot, source: Path, options: Sequence[str]) -> None:
    with pytest.raises(InvalidInput, match="unknown type 'V'|would replace the root"):
        add(depot, run("tar", "-c", "--format=gnu", *options, "-C", source, "."))
    assert depot.list() == []


def test_hard_links_across_directories_in_any_order(depot: Depot, source: Path) -> None:
    data = run("tar", "-c", "-C", source, "hard", "link", "a", "empty")
    assert seen(add(depot, data)) == seen(source)


def test_busybox_tar(depot: Depot, source: Path) -> None:
    if not (box := shutil.which("busybox")):
        pytest.skip("busybox not found: apt-get install busybox-static")
    (source / ("n" * 180)).write_bytes(b"long name")
    assert seen(add(depot, run(box, "tar", "-c", "-C", source, "."))) == seen(source)


def test_bsdtar(depot: Depot, source: Path) -> None:
    if not (program := shutil.which("bsdtar")):
        pytest.skip("bsdtar not found: apt-get install libarchive-tools")
    odd(source)
    assert seen(add(depot, run(program, "-c", "-f", "-", "--format=pax", "-C", source, "."))) == seen(source)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_python_tarfile(depot: Depot, source: Path, format: int) -> None:
    odd(source)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as archive:
        archive.add(source, ".")
    assert seen(add(depot, out.getvalue())) == seen(source)


def test_git_archive_has_a_global_header(depot: Depot, tmp_path: Path) -> None:
    if not shutil.which("git"):
        pytest.skip("git not found")
    run("git", "init", "-q", tmp_path / "git")
    (tmp_path / "git/f").write_bytes(b"tracked")
    git = ("git", "-C", tmp_path / "git", "-c", "user.name=x", "-c", "user.email=x@x")
    run(*git, "add", "f")
    run(*git, "commit", "-qm", "x")
    data = run(*git, "archive", "--format=tar", "HEAD")
    assert data[156:157] == b"g"
    assert (add(depot, data) / "f").read_bytes() == b"tracked"


def test_capabilities_and_user_attributes_of_gnu_tar(depot: Depot, source: Path) -> None:
    os.setxattr(source / "empty", "security.capability", CAPABILITY)
    os.setxattr(source / "empty", "user.note", b"a=b\n\0")
    os.setxattr(source / "a", "user.directory", b"d")
    os.setxattr(source / "a", "trusted.overlay.opaque", b"y")
    root = add(depot, run("tar", "-c", "--format=posix", "--xattrs", "--xattrs-include=*", "-C", source, "."))
    assert os.getxattr(root / "empty", "security.capability") == CAPABILITY
    assert os.getxattr(root / "empty", "user.note") == b"a=b\n\0"
    assert os.listxattr(root / "a") == ["user.directory"]


def test_large_owners_in_base_256_and_pax(depot: Depot) -> None:
    members = [file("f", b"1", uid=4_000_000_000, gid=65_536), directory("d", uid=2_097_152)]
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        root = add(depot, layer(members, format))
        assert ((root / "f").stat().st_uid, (root / "f").stat().st_gid, (root / "d").stat().st_uid) == (4_000_000_000, 65_536, 2_097_152)


def test_an_opaque_marker_after_the_entries_hides_only_what_is_below(depot: Depot) -> None:
    """image-spec layer.md: implementations must take the marker as if it came first."""
    root = add(depot, layer([directory("d"), file("d/own", b"1"), directory("d/sub"), file("d/.wh..wh..opq"), file("d/late", b"2")]))
    assert sorted(os.listdir(root / "d")) == ["late", "own", "sub"] and os.getxattr(root / "d", "trusted.overlay.opaque") == b"y"


def test_deleted_and_linked_in_one_layer(depot: Depot) -> None:
    root = add(depot, layer([file("a", b"1"), hardlink("d/b", "a"), file("e/.wh.gone"), hardlink("c", "d/b")]))
    assert (root / "c").stat().st_nlink == 3 and stat.S_ISCHR((root / "e/gone").lstat().st_mode)


# forms of compression that name each file apart
def skippable(data: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def parts(data: bytes) -> list[bytes]:
    return [data[at : at + 700] for at in range(0, len(data), 700)]


MANY = layer([file(f"d/{number}", b"%d " % number * 150) for number in range(800)])


def test_zstd_chunked_is_zstd(depot: Depot) -> None:
    """A frame per piece, then a manifest and a footer that old readers skip (containers/storage, pkg/chunked)."""
    zstandard = pytest.importorskip("zstandard")
    pack = zstandard.ZstdCompressor().compress
    frames = b"".join(pack(part) for part in parts(MANY))
    add(depot, MANY, frames + skippable(pack(b"{}")) + skippable(b"GNUlInUx" * 9))
    assert depot.meta(digest(MANY)).compression == "zstd"


def test_zstd_with_a_skippable_frame_in_front(depot: Depot) -> None:
    zstandard = pytest.importorskip("zstandard")
    add(depot, MANY, skippable(b"pzstd") + zstandard.ZstdCompressor().compress(MANY))


def test_gzip_with_a_member_per_piece(depot: Depot) -> None:
    """eStargz: members, the last ones with an extra field."""
    footer = b"\x1f\x8b\x08\x04" + b"\0" * 6 + struct.pack("<H", 26) + b"SG\x16\0" + b"0" * 16 + b"STARGZ" + b"\x01\0\0\xff\xff" + b"\0" * 8
    add(depot, MANY, b"".join(gzip.compress(part) for part in parts(MANY)) + footer)


def test_gzip_headers_with_everything_in_them(depot: Depot) -> None:
    """RFC 1952's optional fields, members falling anywhere in the pieces that are read."""
    def member(data: bytes, number: int) -> bytes:
        flags = number % 16 * 2
        head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0" * 6
        head += struct.pack("<H", 300) + b"e" * 300 if flags & 4 else b""
        head += b"name\0" if flags & 8 else b""
        head += b"a comment\0" if flags & 16 else b""
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF) if flags & 2 else b""
        return head + gzip.compress(data)[10:]

    add(depot, MANY, b"".join(member(part, number) for number, part in enumerate(parts(MANY))))


def test_a_layer_of_100000_files(depot: Depot, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    syscalls.mount("tmpfs", str(tmp_path / "root"), "tmpfs", 0, "")
    try:
        many_files(depot)
    finally:
        syscalls.umount(str(tmp_path / "root"))


def many_files(depot: Depot) -> None:
    kind = (0o644, 1000, 1000, 1_700_000_000 * 10**9)
    heads = [
        encode.header(Entry(b"data/%03d/%d" % (number % 500, number), b"0", *kind, 0, b"", 0, 0, (), None, 0)) for number in range(100_000)
    ]
    root = add(depot, b"".join(heads) + encode.END)
    assert sum(len(files) for _, _, files in os.walk(root)) == 100_000
