"""The script conmon runs when a container has ended: a few lines of sh, no Python unless something must be started.

A pod without a lock file is gone, so nothing is noted for it. Else it notes that the pod changed (`locks/UID.dirty`), then: whoever
holds the pod's lock looks at that note before letting go, so there is nothing more to do; else the supervisor is woken through its
FIFO; else it is started by `supervisor-cmd`, a file that exists only while something of this root wants watching. Running it twice,
late, or after the runroot is gone does no harm.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from kubeplay.engine.host.paths import Paths

SUPERVISOR = "supervisor"  # name of the supervisor's lock
COMMAND = "supervisor-cmd"  # in the runroot: sh text that starts the supervisor

_SCRIPT = """#!/bin/sh
# kubeplay: a container has ended. $1 pod uid, $2 container id. Written anew at each boot; conmon calls it.
cd {runroot} 2>/dev/null || exit 0
case "$1" in */*|.*|'') exit 0;; esac
[ -e "locks/$1" ] || exit 0
exec 7<"locks/$1"
: > "locks/$1.dirty" 2>/dev/null || exit 0
flock -n 7 2>/dev/null || exit 0
exec 7<&-
[ -e "locks/$1" ] || {{ rm -f "locks/$1.dirty"; exit 0; }}
if flock -n locks/{supervisor} true 2>/dev/null; then
{start}
elif [ -p wake ]; then
    exec 8<>wake && printf '%s\\n' "$1" >&8
fi
exit 0
"""
_START = """    [ -f {command} ] || exit 0
    exec sh ./{command} "$1" </dev/null >/dev/null 2>&1
"""


def render(paths: Paths, python_argv: Sequence[str] = ()) -> str:
    """The script's text; `python_argv` starts the supervisor where the file `supervisor-cmd` is absent, () = nothing does."""
    start = _START.format(command=COMMAND)
    if python_argv:
        line = " ".join(map(quote, python_argv))
        quiet = "</dev/null >/dev/null 2>&1"
        start = f"    if [ -f {COMMAND} ]; then exec sh ./{COMMAND} \"$1\" {quiet}; fi\n    exec {line} {quiet}"
    return _SCRIPT.format(runroot=quote(paths.runroot), supervisor=SUPERVISOR, start=start.rstrip("\n"))


def quote(word: str) -> str:
    """`word` as one word of sh."""
    return "'" + word.replace("'", "'\\''") + "'"


def install(paths: Paths, python_argv: Sequence[str] = ()) -> None:
    """Write the script, atomically: conmon may be starting it."""
    temporary = f"{paths.on_exit}.{os.getpid()}-{os.urandom(4).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o700)
    try:
        os.write(fd, render(paths, python_argv).encode())
    finally:
        os.close(fd)
    os.rename(temporary, paths.on_exit)
