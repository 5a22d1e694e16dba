"""exec and cp: into and out of running containers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, command, flag, many, text
from kubeplay.engine.store import runtime
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import InvalidInput, NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App

CONTAINER = text("-c", "--container", help="Container of the pod that is named.", metavar="NAME", complete="container")


def running(app: App, name: str, container: str | None) -> ContainerRow:
    """The running container that is meant. Raises NotFound, Ambiguous, NotRunning."""
    if "/" in name and not resolve.find_pods(app, name):
        from kubeplay.cli import workloads

        if workloads.is_workload(name):
            pod = workloads.one_pod(app, name)
            name = f"{pod.namespace}/{pod.name}"
    found = resolve.container(app, name, container)
    row = found.container
    if row is not None and row.state in (runtime.RUNNING, runtime.CREATED):
        app.engine.refresh()
        row = app.store.runtime.container(row.id)
    if row is None or row.state != runtime.RUNNING:
        state = row.state if row else "not created yet"
        raise NotRunning(
            f"container {found.pod.name}/{found.name} is not running: it is {state}", hint=f"kubeplay logs {found.pod.name} -c {found.name}"
        )
    return row


@command(
    "exec",
    "Run a command in a running container.\n\nIts exit status becomes ours; 125: we failed, 126: it cannot be run, 127: it is not there.",
    argument("NAME", "Container, pod (with -c), or KIND/NAME of a workload.", complete="container"),
    argument("COMMAND", "The command and its arguments.", dest="words", rest=True),
    flag("-i", "--interactive", "--stdin", help="Pass standard input on.", dest="interactive"),
    flag("-t", "--tty", help="Give the command a terminal."),
    flag("-d", "--detach", help="Do not wait for the command."),
    many("-e", "--env", help="Set a variable; NAME alone passes ours on.", metavar="NAME[=VALUE]"),
    many("--env-file", help="Set the variables of a file.", metavar="FILE", complete="file"),
    text("-u", "--user", help="Run as this user, by name or number, USER[:GROUP].", metavar="USER"),
    text("-w", "--workdir", help="Run in this directory.", metavar="DIR"),
    flag("--privileged", help="With every capability."),
    CONTAINER,
)
def exec_(
    app: App,
    *,
    name: str,
    words: tuple[str, ...],
    interactive: bool,
    tty: bool,
    detach: bool,
    env: tuple[str, ...],
    env_file: tuple[str, ...],
    user: str | None,
    workdir: str | None,
    privileged: bool,
    container: str | None,
) -> int:
    from kubeplay.engine import exec as execs

    if tty and interactive and not sys.stdin.isatty():
        print("Warning: standard input is not a terminal", file=sys.stderr)
    row = running(app, name, container)
    pairs = variables(env, env_file)
    return execs.run(
        app.engine,
        row,
        words,
        tty=tty,
        stdin=interactive,
        env=pairs,
        user=user or "",
        workdir=workdir or "",
        detach=detach,
        privileged=privileged,
    )


def variables(given: tuple[str, ...], files: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """NAME=VALUE pairs of -e and --env-file; a bare NAME takes our own value, or is left out."""
    lines = [line.strip() for path in files for line in _lines(path)]
    entries = [line for line in lines if line and not line.startswith("#")] + list(given)
    found = []
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not name or "\0" in entry:
            raise InvalidInput(f"--env {entry!r} is not NAME=VALUE")
        if equals or name in os.environ:
            found.append((name, value if equals else os.environ[name]))
    return tuple(found)


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read().splitlines()


@command(
    "cp",
    "Copy files between a container and this machine, or between two containers.\n\n"
    "A path is CONTAINER:PATH, or PATH of this machine; - is a tar archive on standard input or output. What comes out of a container\n"
    "belongs to whoever runs the command.",
    argument("SOURCE", "From where."),
    argument("TARGET", "To where."),
    CONTAINER,
    flag("-a", "--archive", help="Give what is copied into a container to its user; false keeps the owners (numeric).", default=True),
    flag("--overwrite", help="Let a file replace a directory, and a directory a file."),
)
def cp(app: App, *, source: str, target: str, container: str | None, archive: bool, overwrite: bool) -> None:
    from kubeplay.cli.commit import made
    from kubeplay.engine import copy, views

    (from_name, from_path), (to_name, to_path) = side(source), side(target)
    if not from_name and not to_name:
        raise InvalidInput("one of the two must be CONTAINER:PATH", hint="kubeplay cp web-app:/etc/hostname .")
    if not to_name:
        own = copy.How((os.geteuid(), os.getegid()), overwrite)
        copy.out(app.engine, made(app, from_name, container)[0], from_path, to_path, own)
        return
    there, _ = made(app, to_name, container if not from_name else None)
    how = copy.How(views.container_owner(app.engine, there) if archive else None, overwrite)
    if from_name:
        copy.between(app.engine, made(app, from_name, container)[0], from_path, there, to_path, how)
    else:
        copy.into(app.engine, there, from_path, to_path, how)


def side(text_: str) -> tuple[str, str]:
    """(container, path); a path that begins with / or . is one of this machine, whatever it holds."""
    name, colon, path = text_.partition(":")
    if text_.startswith(("/", ".", "-")) or not colon or not name:
        return "", text_
    return name, path
