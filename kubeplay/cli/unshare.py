"""kubeplay unshare: a program in the user's own namespaces, as podman unshare has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.cli.declare import argument, command
from kubeplay.errors import InvalidInput, NotInvoked

if TYPE_CHECKING:
    from kubeplay.cli.app import App


@command(
    "unshare",
    "Run a program in the namespaces of your containers: there you are root over your own and your subordinate ids.\n\n"
    "Without a program your shell is started. For ordinary users; root is what it is already.",
    argument("COMMAND", "The program and its arguments.", dest="words", rest=True, required=False),
)
def unshare(app: App, *, words: tuple[str, ...]) -> int:
    from kubeplay.cli import entry
    from kubeplay.engine.rootless import who

    if not who.rootless():
        raise InvalidInput("unshare is for ordinary users: as root there are no namespaces to enter")
    os.umask(entry.umask)
    argv = list(words) or [os.environ.get("SHELL") or "/bin/sh"]
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise NotInvoked(f"{argv[0]}: {error.strerror}", 127 if isinstance(error, FileNotFoundError) else 126) from error
