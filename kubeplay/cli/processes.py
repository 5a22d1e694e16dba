"""`top`: the processes of containers, read from /proc in the columns of ps(1)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.cli.table import render
from kubeplay.engine.host.machine import machine
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import InvalidInput, NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App

TICKS = os.sysconf("SC_CLK_TCK")
PASSWD_BYTES = 1 << 20
SECCOMP = {"0": "disabled", "1": "strict", "2": "filter"}  # proc_pid_status(5), in podman's words
DEFAULT = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")  # podman's default columns
HEADERS = {
    "user": "USER", "uid": "UID", "gid": "GID", "pid": "PID", "hpid": "HPID", "ppid": "PPID", "pcpu": "%CPU", "etime": "ELAPSED",
    "tty": "TTY", "group": "GROUP", "huser": "HUSER", "hgroup": "HGROUP", "pgid": "PGID", "state": "STATE", "seccomp": "SECCOMP",
    "time": "TIME", "args": "COMMAND", "comm": "COMMAND", "rss": "RSS", "vsz": "VSZ", "stat": "STAT", "nice": "NI", "threads": "NLWP",
}  # fmt: skip


def table(app: App, rows: Sequence[ContainerRow], columns: Sequence[str]) -> str:
    """The table of all processes in these containers. Raises NotRunning when there is none."""
    if not rows:
        raise NotRunning("no container of it is running")
    wanted = [c for text in columns for c in text.lower().replace(",", " ").split()] or list(DEFAULT)
    for column in wanted:
        if column not in HEADERS:
            raise InvalidInput(f"top: unknown column {column!r}", hint="columns: " + ", ".join(HEADERS))
    uptime = float(_text("/proc/uptime").split()[0])
    lines = []
    for row in rows:
        for pid in sorted(pids(row.pid)):
            cells = _cells(pid, uptime)
            if cells:
                lines.append([cells[column] for column in wanted])
    return render([HEADERS[column] for column in wanted], lines)


def pids(first: int) -> set[int]:
    """Every process that stems from a container's first one."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(name))
    found, todo = set(), [first]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += parents.get(pid, [])
    return found | _same_namespace(first)


def _same_namespace(first: int) -> set[int]:
    """Processes put into its PID namespace from outside (exec); none when it shares ours.

    Where another container has the same PID namespace, cgroups tell the two apart, and without cgroups their mounts.
    """
    try:
        here, own = os.readlink(f"/proc/{first}/ns/pid"), os.readlink("/proc/self/ns/pid")
        mounts = os.readlink(f"/proc/{first}/ns/mnt")
    except OSError:
        return set()
    found: set[int] = set()
    by_mounts = machine().user_namespace
    for name in os.listdir("/proc"):
        try:
            if here == own or not name.isdigit() or os.readlink(f"/proc/{name}/ns/pid") != here:
                continue
            if _cgroup(int(name)) == _cgroup(first) and (not by_mounts or os.readlink(f"/proc/{name}/ns/mnt") == mounts):
                found.add(int(name))
        except OSError:
            continue
    return found


def _cgroup(pid: int) -> str:
    return _text(f"/proc/{pid}/cgroup")


def _cells(pid: int, uptime: float) -> dict[str, str]:
    fields = _stat(pid)
    if not fields:
        return {}
    status = dict(line.split(":\t", 1) for line in _text(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    uid, gid = status.get("Uid", "?").split("\t")[0], status.get("Gid", "?").split("\t")[0]
    used = (int(fields[11]) + int(fields[12])) / TICKS
    elapsed = max(uptime - int(fields[19]) / TICKS, 0.01)
    words = _text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    name = status.get("Name", "?")
    return {
        "user": _name(pid, "etc/passwd", uid), "uid": uid, "gid": gid, "pid": _inside(status, "NSpid", str(pid)),
        "hpid": str(pid), "ppid": _parent(fields[1]),
        "pcpu": f"{100 * used / elapsed:.3f}",
        "etime": _clock(elapsed), "tty": _tty(int(fields[4])), "time": _clock(used), "args": words or f"[{name}]", "comm": name,
        "rss": status.get("VmRSS", "0 kB").split()[0], "vsz": status.get("VmSize", "0 kB").split()[0], "stat": fields[0],
        "nice": fields[16], "state": fields[0], "pgid": _inside(status, "NSpgid", fields[2]), "group": _name(pid, "etc/group", gid),
        "huser": _host("pwd", uid), "hgroup": _host("grp", gid),
        "seccomp": SECCOMP.get(status.get("Seccomp", ""), "?"),
        "threads": fields[17],
    }  # fmt: skip


def _parent(pid: str) -> str:
    status = _text(f"/proc/{pid}/status")
    line = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
    words = line.split()[1:]
    return words[-1] if len(words) > 1 else "0"


def _name(pid: int, path: str, number: str) -> str:
    """The name of a user or group in the container's own passwd or group file."""
    for line in _accounts(pid, path).splitlines():
        parts = line.split(":")
        if len(parts) > 2 and parts[2] == number:
            return parts[0]
    return "root" if number == "0" else number


def _host(module: str, number: str) -> str:
    """The name this machine has for a user (pwd) or group (grp)."""
    from importlib import import_module

    try:
        found = import_module(module)
        return str((found.getpwuid if module == "pwd" else found.getgrgid)(int(number))[0])
    except (KeyError, ValueError):
        return number


def _inside(status: dict[str, str], field: str, default: str) -> str:
    """A process's number in its own PID namespace."""
    return status.get(field, default).split("\t")[-1]


def _accounts(pid: int, path: str) -> str:
    """Opened inside the container's own root: a link in it must not lead to a file of the host (CVE-2022-1227's class)."""
    from kubeplay.engine.host.syscalls import RESOLVE_IN_ROOT, open_ordinary

    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fd = open_ordinary(root, path, RESOLVE_IN_ROOT)
    except OSError:
        return ""
    finally:
        os.close(root)
    try:
        return os.read(fd, PASSWD_BYTES).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _tty(device: int) -> str:
    if not device:
        return "?"
    major, minor = os.major(device), os.minor(device)
    return f"pts/{minor + 256 * (major - 136)}" if 136 <= major <= 143 else f"{major}:{minor}"  # Documentation/admin-guide/devices.txt


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.3f}s"
    return f"{whole // 3600}h{whole % 3600 // 60}m{whole % 60}s" if whole >= 3600 else f"{whole // 60}m{whole % 60}s"


def _stat(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from `state` on; empty when the process has gone."""
    text = _text(f"/proc/{pid}/stat")
    return text[text.rindex(")") + 2 :].split() if ")" in text else []


def _text(path: str, limit: int = 65536) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(fd, limit).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
