"""Faults of a Containerfile: collected, so that one run names all of them, each with file, line, instruction and the line itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kubeplay.engine.build.model import Instruction
from kubeplay.errors import Fault, InvalidInput

_SHOWN = 120  # characters of an offending line that help; the rest is in the file


class Wrong(ValueError):
    """What is wrong with one instruction; Report makes a Fault of it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Report:
    """Collects; `done` raises InvalidInput when there is anything."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []

    @contextmanager
    def of(self, instruction: Instruction) -> Iterator[None]:
        """A Wrong inside becomes a fault of `instruction`."""
        try:
            yield
        except Wrong as wrong:
            self.add(instruction, str(wrong), wrong.hint)

    def add(self, instruction: Instruction, message: str, hint: str = "") -> None:
        line = shown(instruction.raw)
        text = f"{message}, in {line!r}" if line else message
        self.faults.append(Fault(instruction.name, "FieldValueInvalid", text, hint, instruction.file, instruction.line, 1))

    def done(self) -> None:
        """Raises InvalidInput with all faults, in the order of the files' lines."""
        if self.faults:
            raise InvalidInput(f"{self.file} cannot be built", self.faults)


def shown(raw: str) -> str:
    """The first line of an instruction, short and printable."""
    line = raw.split("\n", 1)[0].strip()
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def near(word: str, known: tuple[str, ...]) -> str:
    """`did you mean X?`, or nothing."""
    import difflib

    found = difflib.get_close_matches(word[:50], known, 1, 0.6)
    return f"did you mean {found[0]}?" if found else ""
