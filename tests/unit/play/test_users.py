"""`--userns` and what a pod says about it, as plans; and the maps that follow."""

from __future__ import annotations

import pytest

from kubeplay.engine import idmaps
from kubeplay.engine.host.idmapped import Crossing, Map, inside, outside, text
from kubeplay.engine.host.userns import Range
from kubeplay.errors import InvalidInput, SandboxError
from kubeplay.plan.pod import Users
from kubeplay.play.compile import users
from tests.support.manifests import pod

BOX = "containers: [{name: c, image: 'i:1'}]"
MARK = "name: p, annotations: {io.podman.annotations.userns%s: '%s'}"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("host", None), ("auto", Users("auto")), ("private", Users("auto")), ("auto:size=4096", Users("auto", size=4096)),
        ("keep-id", Users("keep-id")), ("keep-id:uid=7,gid=8", Users("keep-id", 7, 8)), ("keep-id:uid=0", Users("keep-id", 0)),
        ("nomap", Users("nomap")),
    ],
)  # fmt: skip
def test_modes(said: str, meant: Users | None) -> None:
    assert users.parse(said) == meant
    assert pod(BOX, MARK % ("", said)).sandbox.users == meant
    assert pod(BOX, userns=said).sandbox.users == meant


@pytest.mark.parametrize(
    "said",
    [
        "", "container:x", "ns:/proc/1/ns/user", "auto:uidmapping=0:0:1", "auto:size=0", "keep-id:uid=-1", "keep-id:uid=99999999999",
        "nomap:x",
    ],
)  # fmt: skip
def test_what_cannot_be_meant(said: str) -> None:
    with pytest.raises(InvalidInput, match="user namespace mode"):
        users.parse(said)
    if said:
        with pytest.raises(InvalidInput, match="cannot be played"):
            pod(BOX, MARK % ("", said))


def test_who_wins() -> None:
    assert pod(f"hostUsers: false, {BOX}").sandbox.users == Users("auto")
    assert pod(f"hostUsers: true, {BOX}").sandbox.users is None
    assert pod(f"hostUsers: false, {BOX}", MARK % ("", "host")).sandbox.users is None
    assert pod(BOX, MARK % ("/p", "nomap")).sandbox.users == Users("nomap")
    assert pod(BOX, MARK % ("/other", "nomap")).sandbox.users is None
    assert pod(BOX, MARK % ("/p", "nomap"), userns="keep-id").sandbox.users == Users("keep-id")
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        with pytest.raises(InvalidInput, match=f"{field}: not both"):
            pod(f"{field}: true, {BOX}", userns="auto")
        assert pod(f"{field}: true, {BOX}", userns="host").sandbox.users is None


def test_keeping_an_id() -> None:
    mine = (Range(0, 1000, 1), Range(1, 100000, 65536))
    assert idmaps.keeping(mine, 1000) == (Range(0, 1, 1000), Range(1000, 0, 1), Range(1001, 1001, 64536))
    assert idmaps.keeping(mine, 0) == (Range(0, 0, 1), Range(1, 1, 65536))
    assert idmaps.keeping(mine, 65536) == (Range(0, 1, 65536), Range(65536, 0, 1))
    with pytest.raises(SandboxError, match="cannot be kept with only 65536"):
        idmaps.keeping(mine, 65537)
    for kept in (0, 5, 65536):
        found = [outside(idmaps.keeping(mine, kept), number) for number in range(65537)]
        assert sorted(found) == list(range(65537)) and found[kept] == 0, "every id once"


def test_ids_cross_from_one_map_to_another() -> None:
    one, two = (Map((Range(0, start, 100),), (Range(0, start + 1000, 100),)) for start in (5000, 9000))
    assert one.root == (5000, 6000) and text(one.uids) == "0 5000 100\n"
    assert (outside(one.uids, 99), outside(one.uids, 100), inside(one.uids, 5099), inside(one.uids, 4999)) == (5099, -1, 99, -1)
    crossing = Crossing(one, two)
    assert crossing.write(crossing.read((5007, 6008))) == (9007, 10008)
    assert crossing.read((1, 1)) == (0, 0) and crossing.write((100, 3)) == (9000, 10003)
    assert Crossing().write(Crossing().read((3, 4))) == (3, 4)
