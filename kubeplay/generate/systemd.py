"""systemd units that bring pods back at boot: pure text.

`Type=oneshot` with RemainAfterExit: containers belong to their monitors, so there is no main process to watch, and systemd refuses
Restart=always for it (systemd.service(5)); a start that failed is tried again by on-failure.
"""

from __future__ import annotations

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

STOP_MARGIN = 60  # seconds beside the pods' own grace until systemd loses patience
NEVER = ("always", "on-success")  # refused by systemd for Type=oneshot


class Options(Record):
    """What goes into every unit."""

    program: tuple[str, ...]
    root: str
    runroot: str
    user: bool = False
    restart: str = "on-failure"
    restart_seconds: int | None = None
    stop_seconds: int | None = None
    start_seconds: int | None = None
    wants: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    header: bool = True


class Unit(Record):
    """A unit file."""

    name: str
    text: str


def of_all(options: Options) -> Unit:
    """One unit for every pod of the root. Raises InvalidInput."""
    seconds = "" if options.stop_seconds is None else f" --time {options.stop_seconds}"
    stop = 90 if options.stop_seconds is None else options.stop_seconds
    return _unit(options, "kubeplay", f"kubeplay: the pods of {options.root}", "system resume", f"system suspend{seconds}", stop)


def of_pod(options: Options, namespace: str, name: str, title: str, grace: int) -> Unit:
    """A unit for one pod. Raises InvalidInput."""
    seconds = grace if options.stop_seconds is None else options.stop_seconds
    where = f"--namespace {namespace} {name}"
    stop = f"pod stop --ignore --time {seconds} {where}"
    return _unit(options, title, f"kubeplay: pod {namespace}/{name}", f"pod start {where}", stop, seconds)


def of_template(options: Options, prefix: str, separator: str, namespace: str) -> Unit:
    """A unit for any pod, whose name is the instance: as it is (%i), for %I would read a dash in it as a slash. Raises InvalidInput."""
    seconds = "" if options.stop_seconds is None else f"--time {options.stop_seconds} "
    where = f"--namespace {namespace} %i"
    title, stop = f"{prefix}{separator}@", f"pod stop --ignore {seconds}{where}"
    wait = 90 if options.stop_seconds is None else options.stop_seconds
    unit = _unit(options, title, f"kubeplay: pod {namespace}/PLACE", f"pod start {where}", stop, wait)
    return unit._replace(text=unit.text.replace("/PLACE", "/%i"))


def _unit(options: Options, title: str, description: str, start: str, stop: str, seconds: int) -> Unit:
    if options.restart in NEVER:
        hint = "leave --restart-policy out: a failed start is tried again, and running pods are looked after by kubeplay itself"
        raise InvalidInput(f"--restart-policy {options.restart}: systemd refuses it for units without a main process", hint=hint)
    command = f"{' '.join(map(quoted, options.program))} --root {quoted(options.root)} --runroot {quoted(options.runroot)}"
    after = [*(() if options.user else ("network-online.target",)), *options.after]
    wants = [*(() if options.user else ("network-online.target",)), *options.wants]
    lines = [
        *(["# Written by kubeplay generate systemd."] if options.header else []),
        "[Unit]", f"Description={text(description)}", "Documentation=man:systemd.service(5)",
        *_line("Wants", wants), *_line("Requires", options.requires), *_line("After", after),
        f"RequiresMountsFor={quoted(options.root, '$')}",
        "", "[Service]", "Type=oneshot", "RemainAfterExit=yes",
        *(f"Environment={quoted(one, '$')}" for one in options.env),
        f"ExecStart={command} {start}", f"ExecStop={command} {stop}", f"Restart={options.restart}",
        f"RestartSec={5 if options.restart_seconds is None else options.restart_seconds}",
        f"TimeoutStartSec={'infinity' if options.start_seconds is None else options.start_seconds}",
        f"TimeoutStopSec={seconds + STOP_MARGIN}", "Delegate=yes", "KillMode=process",
        "", "[Install]", f"WantedBy={'default.target' if options.user else 'multi-user.target'}", "",
    ]  # fmt: skip
    return Unit(f"{title}.service", "\n".join(lines))


def _line(key: str, units: list[str] | tuple[str, ...]) -> list[str]:
    return [f"{key}={' '.join(map(text, units))}"] if units else []


def text(value: str) -> str:
    """A value without line ends, which would begin another setting, and with systemd's specifiers taken as they are."""
    if any(not c.isprintable() for c in value):
        raise InvalidInput(f"{value!r} cannot stand in a unit")
    return value.replace("%", "%%")


def quoted(value: str, dollar: str = "$$") -> str:
    """A word as systemd.syntax(7) reads it back; `dollar` is what says `$`: only in commands it begins a variable (systemd.exec(5))."""
    value = text(value).replace("\\", "\\\\").replace("$", dollar)
    if value and all(c.isalnum() or c in "/._-=:@%+$," for c in value):
        return value
    return '"' + value.replace('"', '\\"') + '"'
