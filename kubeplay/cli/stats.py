"""stats and pod stats: what containers take of the machine, once or as a live table, in podman's columns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing, resolve
from kubeplay.cli.declare import LISTING, Option, argument, command, flag, integer
from kubeplay.cli.listing import Column, Fields, Listing
from kubeplay.engine.store.runtime import RUNNING, ContainerRow, PodRow
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.stats import Sample

Pair = tuple[PodRow, ContainerRow]
_CLEAR = "\033[H\033[J"  # cursor home, clear to the end (ECMA-48)

COLUMNS = (
    Column("ID", "ID"), Column("NAME", "Name"), Column("CPU %", "CPUPerc"), Column("MEM USAGE / LIMIT", "MemUsage"),
    Column("MEM %", "MemPerc"), Column("NET IO", "NetIO"), Column("BLOCK IO", "BlockIO"), Column("PIDS", "PIDS"),
    Column("CPU TIME", "CPU"), Column("AVG CPU %", "AVGCPU"), Column("NAMESPACE", "Namespace", True),
)  # fmt: skip
POD_COLUMNS = (Column("POD", "Pod"), Column("CID", "ID"), *COLUMNS[1:8])


def _json(record: Fields) -> Fields:
    """podman's keys, with ours added."""
    return {
        "id": record["ID"], "name": record["Name"], "cpu_time": record["CPU"], "cpu_percent": record["CPUPerc"],
        "avg_cpu": record["AVGCPU"], "mem_usage": record["MemUsage"], "mem_percent": record["MemPerc"], "net_io": record["NetIO"],
        "block_io": record["BlockIO"], "pids": str(record["PIDS"]), "pod": record["Pod"], "namespace": record["Namespace"],
    }  # fmt: skip


LOOK = Listing(
    COLUMNS, "ID", {"id": listing.prefix("ID"), "name": listing.contains("Name"), "namespace": listing.equals("Namespace")}, _json
)  # fmt: skip

OPTIONS: tuple[Option, ...] = (
    flag("-a", "--all", help="Every container of the namespace; those that do not run take nothing."),
    flag("-l", "--latest", help="The newest pod."),
    flag("--no-stream", help="Show one look and end."),
    flag("--no-reset", help="Print one look below the other, without clearing the screen."),
    integer("-i", "--interval", help="Seconds between two looks.", default=5),
    *LISTING,
)


@command("stats", "Show what containers take of the machine.\n\nWithout names every running container of the namespace; live until it is"
         " interrupted.", argument("NAME", "Containers or pods.", many=True, required=False, complete="container"), OPTIONS)  # fmt: skip
def stats(app: App, *, name: tuple[str, ...], **given: Any) -> None:
    _stats(app, name, COLUMNS, pods_only=False, **given)


@command("stats", "Show what the containers of pods take of the machine.\n\nWithout names every pod of the namespace; live until it is"
         " interrupted.", argument("POD", "Pods.", many=True, required=False, complete="pod"), OPTIONS)  # fmt: skip
def pod_stats(app: App, *, pod: tuple[str, ...], **given: Any) -> None:
    _stats(app, pod, POD_COLUMNS, pods_only=True, **given)


def _stats(
    app: App, names: Sequence[str], columns: Sequence[Column], *, pods_only: bool, all: bool, latest: bool, no_stream: bool,
    no_reset: bool, interval: int, **given: Any,
) -> None:  # fmt: skip
    if sum((bool(names), all, latest)) > 1:
        raise InvalidInput("names, --all and --latest exclude each other")
    if interval < 1:
        raise InvalidInput(f"--interval {interval}: must be a second or more")
    find = _finder(app, names, everything=all, latest=latest, pods_only=pods_only)
    look = listing.look(given)
    before: dict[str, Sample] = {}
    clear = _CLEAR if sys.stdout.isatty() and not no_reset and not no_stream and not look.format else ""
    while True:
        app.engine.refresh()
        records, before = _records(app, find(), before, full=look.no_trunc)
        sys.stdout.write(clear)
        listing.show(LOOK._replace(columns=tuple(columns)), records, look)
        sys.stdout.flush()
        if no_stream:
            return
        time.sleep(interval)


