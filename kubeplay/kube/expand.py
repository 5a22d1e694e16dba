"""`$(NAME)` references in env values, command, args and subPathExpr (EN2, EN3).

One pass from left to right, no recursion. Only three things are special: `$$` is a dollar sign (everywhere, also where no
reference follows: kubernetes-surprises.md, run time), `$(NAME)` is looked up, and a name that is not known stays as written.
"""

from __future__ import annotations

from collections.abc import Callable


def expand(text: str, lookup: Callable[[str], str | None]) -> str:
    """`text` with its references replaced; `lookup` gives None for an unknown name."""
    start = text.find("$")
    if start < 0:
        return text
    parts: list[str] = []
    done = 0
    while 0 <= start < len(text) - 1:  # a dollar at the very end stays
        parts.append(text[done:start])
        piece, done = _reference(text, start + 1, lookup)
        parts.append(piece)
        start = text.find("$", done)
    parts.append(text[done:])
    return "".join(parts)


def _reference(text: str, at: int, lookup: Callable[[str], str | None]) -> tuple[str, int]:
    """What the dollar before `at` stands for, and where the text goes on."""
    if text[at] == "$":
        return "$", at + 1
    if text[at] != "(":
        return "$" + text[at], at + 1
    end = text.find(")", at + 1)
    if end < 0:
        return "$(", at + 1
    value = lookup(text[at + 1 : end])
    return (text[at - 1 : end + 1] if value is None else value), end + 1


def unresolved(text: str, lookup: Callable[[str], str | None]) -> tuple[str, tuple[str, ...]]:
    """The expanded text and the names that are missing or empty, sorted: both are faults in a subPathExpr (EN3)."""
    missing: set[str] = set()

    def note(name: str) -> str:
        value = lookup(name)
        if not value:
            missing.add(name)
        return value or ""

    return expand(text, note), tuple(sorted(missing))
