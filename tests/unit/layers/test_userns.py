"""Layers in a user namespace: what an ordinary user can make of them, what is recorded of the rest, and what a hostile one cannot do."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers import lacking, marks
from kubeplay.engine.layers.depot import Depot
from kubeplay.engine.layers.stream import Blob
from kubeplay.errors import InvalidInput, MissingPrerequisite
from tests.support.images import Member, digest, directory, file, hardlink, layer, symlink
from tests.support.userns import inside

pytestmark = pytest.mark.root
T = TypeVar("T")
CAPABILITY = struct.pack("<IIIII", 0x02000000 | 1, 1 << 10, 0, 0, 0)  # VFS_CAP_REVISION_2, effective, cap_net_bind_service
DEVICES = (
    Member("dev/null", type=b"3", mode=0o666, device=(1, 3)),
    Member("dev/sda", type=b"4", mode=0o660, device=(8, 0)),
    hardlink("dev/zero", "dev/null"),
)


class Place:
    """A root in `where`; the archive of some members is stored there."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.paths = Paths(Settings(root=str(where / "root"), runroot=str(where / "run")))
        self.depot = Depot(self.paths)

    def add(self, *members: Member) -> str:
        self.where.joinpath("blob").write_bytes(layer(members))
        fd = os.open(self.where / "blob", os.O_RDONLY)
        try:
            return self.depot.add(Blob(fd)).diff_id
        finally:
            os.close(fd)

    def fs(self, diff_id: str) -> str:
        return f"{self.paths.layer(diff_id)}/fs"

    def tar(self, diff_id: str) -> bytes:
        reader = self.depot.tar(diff_id)
        data = b""
        while piece := reader.read(1 << 20):
            data += piece
        reader.close()
        return data


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_devices_are_recorded_and_deletions_stand_for_them(place: Place) -> None:
    members = (directory("dev"), *DEVICES, file("dev/file", b"x"))

    def work() -> tuple[lacking.Lacking, dict[str, bool], bytes]:
        found = place.add(*members)
        inside_it = {name: marks.is_whiteout(os.lstat(f"{place.fs(found)}/dev/{name}")) for name in os.listdir(f"{place.fs(found)}/dev")}
        return place.depot.lacking(found), inside_it, place.tar(found)

    record, seen, tar = inside(work)
    assert record.devices == ("c 1:3 dev/null", "b 8:0 dev/sda", "h 0:0 dev/zero") and record.device_count == 3
    assert seen == {"null": True, "sda": True, "zero": True, "file": False}, "what a lower layer has there must not be seen"
    assert tar == layer(members), "pushing the layer on loses nothing"
    assert "3 device nodes left out" in lacking.sentence([record])


def test_as_root_nothing_is_lacking(place: Place) -> None:
    found = place.add(directory("dev"), *DEVICES)
    assert not place.depot.lacking(found) and not os.path.exists(f"{place.paths.layer(found)}/{lacking.FILE}")
    assert lacking.sentence([place.depot.lacking(found)]) == ""


def test_marks_are_those_of_the_namespace(place: Place) -> None:
    members = (directory("d"), file("d/.wh..wh..opq"), file(".wh.gone"), file(".wh.again"), directory("again"))

    def work() -> list[list[str]]:
        top = place.fs(place.add(*members))
        assert marks.is_whiteout(os.lstat(f"{top}/gone"))
        return [os.listxattr(f"{top}/{name}") for name in ("d", "again")]

    assert inside(work) == [["user.overlay.opaque"]] * 2
    other = Place(place.where / "as-root")
    other.where.mkdir()
    assert [os.listxattr(f"{other.fs(other.add(*members))}/{name}") for name in ("d", "again")] == [["trusted.overlay.opaque"]] * 2


def test_a_mark_of_another_namespace_is_not_believed(tmp_path: Path) -> None:
    """A container can write user.* itself: as root it hides nothing by that."""
    (tmp_path / "d").mkdir()
    os.setxattr(tmp_path / "d", "user.overlay.opaque", b"y")
    fd = os.open(tmp_path / "d", os.O_RDONLY)
    marks.forget()
    assert not marks.is_opaque(fd)
    assert inside(lambda: marks.is_opaque(fd))


