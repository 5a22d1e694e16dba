"""Back to an earlier revision of a stack: its texts are applied again, and what came since goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.apply import applyset, history, reading, run, snapshot
from kubeplay.apply.applyset import ApplySet
from kubeplay.engine.store.applied import Applied as Table
from kubeplay.engine.store.applied import RevisionRow, StackRow
from kubeplay.plan.stack import ObjectKey, Origin
from kubeplay.play.progress import Progress, silent

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def rollback(
    engine: Engine, stack: StackRow, wanted: RevisionRow, options: run.ApplyOptions, progress: Progress = silent
) -> run.Applied:
    """Make the stack what the revision was: a new revision of it. `options` say how long to wait and what happens on failure.

    Removed is what the newest revision has and the wanted one has not. Raises what an apply raises.
    """
    options, prepared = prepare(engine, stack, wanted, options)
    return run.carry_out(engine, prepared, options, progress)


def prepare(
    engine: Engine, stack: StackRow, wanted: RevisionRow, options: run.ApplyOptions
) -> tuple[run.ApplyOptions, run.Prepared]:
    """What a rollback is going to do, for `run.carry_out`."""
    history.note_played(engine, stack.id)
    texts = Table(engine.store).objects(stack.id, wanted.number)
    name = f"revision {wanted.number} of {stack.name}"
    manifests = reading.checked(engine, [(name, text.encode("utf-8", "surrogatepass")) for text in texts], stack.namespace, "ignore")
    options = options._replace(
        compile=reading.options(engine), origin=Origin(stack.namespace, stack.name), applyset=_applyset(engine, stack), prune=False,
        cause=f"rollback to {wanted.number}",
    )  # fmt: skip
    prepared = run.prepare(engine, manifests, options)
    gone = _gone(engine, stack, {one.key for one in prepared.stack.objects})
    return options, prepared._replace(gone=tuple(gone), before=(*prepared.before, *snapshot.take(engine, gone)))


def _gone(engine: Engine, stack: StackRow, kept: set[ObjectKey]) -> list[ObjectKey]:
    """What the newest revision brought and the wanted one does not have; of what failed, too, as far as it is still there."""
    from kubeplay.apply import prune

    applied = Table(engine.store)
    rows = applied.revisions(stack.id)
    newest = history.texts_by_key(applied.objects(stack.id, rows[-1].number)) if rows else {}
    now = history.deployed(applied, stack.id)
    deployed = history.texts_by_key(applied.objects(stack.id, now.number)) if now is not None else {}
    return [key for key in prune.gone(engine, stack.id, "", kept) if key in newest or key in deployed]


def _applyset(engine: Engine, stack: StackRow) -> ApplySet | None:
    """The stack's set, where it was applied as one."""
    import json

    for kind in ("Secret", "ConfigMap"):
        found = engine.store.objects.find(ObjectKey(kind, stack.namespace, stack.name))
        made = applyset.named(f"{kind.lower()}/{stack.name}", stack.namespace)
        if found is not None and (json.loads(found.body)["metadata"].get("labels") or {}).get(applyset.ID) == made.id:
            return made
    return None
