"""What a conversion gives, and what it is handed: objects, notes, and the door to files."""

from __future__ import annotations

from typing import Any, Protocol

from kubeplay.errors import Fault, InvalidInput
from kubeplay.record import Record

Object = dict[str, Any]


class Note(Record):
    """Something that the manifests cannot say, or say differently; `about` is the object (kind, name) that it is written at."""

    path: str
    message: str
    source: str = ""
    line: int = 0
    about: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}: " if self.line else f"{self.source}: " if self.source else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class Converted(Record):
    """Objects in the order to write them in, and everything that they do not say."""

    objects: tuple[Object, ...]
    notes: tuple[Note, ...] = ()


class Options(Record):
    """`namespace` "" leaves it to whoever plays the file; without `show_secrets` no file of a secret is read."""

    namespace: str = ""
    profiles: tuple[str, ...] = ()
    show_secrets: bool = False


class Folder(Protocol):
    """The files that a compose file speaks of. Paths are absolute; `read` raises InvalidInput, NotFound."""

    environ: dict[str, str]

    def read(self, path: str) -> bytes: ...

    def kind(self, path: str) -> str:
        """`file`, `directory`, `socket`, `other`, or "" where nothing is."""

    def inside(self, path: str, directory: str) -> bool:
        """Whether the path, its symbolic links followed, is in the directory."""


class Report:
    """Faults and notes as they come up; conversion goes on after a fault, so that all are seen at once."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.notes: list[Note] = []
        self._seen: set[Note] = set()

    def fault(self, path: str, message: str, place: tuple[str, int] = ("", 0), hint: str = "", reason: str = "FieldValueInvalid") -> None:
        self.faults.append(Fault(path, reason, message, hint, place[0], place[1], 1 if place[1] else 0))

    def note(self, path: str, message: str, place: tuple[str, int] = ("", 0), about: tuple[str, str] = ("", "")) -> None:
        note = Note(path, message, place[0], place[1], about)
        if note not in self._seen:
            self._seen.add(note)
            self.notes.append(note)

    def check(self, what: str) -> None:
        """Raises InvalidInput with every fault so far."""
        if self.faults:
            count = len(self.faults)
            raise InvalidInput(f"{what}: {count} fault{'s' if count > 1 else ''}", tuple(dict.fromkeys(self.faults)))
