"""What a quadlet file becomes."""

from __future__ import annotations

from kubeplay.errors import Fault
from kubeplay.record import Record


class Machine(Record):
    """For whom units are made: the program by its whole path, whether a user's own manager runs them, and the root where it is not the
    usual one ("" = the usual)."""

    program: tuple[str, ...]
    user: bool = False
    root: str = ""
    runroot: str = ""


class Link(Record):
    """A symbolic link beside the units, as `systemctl enable` would make it; `path` is relative to their directory."""

    path: str
    target: str


class Service(Record):
    """A unit, the links that [Install] asks for, and what a person should know about it."""

    name: str
    text: str
    links: tuple[Link, ...] = ()
    notices: tuple[Fault, ...] = ()
