"""Lines of `Label:<tab>value`, lined up as Go's text/tabwriter does: a column lasts as long as consecutive lines have it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from kubeplay.kube import columns, printers

Json = dict[str, Any]
GAP = 2
NONE = "<none>"
INDENT = "  "


class Page:
    """What is being written; a level is two spaces, as kubectl's."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.base = 0  # levels that everything is moved in by

    def line(self, level: int, text: str) -> None:
        """One line; tabs separate its cells, line ends of values are made visible."""
        self._lines.append(INDENT * (self.base + level) + text.replace("\n", "\\n"))

    def pair(self, level: int, label: str, value: Any) -> None:
        self.line(level, f"{label}:\t{value}")

    def block(self, text: str) -> None:
        """Lines of a value, as they are."""
        self._lines += [line.replace("\t", "    ") for line in text.split("\n")]

    def mapping(self, label: str, values: Mapping[str, str] | None, between: str = "=") -> None:
        """`Labels:  a=b`, the others below."""
        cells = [f"{key}{between}{value}" for key, value in sorted((values or {}).items())]
        self.several(label, cells)

    def several(self, label: str, cells: Sequence[str], level: int = 0) -> None:
        self.pair(level, label, cells[0] if cells else NONE)
        for cell in cells[1:]:
            self.line(0, f"\t{cell}")

    def text(self) -> str:
        return aligned(self._lines)


def aligned(lines: Sequence[str]) -> str:
    """The lines with their tabs turned into spaces."""
    cells = [[_printable(cell) for cell in line.split("\t")] for line in lines]
    widths = [[0] * (len(line) - 1) for line in cells]
    for column in range(max([len(line) - 1 for line in cells], default=0)):
        start = 0
        while start < len(cells):
            end = start
            while end < len(cells) and len(cells[end]) - 1 > column:
                end += 1
            width = max([len(line[column]) for line in cells[start:end]], default=0) + GAP
            for line in widths[start:end]:
                line[column] = width
            start = max(end, start + 1)
    made = ["".join(cell.ljust(width) for cell, width in zip(line, [*wide, 0])).rstrip() for line, wide in zip(cells, widths)]
    return "\n".join(made) + "\n"


def _printable(text: str) -> str:
    """A hostile message must not drive the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def moment(stamp: str | None) -> str:
    """An RFC 3339 time as kubectl shows it: RFC 1123 with the machine's zone."""
    if not stamp:
        return NONE
    return time.strftime("%a, %d %b %Y %H:%M:%S %z", time.localtime(printers.seconds(stamp)))


def head(page: Page, body: Json, namespaced: bool = True) -> None:
    """Name, Namespace, Labels and Annotations of anything."""
    meta = body["metadata"]
    page.pair(0, "Name", meta["name"])
    if namespaced:
        page.pair(0, "Namespace", meta.get("namespace") or "default")
    marks(page, meta)


def marks(page: Page, meta: Json) -> None:
    page.mapping("Labels", meta.get("labels"))
    page.mapping("Annotations", {k: v for k, v in (meta.get("annotations") or {}).items() if not k.endswith("last-applied-configuration")},
                 ": ")  # fmt: skip


def events(page: Page, found: Sequence[Json], now: float) -> None:
    """The Events section; a repeated one as `5s (x3 over 2m)`."""
    if not found:
        page.pair(0, "Events", NONE)
        return
    page.line(0, "Events:")
    page.line(1, "Type\tReason\tAge\tFrom\tMessage")
    page.line(1, "----\t------\t----\t----\t-------")
    for one in found:
        age = printers.ago(one.get("lastTimestamp"), now)
        if one.get("count", 1) > 1:
            age = f"{age} (x{one['count']} over {printers.ago(one.get('firstTimestamp'), now)})"
        source = one.get("source", {}).get("component", "")
        page.line(1, f"{one.get('type', '')}\t{one.get('reason', '')}\t{age}\t{source}\t{str(one.get('message', '')).strip()}")


def lasted(seconds: float) -> str:
    return columns.age(seconds)


def conditions(page: Page, found: Sequence[Json], *fields: str) -> None:
    """The Conditions section: Type, Status and these fields of each."""
    if not found:
        return
    page.line(0, "Conditions:")
    words = ("Type", "Status", *[field[:1].upper() + field[1:] for field in fields])
    page.line(1, "\t".join(words))
    page.line(1, "\t".join("-" * len(word) for word in words))
    for one in found:
        page.line(1, "\t".join([one.get("type", ""), one.get("status", ""), *[str(one.get(field) or "") for field in fields]]))


def controlled(page: Page, body: Json) -> None:
    """`Controlled By: KIND/NAME`, where somebody does."""
    owner = next((one for one in body["metadata"].get("ownerReferences") or [] if one.get("controller")), None)
    if owner:
        page.pair(0, "Controlled By", f"{owner.get('kind')}/{owner.get('name')}")
