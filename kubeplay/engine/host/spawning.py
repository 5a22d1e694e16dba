"""posix_spawn(3) while other threads go on.

os.posix_spawn keeps the interpreter's lock until the child has called execve, and the kernel holds up every fork and exec while it moves
a process between cgroups, as each runtime does some ten times (cgroup_threadgroup_rwsem): a play of ten containers stood still for up
to 190 ms (measured on the loaded development machine). A call through ctypes lets the lock go.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_libc = ctypes.CDLL(None)
# Room for what glibc (80 and 336 bytes) and musl (80 and 336) keep in these; both are opaque
_ACTIONS, _ATTRIBUTES = 512, 1024
_SIGNALS = 128  # bytes of a sigset_t, both libraries
_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80  # spawn.h, both libraries

_path, _int = ctypes.c_char_p, ctypes.c_int


def posix_spawn(path: str, argv: Sequence[str], env: Mapping[str, str], actions: Sequence[tuple[int, ...]], *, session: bool) -> int:
    """Start a program and return its pid; `actions` as os.posix_spawn's file_actions. No signal is blocked, every one has its default.

    Raises OSError when the program cannot be started.
    """
    sys.audit("os.posix_spawn", path, argv, env)
    files, attributes = ctypes.create_string_buffer(_ACTIONS), ctypes.create_string_buffer(_ATTRIBUTES)
    _check(_libc.posix_spawn_file_actions_init(files), path)
    try:
        for action in actions:
            _add(files, action, path)
        _check(_libc.posix_spawnattr_init(attributes), path)
        try:
            _check(_libc.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSIGDEF | _SETSIGMASK | (_SETSID if session else 0))), path)
            _check(_libc.posix_spawnattr_setsigmask(attributes, _none), path)
            _check(_libc.posix_spawnattr_setsigdefault(attributes, _all), path)
            pid = _int()
            words = _array([os.fsencode(word) for word in argv])
            variables = _array([os.fsencode(f"{name}={value}") for name, value in env.items()])
            _check(_libc.posix_spawn(ctypes.byref(pid), _path(os.fsencode(path)), files, attributes, words, variables), path)
            return pid.value
        finally:
            _libc.posix_spawnattr_destroy(attributes)
    finally:
        _libc.posix_spawn_file_actions_destroy(files)


def _add(files: ctypes.Array[ctypes.c_char], action: tuple[int, ...], path: str) -> None:
    kind, *rest = action
    if kind == os.POSIX_SPAWN_DUP2:
        _check(_libc.posix_spawn_file_actions_adddup2(files, rest[0], rest[1]), path)
    elif kind == os.POSIX_SPAWN_CLOSE:
        _check(_libc.posix_spawn_file_actions_addclose(files, rest[0]), path)
    else:
        fd, flags, mode = rest[0], rest[2], rest[3]
        name: Any = rest[1]
        _check(_libc.posix_spawn_file_actions_addopen(files, fd, _path(name), flags, ctypes.c_uint(mode)), path)


def _array(words: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    if any(b"\0" in word for word in words):
        raise ValueError("embedded null byte")  # as os.posix_spawn has it
    return (_path * (len(words) + 1))(*words, None)


def _check(number: int, path: str) -> None:
    """These functions return the error number itself."""
    if number:
        raise OSError(number, os.strerror(number), path)


def _signal_set(numbers: Sequence[int]) -> ctypes.Array[ctypes.c_char]:
    found = ctypes.create_string_buffer(_SIGNALS)
    _libc.sigemptyset(found)
    for number in numbers:
        _libc.sigaddset(found, number)
    return found


_none = _signal_set(())
_all = _signal_set([number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)])
