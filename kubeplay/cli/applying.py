"""play kube --update and kube apply --local: a running stack brought to its files, in podman's words and in kubectl's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import playing
from kubeplay.cli.declare import Option, flag, text
from kubeplay.cli.sourcing import words
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.apply.applyset import ApplySet
    from kubeplay.apply.run import Applied, ApplyOptions, Prepared
    from kubeplay.cli.app import App
    from kubeplay.kube.check import Manifest
    from kubeplay.plan.stack import ObjectKey, Origin
    from kubeplay.reconcile.pulls import Flags

LOCAL: tuple[Option, ...] = (
    flag("--local", help="Apply to this machine: the same as play kube --update."),
    flag("--prune", help="With --local: remove what the files had before and have no more; volumes stay."),
    text("--applyset", help="With --local: the stack's name, as of play kube.", metavar="NAME"),
    flag("--rollback-on-failure", help="With --local: wait until everything is ready, and bring the old state back when it is not."),
    flag("--wait-ready", help="With --local: return when everything is ready; fail when something never will be."),
    flag("--keep-on-failure", help="With --local: keep what was created when something fails."),
)


def update(app: App, files: tuple[str, ...], given: dict[str, Any]) -> int | None:
    """play kube --update."""
    applied, prepared = _carried_out(app, files, given)
    sys.stdout.write(playing.shown(applied.result) + _pruned(applied))
    sys.stdout.flush()
    return playing.stay(app, prepared.stack, applied.result) if given["wait"] else None


def _pruned(applied: Applied) -> str:
    """In the form of `down`."""
    gone = [str(key) for key, word in applied.changes if word == "pruned"]
    return "".join(f"{line}\n" for line in ("Pruned:", *gone, "")) if gone else ""


def local(app: App, files: tuple[str, ...], given: dict[str, Any]) -> int | None:
    """kube apply --local: kubectl's line for each object."""
    if not files and not given.get("kustomize"):
        raise InvalidInput("must specify one of -f FILE, -k DIR or FILE", hint="kubeplay kube apply --local -f app.yaml")
    given = {**_defaults(), **given, "update": True, "wait_ready": given["wait_ready"] or bool(given.get("wait"))}
    if given.get("dry_run") not in (None, "none", False):
        return _dry(app, files, given)
    applied, _ = _carried_out(app, files, given)
    say(app, applied, given)
    return None


def _defaults() -> dict[str, Any]:
    """Every flag of `play kube` as if it were not given."""
    from kubeplay.cli.play import OPTIONS

    return {option.dest: option.default for option in OPTIONS}


def _carried_out(app: App, files: tuple[str, ...], given: dict[str, Any]) -> tuple[Applied, Prepared]:
    from kubeplay.apply import run

    if given["rollback_on_failure"] and given["keep_on_failure"]:
        raise InvalidInput("--rollback-on-failure and --keep-on-failure exclude each other")
    pull = playing.registries(given)
    manifests, options = _read(app, files, given, pull)
    with playing.Reporter(given["quiet"]) as reporter, app.supervised():
        prepared = run.prepare(app.engine, manifests, options)
        playing.build(app, prepared.stack, words(files, given), given, pull, reporter)
        with playing.view(app, prepared.stack, {**given, "wait_ready": options.wait_ready or options.rollback_on_failure}, reporter):
            return run.carry_out(app.engine, prepared, options, reporter), prepared


def _read(app: App, files: tuple[str, ...], given: dict[str, Any], pull: Flags | None) -> tuple[list[Manifest], ApplyOptions]:
    from kubeplay.apply import applyset, run
    from kubeplay.cli import play

    manifests = play.manifests(app, files, given)
    wanted = applyset.named(given["applyset"], app.namespace) if given["applyset"] else None
    return manifests, run.ApplyOptions(
        play.options(app, given), origin(app, words(files, given), wanted), wanted, given["prune"], given["wait_ready"], given["timeout"],
        given["rollback_on_failure"], given["keep_on_failure"], pull,
    )  # fmt: skip


def origin(app: App, files: Sequence[str], wanted: ApplySet | None) -> Origin:
    """The stack: by the name that --applyset gives, else by the files."""
    from kubeplay.play import given as givens

    found = givens.origin(app.namespace, files)
    return found._replace(name=wanted.name) if wanted is not None else found


def say(app: App, applied: Applied, given: dict[str, Any]) -> None:
    """What became of each object, or the objects themselves with -o."""
    form = given.get("output")
    if form in ("json", "yaml", "name"):
        from kubeplay.cli.get import Wish, written

        found = [_fetched(app, key) for key, word in applied.changes if word != "pruned"]
        sys.stdout.write(written(found, Wish(form), 0.0, len(found) == 1))
    elif not given["quiet"]:
        sys.stdout.write("".join(f"{title(key)} {word}\n" for key, word in applied.changes))
    sys.stdout.flush()


def _fetched(app: App, key: ObjectKey) -> Any:
    from kubeplay.cli import things

    one = things.kind(key.kind)
    return one, things.fetched(app, one, f"{key.namespace}/{key.name}" if key.namespace else key.name)


def title(key: ObjectKey) -> str:
    """`deployment.apps/web`."""
    from kubeplay.cli import things

    return things.title(things.kind(key.kind), key.name)


# kubectl's words for a plan's actions
_WORDS = {"create": "created", "update": "configured", "replace": "replaced", "remove": "pruned", "unchanged": "unchanged"}


def _dry(app: App, files: tuple[str, ...], given: dict[str, Any]) -> int:
    """--dry-run: the plan, in apply's words."""
    from kubeplay.apply import prune
    from kubeplay.apply.model import PlanOptions
    from kubeplay.apply.planning import plan

    manifests, options = _read(app, files, given, None)
    id = options.applyset.id if options.applyset is not None else ""
    removed = prune.foreseen(app.engine, options.origin, id, manifests) if options.prune else []
    planned = plan(app.engine, manifests, PlanOptions(options.compile, tuple(removed)))
    mark = " (server dry run)" if given["dry_run"] == "server" else " (dry run)"
    owned = {one.key for one in planned.stack.objects if one.owner is not None}
    for change in planned.changes:
        if change.key not in owned:
            sys.stdout.write(f"{title(change.key)} {_WORDS.get(change.action, change.action)}{mark}\n")
    return 0
