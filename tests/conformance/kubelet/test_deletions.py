"""The recorded cases in which the pod was deleted while it was watched: what it showed last, and its output (TE2, TE4)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from kubeplay.play import lifecycle
from tests.conformance.kubelet import compare
from tests.conformance.kubelet.departures import DELETES, IGNORED_LOGS
from tests.support.images import image_archives
from tests.support.kubeplay import status_of
from tests.support.root import Root, root, shared_root

__all__ = ["image_archives", "root", "shared_root"]

pytestmark = [pytest.mark.root, pytest.mark.slow]


# case -> the signals its shell sets a trap for before anything else
TRAPS = {
    "153-term-ignored": {signal.SIGTERM}, "159-term-grace0": {signal.SIGTERM}, "161-term-stopsignal": {signal.SIGTERM, signal.SIGUSR1},
    "155-term-prestop": {signal.SIGTERM}, "157-term-prestop-fail": {signal.SIGTERM},
    "202-del-prestop-http": {signal.SIGTERM}, "237-grace-negative": {signal.SIGTERM},
}  # fmt: skip


# they end when told to: a busy machine may need longer for that than their grace
OBEY = TRAPS.keys() - {"153-term-ignored", "159-term-grace0", "237-grace-negative"}


def _minds(pid: int, signals: set[signal.Signals]) -> bool:
    """Whether the process catches or ignores these signals: the container's own, not the runtime's, which catches them all and dies."""
    if b"runc" in Path(f"/proc/{pid}/cmdline").read_bytes():
        return False
    status = status_of(pid)
    mask = int(status["SigCgt"], 16) | int(status["SigIgn"], 16)
    return all(mask >> number - 1 & 1 for number in signals)


def _differences(root: Root, name: str, theirs: dict[str, Any]) -> list[str]:
    return compare.differences(compare.digest(root.status(name)), theirs)


@pytest.mark.parametrize("case", sorted(DELETES))
def test_deleted_as_by_the_kubelet(root: Root, case: str) -> None:
    """TE4: the terminal phase comes when everything has ended."""
    entries = compare.timeline(case)
    name = entries[0]["pod"]
    root.play((compare.RECORD / case / "manifest.yaml").read_text(), keep_on_failure=True)
    before = [e for e in entries if e["deletionTimestamp"] is None][-1]
    root.wait(lambda: _differences(root, name, before) == [])
    if case in TRAPS:
        root.wait(lambda: _minds(root.rows(name)[-1].pid, TRAPS[case]))
    # `stop` ends a pod as a deletion does, and leaves what it showed last
    lifecycle.stop_pods(root.engine, [root.uid(name)], 60 if case in OBEY else None)
    final = [e for e in entries if e["type"] != "DELETED" and e["phase"] in ("Failed", "Succeeded")]
    if final:
        assert _differences(root, name, final[-1]) == []
    if case in IGNORED_LOGS:
        return
    ordered = compare.in_order(case)
    wanted = compare.normalised((compare.RECORD / case / "logs" / "main__0.txt").read_text(), "node1", {}, ordered=ordered)
    root.wait(lambda: compare.normalised(root.log(name), os.uname().nodename, {}, ordered=ordered) == wanted)
