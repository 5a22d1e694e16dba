"""Bring a running stack to its files with the least disturbance: `play kube --update`, `kube apply --local`, and each turn of a sync.

The files' objects are merged with what is stored (merging.py), played with `update` and `recreate` (play/up.py): only what changed
restarts, controllers roll, what may not change is made anew. When that has come about, what the files have no more goes (prune.py), and
the state is a revision of the stack (history.py). When it has not, and it was asked for, the old state is brought back (snapshot.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.apply import applyset, history, merging, prune, snapshot
from kubeplay.apply.applyset import ApplySet
from kubeplay.apply.snapshot import Was
from kubeplay.engine.store.applied import RevisionRow
from kubeplay.errors import Interrupted, InvalidInput, KubeplayError, Timeout
from kubeplay.plan.stack import Given, ObjectKey, Origin, PlannedObject, Stack
from kubeplay.play import given
from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds import base
from kubeplay.play.progress import Progress, ProgressEvent, silent
from kubeplay.play.up import UpOptions, UpResult, up
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.kube.check import Manifest
    from kubeplay.reconcile.pulls import Flags

READY_SECONDS = 300.0  # helm's --timeout, for --rollback-on-failure without one
BACK = "rolled back: everything is as it was before"
CREATED, CONFIGURED, UNCHANGED, REPLACED, PRUNED = "created", "configured", "unchanged", "replaced", "pruned"  # kubectl's words


class ApplyOptions(Record):
    """`origin`: the stack (play/given.py has the one of files); one without name and source has no history. `applyset`: members bear
    its label and it has a parent object. `prune` needs one of the two. `cause` is noted in the history.

    `timeout` seconds bounds the start and the wait, None = no bound. `rollback_on_failure` waits until everything is ready, READY_SECONDS
    where no time is given, and brings the old state back otherwise.
    """

    compile: CompileOptions = CompileOptions()
    origin: Origin = Origin("default")
    applyset: ApplySet | None = None
    prune: bool = False
    wait_ready: bool = False
    timeout: float | None = None
    rollback_on_failure: bool = False
    keep_on_failure: bool = False
    pull: Flags | None = None
    cause: str = ""


class Prepared(Record):
    """What an apply is going to do: `stack` is the merged one, `given` the files' texts, `gone` what is to be pruned, `before` the old
    state, `number` the stack's in the store (0 = it is new, or none)."""

    stack: Stack
    given: tuple[Given, ...]
    gone: tuple[ObjectKey, ...]
    before: tuple[Was, ...]
    number: int


class Applied(Record):
    """What became of each object of the files and of the pruned ones, in apply order: (key, kubectl's word). `revision` None = no stack."""

    changes: tuple[tuple[ObjectKey, str], ...]
    result: UpResult
    revision: RevisionRow | None

    @property
    def changed(self) -> bool:
        return any(word != UNCHANGED for _, word in self.changes)


def apply(engine: Engine, manifests: Sequence[Manifest], options: ApplyOptions, progress: Progress = silent) -> Applied:
    """Make the stored and running objects what the manifests say. The caller sees to it that the supervisor runs.

    Raises what play/up.py raises: InvalidInput and Conflict before anything is touched, Timeout and PodError when it did not come about.
    """
    return carry_out(engine, prepare(engine, manifests, options), options, progress)


def prepare(engine: Engine, manifests: Sequence[Manifest], options: ApplyOptions) -> Prepared:
    """Everything that can be refused is refused here; nothing is touched. Raises InvalidInput, Conflict."""
    from kubeplay.engine.store import applied
    from kubeplay.play.stack import build

    wanted = options.applyset
    if options.prune and wanted is None and not (options.origin.name or options.origin.source):
        raise InvalidInput(prune.NAMELESS, hint="--applyset NAME")
    merged = list(merging.merge(engine, manifests).manifests)
    if wanted is not None:
        merged = applyset.labelled(merged, wanted, _lives(engine, merged))
    stack = build(merged, options.compile)
    own = [one.key for one in stack.objects if one.owner is None and not one.keep]
    if wanted is not None:
        stack = _with_parent(engine, stack, wanted, own)
    number = given.found_id(applied.Applied(engine.store), options.origin)
    kept = [one.key for one in stack.objects]
    gone = prune.gone(engine, number, wanted.id if wanted else "", kept) if options.prune else []
    before = snapshot.take(engine, [*[one.key for one in stack.objects if one.owner is None], *gone])
    return Prepared(stack, given.given(manifests, stack.objects), tuple(gone), before, number)


