"""The revisions of applied stacks: recording them, and finding stacks and revisions by name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.applied import DEPLOYED, FAILED, Applied, RevisionRow, StackRow
from kubeplay.errors import Ambiguous, InvalidInput, NotFound
from kubeplay.plan.stack import Given, ObjectKey
from kubeplay.play.kinds import base

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.db import Store

Json = dict[str, Any]
PLAYED = "by play kube"
ROLLED_BACK = "rolled back"


# recording
def note_played(engine: Engine, stack: int) -> None:
    """A state that no revision knows, because `play kube` made it: it becomes one, so that a rollback can go back to it."""
    if not stack:
        return
    applied = Applied(engine.store)
    members = texts_by_key(applied.givens(stack))
    if not members:
        return
    known = [texts_by_key(applied.objects(stack, one.number)) for one in _judged(applied, stack)]
    if known and any(all(found.get(key, text) == text for key, text in members.items()) for found in known):
        return
    base_ = known[0] if known else {}
    applied.record(stack, DEPLOYED, PLAYED, "", list({**{k: v for k, v in base_.items() if k in members}, **members}.values()))


def _judged(applied: Applied, stack: int) -> list[RevisionRow]:
    """The deployed revision and the newest one, which may have failed and been left so."""
    rows = applied.revisions(stack)
    return [*[row for row in rows if row.status == DEPLOYED], *rows[-1:]]


def record(
    engine: Engine, stack: int, given: Sequence[Given], changes: Sequence[tuple[ObjectKey, str]], cause: str
) -> RevisionRow | None:
    """The files' state is the stack's newest revision, unless it is that already. None without a stack."""
    if not stack:
        return None
    applied, texts = Applied(engine.store), [one.text for one in given]
    now = deployed(applied, stack)
    if now is not None and sorted(applied.objects(stack, now.number)) == sorted(texts) and applied.revisions(stack)[-1] == now:
        return now
    return applied.record(stack, DEPLOYED, summary([word for _, word in changes]), cause, texts)


def record_failed(engine: Engine, stack: int, given: Sequence[Given], message: str, cause: str, restored: bool) -> None:
    """The files' state was tried, and did not come about; `restored`: the old one is back."""
    if stack:
        Applied(engine.store).record(stack, FAILED, ROLLED_BACK if restored else "", cause, [one.text for one in given], message)


def summary(words: Sequence[str]) -> str:
    """`2 created, 1 configured`."""
    counts = Counter(word for word in words if word != "unchanged")
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "no change"


# finding
def deployed(applied: Applied, stack: int) -> RevisionRow | None:
    return next((row for row in reversed(applied.revisions(stack)) if row.status == DEPLOYED), None)


def texts_by_key(texts: Sequence[str]) -> dict[ObjectKey, str]:
    return {base.key(json.loads(text)): text for text in texts}


def find(store: Store, namespace: str, name: str) -> StackRow:
    """The stack called `name`, in any namespace where it is one alone; without a name the only one. Raises NotFound, Ambiguous."""
    rows = Applied(store).stacks()
    if not name:
        if len(rows) == 1:
            return rows[0]
        if not rows:
            raise NotFound("nothing was applied", hint="kubeplay kube apply --local -f FILE")
        raise Ambiguous("several stacks were applied, and none is named", hint=f"one of {', '.join(row.name for row in rows)}")
    found = [row for row in rows if row.name == name]
    here = [row for row in found if row.namespace == namespace]
    if len(here or found) == 1:
        return (here or found)[0]
    if found:
        raise Ambiguous(f"there are stacks {name!r} in {', '.join(row.namespace for row in found)}", hint="say which with -n NAMESPACE")
    known = ", ".join(row.name for row in rows)
    raise NotFound(f"stack {name!r} not found", hint=f"there are {known}" if known else "kubeplay kube apply --local -f FILE")


def chosen(applied: Applied, stack: StackRow, number: int) -> RevisionRow:
    """The revision of this number; 0 = the one deployed before the present one. Raises NotFound, InvalidInput."""
    if number < 0:
        raise InvalidInput(f"{number} is no revision", hint="revisions are 1, 2, 3 ..., 0 means the one before")
    rows = applied.revisions(stack.id)
    if number:
        found = next((row for row in rows if row.number == number), None)
        if found is None:
            raise NotFound(f"revision {number} of stack {stack.name} not found", hint=f"there are {[row.number for row in rows]}")
        return found
    now = deployed(applied, stack.id)
    broken = bool(rows) and rows[-1].status == FAILED and rows[-1].changes != ROLLED_BACK  # then the deployed one is the one before
    before = [row for row in rows if row.status != FAILED and (broken or now is None or row.number < now.number)]
    if not before:
        raise NotFound(f"stack {stack.name} has no earlier revision", hint=f"kubeplay kube history {stack.name}")
    return before[-1]