@pytest.mark.parametrize("owner", [(70_000, 5), (5, 70_000), (4_000_000_000, 0)])
def test_an_owner_beyond_the_map_is_named_with_the_remedy(place: Place, owner: tuple[int, int]) -> None:
    for number, member in enumerate((file("usr/x", b"1", uid=owner[0], gid=owner[1]), symlink("usr/x", "y", uid=owner[0], gid=owner[1]),
                                     directory("usr/x", uid=owner[0], gid=owner[1]), file("usr/x", b"", uid=owner[0], gid=owner[1],
                                     pax={"SCHILY.xattr.user.a": "1"}))):  # fmt: skip

        def work(member: Member = member) -> str:
            with pytest.raises(MissingPrerequisite) as error:
                place.add(file("a"), member)
            assert not place.depot.list() and not [n for n in os.listdir(f"{place.paths.root}/layers") if n.startswith(".tmp")]
            return str(error.value)

        said = inside(work)
        assert "usr/x" in said and str(max(owner)) in said and "0-65535" in said and "hint: " in said, (number, said)
        assert ("smaller ids" in said) == (max(owner) > 1 << 24) or "container" in said


def test_impossible_owners_are_refused_here_too(place: Place) -> None:
    def work() -> None:
        with pytest.raises(InvalidInput, match="impossible owner"):
            place.add(file("x", uid=0xFFFFFFFF))

    inside(work)


def test_a_single_id_stands_for_all(place: Place) -> None:
    members = (directory("d", uid=5), file("d/a", b"1", 0o4755, uid=33, gid=33), symlink("l", "a", uid=7), file("own", b"2"))

    def work() -> tuple[lacking.Lacking, list[tuple[int, int]], bytes]:
        found = place.add(*members)
        statuses = [os.lstat(f"{place.fs(found)}/{name}") for name in ("d", "d/a", "l", "own")]
        return place.depot.lacking(found), [(s.st_uid, s.st_gid) for s in statuses], place.tar(found)

    record, owners, tar = inside(work, ids=1)
    assert owners == [(0, 0)] * 4 and record.owners == 4, "uid and gid of d/a, uid of d and l"
    assert "no ids in /etc/subuid" in lacking.sentence([record]) and tar == layer(members)


def test_capabilities_are_kept_and_come_out_as_they_went_in(place: Place) -> None:
    members = (file("bin", b"x", 0o755, pax={"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1")}),)

    def work() -> tuple[bytes, str]:
        found = place.add(*members)
        again = place.depot.commit(place.fs(found), root=False)
        return os.getxattr(f"{place.fs(found)}/bin", "security.capability"), again.diff_id

    value, again = inside(work)
    assert value == CAPABILITY, "the kernel keeps a third revision and shows ours inside"
    raw = os.getxattr(f"{place.fs(digest(layer(members)))}/bin", "security.capability")
    assert raw[:4] in (struct.pack("<I", 0x03000000 | 1), CAPABILITY[:4])
    other = Place(place.where / "as-root")
    other.where.mkdir()
    assert other.depot.commit(other.fs(other.add(*members))).diff_id == again, "the same layer from either side"


def test_acls_of_ids_that_are_not_mapped_are_told(place: Place) -> None:
    entry = struct.Struct("<HHI")
    acl = struct.pack("<I", 2) + entry.pack(1, 6, 0xFFFFFFFF) + entry.pack(2, 6, 70_000) + entry.pack(4, 4, 0xFFFFFFFF)
    acl += entry.pack(16, 6, 0xFFFFFFFF) + entry.pack(32, 4, 0xFFFFFFFF)
    member = file("f", b"x", pax={"SCHILY.xattr.system.posix_acl_access": acl.decode("latin-1"), "SCHILY.xattr.user.kept": "1"})

    def work() -> tuple[lacking.Lacking, list[str]]:
        found = place.add(member)
        return place.depot.lacking(found), os.listxattr(f"{place.fs(found)}/f")

    record, names = inside(work)
    assert record.xattrs == (("system.posix_acl_access", 1),) and names == ["user.kept"]
    assert "system.posix_acl_access (1)" in lacking.sentence([record])


