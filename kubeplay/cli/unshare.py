"""kubeplay unshare: a program in the user's own namespaces, as podman unshare has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.cli.declare import argument, command, flag
from kubeplay.errors import InvalidInput, NotInvoked, NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App


@command(
    "unshare",
    "Run a program in the namespaces of your containers: there you are root over your own and your subordinate ids.\n\n"
    "Without a program your shell is started. For ordinary users; root is what it is already.",
    flag("--rootless-netns", help="Also in the network namespace that your pods' networks are in: there pods have their addresses."),
    argument("COMMAND", "The program and its arguments.", dest="words", rest=True, required=False),
)
def unshare(app: App, *, rootless_netns: bool, words: tuple[str, ...]) -> int:
    from kubeplay.cli import entry
    from kubeplay.engine.rootless import who

    if not who.rootless():
        raise InvalidInput("unshare is for ordinary users: as root there are no namespaces to enter")
    os.umask(entry.umask)
    argv = list(words) or [os.environ.get("SHELL") or "/bin/sh"]
    if rootless_netns:
        _enter_network(app.engine.net.netns)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise NotInvoked(f"{argv[0]}: {error.strerror}", 127 if isinstance(error, FileNotFoundError) else 126) from error


def _enter_network(path: str) -> None:
    from kubeplay.engine.host import syscalls

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
    except OSError as error:  # EINVAL: the file is there, what was mounted on it is not
        raise NotRunning("there is no network of your pods now", hint="it comes with the first pod that is not on the host's") from error
