"""`python -m tests.support.run_play DIRECTORY play|down|hold FILE [option=value ...]`: a play in a process of its own, to be killed."""

from __future__ import annotations

import sys

from kubeplay import supervisor
from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.engine.host import faults
from kubeplay.errors import KubeplayError, exit_code
from kubeplay.kube import check
from kubeplay.kube.identity import identify
from kubeplay.play import stack as stacks
from kubeplay.play.down import down
from kubeplay.play.up import UpOptions, up


def main(directory: str, what: str, file: str, *words: str) -> int:
    engine = Engine(Settings(root=f"{directory}/root", runroot=f"{directory}/run"))
    with open(file, "rb") as source:
        text = source.read()
    options = {name: value == "yes" for name, _, value in (word.partition("=") for word in words)}
    try:
        if what == "down":
            down(engine, stacks.keys(identify([(file, text)]).found), **options)
        else:
            supervisor.install(engine)
            print(up(engine, stacks.build(check.read(text, file)), UpOptions(**options), lambda e: print(*e, flush=True)).unchanged)
    except KubeplayError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    finally:
        supervisor.ensure(engine)
        if faults.seen:
            print("points", *faults.seen, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