def test_xattrs_that_snapshotters_obey_are_not_taken_from_an_image(place: Place) -> None:
    """fuse-overlayfs takes owners and modes from user.containers.override_stat where it is told to."""
    names = ("user.overlay.opaque", "user.overlay.redirect", "user.fuseoverlayfs.opaque", "user.containers.override_stat", "user.mine")
    member = directory("d", pax={f"SCHILY.xattr.{name}": "y" for name in names})
    assert inside(lambda: os.listxattr(f"{place.fs(place.add(member))}/d")) == ["user.mine"]


def test_set_id_files_belong_to_mapped_ids_in_a_private_directory(place: Place) -> None:
    def work() -> str:
        return place.fs(place.add(file("su", b"x", 0o6755), file("other", b"x", 0o4755, uid=65_535)))

    top = inside(work)
    assert stat.S_IMODE(os.stat(f"{top}/su").st_mode) == 0o6755, "it means something inside"
    assert stat.S_IMODE(os.stat(f"{place.paths.root}/layers").st_mode) == 0o700, "nobody else comes that far"


def test_layers_made_inside_and_outside_are_the_same(place: Place) -> None:
    """commit of an upper directory: opaque directories, deletions, owners, links."""

    def made(where: Path) -> str:
        upper = where / "upper"
        (upper / "d/e").mkdir(parents=True)
        (upper / "d/f").write_text("1")
        os.link(upper / "d/f", upper / "g")
        os.chown(upper / "d/f", 1000, 100)
        os.symlink("f", upper / "d/l")
        fd = os.open(upper, os.O_RDONLY)
        marks.hide(b"gone", fd)
        os.close(fd)
        fd = os.open(upper / "d", os.O_RDONLY)
        marks.set_opaque(fd)
        os.close(fd)
        return Place(where).depot.commit(str(upper), move=True, timestamp=5).diff_id

    def two(name: str) -> Callable[[], str]:
        (place.where / name).mkdir()
        return lambda: made(place.where / name)

    marks.forget()
    assert inside(two("inside")) == two("outside")()


def test_what_is_made_below_anothers_directory_is_ours(tmp_path: Path) -> None:
    """subPath in a hostPath of somebody who has no id here: stat(2) shows 65534, which may well be a mapped id of a third."""
    from kubeplay.engine.volumes import subpath

    (tmp_path / "other").mkdir(mode=0o777)
    (tmp_path / "other").chmod(0o777)
    os.chown(tmp_path / "other", 70_000, 70_000)

    def work() -> None:
        os.close(subpath.open_below(str(tmp_path / "other"), "a/b", create=True))

    inside(work)
    assert os.stat(tmp_path / "other/a/b").st_uid == 0
    (tmp_path / "mine").mkdir()
    os.chown(tmp_path / "mine", 1000, 100)
    inside(lambda: os.close(subpath.open_below(str(tmp_path / "mine"), "a", create=True)))
    assert (os.stat(tmp_path / "mine/a").st_uid, os.stat(tmp_path / "mine/a").st_gid) == (1000, 100)


def test_fs_group_and_volume_options_beyond_the_map(tmp_path: Path) -> None:
    from kubeplay.engine.host import owners
    from kubeplay.engine.volumes import fsgroup

    (tmp_path / "v").mkdir()
    (tmp_path / "v/f").touch()
    owners.give(str(tmp_path / "v"), -1, os.getgid(), "what this process knows of its ids, the other must not believe")

    def work() -> str:
        with pytest.raises(MissingPrerequisite) as error:
            fsgroup.apply(str(tmp_path / "v"), 70_000, read_only=False)
        fsgroup.apply(str(tmp_path / "v"), 3456, read_only=False)
        with pytest.raises(MissingPrerequisite, match="volume x belongs to user 66000"):
            owners.give(str(tmp_path / "v"), 66_000, 0, "volume x")
        return str(error.value)

    assert "group 70000" in inside(work)
    assert (os.stat(tmp_path / "v/f").st_gid, os.stat(tmp_path / "v").st_gid) == (3456, 3456)
