"""rollout status, history, undo, restart, pause, resume: changes of pod templates on their way, with kubectl's words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.cli.declare import Command, argument, command, flag, integer, number
from kubeplay.errors import InvalidInput, KubeplayError, NotFound, Timeout
from kubeplay.kube.kinds import Kind

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import ObjectKey

Json = dict[str, Any]
LOOK_SECONDS = 0.1
_WORDS = argument("KIND", "KIND NAME... or KIND/NAME...: Deployments, StatefulSets, DaemonSets.", dest="words", many=True, required=False,
                  complete="kind")  # fmt: skip
_CHOICE = (choosing.FILES, choosing.KUSTOMIZE, choosing.SELECTOR)


def _chosen(app: App, words: Sequence[str], given: dict[str, Any]) -> list[choosing.Chosen]:
    """What is meant; a kind alone means every object of it. Raises InvalidInput, NotFound."""
    if not words and not given["files"] and not given["kustomize"]:
        raise InvalidInput("required resource not specified", hint="kubeplay rollout status deployment/web")
    alone = len(words) == 1 and "/" not in words[0] and things.is_kind(words[0].partition(",")[0])
    return choosing.chosen(app, words, {**given, "every": alone and not given["selector"]})


def _verb(name: str, help: str, act: str, done: str) -> Command:
    @command(name, help, _WORDS, _CHOICE)
    def body(app: App, *, words: tuple[str, ...], **given: Any) -> int:
        from kubeplay.play import rollout

        verb: Callable[[Engine, ObjectKey], object] = getattr(rollout, act)

        def one_by_one(one: Kind, found: Json) -> str:
            verb(app.engine, choosing.key_of(one, found))
            return f"{things.title(one, found['metadata']['name'])} {done}\n"

        return choosing.each(app, _chosen(app, words, given), one_by_one)

    return body


restart = _verb(
    "restart", "Replace the pods of workloads by new ones of the same template, step by step.\n\n    kubeplay rollout restart deploy/web",
    "restart", "restarted",
)  # fmt: skip
pause = _verb("pause", "Collect changes of a Deployment's template without rolling them out.", "pause", "paused")
resume = _verb("resume", "Roll out what was collected while a Deployment was paused.", "resume", "resumed")


@command(
    "undo",
    "Take workloads back to an older template.\n\n    kubeplay rollout undo deploy/web\n"
    "    kubeplay rollout undo deploy/web --to-revision=3",
    _WORDS,
    _CHOICE,
    integer("--to-revision", help="The revision; 0: the one before the present one.", default=0),
    choosing.DRY_RUN,
)
def undo(app: App, *, words: tuple[str, ...], to_revision: int, **given: Any) -> int:
    from kubeplay.play import rollout

    def act(one: Kind, body: Json) -> str:
        key, title = choosing.key_of(one, body), things.title(one, body["metadata"]["name"])
        if given["dry_run"] != "none":
            wanted = rollout.chosen(app.engine, key, to_revision)
            return f"{title} rolled back to revision {wanted.number}{choosing.dry(given)}\n"
        return f"{title} {rollout.undo(app.engine, key, to_revision)}\n"

    return choosing.each(app, _chosen(app, words, given), act)


@command(
    "history",
    "Show the templates that workloads have had.\n\n    kubeplay rollout history deploy/web\n    kubeplay rollout history deploy/web"
    " --revision=2\n\nCHANGE-CAUSE is the annotation kubernetes.io/change-cause that the workload had at that time.",
    _WORDS,
    _CHOICE,
    integer("--revision", help="Show this template in full.", default=0),
)
def history(app: App, *, words: tuple[str, ...], revision: int, **given: Any) -> int:
    from kubeplay.cli.get import NARROWEST
    from kubeplay.cli.table import render
    from kubeplay.play import rollout

    def act(one: Kind, body: Json) -> str:
        title = things.title(one, body["metadata"]["name"])
        known = rollout.history(app.engine, choosing.key_of(one, body))
        if revision:
            wanted = next((each for each in known if each.number == revision), None)
            if wanted is None:
                raise NotFound(f"unable to find the specified revision {revision}", hint=f"there are {[each.number for each in known]}")
            return f"{title} with revision #{revision}\n{_template(wanted.template)}"
        rows = [[str(each.number), each.cause or "<none>"] for each in known]
        return f"{title} \n{render(['REVISION', 'CHANGE-CAUSE'], rows, 2, NARROWEST)}\n"

    return choosing.each(app, _chosen(app, words, given), act)


def _template(found: Json) -> str:
    from kubeplay.kube.describe import text, workloads

    page = text.Page()
    workloads.template(page, found)
    return page.text()


@command(
    "status",
    "Wait until a rollout has ended, and say how far it is.\n\n    kubeplay rollout status deploy/web --timeout=60s\n\n"
    "Fails when its progress deadline has passed, or --timeout.",
    _WORDS,
    _CHOICE,
    flag("-w", "--watch", help="Stay until it has ended.", default=True),
    number("--timeout", help="Wait at most this long; 0: as long as it takes.", default=0.0, metavar="DURATION"),
    integer("--revision", help="Only the rollout of this revision.", default=0),
)
def status(app: App, *, words: tuple[str, ...], watch: bool, timeout: float, revision: int, **given: Any) -> int:
    from kubeplay.cli.failure import report
    from kubeplay.supervisor import ensure

    deadline = app.engine.clock.monotonic() + timeout if timeout > 0 else None
    worst = 0
    ensure(app.engine)
    for one, body in _chosen(app, words, given):
        try:
            _follow(app, choosing.key_of(one, body), revision, watch, deadline)
        except KubeplayError as error:
            worst = report(error, app.settings.log_level, app.settings.log_format)
    return worst


def _follow(app: App, key: ObjectKey, revision: int, watch: bool, deadline: float | None) -> None:
    """Print each state of the rollout once, until it has ended. Raises Timeout when it never will, or not in time."""
    from kubeplay.play import rollout

    last = ""
    while True:
        verdict = rollout.status(app.engine, key, revision)
        if verdict.failed:
            raise Timeout(verdict.failed)
        if verdict.text != last:
            last = verdict.text
            sys.stdout.write(last.rstrip("\n") + "\n")
            sys.stdout.flush()
        if verdict.done or not watch:
            return
        if deadline is not None and app.engine.clock.monotonic() >= deadline:
            raise Timeout("timed out waiting for the condition")
        app.engine.clock.sleep(LOOK_SECONDS)