def _lives(engine: Engine, manifests: Sequence[Manifest]) -> list[tuple[ObjectKey, dict[str, object]]]:
    keys = [base.key(one.object) for one in manifests if one.object["metadata"].get("name")]
    return [(key, json.loads(found.body)) for key in keys if (found := engine.store.objects.find(key)) is not None]


def _with_parent(engine: Engine, stack: Stack, wanted: ApplySet, members: list[ObjectKey]) -> Stack:
    if wanted.key in members:
        raise InvalidInput(f"{wanted.key} would be the parent of the set and is in the files", hint="give the set another name")
    old = engine.store.objects.find(wanted.key)
    body = base.body(applyset.parent(wanted, members, json.loads(old.body) if old is not None else None))
    return stack._replace(objects=(PlannedObject(wanted.key, body), *stack.objects))


def carry_out(engine: Engine, prepared: Prepared, options: ApplyOptions, progress: Progress = silent) -> Applied:
    """The rest of `apply`."""
    history.note_played(engine, prepared.number)
    patience = READY_SECONDS if options.rollback_on_failure and options.timeout is None else options.timeout
    flags = UpOptions(
        update=True, recreate=True, keep_on_failure=options.keep_on_failure, timeout=patience, pull=options.pull,
        wait_ready=options.wait_ready or options.rollback_on_failure, origin=options.origin, given=prepared.given,
    )  # fmt: skip
    try:
        result = up(engine, prepared.stack, flags, progress) if prepared.stack.objects else UpResult(True)
        pruned = prune.prune(engine, list(prepared.gone), progress)
    except (KubeplayError, KeyboardInterrupt) as error:
        _failed(engine, prepared, options, patience, error, progress)
        raise
    changes = _changes(prepared, result, pruned, options)
    revision = history.record(engine, _number(engine, options), prepared.given, changes, options.cause)
    given.forget(engine)  # a stack whose objects are another's now
    return Applied(changes, result, revision)


def _failed(
    engine: Engine, prepared: Prepared, options: ApplyOptions, patience: float | None, error: BaseException, progress: Progress
) -> None:
    """The new state has not come about: the old one comes back where that was asked for; the history says that it was tried."""
    message, restored = error.message if isinstance(error, KubeplayError) else "interrupted", False
    if options.rollback_on_failure and any(_touched(engine, was) for was in prepared.before):
        progress(ProgressEvent("warning", "rollback", "", message="bringing back what was there before"))
        try:
            snapshot.restore(engine, prepared.before, options.compile, patience, progress)
            restored = True
            error.add_note(BACK)
        except Timeout as second:
            restored = True
            error.add_note(f"{BACK}, and not ready yet: {second.message}")
        except KubeplayError as second:
            error.add_note(f"and rolling it back failed: {second}")
    if not isinstance(error, (Interrupted, KeyboardInterrupt)):
        history.record_failed(engine, _number(engine, options), prepared.given, message, options.cause, restored)


def _number(engine: Engine, options: ApplyOptions) -> int:
    """The stack's, made where it is not there; 0 = none. Asked for when it is used: another command may have forgotten an empty one."""
    from kubeplay.engine.store.applied import Applied as Table

    return given.stack_id(Table(engine.store), options.origin)


def _touched(engine: Engine, was: Was) -> bool:
    now = engine.store.objects.find(was.key)
    return (was.stored is None) != (now is None) or (now is not None and was.stored is not None and now.body != was.stored.body)


def _changes(prepared: Prepared, result: UpResult, pruned: Sequence[ObjectKey], options: ApplyOptions) -> tuple[tuple[ObjectKey, str], ...]:
    words = dict.fromkeys(result.updated, CONFIGURED) | dict.fromkeys(result.created, CREATED) | dict.fromkeys(result.replaced, REPLACED)
    parent = options.applyset.key if options.applyset else None
    shown = [one.key for one in prepared.stack.objects if one.owner is None and not one.keep and one.key != parent]
    return (*[(key, words.get(key, UNCHANGED)) for key in shown], *[(key, PRUNED) for key in pruned])
