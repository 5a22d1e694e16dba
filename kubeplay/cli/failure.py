"""What a person sees when a command fails: one place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.errors import EXIT_FAILURE, EXIT_INTERRUPTED, InvalidInput, KubeplayError, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubeplay.errors import Fault

# What was built or rendered says where a line of it comes from: by the name of the source (cli/sourcing.py).
places: dict[str, Callable[[int], str]] = {}


def report(error: BaseException, level: str = "warning", form: str = "text") -> int:
    """Print `error` on stderr; returns the exit status."""
    if isinstance(error, BrokenPipeError):
        return _quiet_pipe()
    if isinstance(error, KeyboardInterrupt):  # ctrl+c of a command that only looked: whoever pressed it knows
        return EXIT_INTERRUPTED
    if level in ("debug", "trace"):
        import traceback

        traceback.print_exception(error)
    text = _json(error) if form == "json" else _text(error)
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass
    return exit_code(error)


def message(error: BaseException) -> str:
    """One line that says what happened."""
    if isinstance(error, KubeplayError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def _text(error: BaseException) -> str:
    lines = [f"Error: {message(error)}"]
    if isinstance(error, InvalidInput):
        lines += [_fault(fault) for fault in error.faults]
    lines += getattr(error, "__notes__", ())
    hint = error.hint if isinstance(error, KubeplayError) else ""
    if not isinstance(error, (KubeplayError, KeyboardInterrupt, OSError)):
        hint = "this is a fault of kubeplay's own; --log-level debug shows where"
    return safe("\n".join(lines + ([f"hint: {hint}"] if hint else [])))


def _fault(fault: Fault) -> str:
    place = places.get(fault.source)
    origin = place(fault.line) if place is not None and fault.line else ""
    return f"{fault} [{origin}]" if origin else str(fault)


def safe(text: str) -> str:
    """`text` without control characters but line ends and tabs: a dead container's last words must not drive the terminal."""
    from kubeplay.cli.table import printable

    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def _json(error: BaseException) -> str:
    import json

    record = {"level": "error", "msg": message(error), "kind": type(error).__name__}
    if isinstance(error, KubeplayError) and error.hint:
        record["hint"] = error.hint
    if isinstance(error, InvalidInput) and error.faults:
        return json.dumps({**record, "faults": [fault._asdict() for fault in error.faults]})
    return json.dumps(record)


def _quiet_pipe() -> int:
    """The reader went away (`kubeplay ps | head -1`): nothing to say, and nothing left to flush at exit."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    return EXIT_FAILURE


__all__ = ["EXIT_FAILURE", "EXIT_INTERRUPTED", "message", "report"]
