"""The systemd unit that follows a source: pure text.

Unlike the units of pods (generate/systemd.py) it has a main process, which systemd watches and starts again. Containers belong to their
monitors: they go on when the unit is stopped, and `KillMode=process` leaves them alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.generate.systemd import quoted, text
from kubeplay.sync.model import DIRECTORY, Spec

RESTART_SECONDS = 10  # between two starts of a process that ends with an error, which none should


def unit(program: Sequence[str], root: str, runroot: str, spec: Spec, words: Sequence[str], user: bool) -> str:
    """The unit's text; `words` are the command line after the program's global options. Raises InvalidInput."""
    command = " ".join(map(quoted, [*program, "--root", root, "--runroot", runroot, *words]))
    network = [] if user or spec.kind == DIRECTORY else ["Wants=network-online.target", "After=network-online.target"]
    places = [root, *([spec.source] if spec.kind == DIRECTORY else [])]
    lines = [
        "# Written by kubeplay sync --systemd.",
        "[Unit]", f"Description={text(f'kubeplay: {spec.shown} followed as {spec.name}')}",
        "Documentation=man:systemd.service(5)", *network,
        f"RequiresMountsFor={' '.join(quoted(place, '$') for place in places)}",
        "", "[Service]", "Type=exec", f"ExecStart={command}", "Restart=on-failure", f"RestartSec={RESTART_SECONDS}", "Delegate=yes",
        "KillMode=process", "",
        "[Install]", f"WantedBy={'default.target' if user else 'multi-user.target'}", "",
    ]  # fmt: skip
    return "\n".join(lines)
