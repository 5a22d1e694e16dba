"""One run: play, let the monkey loose, play once more, wait until all is as it should be; then everything goes, without a trace."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import stack, verdict
from tests.chaos.monkey import Monkey
from tests.support.images import write_all
from tests.support.kubeplay import playing

LIMIT = 170.0  # seconds of a whole run, for `make chaos`; what is not as it should be by then is a fault


def run(
    directory: Path, archives: dict[str, Path], pods: int, seconds: float, seed: int, say: Callable[[str], None], limit: float = 400.0
) -> list[str]:
    """What is wrong in the end; nothing, it is to be hoped."""
    names, notes = stack.pods(pods), directory / "notes"
    deadline = time.monotonic() + limit
    with playing(directory, archives) as machine:
        monkey = Monkey(machine, names, notes, seed)
        machine.play(monkey.text())
        say(f"{pods} pods run; seed {seed}")
        monkey.run(seconds)
        say(f"done to them: {dict(sorted(monkey.counts.items()))}; containers killed: {sum(monkey.kills.values())}")
        monkey.version += 1
        machine.play(monkey.text(), "--update", status=None)
        machine("start", *names, status=None)
        began = time.monotonic()
        while (found := verdict.faults(machine, names, notes, monkey.version)) and time.monotonic() < deadline:
            if verdict.doubles(notes):
                break
            time.sleep(0.5)
        say(f"settled after {time.monotonic() - began:.1f} s" if not found else "\n".join(found))
        machine.down(monkey.text(), "--force")
        left = machine("pod", "ps", "--noheading").out
        return found + ([f"left: {left}"] if left else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=75, help="how long things are killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubeplay-chaos-") as work:
        archives = {"busybox": write_all(Path(work))["busybox"]}
        found = run(Path(work) / "m", archives, options.pods, options.seconds, options.seed, lambda text: print(text, flush=True), LIMIT)
    print("chaos: ok" if not found else f"chaos: {len(found)} faults with --seed {options.seed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
