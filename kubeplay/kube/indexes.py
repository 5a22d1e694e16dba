"""Sets of completion indexes as a Job writes them (JO5, JO6): `0,2-4`. Pure; as intervals, since there may be a hundred thousand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Interval = tuple[int, int]  # first and last
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def parse(text: str, completions: int) -> list[Interval]:
    """The intervals of an author's text. Raises ValueError in the server's words."""
    found: list[Interval] = []
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            raise ValueError(
                f'the fragment "{part}" violates the requirement that an index interval can have at most two parts separated by \'-\''
            )
        first = _number(ends[0], completions)
        if found and found[-1][1] >= first:
            raise ValueError(f"non-increasing order, previous: {found[-1][1]}, current: {first}")
        last = _number(ends[1], completions) if len(ends) == 2 else first
        if len(ends) == 2 and first >= last:
            raise ValueError(f"non-increasing order, previous: {first}, current: {last}")
        found.append((first, last))
    return found


def _number(text: str, completions: int) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def known(text: str | None, completions: int) -> list[Interval]:
    """The intervals of our own text, those below `completions`."""
    found = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if part and int(first) < completions:
            found.append((int(first), min(int(last or first), completions - 1)))
    return found


def joined(intervals: Sequence[Interval], numbers: Iterable[int]) -> list[Interval]:
    """The intervals with more numbers, in order, neighbours made one."""
    made: list[Interval] = []
    for first, last in sorted([*intervals, *((number, number) for number in numbers)]):
        if made and first <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(last, made[-1][1]))
        else:
            made.append((first, last))
    return made


def text(intervals: Sequence[Interval]) -> str:
    """`0,2-4`; two neighbours are written with a comma, as the controller does."""
    parts = []
    for first, last in intervals:
        between = "," if last == first + 1 else "-"
        parts.append(str(first) if first == last else f"{first}{between}{last}")
    return ",".join(parts)


def count(intervals: Sequence[Interval]) -> int:
    return sum(last - first + 1 for first, last in intervals)


def has(intervals: Sequence[Interval], number: int) -> bool:
    return any(first <= number <= last for first, last in intervals)


def missing(taken: Sequence[Interval], completions: int, most: int) -> list[int]:
    """The first `most` numbers below `completions` that are in none of the intervals, which are in order."""
    found: list[int] = []
    candidate = 0
    for first, last in [*taken, (completions, completions)]:
        found += range(candidate, min(first, candidate + most - len(found), completions))
        candidate = max(candidate, last + 1)
    return found
