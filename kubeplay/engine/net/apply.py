"""Bringing our nft table into the kernel, by changing what is different, and finding it damaged by strangers."""

from __future__ import annotations

import os
import struct
from zlib import crc32

from kubeplay.engine.net import table as tables
from kubeplay.engine.net.netlink import NETLINK_NETFILTER, Message, Netlink, NetlinkError, attributes, text
from kubeplay.engine.net.table import NOTHING, Table

_SUBSYSTEM = 10 << 8  # linux/netfilter/nfnetlink.h: NFNL_SUBSYS_NFTABLES
_GETTABLE, _GETCHAIN, _GETRULE, _GETSET, _GETSETELEM, _GETGEN = (_SUBSYSTEM | one for one in (1, 4, 7, 10, 13, 16))
_CHANGES = 7  # NFNLGRP_NFTABLES
_INET = 1  # NFPROTO_INET
_HEADER = struct.pack("=BBH", _INET, 0, 0)
_ELEMENTS = 3  # NFTA_SET_ELEM_LIST_ELEMENTS
_EOPNOTSUPP = 95


def exists(name: str) -> bool:
    """Whether the kernel has our table: another program may have flushed everything."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        return _exists(netlink, name)


def _exists(netlink: Netlink, name: str) -> bool:
    try:
        return netlink.get(Message(_GETTABLE, _HEADER + text(1, name), f"look at table {name}")) is not None
    except NetlinkError as error:
        if error.errno == _EOPNOTSUPP:  # a kernel module that is not loaded yet
            return False
        raise


def generation(netlink: Netlink) -> int:
    """A number that changes with every change of any rule of this network namespace, whoever makes it; 0 without nftables."""
    try:
        answer = netlink.get(Message(_GETGEN, _HEADER, "look at the generation of the rules"))
    except NetlinkError as error:
        if error.errno == _EOPNOTSUPP:
            return 0
        raise
    return int.from_bytes(answer[8:12], "big") if answer and len(answer) >= 12 else 0


def print_of(netlink: Netlink, name: str, wanted: Table) -> int:
    """A number that follows from the rules the kernel has in our table and from how many chains, sets and elements there are.

    What the kernel learned by itself is left out, and the order of elements, which is the kernel's to change.
    """
    if wanted == NOTHING:
        return 0
    found = sum(crc32(rule[4:]) for rule in netlink.dump(_GETRULE, _HEADER + text(1, name), f"list rules of {name}"))  # [:4]: generation
    for kind in (_GETCHAIN, _GETSET):
        parts = netlink.dump(kind, _HEADER + text(1, name), f"look into table {name}")
        found = found * 31 + sum(attributes(part[4:]).get(1, b"").rstrip(b"\0") == name.encode() for part in parts)
    for one in wanted.sets:
        if one.elements:
            what = _HEADER + text(1, name) + text(2, one.name)
            parts = netlink.dump(_GETSETELEM, what, f"list elements of {one.name}")
            found = found * 31 + sum(len(attributes(part[4:]).get(_ELEMENTS, b"")) for part in parts)
    return found & 0xFFFFFFFFFFFF


class Watch:
    """Hears of every change of rules in this network namespace, by whomever; `fileno` is for poll."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETLINK_NETFILTER)
        self._netlink.join(_CHANGES)

    def fileno(self) -> int:
        return self._netlink.fileno()

    def drain(self) -> None:
        self._netlink.drain()

    def close(self) -> None:
        self._netlink.close()


class Applied:
    """What was last written: the table, and what the kernel showed of it then. `record` is a file of the runroot."""

    def __init__(self, name: str, record: str) -> None:
        self.name = name
        self.record = record

    def bring(self, wanted: Table) -> bool:
        """Bring the kernel's table to `wanted`; True when something was done.

        Raises MissingPrerequisite without nft, CommandFailed when it refuses.
        """
        with Netlink(NETLINK_NETFILTER) as netlink:
            known = self._known(netlink)
            if known is not None and known[0] == wanted:
                if known[1]:
                    self._write(wanted, generation(netlink), print_of(netlink, self.name, wanted))
                return False
            if known is None and wanted == NOTHING and not _exists(netlink, self.name):
                self.forget()
                return False
        self._change(known[0] if known else None, wanted)
        with Netlink(NETLINK_NETFILTER) as netlink:
            self._write(wanted, generation(netlink), print_of(netlink, self.name, wanted))
        return True

    def damaged(self) -> bool:
        """Whether somebody else has changed our table since it was written. One question to the kernel as long as nobody did."""
        try:
            with open(self.record, encoding="utf-8") as file:
                before, _ = _numbers(file.readline())
        except OSError:
            return False
        with Netlink(NETLINK_NETFILTER) as netlink:
            return generation(netlink) != before and self._known(netlink) is None

    def _known(self, netlink: Netlink) -> tuple[Table, bool] | None:
        """(what was written, whether others changed rules of theirs since); None when it is not in the kernel as it was written."""
        try:
            with open(self.record, encoding="utf-8") as file:
                first, _, rest = file.read().partition("\n")
        except OSError:
            return None
        written, (before, seen) = tables.loads(rest), _numbers(first)
        if written is None:
            return None
        now = generation(netlink)
        if now and now == before:
            return written, False
        if not _exists(netlink, self.name):
            return (written, True) if written == NOTHING else None
        return (written, True) if written != NOTHING and print_of(netlink, self.name, written) == seen else None

    def _change(self, known: Table | None, wanted: Table) -> None:
        from kubeplay.engine.host import processes
        from kubeplay.errors import CommandFailed

        program = processes.program("nft")
        some = tables.changes(self.name, known, wanted) if known is not None else None
        if some is not None:
            try:
                processes.run([program, "-f", "-"], stdin=some.encode())
                return
            except CommandFailed:
                pass  # a kernel that takes no chain away in the transaction that takes its last user: the whole always goes
        processes.run([program, "-f", "-"], stdin=tables.whole(self.name, wanted).encode())

    def _write(self, wanted: Table, now: int, seen: int) -> None:
        with open(f"{self.record}.new", "w", encoding="utf-8") as file:
            file.write(f"{now} {seen}\n{tables.dumps(wanted)}")
        os.rename(f"{self.record}.new", self.record)

    def forget(self) -> None:
        if os.path.exists(self.record):
            os.unlink(self.record)


def _numbers(line: str) -> tuple[int, int]:
    words = line.split()
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(word.isdigit() for word in words) else (0, 0)
