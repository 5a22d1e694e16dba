"""kube history and kube rollback: the revisions of applied stacks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import argument, choice, command, flag, integer, number
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.apply.run import ApplyOptions
    from kubeplay.cli.app import App
    from kubeplay.engine.store.applied import Applied, RevisionRow, StackRow

Json = dict[str, Any]
_STACK = argument("NAME", "The stack: the name of --applyset, or of its first file or directory.", required=False)
_HEADER = ["REVISION", "APPLIED", "STATUS", "CHANGES", "CHANGE-CAUSE"]
_NONE = "<none>"  # kubectl's word


@command(
    "history",
    "Show what was applied: the revisions of stacks.\n\n    kubeplay kube history\n    kubeplay kube history app --revision=2\n\n"
    "A stack is what one play or apply brings: called by --applyset, else after its first file or directory. The newest ten revisions"
    " are kept, as long as anything of the stack is there.",
    _STACK,
    integer("--revision", help="Show the objects of this revision.", default=0),
    flag("--show-secrets", help="With --revision: the values of Secrets, too, in base64."),
    choice("-o", "--output", choices=("table", "json", "yaml"), help="Form of the listing, or of the objects of --revision."),
)
def history(app: App, *, name: str | None, revision: int, show_secrets: bool, output: str | None) -> None:
    from kubeplay.apply import history as histories
    from kubeplay.engine.store.applied import Applied

    applied = Applied(app.store)
    if revision:
        stack = histories.find(app.store, app.namespace, name or "")
        row = histories.chosen(applied, stack, revision)
        bodies = [json.loads(one) for one in applied.objects(stack.id, row.number)]
        sys.stdout.write(_objects(bodies, show_secrets, output))
        return
    if show_secrets:
        raise InvalidInput("--show-secrets is for --revision")
    stacks = [histories.find(app.store, app.namespace, name)] if name else applied.stacks()
    sys.stdout.write(_listing(applied, stacks, output))


def _objects(bodies: list[Json], secrets: bool, output: str | None) -> str:
    from kubeplay.cli.objects import redacted
    from kubeplay.kube import write

    shown = bodies if secrets else [redacted(one) for one in bodies]
    if output == "json":
        whole = shown[0] if len(shown) == 1 else {"apiVersion": "v1", "kind": "List", "items": shown}
        return json.dumps(whole, indent=4, ensure_ascii=False) + "\n"
    return write.documents(shown)


def _listing(applied: Applied, stacks: list[StackRow], output: str | None) -> str:
    if output in ("json", "yaml"):
        from kubeplay.kube import write

        records = [_record(one, applied.revisions(one.id)) for one in stacks]
        return json.dumps(records, indent=4, ensure_ascii=False) + "\n" if output == "json" else write.document({"stacks": records})
    if not stacks:
        return "No stacks were applied.\n"
    return "\n".join(_table(one, applied.revisions(one.id)) for one in stacks)


def _table(stack: StackRow, rows: list[RevisionRow]) -> str:
    from kubeplay.cli.table import printable, render

    source = stack.source.replace("\n", ", ")
    head = f"stack/{stack.name}{f' -n {stack.namespace}' if stack.namespace != 'default' else ''}{f' ({source})' if source else ''}"
    if not rows:
        return f"{printable(head)}\nplayed, and not applied yet\n"
    cells = [[str(row.number), _time(row.time), row.status, row.changes or row.message.partition("\n")[0][:60] or _NONE, row.cause or _NONE]
             for row in rows]  # fmt: skip
    return f"{printable(head)}\n{render(_HEADER, cells, 2, 0)}"


def _time(moment: float) -> str:
    from kubeplay.clock import rfc3339

    return rfc3339(moment)


def _record(stack: StackRow, rows: list[RevisionRow]) -> Json:
    revisions = [{"revision": row.number, "applied": _time(row.time), "status": row.status, "changes": row.changes, "cause": row.cause,
                  **({"message": row.message} if row.message else {})} for row in rows]  # fmt: skip
    return {"name": stack.name, "namespace": stack.namespace, "sources": stack.source.split("\n") if stack.source else [],
            "revisions": revisions}  # fmt: skip


@command(
    "rollback",
    "Take a stack back to an earlier revision: its objects are applied again, and what came since goes.\n\n"
    "    kubeplay kube rollback app\n    kubeplay kube rollback app --to-revision=2\n\nVolumes and what is in them stay as they are.",
    _STACK,
    integer("--to-revision", help="The revision; 0: the one before the present one.", default=0),
    choice("--dry-run", choices=("none", "client", "server"), bare="client", default="none", help="Say which revision it would be."),
    flag("--wait-ready", help="Return when everything is ready; fail when something never will be."),
    number("--timeout", help="How long to wait at most: 90, 60s, 1m30s.", metavar="DURATION"),
    flag("--rollback-on-failure", help="Wait until everything is ready, and bring the present state back when it is not."),
    flag("-q", "--quiet", help="Print no progress."),
)
def rollback(app: App, *, name: str | None, to_revision: int, dry_run: str, quiet: bool, **given: Any) -> None:
    from kubeplay.apply import history as histories
    from kubeplay.apply import rollback as rollbacks
    from kubeplay.apply import run
    from kubeplay.cli import applying, playing
    from kubeplay.engine.store.applied import Applied

    stack = histories.find(app.store, app.namespace, name or "")
    wanted = histories.chosen(Applied(app.store), stack, to_revision)
    if dry_run != "none":
        mark = "server dry run" if dry_run == "server" else "dry run"
        sys.stdout.write(f"stack/{stack.name} rolled back to revision {wanted.number} ({mark})\n")
        return
    with playing.Reporter(quiet) as reporter, app.supervised():
        options, prepared = rollbacks.prepare(app.engine, stack, wanted, _options(given))
        with playing.view(app, prepared.stack, {**given, "quiet": quiet}, reporter):
            applied = run.carry_out(app.engine, prepared, options, reporter)
    applying.say(app, applied, {"output": None, "quiet": quiet})
    same = f"skipped rollback (it already matches revision {wanted.number})"
    sys.stdout.write(f"stack/{stack.name} {f'rolled back to revision {wanted.number}' if applied.changed else same}\n")


def _options(given: dict[str, Any]) -> ApplyOptions:
    from kubeplay.apply.run import ApplyOptions

    return ApplyOptions(
        wait_ready=given["wait_ready"], timeout=given["timeout"], rollback_on_failure=given["rollback_on_failure"]
    )  # fmt: skip
