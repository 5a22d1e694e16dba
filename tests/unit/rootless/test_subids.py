"""Subordinate ids: the lines of /etc/subuid, and the maps made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.engine.host.userns import Range, parse
from kubeplay.engine.rootless import subids
from kubeplay.engine.rootless.subids import LAST_ID, Entry


def test_lines_by_name_and_by_number_are_the_users() -> None:
    found = subids.entries("alice:100000:65536\n1001:300000:10\nbob:200000:65536\nalic:1:1\n")
    assert subids.of(found, "alice", 1001) == [Entry("alice", 100000, 65536), Entry("1001", 300000, 10)]


@pytest.mark.parametrize(
    "line",
    ["", "# a comment", "alice", "alice:1", "alice:x:1", "alice:1:-1", "alice:1:0", ":1:1", "alice:1:1:1", f"alice:{2**32}:5"],
)
def test_a_line_that_says_nothing_is_passed_over(line: str) -> None:
    assert subids.entries(f"{line}\nbob:5:6\n") == [Entry("bob", 5, 6)]


def test_names_are_taken_as_they_are() -> None:
    assert subids.of(subids.entries("dom\\al.ice-1@x$:5:6\n"), "dom\\al.ice-1@x$", 7) == [Entry("dom\\al.ice-1@x$", 5, 6)]


def test_a_range_ends_before_the_id_of_nobody() -> None:
    assert subids.entries(f"alice:{LAST_ID - 1}:65536") == [Entry("alice", LAST_ID - 1, 2)]


def test_the_map() -> None:
    two = [Entry("alice", 300000, 10), Entry("alice", 100000, 65536)]
    assert subids.mapping(1001, two) == (Range(0, 1001, 1), Range(1, 100000, 65536), Range(65537, 300000, 10))
    assert subids.mapping(1001, []) == (Range(0, 1001, 1),)


def test_overlapping_lines_give_each_id_once() -> None:
    lines = [Entry("alice", 100, 10), Entry("1001", 105, 10), Entry("alice", 100, 3)]
    assert subids.mapping(1001, lines) == (Range(0, 1001, 1), Range(1, 100, 10), Range(11, 110, 5))


def test_the_own_id_is_not_mapped_twice() -> None:
    assert subids.mapping(1001, [Entry("alice", 1000, 5)]) == (Range(0, 1001, 1), Range(1, 1000, 1), Range(2, 1002, 3))
    assert subids.mapping(1001, [Entry("alice", 1001, 1)]) == (Range(0, 1001, 1),)


@given(st.integers(0, 50), st.lists(st.builds(Entry, st.just("a"), st.integers(0, 60), st.integers(1, 20)), max_size=8))
def test_every_map_is_one_that_the_kernel_takes(own: int, lines: list[Entry]) -> None:
    """No id inside or outside twice, ids inside without holes (user_namespaces(7)); and nothing that is not the user's, all that is."""
    made = subids.mapping(own, lines)
    inside = [i for r in made for i in range(r.inside, r.inside + r.length)]
    outside = [i for r in made for i in range(r.outside, r.outside + r.length)]
    assert inside == list(range(len(inside)))
    assert len(outside) == len(set(outside))
    assert set(outside) == {own} | {i for e in lines for i in range(e.start, e.start + e.length)}
    assert parse(subids.text(made)) == made


def test_a_map_has_no_more_lines_than_the_kernel_takes() -> None:
    assert len(subids.mapping(1, [Entry("a", 10 + 2 * i, 1) for i in range(500)])) == subids.EXTENTS


def test_ids_that_two_users_have() -> None:
    found = subids.entries("alice:100000:65536\nbob:165535:10\ncarol:165536:10\n1001:500000:5\ndave:500004:1\n")
    assert subids.shared(found, "alice", 1001) == ["bob", "dave"]
    assert subids.shared(found, "carol", 1003) == ["bob"]
    assert subids.shared(found, "erin", 1004) == []


def test_accounts_among_the_ids() -> None:
    assert "root" in subids.real([Entry("alice", 0, 2)], "uid")
    assert "root" in subids.real([Entry("alice", 0, 2)], "gid")
    assert subids.real([Entry("alice", 3000000000, 5)], "uid") == []


@pytest.mark.parametrize(
    "text, found",
    [("", False), ("subid: files", False), ("subid: sss", True), ("subid: sss files", True), ("# subid: sss", False),
     ("subid: # sss", False),
     ("passwd: sss\nsubid: files sss", False), ("subid: files\nsubid: sss", True)],
)  # fmt: skip
def test_who_is_asked_for_ids(text: str, found: bool) -> None:
    assert subids.elsewhere(text) is found


def test_what_a_directory_service_answers() -> None:
    assert subids.answers("0: alice 100000 65536\n1: alice 300000 10\nError fetching ranges\n") == [
        Entry("alice", 100000, 65536),
        Entry("alice", 300000, 10),
    ]
