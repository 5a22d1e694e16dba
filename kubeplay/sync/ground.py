"""The machine that a sync brings its source to: through the same doors as `kube apply --local` and `kube plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from kubeplay.errors import Conflict
from kubeplay.plan.stack import ObjectKey, Origin
from kubeplay.sync.follow import Brought
from kubeplay.sync.model import DIRECTORY, Built, Spec

if TYPE_CHECKING:
    from kubeplay.apply.model import Change, Planned
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.db import Store
    from kubeplay.kube.check import Manifest
    from kubeplay.play.progress import Progress
    from kubeplay.reconcile.pulls import Flags


class Ground:
    """One sync's stack: the objects that bear its name in the store.

    `supervised` is entered around whatever starts or ends containers; `progress` hears of each step.
    """

    def __init__(
        self, engine: Engine, spec: Spec, supervised: Callable[[], AbstractContextManager[object]], progress: Progress,
        pull: Flags | None = None,
    ) -> None:  # fmt: skip
        self.engine, self.spec, self.supervised, self.progress, self.pull = engine, spec, supervised, progress, pull
        self._newest = -1
        self._marked: tuple[tuple[str, ...], object] = ((), None)

    @property
    def origin(self) -> Origin:
        return Origin(self.spec.namespace, name=self.spec.name)

    def check(self, built: Built) -> Sequence[Manifest]:
        """Valid manifests. Raises InvalidInput with every fault."""
        from kubeplay.apply import reading

        return reading.checked(self.engine, built.texts, self.spec.namespace, self.spec.validate)

    def bring(self, manifests: Sequence[Manifest]) -> Brought:
        """Apply them, and wait until they are ready; else everything is as it was. Raises KubeplayError."""
        from kubeplay.apply import reading, run

        options = run.ApplyOptions(
            compile=reading.options(self.engine), origin=self.origin, prune=self.spec.prune, timeout=self.spec.timeout,
            rollback_on_failure=True, pull=self.pull, cause=f"sync {self.spec.name}",
        )  # fmt: skip
        with self.supervised():
            applied = run.apply(self.engine, manifests, options, self.progress)
        lines = tuple(f"{kind_name(key)} {word}" for key, word in applied.changes if word != run.UNCHANGED)
        kept = tuple("/".join(key) for key, word in applied.changes if word != run.PRUNED)
        return Brought(lines, kept)

    def drift(self, manifests: Sequence[Manifest]) -> tuple[str, ...]:
        """What an apply would change now, a line for each object. Raises KubeplayError."""
        return tuple(_line(change) for change in self._planned(manifests).changes if change.action != "unchanged")

    def _planned(self, manifests: Sequence[Manifest]) -> Planned:
        from kubeplay.apply import planning, prune, reading
        from kubeplay.apply.model import PlanOptions
        from kubeplay.engine.store.applied import Applied

        options = PlanOptions(reading.options(self.engine))
        planned = planning.plan(self.engine, manifests, options)
        if not self.spec.prune:
            return planned
        stack = Applied(self.engine.store).stack(self.spec.namespace, self.spec.name)
        gone = prune.gone(self.engine, stack.id if stack else 0, "", [one.key for one in planned.stack.objects])
        return planning.plan(self.engine, manifests, options._replace(removed=tuple(gone))) if gone else planned

    def mark(self, objects: tuple[str, ...]) -> object:
        """Changes with the body of any of the objects. Their statuses change all the time and count for nothing."""
        newest = self.engine.store.controllers.newest()
        if newest != self._newest or self._marked[0] != objects:
            found = [self.engine.store.objects.find(ObjectKey(*text.split("/", 2))) for text in objects]
            bodies = hash(tuple((one.uid, one.body, one.deleted) if one is not None else None for one in found))
            self._newest, self._marked = newest, (objects, bodies)
        return self._marked[1]


def refuse_another(store: Store, spec: Spec) -> None:
    """Raises Conflict where a stack of this name has come from other files: --prune would take its objects for the source's old ones."""
    import os

    from kubeplay.engine.store.applied import Applied

    applied = Applied(store)
    stack = applied.stack(spec.namespace, spec.name)
    own = os.path.realpath(os.path.join(spec.source, spec.path)) if spec.kind == DIRECTORY else ""
    if stack is not None and stack.source not in ("", own) and applied.members(stack.id):
        files = ", ".join(stack.source.split("\n"))[:200]
        raise Conflict(
            f"the stack {spec.name!r} was applied from {files}: --prune would remove what of it is not in {spec.shown}",
            hint=f"--name gives this sync another name; --name {spec.name} takes that stack over",
        )


def kind_name(key: ObjectKey) -> str:
    """`deployment.apps/web`, as kubectl names what it changes."""
    from kubeplay.kube import kinds

    group = next((one.group for one in kinds.table().values() if one.kind == key.kind), "")
    return f"{key.kind.lower()}{f'.{group}' if group else ''}/{key.name}"


def _line(change: Change) -> str:
    from kubeplay.apply.model import CREATE, REMOVE

    name = kind_name(change.key)
    if change.action == CREATE:
        return f"{name} is gone"
    if change.action == REMOVE:
        return f"{name} is not in the source"
    fields = [one.path if one.secret else f"{one.path} is {_short(one.old)}, the source has {_short(one.new)}" for one in change.fields]
    return f"{name}: {'; '.join(fields[:5]) or 'differs'}"


def _short(value: object) -> str:
    import json

    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
