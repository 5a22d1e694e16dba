"""`python -m kubeplay.supervisor NAME=VALUE... [shell=PID]`: settings by name, as start.py writes them, and the shell that respawns it."""

from __future__ import annotations

import sys


def main(words: list[str]) -> int:
    from kubeplay.config import BOOLEAN, Settings, settings
    from kubeplay.supervisor.loop import run

    given: dict[str, str | bool] = {}
    shell = 0
    for word in words:
        name, _, value = word.partition("=")
        if name in Settings._fields:
            given[name] = value == "True" if name in BOOLEAN else value
        elif name == "shell":
            shell = int(value)
    return run(settings({}, **given), shell)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
