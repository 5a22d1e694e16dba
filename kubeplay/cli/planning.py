"""kube plan: what an apply of files would do, and why."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import play, sourcing
from kubeplay.cli.declare import Option, argument, choice, command, flag, many, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.apply.model import Planned, PlanOptions
    from kubeplay.apply.remembered import Memory
    from kubeplay.cli.app import App
    from kubeplay.kube.check import Manifest
    from kubeplay.plan.stack import ObjectKey
    from kubeplay.play.known import Facts
    from kubeplay.play.sources import Source

# The flags of play that change what files mean: a plan with them says what a play with them would do.
MEANING = sourcing.NOT_COMPILED | frozenset(
    ("annotation", "label", "configmap", "start", "network", "ip", "mac_address", "publish", "publish_all", "no_pod_prefix", "userns",
     "log_driver", "log_opt", "seccomp_profile_root", "validate")
)  # fmt: skip
FILES = argument("FILE", "Files, directories, URLs, or - for standard input.", dest="files", many=True, required=False, complete="file")
FILENAME = many("-f", "--filename", help="The same, as kubectl has it.", metavar="FILE", complete="file")
COLOR = choice("--color", choices=("auto", "always", "never"), default="auto", bare="always",
               help="Colours: on a terminal where NO_COLOR is not set (auto), always, or never.")  # fmt: skip
SAME: tuple[Option, ...] = (
    flag("--prune", help="Say too what the files had before and have no more, which apply --prune removes."),
    text("--applyset", help="With --prune: the stack's name, as of apply.", metavar="NAME"),
    *[option for option in play.OPTIONS if option.dest in MEANING],
)


@command(
    "plan",
    "Show what an apply of files would do: what is created, updated in place, replaced, removed and left, and which field is why.\n\n"
    "    kubeplay kube plan app.yaml\n    kubeplay kube plan app.yaml -o json\n\nNothing is touched. The files are merged with what is"
    " stored as kubectl does it: what a file never said stays as it is, what it said before and says no more goes.",
    FILES,
    FILENAME,
    choice("-o", "--output", choices=("text", "json"), default="text", help="For people, or for tools."),
    COLOR,
    *SAME,
)
def plan(app: App, *, files: tuple[str, ...], filename: tuple[str, ...], output: str, color: str, **given: Any) -> None:
    from kubeplay.cli import dryrun, planshow

    found = planned(app, (*files, *filename), given)
    dryrun.lacking(app, found.stack)
    if output == "json":
        sys.stdout.write(planshow.as_json(found))
    else:
        sys.stdout.write(planshow.as_text(found, colored(color)))


def planned(app: App, files: tuple[str, ...], given: dict[str, Any]) -> Planned:
    """The plan of the files; where nothing is stored yet everything is new, and nothing is made for it."""
    from kubeplay.apply import planning
    from kubeplay.apply.model import PlanOptions

    if not files and not given["kustomize"]:
        raise InvalidInput("no files are given", hint="name files or directories, - for standard input, or -k DIR")
    texts, options = sourcing.texts(files, given), PlanOptions(play.options(app, given))
    if app.has_store and not given["prune"]:
        found = _remembered(app, texts, given, options)
        if found is not None:
            return found
    manifests = play.checked(app, texts, given)
    if not app.has_store:
        return planning.fresh(manifests, options)
    removed = _removed(app, sourcing.words(files, given), manifests, given["applyset"]) if given["prune"] else ()
    return planning.plan(app.engine, manifests, options._replace(removed=removed))


def _remembered(app: App, texts: Sequence[Source], given: dict[str, Any], options: PlanOptions) -> Planned | None:
    """The plan of a large stack, of which only what may differ is read; None where all of it has to be."""
    from kubeplay.apply import remembered
    from kubeplay.play.known import known
    from kubeplay.play.read import check_all
    from kubeplay.play.sources import load

    if sum(data.count(b"\n---") for _, data in texts) + len(texts) < remembered.FEWEST:
        return None
    maps, facts = load(given["configmap"], None), play.known(app, texts)

    def read(some: Sequence[Source]) -> list[Manifest]:
        return check_all(some, given["validate"], app.namespace, maps, known(facts))

    return remembered.plan(app.engine, texts, read, options, _memory(app, maps, facts, given))


def _memory(app: App, maps: Sequence[Source], facts: Facts, given: dict[str, Any]) -> Memory:
    import os

    from kubeplay.apply.remembered import Memory
    from kubeplay.play import cache

    flags = sorted((key, value) for key, value in given.items() if key in MEANING)
    node = os.uname().nodename
    return Memory(play.plans(app), cache.key(maps, "plan", flags, app.namespace, facts, app.settings.seccomp_default, node))


def remember(app: App, texts: Sequence[Source], manifests: Sequence[Manifest], given: dict[str, Any]) -> None:
    """After a play: its first plan need not read everything either."""
    from kubeplay.apply import remembered
    from kubeplay.play.sources import load

    remembered.keep(app.engine, texts, manifests, _memory(app, load(given["configmap"], None), play.known(app, texts), given))


def _removed(app: App, files: tuple[str, ...], manifests: list[Manifest], applyset: str | None) -> tuple[ObjectKey, ...]:
    from kubeplay.apply import applyset as sets
    from kubeplay.apply import prune
    from kubeplay.cli.applying import origin

    wanted = sets.named(applyset, app.namespace) if applyset else None
    return tuple(prune.foreseen(app.engine, origin(app, files, wanted), wanted.id if wanted is not None else "", manifests))


def colored(wish: str) -> bool:
    """Whether to write colours; no-color.org: any NO_COLOR that is not empty asks for none."""
    import os

    if wish != "auto":
        return wish == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
