"""The cache of compiled plans: never a stale answer, never a broken one, never a leak."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeplay.plan.stack import ObjectKey
from kubeplay.play import cache

KEY = ObjectKey("Pod", "default", "p")


def _made() -> tuple[ObjectKey, bool]:
    return KEY, True


def test_the_second_time_nothing_is_made(tmp_path: Path) -> None:
    directory = str(tmp_path / "plans")
    assert cache.through(directory, "n", _made) == KEY
    assert cache.through(directory, "n", pytest.fail) == KEY
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert os.stat(f"{directory}/n").st_mode & 0o777 == 0o600


def test_a_result_with_warnings_is_not_kept(tmp_path: Path) -> None:
    assert cache.through(str(tmp_path), "n", lambda: (KEY, False)) == KEY
    assert not os.listdir(tmp_path)


def test_every_input_is_part_of_the_name() -> None:
    base = cache.key([("a.yaml", b"x")], "play", 1)
    others = [
        cache.key([("a.yaml", b"y")], "play", 1),
        cache.key([("b.yaml", b"x")], "play", 1),
        cache.key([("a.yaml", b"x")], "down", 1),
        cache.key([("a.yaml", b"x")], "play", 2),
        cache.key([("a.yaml", b"x"), ("c.yaml", b"")], "play", 1),
        cache.key([("a.yam", b"lx")], "play", 1),
    ]
    assert len({base, *others}) == 7 and base == cache.key([("a.yaml", b"x")], "play", 1)


def test_an_edit_of_our_own_sources_changes_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.key([], 1)
    monkeypatch.setattr(cache, "_own_sources", lambda: 1.0)
    assert cache.key([], 1) != before


@pytest.mark.parametrize("content", ["", "{", '{"!":"Teleport"}', "\xff"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "n").write_text(content, encoding="latin-1")
    assert cache.through(str(tmp_path), "n", _made) == KEY
    assert cache.get(str(tmp_path), "n") == KEY


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    cache.put(str(tmp_path / "other"), "n", KEY)
    (tmp_path / "n").symlink_to(tmp_path / "other/n")
    assert cache.get(str(tmp_path), "n") is None
    cache.put(str(tmp_path), "n", KEY._replace(name="q"))
    assert cache.get(str(tmp_path / "other"), "n") == KEY


def test_old_entries_go(tmp_path: Path) -> None:
    for number in range(cache.KEEP + 5):
        cache.put(str(tmp_path), f"{number:03}", KEY)
        os.utime(tmp_path / f"{number:03}", (number, number))
    cache.put(str(tmp_path), "last", KEY)
    names = sorted(os.listdir(tmp_path))
    assert len(names) == cache.KEEP and "last" in names and "000" not in names


def test_a_large_record_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRY", 10)
    cache.put(str(tmp_path), "n", KEY)
    assert not os.listdir(tmp_path)
