"""delete: objects by kind and name, file or label, with kubectl's flags and words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.cli.declare import ALL_NAMESPACES, argument, choice, command, flag, integer, number, text
from kubeplay.errors import InvalidInput, NotFound, Timeout
from kubeplay.kube.kinds import Kind
from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
NOW = 1  # --now, and --grace-period=0 without --force: kubectl's own
LOOK_SECONDS = 0.1
FORCED = (
    "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated."
    " The containers are killed at once."
)


class Asked(Record):
    """What is to go; the uid tells whether it has gone."""

    key: ObjectKey
    uid: str


@command(
    "delete",
    "Delete objects.\n\n    kubeplay delete pod web\n    kubeplay delete deploy/web svc/web\n    kubeplay delete pods -l app=web --now\n"
    "    kubeplay delete -f app.yaml\n    kubeplay delete deploy web --cascade=orphan\n\nWaits until they are gone. The pods of a workload"
    " end in the background, with their grace; --cascade=foreground waits for them, --cascade=orphan leaves them.",
    argument("KIND", "Kinds and names, or KIND/NAME.", dest="words", many=True, required=False, complete="kind"),
    choosing.FILES, choosing.KUSTOMIZE, choosing.SELECTOR, choosing.ALL, ALL_NAMESPACES, choosing.DRY_RUN,
    text("--field-selector", help="Objects with these fields: status.phase=Failed.", metavar="SELECTOR"),
    choice("--cascade", choices=("background", "foreground", "orphan"), bare="background", default="background",
           help="What becomes of what the objects own."),
    integer("--grace-period", help="Seconds that pods get to end; negative: their own; 0 with --force: none.", default=-1),
    flag("--force", help="With --grace-period=0: kill at once."),
    flag("--now", help="Pods get one second to end."),
    flag("--evict", help="Pods only where their PodDisruptionBudgets allow it."),
    flag("--wait", help="Return when they are gone.", default=True),
    number("--timeout", help="Wait at most this long; 0: as long as it takes.", default=0.0, metavar="DURATION"),
    flag("--ignore-not-found", help="What is not there is no error."),
    text("-o", "--output", help="name: print KIND/NAME only.", metavar="FORM", dest="output"),
    flag("-R", "--recursive", help="Accepted for kubectl's sake: directories are read with what is in them.", hidden=True),
)  # fmt: skip
def delete(app: App, *, words: tuple[str, ...], **given: Any) -> int:
    grace = _grace(given)
    missing: list[NotFound] = []
    if words and any(one.kind == "Event" for one in things.kinds(words[0].partition("/")[0])):
        raise InvalidInput("events cannot be deleted", hint="they go by themselves when there are too many, and with their object")
    found = choosing.chosen(app, words, given, missing=missing.append)
    if not found and not missing:
        print("No resources found", file=sys.stderr)
    if given["force"] and grace == 0:
        print(FORCED, file=sys.stderr)
    asked: list[Asked] = []

    def act(one: Kind, body: Json) -> str:
        key = choosing.key_of(one, body)
        if app.store.objects.find(key) is None and one.kind != "Namespace":
            raise InvalidInput(f"{key} is shown, not stored: it cannot be deleted")
        if given["evict"] and given["dry_run"] == "none":
            _evict(app, key, grace)
        asked.append(Asked(key, body["metadata"].get("uid", "")))
        return _said(one, body, given, grace)

    status = choosing.each(app, found, act)
    if asked and given["dry_run"] == "none":
        with app.supervised():
            if not given["evict"]:
                _begin(app, asked, given, grace)
        if given["wait"]:
            _wait(app, asked, given["timeout"])
    if missing and not given["ignore_not_found"]:
        from kubeplay.cli.failure import report

        status = max(report(error, app.settings.log_level, app.settings.log_format) for error in missing)
    return status


def _grace(given: dict[str, Any]) -> float | None:
    """Seconds instead of the pods' own grace. Raises InvalidInput."""
    seconds: int = given["grace_period"]
    if given["now"] and seconds >= 0:
        raise InvalidInput("--now and --grace-period cannot be specified together")
    if given["force"] and seconds > 0:
        raise InvalidInput("--force and --grace-period greater than 0 cannot be specified together")
    if given["now"]:
        return NOW
    if given["force"]:
        return 0
    return None if seconds < 0 else max(seconds, NOW)


def _said(one: Kind, body: Json, given: dict[str, Any], grace: float | None) -> str:
    name, title = body["metadata"]["name"], f"{one.singular}.{one.group}" if one.group else one.singular
    if given["output"] not in (None, "", "name"):
        raise InvalidInput(f"-o {given['output']!r} is not known", hint="form: name")
    if given["output"] == "name":
        return f"{title}/{name}\n"
    where = f" from {body['metadata'].get('namespace') or 'default'} namespace" if one.namespaced else ""
    done = "evicted" if given.get("evict") else "force deleted" if grace == 0 else "deleted"
    return f'{title} "{name}" {done}{where}{choosing.dry(given)}\n'


def _begin(app: App, asked: Sequence[Asked], given: dict[str, Any], grace: float | None) -> None:
    """Ask for the deletions; what can be waited for here is. Workloads go at once in the background, their pods after them (TE6)."""
    from kubeplay.play import deletion
    from kubeplay.play.down import WORKLOADS

    cascade = given["cascade"]
    wait = given["wait"] and given["timeout"] <= 0
    left = [one.key for one in asked if one.key.kind in WORKLOADS and cascade == deletion.BACKGROUND]
    rest = [one.key for one in asked if one.key not in left]
    if left:
        deletion.delete(app.engine, left, cascade=cascade, grace=grace, wait=False)
    if rest:
        deletion.delete(app.engine, rest, cascade=cascade, grace=grace, wait=wait)


def _evict(app: App, key: ObjectKey, grace: float | None) -> None:
    """A pod, if its budget allows it. Raises InvalidInput for anything else, Conflict when it is refused."""
    from kubeplay.supervisor import evicting

    if key.kind != "Pod":
        raise InvalidInput(f"--evict is for pods: {key}")
    evicting.evict(app.engine, key, grace)


def _wait(app: App, asked: Sequence[Asked], seconds: float) -> None:
    """Until everything is gone; another object of the same name is another one. Raises Timeout."""
    clock = app.engine.clock
    deadline = clock.monotonic() + seconds if seconds > 0 else None
    left = list(asked)
    while left := [one for one in left if (found := app.store.objects.find(one.key)) is not None and found.uid == one.uid]:
        if deadline is not None and clock.monotonic() >= deadline:
            names = ", ".join(f"{one.key.kind.lower()}/{one.key.name}" for one in left)
            raise Timeout(f"timed out waiting for the condition on {names}", hint="they go on ending")
        clock.sleep(LOOK_SECONDS)
