"""Shell patterns of ${NAME#pattern} and ${NAME/pattern/text}: * and ? are special, a backslash takes that away.

A pattern is pieces between stars. Each piece has a fixed length, so a match is the first place of each piece after the one before (the last
place of the last piece where the longest match is asked for): linear in the value's length, whatever the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_Piece = list[str]  # letters; "" stands for any one letter


def trim(value: str, pattern: str, suffix: bool, longest: bool) -> str:
    """`value` without the shortest or longest start (or end) that `pattern` matches."""
    pieces = _pieces(pattern)
    if suffix:
        mirrored = trim_start(value[::-1], [piece[::-1] for piece in reversed(pieces)], longest)
        return mirrored[::-1]
    return trim_start(value, pieces, longest)


def trim_start(value: str, pieces: Sequence[_Piece], longest: bool) -> str:
    first = _compile(pieces[0]).match(value)
    if not first:
        return value
    end = _end(value, first.end(), pieces[1:], longest)
    return value if end < 0 else value[end:]


def replace(value: str, pattern: str, replacement: str, everywhere: bool) -> str:
    """The first (or each) longest match replaced."""
    pieces = _pieces(pattern)
    if pieces == [[]]:
        return value
    first = _compile(pieces[0])
    result, at = [], 0
    while at < len(value) or (at == 0 and not value):
        match = first.search(value, at)
        end = _end(value, match.end(), pieces[1:], True) if match else -1
        if not match or end < 0:
            break
        result += [value[at : match.start()], replacement]
        at = end
        if not everywhere or at >= len(value):
            break
    return "".join(result) + value[at:]


def _pieces(pattern: str) -> list[_Piece]:
    pieces: list[_Piece] = [[]]
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\" and at + 1 < len(pattern):
            at += 1
            pieces[-1].append(pattern[at])
        elif letter == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
        else:
            pieces[-1].append("" if letter == "?" else letter)
        at += 1
    return pieces


def _compile(piece: _Piece) -> re.Pattern[str]:
    return re.compile("".join(re.escape(letter) if letter else "." for letter in piece), re.DOTALL)


def _end(value: str, at: int, pieces: Sequence[_Piece], longest: bool) -> int:
    """Where the match of the pieces, each after a star, ends; -1 without one."""
    for number, piece in enumerate(pieces, 1):
        if number == len(pieces) and longest:
            return _last(value, at, piece)
        match = _compile(piece).search(value, at)
        if not match:
            return -1
        at = match.end()
    return at


def _last(value: str, at: int, piece: _Piece) -> int:
    mirrored = _compile(piece[::-1]).search(value[at:][::-1])
    return len(value) - mirrored.start() if mirrored else -1
