"""A character class of a Go pattern, `[abc]`, `[a-z]`, `[^a]`, as .dockerignore and the sources of COPY have it."""

from __future__ import annotations

import re


def read(pattern: str, at: int) -> tuple[str, bool, int]:
    """The class whose bracket is at `at`: what goes between brackets of a regular expression, whether it is negated, and where its own
    bracket closes. Raises ValueError with what is wrong."""
    at += 1
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    while pattern[at : at + 1] != "]" or not ranges:
        low, at = _letter(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _letter(pattern, at + 1)
        if high < low:
            raise ValueError(f"the range {low}-{high} is empty")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    return "".join(ranges), negated, at


def _letter(pattern: str, at: int) -> tuple[str, int]:
    escaped = pattern[at : at + 1] == "\\"
    at += escaped
    if at >= len(pattern) or (pattern[at] in "-]" and not escaped):
        raise ValueError("a [ without its ]")
    return pattern[at], at + 1
