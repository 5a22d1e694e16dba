"""Bars of a play's pulls: on a terminal, one for each layer, gone when it is done."""

from __future__ import annotations

import io

import pytest

from kubeplay.cli.playing import Reporter
from kubeplay.cli.progress import Progress
from kubeplay.play.progress import ProgressEvent

DIGEST = "sha256:" + "ab" * 32


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, *events: ProgressEvent) -> str:
    reporter = Reporter(False)
    reporter.progress = Progress(stream=stream)
    with reporter:
        for event in events:
            reporter(event)
    return stream.getvalue()


EVENTS = (
    ProgressEvent("image", "pulling", "reg.test/a:1"),
    ProgressEvent("blob", "start", DIGEST, total=4 << 20),
    ProgressEvent("blob", "bytes", DIGEST, done=1 << 20, total=4 << 20),
    ProgressEvent("blob", "done", DIGEST, done=4 << 20, total=4 << 20),
    ProgressEvent("image", "pulled", "reg.test/a:1", "0123456789ab"),
)


def test_a_terminal_shows_a_bar_while_the_layer_comes() -> None:
    shown = told(Terminal(), *EVENTS)
    assert "Copying blob abababababab [" in shown and "/ 4.0MiB" in shown
    last = shown.rpartition("\x1b[J")[0].rpartition("\x1b[J")[2]
    assert "image reg.test/a:1: pulled 0123456789ab" in last and "Copying blob" not in last


def test_elsewhere_there_are_plain_lines() -> None:
    assert told(io.StringIO(), *EVENTS) == "image reg.test/a:1: pulling\nimage reg.test/a:1: pulled 0123456789ab\n"


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_a_builds_lines_cannot_drive_the_terminal(stream: io.StringIO) -> None:
    shown = told(stream, ProgressEvent("build", "line", "x", message="a\x1b[2Jb"))
    assert "a\\x1b[2Jb\n" in shown
