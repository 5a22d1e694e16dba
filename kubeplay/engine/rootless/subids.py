"""Subordinate ids: which ranges an ordinary user may map (subuid(5), subgid(5)), and the maps made of them."""

from __future__ import annotations

from kubeplay.engine.host.userns import Range
from kubeplay.record import Record

FILES = {"uid": "/etc/subuid", "gid": "/etc/subgid"}
NSSWITCH = "/etc/nsswitch.conf"
SERVICE_SECONDS = 20.0  # a directory service that has to be asked over a network
LAST_ID = 4294967294  # -1 is nobody's (user_namespaces(7))
EXTENTS = 340  # lines of a map (user_namespaces(7), since Linux 4.15)


class Entry(Record):
    """One line: whose it is, by name or by number, the first id and how many."""

    owner: str
    start: int
    length: int


def entries(text: str) -> list[Entry]:
    """Every line that says something; newuidmap passes over the others too."""
    found = []
    for line in text.splitlines():
        words = line.strip().split(":")
        if len(words) == 3 and words[0] and words[1].isdecimal() and words[2].isdecimal():
            start, length = int(words[1]), min(int(words[2]), LAST_ID + 1 - int(words[1]))
            if length > 0:
                found.append(Entry(words[0], start, length))
    return found


def of(found: list[Entry], name: str, uid: int) -> list[Entry]:
    """The user's own: lines with the name and lines with the number."""
    return [entry for entry in found if entry.owner in (name, str(uid))]


def mapping(own: int, found: list[Entry]) -> tuple[Range, ...]:
    """0 is the user; 1, 2, ... are the subordinate ids in ascending order, each once, however often the lines name it."""
    ranges, inside, free = [Range(0, own, 1)], 1, 0
    for entry in sorted(found, key=lambda e: (e.start, -e.length)):
        start, end = max(entry.start, free), entry.start + entry.length
        for first, last in ((start, min(end, own)), (max(start, own + 1), end)) if start <= own < end else ((start, end),):
            if first < last and len(ranges) < EXTENTS:
                ranges.append(Range(inside, first, last - first))
                inside += last - first
        free = max(free, end)
    return tuple(ranges)


def text(ranges: tuple[Range, ...]) -> str:
    """As /proc/PID/uid_map takes it."""
    return "".join(f"{r.inside} {r.outside} {r.length}\n" for r in ranges)


def read(kind: str) -> list[Entry]:
    """The entries of this machine's file; `kind` is uid or gid. No file: no entries."""
    return entries(_content(FILES[kind]))


def granted(kind: str, name: str, uid: int) -> list[Entry]:
    """What the user may map: the own lines of the file, or what the directory service says that nsswitch.conf(5) names in its place."""
    if not elsewhere(_content(NSSWITCH)):
        return of(read(kind), name, uid)
    from kubeplay.engine.host import processes
    from kubeplay.errors import KubeplayError

    try:
        argv = [processes.program("getsubids"), *(["-g"] if kind == "gid" else []), name]
        return answers(processes.run(argv, check=False, seconds=SERVICE_SECONDS).stdout.decode(errors="replace"))
    except KubeplayError:  # not installed, or the service does not answer
        return []


def elsewhere(nsswitch: str) -> bool:
    """Whether nsswitch.conf names another source than the files; newuidmap asks that one alone then."""
    found = [line.split("#")[0].split()[1:] for line in nsswitch.splitlines() if line.split("#")[0].strip().startswith("subid:")]
    return bool(found) and found[-1][:1] not in ([], ["files"])


def answers(text: str) -> list[Entry]:
    """What getsubids(1) prints: `0: alice 100000 65536` a line."""
    rows = [line.split() for line in text.splitlines()]
    return [entry for row in rows if len(row) == 4 for entry in entries(":".join(row[1:]))]


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def shared(found: list[Entry], name: str, uid: int) -> list[str]:
    """Others who have some of the user's ids."""
    mine = of(found, name, uid)
    return sorted({e.owner for e in found if e not in mine and any(_meet(e, m) for m in mine)})


def _meet(one: Entry, other: Entry) -> bool:
    return one.start < other.start + other.length and other.start < one.start + one.length


def real(mine: list[Entry], kind: str) -> list[str]:
    """Accounts, or groups, of this machine whose own id is among the subordinate ones."""
    import grp
    import pwd

    known = [(e.pw_name, e.pw_uid) for e in pwd.getpwall()] if kind == "uid" else [(e.gr_name, e.gr_gid) for e in grp.getgrall()]
    return sorted(name for name, number in known if any(m.start <= number < m.start + m.length for m in mine))
