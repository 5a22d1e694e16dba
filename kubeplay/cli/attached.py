"""A container in the foreground: our terminal is its terminal, its exit status ours."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kubeplay.errors import EXIT_CANNOT_INVOKE, EXIT_NOT_FOUND, InvalidInput, KubeplayError, NotFound, NotInvoked, PodError

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.store.runtime import ContainerRow, PodRow
    from kubeplay.play.up import PodResult

_PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
_ABSENT = ("executable file not found", "no such file or directory")
_REFUSED = ("permission denied", "exec format error", "is a directory")


def run(app: App, joins: PodRow | None, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """`run` without -d: make it, join it, start it, and stay until it ends or the keys are typed."""
    from kubeplay.cli import joining
    from kubeplay.cli import run as runs
    from kubeplay.engine import attach
    from kubeplay.reconcile import autoremove

    keys = attach.keys(given["detach_keys"]) if given["tty"] and given["interactive"] else ()
    if given["tty"] and given["interactive"] and not sys.stdin.isatty():
        print("Warning: standard input is not a terminal", file=sys.stderr)
    with told_as_podman():
        row = joining.made(app, joins, words, given, start=True) if joins else _alone(app, runs.made(app, words, given, start=False))
    runs.note(given, row.id)
    start = (lambda: joining.start(app, row)) if joins else (lambda: _start(app, row.pod_uid))
    with autoremove.waited_for(app.engine, row.pod_uid):
        status = join(app, row, given["interactive"], given["tty"], keys, given["sig_proxy"], start)
        if status is None:
            return 0
        if given["rm"] and joins:
            joining.remove(app, row.pod_uid, row.name, 0)
        elif given["rm"]:
            remove(app, row.pod_uid)
    if not given["rm"]:
        settle(app, row.pod_uid)
    return status


def start(app: App, name: str, stdin: bool, keys: str, proxy: bool) -> int:
    """`start -a`: join a container, and start it if it does not run. Its exit status."""
    from kubeplay.cli import resolve
    from kubeplay.engine import attach
    from kubeplay.engine.store.runtime import RUNNING
    from kubeplay.play import lifecycle, reshape

    found = resolve.container(app, name)
    plan = next(one for one in resolve.plan(found.pod).containers if one.name == found.name)
    app.engine.refresh()
    row, begin = found.container, None
    if row is not None:
        row = app.store.runtime.container(row.id)
    if row is None or row.state != RUNNING:
        if len(resolve.plan(found.pod).containers) > 1:
            raise InvalidInput(f"{name} is one of several containers of a pod: start it first, then attach to it")
        reshape.init(app.engine, found.pod.uid)
        row = resolve.newest(app.store.runtime.containers(found.pod.uid))[found.pod.uid, found.name]
        begin = lambda: _outcome(lifecycle.start_pods(app.engine, [found.pod.uid]))  # noqa: E731
    status = join(app, row, stdin and plan.stdin, plan.tty, attach.keys(keys) if plan.tty and stdin else (), proxy, begin)
    settle(app, found.pod.uid)
    return 0 if status is None else status


def _outcome(_: object) -> None:
    """join wants a call that returns nothing."""


def settle(app: App, uid: str) -> None:
    """Whoever looks after the command sees that the container has ended, and its pod."""
    from kubeplay.reconcile import services
    from kubeplay.reconcile.pod import reconcile

    if reconcile(app.engine, uid).routes:
        services.refresh(app.engine)


def brief(app: App, words: tuple[str, ...], given: dict[str, Any]) -> str:
    """`run -d --rm`: its id. Nobody takes it away before it has been seen to start; what has ended by then goes at once."""
    from kubeplay.cli.run import made
    from kubeplay.reconcile import autoremove

    pod = made(app, words, given, start=False)
    with autoremove.waited_for(app.engine, pod.uid):
        _start(app, pod.uid)
    settle(app, pod.uid)
    return pod.containers[0][1]


def _alone(app: App, pod: PodResult) -> ContainerRow:
    row = app.store.runtime.container(pod.containers[0][1])
    assert row is not None
    return row


def _start(app: App, uid: str) -> None:
    """Start the pod; one that cannot be started does not stay (nothing of it has run)."""
    from kubeplay.play import lifecycle

    try:
        lifecycle.start_pods(app.engine, [uid])
    except KubeplayError:
        remove(app, uid)
        raise


def remove(app: App, uid: str) -> None:
    from kubeplay.play import lifecycle

    try:
        lifecycle.remove_pods(app.engine, [uid], force=True, timeout=0)
    except NotFound:
        pass  # somebody was quicker


@contextmanager
def told_as_podman() -> Iterator[None]:
    """A program that is not there is exit status 127, one that cannot be run 126 (podman-run(1), "Exit status")."""
    try:
        yield
    except PodError as error:
        text = error.message.lower()
        if error.reason in ("RunContainerError", "StartError") and any(word in text for word in (*_ABSENT, *_REFUSED)):
            code = EXIT_NOT_FOUND if any(word in text for word in _ABSENT) else EXIT_CANNOT_INVOKE
            raise NotInvoked(error.message, code) from error
        raise


def join(
    app: App, row: ContainerRow, stdin: bool, tty: bool, keys: tuple[int, ...], proxy: bool, start: Callable[[], None] | None = None
) -> int | None:
    """Join a container, `start` it if asked to, and stay: its exit status, None when the keys were typed."""
    from kubeplay import supervisor
    from kubeplay.engine import attach

    with attach.Attachment(app.engine, row) as attachment:
        if start is not None:
            with told_as_podman():
                start()
            supervisor.ensure(app.engine)  # what is due while we stay here: probes, a deadline
        with _signals(app, row) if proxy and not tty else _nothing(), attach.raw_terminal(attachment) if tty and stdin else _nothing():
            if tty and not stdin:
                _sized(attachment)
            ended = attachment.pump(stdin, keys)
    return exit_status(app, row.id) if ended else None


def _sized(attachment: Any) -> None:
    """A terminal that only shows has our size too."""
    import os

    try:
        size = os.get_terminal_size(1)
    except OSError:
        return
    attachment.resize(size.columns, size.lines)


def exit_status(app: App, container_id: str) -> int:
    """Wait until the end of a container is known."""
    from kubeplay.engine.store.runtime import EXITED, UNKNOWN

    pause = 0.002
    while True:
        app.engine.refresh()
        row = app.store.runtime.container(container_id)
        if row is None:
            return 128 + signal.SIGKILL  # somebody removed it: that is how it ended
        if row.state in (EXITED, UNKNOWN):
            return row.exit_code or 0
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@contextmanager
def _signals(app: App, row: ContainerRow) -> Iterator[None]:
    """Signals that come to us go to the container's first process."""

    def pass_on(number: int, _: object) -> None:
        now = app.store.runtime.container(row.id)
        if now is not None:
            app.engine.signal_container(now, number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
