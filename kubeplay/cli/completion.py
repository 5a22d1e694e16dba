"""`kubeplay completion SHELL`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli.declare import OUTSIDE, argument, command
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App

HELP = """Print the completion script of a shell: bash, zsh or fish.

\b
bash: kubeplay completion bash > /etc/bash_completion.d/kubeplay
zsh:  kubeplay completion zsh > "${fpath[1]}/_kubeplay"
fish: kubeplay completion fish > ~/.config/fish/completions/kubeplay.fish"""


@command("completion", HELP, argument("SHELL", "bash, zsh or fish."), where=OUTSIDE)
def completion(app: App, *, shell: str) -> None:
    from click.shell_completion import get_completion_class

    from kubeplay.cli.clicks import build
    from kubeplay.cli.entry import call

    script = get_completion_class(shell)
    if script is None:
        raise InvalidInput(f"there is no completion for {shell!r}", hint="shells: bash, zsh, fish")
    sys.stdout.write(script(build(call), {}, "kubeplay", "_KUBEPLAY_COMPLETE").source() + "\n")
