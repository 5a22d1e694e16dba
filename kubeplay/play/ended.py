"""Whether all that a play has started has come to its end, and how: what the main process of a service goes by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import RUNNING, STOP, ContainerRow, PodRow
from kubeplay.kube.status import TERMINAL
from kubeplay.plan.container import APP
from kubeplay.play import children
from kubeplay.play.verdicts import condition
from kubeplay.reconcile.observe import look as look_at
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import ObjectKey

NONE, ANY, ALL = "none", "any", "all"
KINDS = ("Pod", *children.WORKLOADS)
HIGHEST = 255  # exit(3)


class Standing(Record):
    """`ended`: nothing runs or will run. `watch`: there are pods, or will be. `codes`: exit statuses of the containers that ended, in the
    order of the file. `processes`: those that run, each (pid, start in clock ticks). `text`: one line for a person."""

    ended: bool
    watch: bool
    codes: tuple[int, ...] = ()
    processes: tuple[tuple[int, int], ...] = ()
    text: str = ""


def look(engine: Engine, keys: Sequence[ObjectKey]) -> Standing:
    """How these objects stand. Pods have ended in a final phase, when a person stopped them and when they are gone; Jobs when they are
    complete or have failed; other workloads only when they are gone."""
    engine.refresh()
    mine = [key for key in keys if key.kind in KINDS]
    codes: list[int] = []
    processes: list[tuple[int, int]] = []
    left = 0
    for key in mine:
        done, found = _pod(engine, key) if key.kind == "Pod" else _workload(engine, key)
        codes += found
        left += not done
        processes += _processes(engine, key)
    text = f"{left} of {len(mine)} workload{'s' if len(mine) > 1 else ''} not ended, {len(processes)} containers run"
    return Standing(bool(mine) and not left, bool(mine), tuple(codes), tuple(processes), text)


def _pod(engine: Engine, key: ObjectKey) -> tuple[bool, list[int]]:
    """Whether a pod has ended, and its containers' exit statuses."""
    row = engine.store.runtime.find_pod(key.namespace, key.name)
    if row is None:
        return engine.store.objects.find(key) is None, []
    if look_at(engine, row.uid).seen.phase not in TERMINAL:
        return row.desired == STOP and not _running(engine, row), []
    return True, _codes(engine, row)


def _workload(engine: Engine, key: ObjectKey) -> tuple[bool, list[int]]:
    """Whether a workload has ended, and the exit statuses of a Job: 0, or those of the pod that made it fail."""
    stored = engine.store.objects.find(key)
    if stored is None or stored.deleted is not None:
        return not children.standing(engine, key), []
    status = json.loads(stored.status or "{}")
    if key.kind != "Job":
        return False, []
    if condition(status, "Complete").get("status") == "True":
        return True, [0]
    if condition(status, "Failed").get("status") == "True":
        found = [code for row in children.standing(engine, key) for code in _codes(engine, row) if code]
        return True, found[-1:] or [1]
    return False, []


def _codes(engine: Engine, row: PodRow) -> list[int]:
    """The exit status of each app container's last instance; a pod that failed without any (DeadlineExceeded, Evicted) counts as 1."""
    newest = {one.name: one for one in _rows(engine, row) if one.kind == APP}
    codes = [one.exit_code for one in newest.values() if one.exit_code is not None]
    failed = look_at(engine, row.uid).seen.phase == "Failed"
    return [*codes, 1] if failed and not any(codes) else codes


def _processes(engine: Engine, key: ObjectKey) -> list[tuple[int, int]]:
    own = engine.store.runtime.find_pod(key.namespace, key.name) if key.kind == "Pod" else None
    pods = ([own] if own else []) if key.kind == "Pod" else children.standing(engine, key)
    return [(one.pid, one.pid_start) for row in pods for one in _running(engine, row)]


def _running(engine: Engine, row: PodRow) -> list[ContainerRow]:
    return [one for one in _rows(engine, row) if one.state == RUNNING and one.pid]


def _rows(engine: Engine, row: PodRow) -> list[ContainerRow]:
    """Instances, oldest first."""
    return sorted(engine.store.runtime.containers(row.uid), key=lambda one: one.attempt)


def status(codes: Sequence[int], propagation: str) -> int:
    """The exit status of the service: that of the first container that failed, with `any` when one did, with `all` when every one did."""
    failed = [code for code in codes if code]
    if propagation == NONE or not failed or (propagation == ALL and len(failed) < len(codes)):
        return 0
    return failed[0] if 0 < failed[0] <= HIGHEST else 1