def _finder(app: App, names: Sequence[str], *, everything: bool, latest: bool, pods_only: bool) -> Callable[[], list[Pair]]:
    """What to look at, asked anew at each look: containers come and go. What is named must be there at the first one."""
    if not names and not latest:
        return lambda: [pair for row in app.store.runtime.pods(app.namespace) for pair in _of_pod(app, row, "", running=not everything)]
    if latest:
        from kubeplay.cli.lifecycle import targets

        rows = [row for row in targets(app, (), False, True, pods_only=True) if isinstance(row, PodRow)]
        wanted = [(row, "") for row in rows]
    else:
        wanted = [_named(app, name, pods_only=pods_only) for name in names]
    return lambda: [pair for row, only in wanted for pair in _of_pod(app, row, only, running=False)]


def _named(app: App, name: str, *, pods_only: bool) -> tuple[PodRow, str]:
    if pods_only or resolve.find_pods(app, name):
        return resolve.pod(app, name), ""
    found = resolve.container(app, name)
    return found.pod, found.name


def _of_pod(app: App, pod: PodRow, only: str, *, running: bool) -> list[Pair]:
    newest = resolve.newest(app.store.runtime.containers(pod.uid)).values()
    return [(pod, row) for row in newest if (not only or row.name == only) and (not running or row.state == RUNNING)]


def _records(app: App, pairs: Sequence[Pair], before: dict[str, Sample], *, full: bool) -> tuple[list[Fields], dict[str, Sample]]:
    from kubeplay.engine.stats import Sample, sample

    records: list[Fields] = []
    now: dict[str, Sample] = {}
    for pod, row in pairs:
        at = app.engine.clock.now()
        found = sample(app.engine, row, at) if row.state == RUNNING else None
        if found is not None:
            now[row.id] = found
        records.append(_record(pod, row, found or Sample(at), before.get(row.id), full=full))
    return records, now


def _record(pod: PodRow, row: ContainerRow, now: Sample, before: Sample | None, *, full: bool) -> Fields:
    average = percent(now, None, row.started)
    memory = 100 * now.memory / now.limit if now.limit else 0.0
    return {
        "ID": row.id if full else human.short(row.id),
        "Name": row.name if '"container_prefix":false' in pod.plan else f"{pod.name}-{row.name}",
        "Pod": pod.uid if full else human.short_uid(pod.uid),
        "Namespace": pod.namespace, "CPUPerc": f"{percent(now, before, row.started):.2f}%", "AVGCPU": f"{average:.2f}%",
        "MemUsage": f"{human.size4(now.memory)} / {human.size4(now.limit)}", "MemUsageBytes": now.memory,
        "MemLimit": now.limit, "MemPerc": f"{memory:.2f}%",
        "NetIO": f"{human.size4(now.net_in)} / {human.size4(now.net_out)}", "NetInput": now.net_in, "NetOutput": now.net_out,
        "BlockIO": f"{human.size4(now.block_in)} / {human.size4(now.block_out)}", "BlockInput": now.block_in, "BlockOutput": now.block_out,
        "PIDS": now.pids, "CPU": seconds(now.cpu), "CPUNano": now.cpu, "UpTime": seconds(int((now.at - (row.started or now.at)) * 1e9)),
    }  # fmt: skip


def percent(now: Sample, before: Sample | None, started: float | None) -> float:
    """Of one CPU, since the look before or, at the first, since the container's start (as podman's)."""
    since, used = (before.at, before.cpu) if before else (started or now.at, 0)
    passed = now.at - since
    return 100 * (now.cpu - used) / (passed * 1e9) if passed > 0 else 0.0


def seconds(nanoseconds: int) -> str:
    """`1m3.25s`: Go's text for a duration, to the millisecond."""
    whole, rest = divmod(max(0, nanoseconds) // 1_000_000, 60_000)
    minutes = whole % 60
    text_ = f"{rest / 1000:g}s"
    if whole >= 60:
        return f"{whole // 60}h{minutes}m{text_}"
    return f"{minutes}m{text_}" if minutes else text_
