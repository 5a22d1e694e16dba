"""Bars on a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io

import pytest

from kubeplay.cli import bars
from kubeplay.cli.bars import Bars
from kubeplay.engine.images.copying import progress
from kubeplay.engine.images.copying.progress import Progress

DIGEST = "sha256:" + "0123456789ab" + "c" * 52
EVENTS = [
    Progress("trying", "q.io/x:1"),
    Progress("signatures"),
    Progress("blob", DIGEST, progress.START, 0, 2 << 20),
    Progress("blob", DIGEST, progress.BYTES, 1 << 20, 2 << 20),
    Progress("blob", "sha256:d", progress.SKIPPED, 0, 1),
    Progress("blob", DIGEST, progress.DONE, 2 << 20, 2 << 20),
    Progress("config", "sha256:e", progress.DONE),
    Progress("manifest"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, quiet: bool = False, events: list[Progress] = EVENTS) -> str:
    with Bars(quiet, stream, 100) as shown:
        for event in events:
            shown(event)
    return stream.getvalue()


def test_lines() -> None:
    assert told(io.StringIO()).splitlines() == [
        "Trying to pull q.io/x:1...",
        "Getting image source signatures",
        "Copying blob sha256:d skipped: already exists",
        f"Copying blob {DIGEST} done",
        "Copying config sha256:e done",
        "Writing manifest to image destination",
    ]


def test_quiet_shows_warnings_only() -> None:
    assert told(io.StringIO(), True) == ""
    assert told(io.StringIO(), True, [Progress("warning", "image \x1b[31mplatform")]) == "WARNING: image \\x1b[31mplatform\n"


def test_a_terminal_shows_bars_and_keeps_the_lines() -> None:
    text = told(Terminal())
    assert "Copying blob 0123456789ab [" in text and "\x1b[1F\x1b[J" in text
    assert text.endswith("Writing manifest to image destination\n")


def test_waiting_for_another_process() -> None:
    waiting = [Progress("blob", DIGEST, progress.WAITING, 0, 5)]
    assert "waiting: another process copies it" in told(io.StringIO(), events=waiting)
    assert "waiting: another process copies it" in told(Terminal(), events=waiting)


def test_a_failure_leaves_no_bar() -> None:
    begun = EVENTS[:4]
    assert told(Terminal(), events=begun).endswith("\x1b[1F\x1b[J")
    assert told(io.StringIO(), events=[*begun, Progress("blob", DIGEST, progress.FAILED)]).splitlines()[-1].startswith("Getting")


def test_rows() -> None:
    blob = bars._Blob(4 << 20)
    blob.advance(0, 10.0)
    blob.advance(1 << 20, 11.0)
    row = bars.row(DIGEST, blob, 90)
    assert row == "Copying blob 0123456789ab [======>                       ] 1.0MiB / 4.0MiB  1.0MiB/s  3s" and len(row) < 91
    assert len(bars.row(DIGEST, blob, 40)) < 40
    assert "[" in bars.row(DIGEST, bars._Blob(0), 90)


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0s"), (59.4, "59s"), (65, "1m05s"), (7380, "2h03m"), (1e12, "99h59m")])
def test_clock(seconds: float, text: str) -> None:
    assert bars.clock(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0.0B"), (1536, "1.5KiB"), (5 << 30, "5.0GiB")])
def test_binary(count: float, text: str) -> None:
    assert bars.binary(count) == text
