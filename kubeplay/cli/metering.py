"""top pod and top node: what pods and the machine take just now, in kubectl's columns. Nothing is collected: two looks, a moment apart."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.runtime import RUNNING, PodRow
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.stats import Sample

PODS, NODES = ("pod", "pods", "po"), ("node", "nodes", "no")
BETWEEN_SECONDS = 0.5  # the CPU of this time is shown
MI = 1 << 20


class Usage(Record):
    """Of one container or the machine: thousandths of a CPU, and bytes of working set."""

    cpu: int
    memory: int


def pods(app: App, names: Sequence[str], given: dict[str, Any]) -> None:
    """`top pod [NAME...]`."""
    rows = _rows(app, names, given)
    if not rows:
        where = "" if given["all_namespaces"] else f" in {app.namespace} namespace"
        print(f"No resources found{where}.", file=sys.stderr)
        return
    found = _usages(app, rows)
    lines: list[tuple[list[str], Usage]] = []
    for row in rows:
        own = {name: usage for (uid, name), usage in found.items() if uid == row.uid}
        lead = [row.namespace] if given["all_namespaces"] else []
        parts = own.items() if given["containers"] else [("", _total(own.values()))] if own else []
        lines += [([*lead, row.name, *([name] if name else [])], usage) for name, usage in parts]
    _print(lines, _header(given), given)


def _header(given: dict[str, Any]) -> list[str]:
    return [*(["NAMESPACE"] if given["all_namespaces"] else []), *(["POD", "NAME"] if given["containers"] else ["NAME"])]


def _rows(app: App, names: Sequence[str], given: dict[str, Any]) -> list[PodRow]:
    from kubeplay.cli import resolve
    from kubeplay.kube import selector

    if names:
        return [resolve.pod(app, name) for name in names]
    fits = selector.labels(given["selector"] or "")
    rows = app.store.runtime.pods(app.scope(given["all_namespaces"]))
    return [row for row in rows if not given["selector"] or fits(dict(resolve.plan(row).labels))]


def _usages(app: App, rows: Sequence[PodRow]) -> dict[tuple[str, str], Usage]:
    """By pod and container, of those that run at both looks."""
    before = _look(app, rows)
    app.engine.clock.sleep(BETWEEN_SECONDS)
    after = _look(app, rows)
    found = {}
    for key, (name, now) in after.items():
        if key in before:
            then = before[key][1]
            passed = max(now.at - then.at, 1e-3)
            found[key[0], name] = Usage(max(0, round((now.cpu - then.cpu) / passed / 1e6)), now.memory)
    return found


def _look(app: App, rows: Sequence[PodRow]) -> dict[tuple[str, str], tuple[str, Sample]]:
    from kubeplay.cli import resolve
    from kubeplay.engine.stats import sample

    app.engine.refresh()
    found = {}
    for row in rows:
        for one in resolve.newest(app.store.runtime.containers(row.uid)).values():
            seen = sample(app.engine, one, app.engine.clock.now()) if one.state == RUNNING else None
            if seen is not None:
                found[row.uid, one.id] = (one.name, seen)
    return found


def _total(found: Any) -> Usage:
    every = list(found)
    return Usage(sum(one.cpu for one in every), sum(one.memory for one in every))


def _print(lines: list[tuple[list[str], Usage]], header: list[str], given: dict[str, Any]) -> None:
    from kubeplay.cli.get import GAP, NARROWEST
    from kubeplay.cli.table import render

    if given["sort_by"] not in (None, "cpu", "memory"):
        raise InvalidInput(f"--sort-by accepts only cpu or memory, not {given['sort_by']!r}")
    if given["sort_by"]:
        lines = sorted(lines, key=lambda line: -getattr(line[1], given["sort_by"]))
    rows = [[*lead, f"{usage.cpu}m", f"{usage.memory // MI}Mi"] for lead, usage in lines]
    if given["sum"]:
        total = _total(usage for _, usage in lines)
        blank = [""] * (len(header) - 1)
        rows += [[*blank, "", "________", "________"], [*blank, "", f"{total.cpu}m", f"{total.memory // MI}Mi"]]
    sys.stdout.write(render(None if given["no_headers"] else [*header, "CPU(cores)", "MEMORY(bytes)"], rows, GAP, NARROWEST))


def node(app: App, names: Sequence[str], given: dict[str, Any]) -> None:
    """`top node`: this machine."""
    from kubeplay.cli.get import GAP, NARROWEST
    from kubeplay.cli.table import render
    from kubeplay.errors import NotFound

    own = app.engine.node_name
    if names and list(names) != [own]:
        raise NotFound(f"no node {names[0]!r}", hint=f"this machine is {own}")
    busy, passed = _busy(), app.engine.clock.monotonic()
    app.engine.clock.sleep(BETWEEN_SECONDS)
    cores = os.cpu_count() or 1
    cpu = round(1000 * (_busy() - busy) / max(app.engine.clock.monotonic() - passed, 1e-3))
    total, free = _memory()
    row = [own, f"{cpu}m", f"{100 * cpu // (1000 * cores)}%", f"{(total - free) // MI}Mi", f"{100 * (total - free) // max(total, 1)}%"]
    header = ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    sys.stdout.write(render(None if given["no_headers"] else header, [row], GAP, NARROWEST))


def _busy() -> float:
    """Seconds of CPU that the machine has spent on anything but idling and waiting (proc(5))."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _memory() -> tuple[int, int]:
    """(all there is, what is available) in bytes."""
    found = {}
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            found[name] = int(rest.split()[0]) * 1024
    return found.get("MemTotal", 0), found.get("MemAvailable", 0)
