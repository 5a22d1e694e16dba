"""Run a function of a test in a user namespace of its own, as root there: `inside(work)`; with `ids=1` it has a single id.

The ids are those of the machine's root, so that it reads and writes where the test does, and lacks what a user namespace lacks: it makes no
device, writes no trusted.* xattr, gives no file to an id beyond.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from typing import TypeVar

from kubeplay.engine.host import owners, syscalls
from kubeplay.engine.layers import marks, snapshotter

T = TypeVar("T")


def inside(work: Callable[[], T], ids: int = 65536) -> T:
    """What `work` returns (it must be picklable), or its failure, told here."""
    ready, told = os.pipe(), os.pipe()
    results, answers = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(results)
        _child(work, ready[1], told[0], answers)
    for fd in (ready[1], told[0], answers):
        os.close(fd)
    os.read(ready[0], 1)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 0 {ids}"), ("gid_map", f"0 0 {ids}")):
        with open(f"/proc/{pid}/{name}", "w") as file:
            file.write(text)
    os.write(told[1], b"x")
    with open(results, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    for fd in (ready[0], told[1]):
        os.close(fd)
    value, failure = pickle.loads(data)
    assert not failure, failure
    return value  # type: ignore[no-any-return]


def _child(work: Callable[[], object], ready: int, told: int, answers: int) -> None:
    value, failure = None, ""
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        os.write(ready, b"x")
        os.read(told, 1)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        marks.forget()
        owners.forget()
        snapshotter.forget()
        value = work()
    except BaseException:
        failure = traceback.format_exc()
    with open(answers, "wb") as file:
        file.write(pickle.dumps((value, failure)))
    os._exit(0)
