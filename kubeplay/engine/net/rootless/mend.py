"""Whether something of a user's network was killed: looked at by every command, so it must cost next to nothing."""

from __future__ import annotations

from kubeplay.engine.host import processes

RECORDS = ("way-out", "forwarder.pid", "relay.pid")


def needed(directory: str) -> bool:
    """Whether a process is gone that a record in the user's `directory` names: whoever ends one on purpose removes its record."""
    return any(_dead(f"{directory}/{name}") for name in RECORDS)


def _dead(record: str) -> bool:
    try:
        with open(record, encoding="ascii") as file:
            words = file.read().split(" ")
    except OSError:
        return False
    found = processes.Process(int(words[0]), int(words[1]))
    return found.pid != 0 and not processes.alive(found)
