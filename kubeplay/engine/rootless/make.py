"""Make a user's namespaces, or find those whose holder has died: once a boot, under a lock.

The child unshares and waits; the parent has newuidmap and newgidmap write its maps, since an ordinary user may map no id but the own one;
the child then cuts itself off from everything of the caller's, notes itself down and becomes the holder, `catatonit -P`. A process killed
anywhere on this way leaves nothing: a child without a parent ends, and what is noted down is believed only while it lives.
"""

from __future__ import annotations

import fcntl
import os
import sys

from kubeplay.engine.host import credentials, faults, processes, syscalls
from kubeplay.engine.host.userns import Range, parse
from kubeplay.engine.rootless import needs, subids, survivors, who
from kubeplay.engine.rootless.enter import NEWNS, NEWUSER, RECORD, Holder, join, opened, read, started
from kubeplay.engine.rootless.leave import end, outgrown
from kubeplay.engine.rootless.lock import locked
from kubeplay.errors import CommandFailed, Conflict, KubeplayError, MissingPrerequisite

GO, READY = b"g", b"r"
NEW, INSIDE = (-1,), (-2,)


def namespaces(directory: str) -> tuple[Holder, tuple[int, int]]:
    """The user's namespaces, the living ones or new ones: who holds them, descriptors of user and mount namespace.

    Those of a session that had another runtime directory are noted down in `directory` too. Raises MissingPrerequisite.
    """
    with locked(directory):
        holder = read(directory)
        if holder and holder.single and outgrown(holder):
            end(holder)
        found = opened(holder)  # somebody else's first command was quicker
        if found is None:
            survivor = survivors.find(holder)
            elsewhere = survivor.directory if survivor else ""
            if elsewhere in ("", directory):
                _hold(directory, survivor)
                holder = read(directory)
                found = opened(holder)
                elsewhere = ""
    if found is None and elsewhere:
        found = namespaces(elsewhere)[1]
        holder = read(elsewhere)
        if holder:
            with locked(directory):
                _write(directory, holder)
    if holder is None or found is None:
        raise KubeplayError("the process that keeps your namespaces ended as soon as it was started", hint="kubeplay system check")
    return holder, found


def stay(dead: Holder) -> None:
    """Called inside: give the namespaces that we are in a holder again. Raises Conflict when others have been made meanwhile."""
    with locked(dead.directory):
        holder = read(dead.directory)
        if holder is None or started(holder.pid) != holder.start:
            _start(dead.directory, INSIDE)
        elif (holder.user, holder.mnt) != (dead.user, dead.mnt):
            raise Conflict("your namespaces have ended just now", hint="try again")


def _hold(directory: str, survivor: survivors.Survivor | None) -> None:
    """See that there is a holder and that it is noted down: of namespaces that live without one, or of new ones."""
    if survivor is None:
        survivors.sweep()
        _start(directory, NEW)
    elif survivor.program == survivors.HOLDER:
        note(directory, survivor.pid, _is_single(survivor.pid))
    else:
        _start(directory, survivor.namespaces)


def _is_single(pid: int) -> bool:
    with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
        return sum(r.length for r in parse(file.read())) == 1


def _start(directory: str, where: tuple[int, ...]) -> None:
    """Start a holder and wait until it is one; `where` descriptors of namespaces, NEW ones, or INSIDE those that we are in."""
    facts = needs.read()
    try:
        catatonit = processes.program("catatonit")
    except MissingPrerequisite as error:
        raise _refused(facts, error.message) from error
    orders, its_orders = os.pipe2(os.O_CLOEXEC)
    answers, its_answers = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(its_orders)
        _become(directory, catatonit, orders, its_answers, where)
    for fd in (orders, its_answers, *(where if where not in (NEW, INSIDE) else ())):
        os.close(fd)
    try:
        _converse(pid, its_orders, answers, facts, new=where == NEW)
    finally:
        os.close(its_orders)
        os.close(answers)
    if where == NEW:
        said = needs.notice(facts)
        sys.stderr.write(f"{said}\n" if said else "")


def _converse(pid: int, orders: int, answers: int, facts: needs.Facts, *, new: bool) -> None:
    """The parent's half: write the maps when the child has unshared, then wait until exec(2) closes the pipe."""
    first = os.read(answers, 4096)
    if first == READY:
        faults.point("rootless:unshared")
        if new:
            _write_maps(pid, *_wanted(facts))
        faults.point("rootless:mapped")
        os.write(orders, GO)
        first = os.read(answers, 4096)
    if first:
        os.waitpid(pid, 0)
        raise _refused(facts, first.decode(errors="replace"))


