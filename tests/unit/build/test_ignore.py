"""Ignore files: Go's filepath.Match, **, ! and what a walk may leave out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.engine.build.ignore import Matcher
from kubeplay.errors import InvalidInput


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        ("", [], ["a", ".dockerignore"]),
        ("# a\n\n  \n", [], ["a", "# a"]),
        ("a", ["a", "a/b", "a/b/c"], ["b/a", "ab", "A"]),
        ("/a/", ["a", "a/b"], ["b/a"]),
        ("./a", ["a"], []),
        ("a/../b", ["b"], ["a"]),
        ("../a", ["../a"], ["a"]),
        ("*", ["a", ".b", "a/b"], []),
        (".", ["a", "a/b"], []),
        ("*.md", ["x.md", "x.md/y"], ["a/x.md", "x.mdx"]),
        ("*/*.md", ["a/x.md"], ["x.md", "a/b/x.md"]),
        ("**/*.md", ["x.md", "a/x.md", "a/b/x.md"], ["x.txt"]),
        ("**", ["a", "a/b"], []),
        ("a/**", ["a/b", "a/b/c"], ["b"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/b/zz", "z"]),
        ("a/**b", ["a/b", "a/x/b"], ["a/xb", "a/x"]),
        ("a**b", ["ab", "a/b", "a/x/b"], ["axb", "a/xb"]),
        ("a**", ["a", "ab", "a/b"], ["b"]),
        ("x/**/a/**/b", ["x/a/b", "x/1/a/2/b/3"], ["x/b", "a/b", "x/a/1"]),
        ("**/**/b", ["b", "a/b"], ["a"]),
        ("**/a/b", ["a/b", "x/a/b", "a/a/b"], ["a/x/b"]),
        ("a*b*c", ["abc", "axbxc", "abbcc"], ["abcx", "ab/c"]),
        ("a**b**c**d", None, None),
        ("a?c", ["abc"], ["a/c", "ac", "abbc"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a-c]x", ["dx"], ["ax", "x"]),
        ("a[]x", None, None),
        ("a\\*", ["a*"], ["ab"]),
        ("[\\]]", ["]"], ["\\"]),
        ("a.b", ["a.b"], ["axb"]),
        ("*\n!keep.md", ["a", "a/keep.md"], ["keep.md"]),
        ("docs\n!docs/README.md", ["docs", "docs/x"], ["docs/README.md"]),
        ("!a\na", ["a"], []),
        ("*.md\n!R*.md\nReal.md", ["a.md", "Real.md"], ["README.md"]),
        ("  a  \r\n b", ["a", "b"], []),
        ("\ufeffa", ["a"], []),
        ("! a\n#", [], ["a"]),
        ("Containerfile\n.dockerignore", ["Containerfile", ".dockerignore"], ["x/Containerfile"]),
        ("é*", ["été"], ["ete"]),
        ("[", None, None),
        ("[z-a]", None, None),
        ("[a", None, None),
        ("a\\", None, None),
        ("!", None, None),
    ],
)
def test_patterns(lines: str, ignored: list[str] | None, kept: list[str] | None) -> None:
    if ignored is None or kept is None:
        with pytest.raises(InvalidInput, match="x/.dockerignore:1: "):
            Matcher(lines, "x/.dockerignore")
        return
    matcher = Matcher(lines)
    assert [path for path in ignored + kept if matcher.ignored(path)] == ignored


@pytest.mark.parametrize(
    ("lines", "directory", "pruned"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a\n!a/b", "a", False),
        ("a\n!a/b", "a/c", True),
        ("*\n!x", "a", True),
        ("*\n!**/x", "a", False),
        ("*\n!*/x", "a", False),
        ("*\n!*/x", "a/b", True),
        ("*\n!b/c/d", "b", False),
        ("*\n!b/c/d", "b/c", False),
        ("*\n!b/c/d", "b/d", True),
    ],
)
def test_directories_a_walk_leaves_out(lines: str, directory: str, pruned: bool) -> None:
    assert Matcher(lines).prunes(directory) is pruned


def test_it_is_false_without_patterns() -> None:
    assert not Matcher("# nothing\n")
    assert Matcher(["a"])


SEGMENTS = st.lists(st.sampled_from(["a", "b", "*", "**", "?", "a*", "[ab]"]), min_size=1, max_size=4).map("/".join)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=5).map("/".join)


@given(st.lists(st.tuples(st.sampled_from(["", "!"]), SEGMENTS).map("".join), max_size=5), PATHS)
def test_pruning_loses_nothing(lines: list[str], path: str) -> None:
    matcher = Matcher(lines)
    parts = path.split("/")
    for depth in range(1, len(parts)):
        if matcher.prunes("/".join(parts[:depth])):
            assert matcher.ignored(path)


@settings(max_examples=300)
@given(st.text(alphabet="ab*?[]^-\\/!.# \n", max_size=20), PATHS)
def test_only_invalid_input(text: str, path: str) -> None:
    try:
        Matcher(text).ignored(path)
    except InvalidInput:
        pass


def test_no_exponential_patterns() -> None:
    assert not Matcher("*a*a*a*a*b").ignored("a" * 60)
    assert not Matcher("**/" * 12 + "b").ignored("a/" * 40 + "a")
