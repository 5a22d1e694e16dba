"""For whom a process works, and which directories it may trust."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeplay import config
from kubeplay.engine.host import userns
from kubeplay.engine.host.userns import Handed, Range
from kubeplay.engine.rootless import who
from kubeplay.errors import Forbidden

MINE = (Range(0, 1001, 1), Range(1, 100000, 65536))
WHOLE = (Range(0, 0, 4294967295),)


@pytest.mark.parametrize(
    "said, ranges, euid, found",
    [
        ("1001:1002:/run/user/1001/kubeplay-user", MINE, 0, Handed(1001, 1002, "/run/user/1001/kubeplay-user")),
        ("1001:1002:/a:b", MINE, 0, Handed(1001, 1002, "/a:b")),
        ("1001:1002:/x", WHOLE, 0, None),  # root that somebody wants to take for a user
        ("1002:1002:/x", MINE, 0, None),  # another user's namespace
        ("1001:1002:/x", MINE, 1000, None),  # some user inside
        ("1001:1002:x", MINE, 0, None),
        ("1001:/x", MINE, 0, None),
        ("-1:0:/x", MINE, 0, None),
        ("", MINE, 0, None),  # root in a container
    ],
)
def test_what_is_handed_on_counts_only_where_the_kernel_says_the_same(
    monkeypatch: pytest.MonkeyPatch, said: str, ranges: tuple[Range, ...], euid: int, found: Handed | None
) -> None:
    monkeypatch.setenv(userns.VARIABLE, said)
    monkeypatch.setattr(userns, "ranges", lambda kind="uid": ranges)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    assert userns.handed_on() == found
    assert userns.rootless() == (euid != 0 or found is not None)


def test_maps() -> None:
    maps = who.Maps(MINE, (Range(0, 1001, 1),))
    assert not maps.single and maps.has_uid(65536) and not maps.has_uid(65537) and maps.has_gid(0) and not maps.has_gid(1)
    assert who.Maps((Range(0, 1001, 1),), (Range(0, 1001, 1),)).single


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The candidates, in a directory of the test's."""
    found = [tmp_path / name for name in ("xdg", "tmp", "home")]
    monkeypatch.delenv(userns.VARIABLE, raising=False)
    monkeypatch.setattr(who, "parents", lambda: iter(map(str, found)))
    return found


def test_the_first_private_place_is_taken(places: list[Path]) -> None:
    places[1].mkdir(mode=0o700)
    places[2].mkdir(mode=0o700)
    assert who.user_directory() == f"{places[1]}/{who.NAME}"
    assert os.stat(who.user_directory()).st_mode & 0o7777 == 0o700


def test_a_place_that_others_may_write_to_is_refused(places: list[Path]) -> None:
    for place in places[:2]:
        place.mkdir()
    places[0].chmod(0o777)
    places[1].chmod(0o770)
    with pytest.raises(Forbidden, match="only you can write to") as caught:
        who.user_directory()
    assert "XDG_RUNTIME_DIR" in caught.value.hint


def test_a_link_is_refused(places: list[Path], tmp_path: Path) -> None:
    """Also one that leads to a directory of our own: who made the link chose it."""
    (tmp_path / "mine").mkdir(mode=0o700)
    places[0].symlink_to(tmp_path / "mine")
    places[1].mkdir(mode=0o700)
    (places[1] / who.NAME).symlink_to(tmp_path / "mine")
    places[2].mkdir(mode=0o700)
    assert who.user_directory() == f"{places[2]}/{who.NAME}"


def test_the_directory_is_closed_when_it_was_open(places: list[Path]) -> None:
    places[0].mkdir(mode=0o700)
    (places[0] / who.NAME).mkdir(mode=0o755)
    assert os.stat(who.user_directory()).st_mode & 0o7777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_another_users_directory_is_refused(places: list[Path]) -> None:
    for place in places[:2]:
        place.mkdir(mode=0o700)
    os.chown(places[0], 65534, 65534)
    (places[1] / who.NAME).mkdir(mode=0o700)
    os.chown(places[1] / who.NAME, 65534, 65534)
    with pytest.raises(Forbidden):
        who.user_directory()


def test_a_user_has_defaults_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_default", dict(config._default))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    config.lie_below("/home/alice", "/run/user/1001")
    made = config.settings({})
    assert (made.root, made.runroot) == ("/home/alice/.local/share/kubeplay", "/run/user/1001/kubeplay")
    assert config.settings({"KUBEPLAY_ROOT": "/a"}, runroot="/b")[:2] == ("/a", "/b")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    config.lie_below("/home/alice", "/run/user/1001")
    assert config.settings({}).root == "/data/kubeplay"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # the specification says: to be ignored
    config.lie_below("/home/alice", "/run/user/1001")
    assert config.settings({}).root == "/home/alice/.local/share/kubeplay"
