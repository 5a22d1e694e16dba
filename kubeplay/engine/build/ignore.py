"""`.containerignore`/`.dockerignore`: patterns of Go's filepath.Match plus **, the last that fits decides, ! takes back.

A pattern that fits a directory fits all below it, and a later !pattern may take single files below back, so the walk may only leave out a
directory (`prunes`) that no such pattern can reach into.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from kubeplay.engine.build import classes
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

_MAX_LINES = 100_000
_MAX_EMBEDDED = 2  # of `a**b` in one pattern: these do backtrack
_WILD = set("*?[\\")


class _Pattern(Record):
    regex: re.Pattern[str]
    keep: bool
    parts: tuple[str, ...]  # of the pattern, to see whether it can reach into a directory


class Matcher:
    """Pure and built once. Raises InvalidInput naming `file` and the line for a malformed pattern."""

    def __init__(self, lines: str | Iterable[str], file: str = ".dockerignore") -> None:
        rows = lines.removeprefix("\ufeff").splitlines() if isinstance(lines, str) else list(lines)
        if len(rows) > _MAX_LINES:
            raise InvalidInput(f"{file} has {len(rows)} lines (the limit is {_MAX_LINES})")
        self._patterns = [made for number, row in enumerate(rows, 1) if (made := _pattern(row, f"{file}:{number}"))]
        self._keeps = [pattern for pattern in self._patterns if pattern.keep]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def ignored(self, path: str) -> bool:
        """`path` is relative, with "/", as the walk finds it; a directory above it counts too."""
        found = False
        for pattern in self._patterns:
            if pattern.keep == found and pattern.regex.fullmatch(path):
                found = not pattern.keep
        return found

    def prunes(self, path: str) -> bool:
        """Whether a directory is ignored with everything in it."""
        return self.ignored(path) and not any(_reaches(pattern.parts, path) for pattern in self._keeps)


def _pattern(row: str, where: str) -> _Pattern | None:
    text = row.strip()
    if not text or row.startswith("#"):
        return None
    keep = text.startswith("!")
    text = text[1:].strip() if keep else text
    if not text:
        raise InvalidInput(f"{where}: ! without a pattern")
    parts = tuple(part for part in posixpath.normpath(text).split("/") if part not in ("", "."))
    if not parts:
        parts = () if keep else ("**",)  # `.` and `/` are the whole context
        if keep:
            return None
    try:
        return _Pattern(re.compile(_regex(parts), re.DOTALL), keep, parts)
    except ValueError as error:
        raise InvalidInput(f"{where}: {row[:80]!r}: {error}") from None


def _regex(parts: tuple[str, ...]) -> str:
    """What fits the pattern, or lies below what fits it.

    Blocks between ** have a fixed number of names, pieces between * a fixed length: the first place that fits is as good as any later one,
    so each is an atomic group, and no pattern backtracks over what was found.
    """
    if sum(part.count("**") for part in parts if part != "**") > _MAX_EMBEDDED:
        raise ValueError(f"more than {_MAX_EMBEDDED} times ** within a name")
    blocks: list[list[str]] = [[]]
    for part in parts:
        if part == "**":
            blocks.append([])
        else:
            blocks[-1].append(part)
    made = ""
    for number, block in enumerate(blocks):
        slash = "/" if made else ""
        if block:
            names = _names(block) + r"(?=/|\Z)"
            made += slash + (f"(?>(?:[^/]*/)*?{names})" if number else names)
        elif number == len(blocks) - 1:
            made += slash + ".*"
    return made + "(?:/.*)?"


def _names(block: list[str]) -> str:
    """Names one below the other. The / after `a**` is the **'s, as in Docker: `a**/b` fits ab too."""
    made = ""
    for part in block[:-1]:
        made += _part(part.rstrip("*")) + "(?:.*/)?" if part.endswith("**") else _part(part) + "/"
    return made + _part(block[-1])


def _part(part: str) -> str:
    """One name; `a**b` reaches across directories, as Docker has it."""
    pieces, at, made = [""], 0, ""
    while at < len(part):
        letter = part[at]
        if part.startswith("**", at):
            made, pieces = made + _pieces(pieces, False), [""]
            at = len(part) - len(part[at:].lstrip("*"))
            made += "(?:.*/)?" if at < len(part) else ".*"
            continue
        if letter == "*":
            pieces.append("")
        elif letter == "?":
            pieces[-1] += "[^/]"
        elif letter == "[":
            text, negated, at = classes.read(part, at)
            pieces[-1] += f"{'(?!/)[^' if negated else '['}{text}]"
        else:
            at += letter == "\\"
            if at == len(part):
                raise ValueError("a backslash at the end")
            pieces[-1] += re.escape(part[at])
        at += 1
    return made + _pieces(pieces, True)


def _pieces(pieces: list[str], ends: bool) -> str:
    """The pieces with a * between each two; the last one is the name's end."""
    made = pieces[0]
    for number, piece in enumerate(pieces[1:], 2):
        made += f"[^/]*{piece}" if number == len(pieces) and ends else f"(?>[^/]*?{piece})"
    return made


def _reaches(parts: tuple[str, ...], directory: str) -> bool:
    """Whether the pattern may fit something below `directory`, on the safe side."""
    for part, name in zip(parts, directory.split("/")):
        if "**" in part:
            return True
        if not _WILD & set(part) and part != name:
            return False
    return len(parts) > directory.count("/") + 1