def _refused(facts: needs.Facts, why: str) -> MissingPrerequisite:
    message, hint = needs.refusal(facts, why)
    return MissingPrerequisite(message, hint=hint)


def _wanted(facts: needs.Facts) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """The maps to be made: with subordinate ids when there are both kinds and the helpers, else of the own ids alone."""
    me = who.user()
    uids = subids.mapping(me.uid, subids.granted("uid", me.name, me.uid))
    gids = subids.mapping(me.gid, subids.granted("gid", me.name, me.uid))
    return (uids[:1], gids[:1]) if facts.single else (uids, gids)


def _write_maps(pid: int, uids: tuple[Range, ...], gids: tuple[Range, ...]) -> None:
    if len(uids) == len(gids) == 1:
        for name, text in (("setgroups", "deny"), ("uid_map", subids.text(uids)), ("gid_map", subids.text(gids))):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        return
    for name, ranges in (("newuidmap", uids), ("newgidmap", gids)):
        words = [str(number) for r in ranges for number in r]
        try:
            processes.run([processes.program(name), str(pid), *words])
        except CommandFailed as error:
            raise MissingPrerequisite(f"your ids could not be mapped: {error.stderr.strip()}", hint=_why_not_mapped()) from error


def _why_not_mapped() -> str:
    import pwd

    try:
        login = pwd.getpwuid(os.getuid()).pw_gid
    except KeyError:
        return f"newuidmap wants to know your name, and user {os.getuid()} is in no list of accounts (passwd(5))"
    if login != os.getgid():
        return "newuidmap wants your login group as the current group: leave the shell that newgrp or sg has started"
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        if "NoNewPrivs:\t1" in file.read():
            return "this session may not gain privileges (no_new_privs), which newuidmap needs: begin in another one"
    return "do /etc/subuid and /etc/subgid say what they should? Else: apt-get install --reinstall uidmap"


def _become(directory: str, catatonit: str, orders: int, answers: int, where: tuple[int, ...]) -> None:
    """The child: never returns."""
    doing = "unshare"
    try:
        if where == NEW:
            syscalls.unshare(NEWUSER | NEWNS)
        elif where != INSIDE:
            join(*where)
        os.write(answers, READY)
        if os.read(orders, 1) != GO:
            os._exit(1)
        doing = "taking the ids on"
        single = _is_single(os.getpid())
        credentials.shed()
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        doing = "mount"
        if where == NEW:
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
        doing = "becoming the holder"
        _cut_off()
        _guard(os.path.dirname(directory))
        faults.point("rootless:alone" if where == NEW else "rootless:joined")
        note(directory, os.getpid(), single)
        faults.point("rootless:noted")
        os.execve(catatonit, ["catatonit", "-P"], {survivors.DIRECTORY: directory})
    except BaseException as error:
        try:
            os.write(answers, f"{doing}: {getattr(error, 'strerror', None) or error}".encode())
        finally:
            os._exit(1)


def _cut_off() -> None:
    """Keep nothing of the caller's: session, directory, descriptors. What is close-on-exec goes with exec(2): the pipe, and the lock."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for fd in processes.foreign_descriptors():
        os.close(fd)


def _guard(parent: str) -> None:
    """Keep a lock on a directory that we made in /tmp: what cleans up there passes it over (tmpfiles.d(5)).

    It would remove the runroot, which is an empty old directory to the host, and with it the mount that is there inside.
    """
    if os.path.basename(parent).startswith(who.OWN):
        fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_SH)
        os.dup2(fd, 0)  # in the place of /dev/null: from 3 on catatonit closes everything


def note(directory: str, pid: int, single: bool) -> None:
    """Write down that `pid` holds the namespaces it is in."""
    user, mnt = (os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in ("user", "mnt"))
    _write(directory, Holder(pid, started(pid), user, mnt, int(single), directory))


def _write(directory: str, holder: Holder) -> None:
    """Whole or not at all."""
    temporary = f"{directory}/{RECORD}.new"  # one at a time: we have the lock
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, os.fsencode(" ".join(map(str, holder)) + "\n"))
    finally:
        os.close(fd)
    os.rename(temporary, f"{directory}/{RECORD}")
