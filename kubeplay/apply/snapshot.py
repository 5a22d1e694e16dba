"""Objects as they were before an apply, and bringing them back: what --rollback-on-failure does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.errors import NotSupported
from kubeplay.kube import kinds
from kubeplay.kube.check import Manifest
from kubeplay.kube.document import Document, Positions
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import down as downs
from kubeplay.play.compile import CompileOptions
from kubeplay.play.progress import Progress
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.objects import StoredObject


class Was(Record):
    """One object before: `stored` None = it was not there; `given` its last applied text, `stack` the stack it was of (0 = none)."""

    key: ObjectKey
    stored: StoredObject | None
    given: str = ""
    stack: int = 0


def take(engine: Engine, keys: Iterable[ObjectKey]) -> tuple[Was, ...]:
    """The objects as they are now."""
    from kubeplay.engine.store.applied import Applied

    applied = Applied(engine.store)
    found = []
    for key in dict.fromkeys(keys):
        stored = engine.store.objects.find(key)
        uid = stored.uid if stored is not None else ""
        found.append(Was(key, stored, applied.given(uid), applied.stack_of(uid)) if uid else Was(key, None))
    return tuple(found)


def restore(engine: Engine, before: Sequence[Was], options: CompileOptions, timeout: float | None, progress: Progress) -> None:
    """Remove what was not there, and make the rest what it was; wait until it is ready, `timeout` seconds at most (None = no bound).

    Raises what a play raises, Timeout when all is brought back and not ready yet; what could be brought back stays so.
    """
    from kubeplay.play.stack import build
    from kubeplay.play.up import UpOptions, up

    made = [was.key for was in before if was.stored is None and engine.store.objects.find(was.key) is not None]
    changed = [was.stored for was in before if was.stored is not None and _differs(engine, was.stored)]
    try:
        if made:
            downs.down(engine, made, progress=progress)
        if changed:
            stack = build([manifest(stored.body) for stored in changed], _bare(options))
            up(engine, stack, UpOptions(update=True, recreate=True, wait_ready=True, keep_on_failure=True, timeout=timeout), progress)
    finally:
        _texts(engine, before)


def _differs(engine: Engine, was: StoredObject) -> bool:
    now = engine.store.objects.find(was.key)
    return now is None or now.body != was.body


def _texts(engine: Engine, before: Sequence[Was]) -> None:
    """The next apply's last texts are the old ones again."""
    from kubeplay.engine.store.applied import Applied

    applied = Applied(engine.store)
    with engine.store.write():
        for was in before:
            now = engine.store.objects.find(was.key) if was.given else None
            if now is not None:
                applied.put(now.uid, was.stack, was.given)


def manifest(body: str) -> Manifest:
    """A stored object as a manifest: it has been checked and has its defaults. Raises NotSupported."""
    obj: dict[str, Any] = json.loads(body)
    kind = kinds.find(obj.get("apiVersion", ""), obj.get("kind", ""))
    if kind is None:
        raise NotSupported(f"{obj.get('kind')} of {obj.get('apiVersion')} is not known to this version")
    return Manifest(Document("the store", 0, obj, Positions(b"")), kind, obj)


def _bare(options: CompileOptions) -> CompileOptions:
    """Without the flags that were written into the objects."""
    return CompileOptions(
        seccomp_default=options.seccomp_default, seccomp_profile_root=options.seccomp_profile_root, node_name=options.node_name,
        cluster_domain=options.cluster_domain, policies=options.policies,
    )  # fmt: skip
