"""What a person reads when a command fails."""

from __future__ import annotations

import pytest

from kubeplay.cli import failure
from kubeplay.errors import EXIT_FAILURE, Conflict


def test_what_else_went_wrong_is_told_before_the_hint(capsys: pytest.CaptureFixture[str]) -> None:
    error = Conflict("port 1 is taken", hint="choose another")
    error.add_note("and undoing it failed: the disk is gone")
    assert failure.report(error) == EXIT_FAILURE
    assert capsys.readouterr().err == "Error: port 1 is taken\nand undoing it failed: the disk is gone\nhint: choose another\n"
