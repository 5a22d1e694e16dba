"""Tables in the look of podman and kubectl: columns of at least twelve characters, two spaces between."""

from __future__ import annotations

from collections.abc import Sequence

GAP = 2
NARROWEST = 12  # podman's tabwriter: a column never narrower, so that short tables line up with each other


def render(header: Sequence[str] | None, rows: Sequence[Sequence[str]], gap: int = GAP, narrowest: int = NARROWEST) -> str:
    """The table's text, each line ended; without header when it is None."""
    lines = [[printable(cell) for cell in row] for row in rows]
    if header is not None:
        lines.insert(0, list(header))
    if not lines:
        return ""
    widths = [max(max(len(line[i]) for line in lines) + gap, narrowest) for i in range(len(lines[0]))]
    return "".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    return "".join(cell if i == last else cell.ljust(widths[i]) for i, cell in enumerate(cells)).rstrip() + "\n"


def printable(text: str) -> str:
    """`text` on one line without control characters: a hostile image name must not drive the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
