"""The main process of a systemd service that plays files: it waits, in some MB, until every pod has ended, and ends as they did.

`play kube --service-container` becomes this by exec, so that systemd's main process stays the same one. It sleeps on the processes of the
containers (pidfd_open(2)); when one ends, a child with the whole of kubeplay looks at what the store says and is gone again. So only
what costs nothing is imported here.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import ObjectKey

# Nothing runs, but something will (a back-off, a controller): how soon it is looked again, doubled each time. A kubelet's back-off
# begins with 10 s; a look costs a twentieth of a second of CPU.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# A container's process has ended before conmon has noted how; its row follows within some ms.
SETTLE = 0.2
NOTIFY_SECONDS = 10.0  # a queue of messages that nobody reads is full after 10 (net.unix.max_dgram_qlen)

_DOOR = "import sys; sys.path[:0] = {package}; sys.path += {libraries}; from kubeplay.play.serving import main; main(int(sys.argv[1]))"


def become(engine: Engine, keys: Sequence[ObjectKey], propagation: str) -> NoReturn:
    """Say that the service is ready, and go on as the process that waits for these objects. Does not return."""
    import json

    notify(f"READY=1\nMAINPID={os.getpid()}")
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    libraries = [path for path in sys.path if path.endswith("-packages")]
    order = {"settings": engine.settings._asdict(), "keys": [list(key) for key in keys], "propagation": propagation}
    engine.store.close()
    sys.stdout.flush()
    sys.stderr.flush()
    door = _DOOR.format(package=[package], libraries=libraries)
    # Not a word of the command line: that has an end (MAX_ARG_STRLEN, 128 KiB), and `systemctl status` shows it.
    fd = os.memfd_create("kubeplay-service", 0)
    with open(fd, "w", closefd=False) as file:
        file.write(json.dumps(order))
    os.lseek(fd, 0, os.SEEK_SET)
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", door, str(fd)])


def main(order: int) -> NoReturn:
    """Wait for what is in the file of this descriptor, and end with the exit status."""
    import resource
    import signal

    with open(order) as file:
        text = file.read()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # a descriptor for each container; systemd gives 1024 at first
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # systemd stops the service; ExecStopPost= removes the pods
        signal.signal(number, lambda got, frame: os._exit(0))
    pause, told = FIRST_PAUSE, ""
    while True:
        found = _look(text)
        if found.get("ended"):
            notify(f"STOPPING=1\nSTATUS={found['text']}")
            os._exit(found["status"])
        if found.get("text", told) != told:
            told = found["text"]
            notify(f"STATUS={told}")
        if not found.get("watch", True):
            while True:
                signal.pause()
        if _wait(found.get("processes") or [], pause):
            pause = FIRST_PAUSE
        else:
            pause = min(2 * pause, LONGEST_PAUSE)


def _wait(processes: list[list[int]], pause: float) -> bool:
    """Until one of these processes has ended; when one has already, or none is there, for a while. Whether all of them ran."""
    import select
    import time

    poll, opened, running = select.poll(), list[int](), 0
    for pid, start in processes:
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        opened.append(fd)
        if started(pid) == start:  # asked after the descriptor is held: now the number is nobody else's
            poll.register(fd, select.POLLIN)
            running += 1
    try:
        if running < len(processes) or not running:
            time.sleep(pause)
            return False
        poll.poll()
        time.sleep(SETTLE)
        return True
    finally:
        for fd in opened:
            os.close(fd)


def started(pid: int) -> int:
    """When a process began, in clock ticks (proc_pid_stat(5) field 22); 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens without one, and a service must not fail because it cannot be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    import _socket  # the module around it costs a MB

    own = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    own.settimeout(NOTIFY_SECONDS)
    try:
        own.connect("\0" + address[1:] if address.startswith("@") else address)
        own.send(state.encode())
    except OSError as error:
        print(f"Warning: systemd was not told {state.partition(chr(10))[0]}: {error.strerror or error}", file=sys.stderr)
    finally:
        own.close()


def _look(text: str) -> dict[str, Any]:
    """What a child of ours sees in the store; {} when it could not look, which is said in the journal."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            answer = _seen(text)
            with os.fdopen(writing, "w") as file:
                file.write(answer)
            status = 0
        except BaseException as error:  # a child must not go on as its parent
            print(f"Warning: the pods cannot be looked at: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read()
    os.waitpid(pid, 0)
    import json

    found: dict[str, Any] = json.loads(answer) if answer else {}
    return found


def _seen(text: str) -> str:
    import json

    from kubeplay.config import Settings
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import ObjectKey
    from kubeplay.play import ended

    order = json.loads(text)
    engine = Engine.open(Settings(**order["settings"]))
    standing = ended.look(engine, [ObjectKey(*key) for key in order["keys"]])
    answer = {
        "ended": standing.ended, "watch": standing.watch, "processes": [list(one) for one in standing.processes],
        "status": ended.status(standing.codes, order["propagation"]), "text": standing.text,
    }  # fmt: skip
    engine.store.close()
    return json.dumps(answer)
