"""Start the supervisor and wake it. What starts it is a few lines of sh in the runroot, so that conmon's exit script can do it too.

`supervisor-cmd` puts `supervisor-loop` into a session of its own in the background; the loop starts Python and starts it again
when it was killed (DESIGN.md: back within 2 s, a parent of about 0.3 MB); exit status 0 means that nothing is due any more.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.host.on_exit import COMMAND, SUPERVISOR, quote
from kubeplay.engine.host.userns import VARIABLE
from kubeplay.engine.store.runtime import DELETE
from kubeplay.reconcile.rouse import begin, running, wake

__all__ = ["begin", "due", "ensure", "install", "marked", "running", "wake"]

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

LOOP = "supervisor-loop"
# What tells a pull where registries, logins and proxies are: a pod that tries again must find what the play found.
KEPT = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF",
        "CONTAINERS_REGISTRIES_CONF_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", VARIABLE)  # fmt: skip
PAUSE = "0.2"  # seconds before a killed supervisor is started again

_LOOP = """#!/bin/sh
# kubeplay: starts the supervisor again when it was killed; ends when that says that nothing is due. One a root (descriptor 9).
cd {runroot} || exit 0
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&-
while [ -e boot_id ]; do
    exec 9>locks/{loop}
    # one that is just ending holds it for a moment more, and has not seen what we were started for
    flock -w 5 9 || exit 0
    until (cd / && exec {command} shell=$$) 9>&-; do
        sleep {pause}
        [ -e boot_id ] || exit 0
    done
    exec 9>&-
    # who noted an exit while we held the lock relied on us
    set -- locks/*.dirty
    [ -e "$1" ] || exit 0
done
"""
_COMMAND = """#!/bin/sh
cd {runroot} || exit 0
setsid sh ./{loop} </dev/null >/dev/null 2>&1 &
exit 0
"""


def install(engine: Engine) -> None:
    """Write both scripts unless they are there as they should be."""
    runroot = engine.paths.runroot
    loop = _LOOP.format(runroot=quote(runroot), loop=LOOP, command=_python(engine), pause=PAUSE)
    _put(f"{runroot}/{LOOP}", loop)
    _put(f"{runroot}/{COMMAND}", _COMMAND.format(runroot=quote(runroot), loop=LOOP))


# The door that commands have, too: modules from one file, stand-ins for what is hardly used. It halves the time to the first restart.
_DOOR = (
    "import gc, sys; gc.disable(); sys.path[:0] = {package}; sys.path += {libraries}; from kubeplay.cli import light, preload;"
    " preload.install(); light.install(); from kubeplay.supervisor.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


def _python(engine: Engine) -> str:
    """The shell command that runs the supervisor with our own code and settings, in a clean environment (the file is for root alone)."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    libraries = [path for path in sys.path if path.endswith("-packages")]
    words = ["env", "-i", *[f"{k}={v}" for k, v in processes.CLEAN_ENV.items()]]
    words += [f"{name}={os.environ[name]}" for name in KEPT if name in os.environ]
    words += [sys.executable, "-I", "-S", "-c", _DOOR.format(package=[package], libraries=libraries), "kubeplay.supervisor"]
    for name, value in zip(engine.settings._fields, engine.settings):
        words.append(f"{name}={value}")
    return " ".join(quote(word) for word in words)


def _put(path: str, text: str) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        pass
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
    os.rename(temporary, path)


def due(engine: Engine) -> bool:
    """Whether anything of the root waits for a time or for somebody, is probed, or writes so much that it must be watched."""
    from kubeplay.supervisor import controllers, logs

    runtime = engine.store.runtime
    waits = runtime.next_wake() is not None or any(row.desired == DELETE for row in runtime.pods()) or bool(marked(engine))
    if waits or engine.store.probes.due() or controllers.due(engine) or logs.growing(engine):
        return True
    from kubeplay.reconcile import eviction

    return bool(eviction.watched(engine))


def marked(engine: Engine) -> list[str]:
    """Uids of pods whose container ended while nobody looked."""
    try:
        names = os.listdir(os.path.dirname(engine.paths.lock(SUPERVISOR)))
    except FileNotFoundError:
        return []
    return [name.removesuffix(".dirty") for name in names if name.endswith(".dirty")]


def ensure(engine: Engine) -> None:
    """See that due things are looked after: at the end of every command. Starts nothing when nothing is due.

    `install` before containers are started lets their exits start it, also when the command is killed before it comes here.
    """
    from kubeplay.supervisor import logs

    install(engine)
    logs.rotate_all(engine)
    if not due(engine):
        wake(engine)  # one that waits for what is no longer due ends
        return
    if running(engine):
        wake(engine)
    else:
        begin(engine)
