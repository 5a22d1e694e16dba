"""What a copy tells while it works. The receiver is called from several threads and must not block for long."""

from __future__ import annotations

from collections.abc import Callable

from kubeplay.record import Record

TRYING, SIGNATURES, BLOB, CONFIG, MANIFEST, WARNING = "trying", "signatures", "blob", "config", "manifest", "warning"
START, BYTES, DONE, SKIPPED, WAITING, FAILED = "start", "bytes", "done", "skipped", "waiting", "failed"


class Progress(Record):
    """One step. `kind` what it is about, `subject` a digest or name (a whole sentence for WARNING).

    `state` START, BYTES (`done` of `total` bytes so far), DONE, SKIPPED (it is there already), WAITING (another
    process fetches it), FAILED.
    """

    kind: str
    subject: str = ""
    state: str = START
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


def silent(event: Progress) -> None:
    """A receiver that ignores everything."""
