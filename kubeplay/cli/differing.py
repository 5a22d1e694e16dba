"""kube diff: what is stored against the files, with kubectl's exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import planning
from kubeplay.cli.declare import command, flag

if TYPE_CHECKING:
    from kubeplay.apply.unified import Pair
    from kubeplay.cli.app import App

SAME, DIFFERENT, FAILED = 0, 1, 2  # kubectl diff, as diff(1)
EXTERNAL = "KUBECTL_EXTERNAL_DIFF"


@command(
    "diff",
    "Show what is stored against files, as a unified diff of YAML without defaults.\n\n    kubeplay kube diff app.yaml\n"
    "    kubeplay kube diff -f app.yaml\n\nExit status 0: the same, 1: different, 2: an error, as kubectl diff. Values of Secrets are"
    " not shown. A program in KUBECTL_EXTERNAL_DIFF is run with two directories instead.",
    planning.FILES,
    planning.FILENAME,
    flag("--show-secrets", help="Show the values of Secrets."),
    planning.COLOR,
    *planning.SAME,
)
def diff(app: App, *, files: tuple[str, ...], filename: tuple[str, ...], show_secrets: bool, color: str, **given: Any) -> int:
    from kubeplay.cli.failure import report
    from kubeplay.errors import KubeplayError

    try:
        return _diff(app, (*files, *filename), show_secrets, color, given)
    except KubeplayError as error:
        report(error, app.settings.log_level, app.settings.log_format)
        return FAILED


def _diff(app: App, files: tuple[str, ...], secrets: bool, color: str, given: dict[str, Any]) -> int:
    import os

    from kubeplay.apply import unified
    from kubeplay.apply.model import LEAVE

    found = planning.planned(app, files, given)
    changed = [one for one in found.changes if one.action != LEAVE]
    pairs = [unified.pair(one, secrets) for one in changed]
    if os.environ.get(EXTERNAL):
        return _external(os.environ[EXTERNAL], pairs)
    for one, both in zip(changed, pairs, strict=True):
        text = unified.text(both)
        sys.stdout.write(_painted(text) if planning.colored(color) else text)
        if not text:  # it is written the same, but runs otherwise: another image under its name, a flag of the play
            sys.stdout.write("".join(f"# {both.name}: {line}\n" for line in one.why))
    return DIFFERENT if changed else SAME


def _painted(text: str) -> str:
    """As git and `diff --color` have it."""
    made = []
    for line in text.splitlines():
        paint = "1" if line.startswith(("diff ", "---", "+++")) else "36" if line.startswith("@@") else ""
        paint = paint or {"+": "32", "-": "31"}.get(line[:1], "")
        made.append(f"\x1b[{paint}m{line}\x1b[0m\n" if paint else f"{line}\n")
    return "".join(made)


def _external(program: str, pairs: Sequence[Pair]) -> int:
    """Run the user's own program over two directories. Its status is ours; more than 1 is an error. Raises MissingPrerequisite."""
    import shlex
    import subprocess
    import tempfile

    from kubeplay.errors import MissingPrerequisite

    with tempfile.TemporaryDirectory(prefix="LIVE-") as live, tempfile.TemporaryDirectory(prefix="MERGED-") as merged:
        for one in pairs:
            _write(live, one.name, one.live)
            _write(merged, one.name, one.merged)
        sys.stdout.flush()
        try:
            done = subprocess.run([*shlex.split(program), live, merged], check=False)
        except (OSError, ValueError) as error:
            raise MissingPrerequisite(f"{EXTERNAL}: {program}: {error}") from None
    return done.returncode if done.returncode in (SAME, DIFFERENT) else FAILED


def _write(directory: str, name: str, text: str) -> None:
    import os

    if text:
        with open(os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
