"""The files of a pod's volumes, written when it starts and whenever what they show has changed (VO5, DA4).

Who changes an object marks the pods that show it, in the same transaction; whoever reconciles such a pod next writes its files and takes
the mark away. So a kill in between loses nothing, and without a supervisor the command that made the change does it all by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubeplay.engine import idmaps
from kubeplay.engine.host import faults
from kubeplay.engine.store.events import WARNING
from kubeplay.engine.store.runtime import CREATE, RUN, BackoffRow
from kubeplay.errors import KubeplayError
from kubeplay.kube import environment
from kubeplay.kube.downward import PodFacts
from kubeplay.kube.status import TERMINAL
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import DownwardFiles, Projected, TokenFile, VolumeSource, objects
from kubeplay.reconcile import node, parallel
from kubeplay.reconcile.files import Facts, volume_files
from kubeplay.reconcile.model import FILES
from kubeplay.reconcile.objects import Contents
from kubeplay.reconcile.observe import Look, key_of, plan_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.volumes.atomic import File

KINDS = ("ConfigMap", "Secret")
PATIENCE = 10.0  # for who else is at work on a pod


# who shows what
def mark(engine: Engine, keys: Iterable[ObjectKey]) -> list[str]:
    """Note that these objects have changed, come or gone, in the transaction that does it; the uids of the pods that show them."""
    wanted = {(key.kind, key.namespace, key.name) for key in keys if key.kind in KINDS}
    names = {f'"{name}"' for _, _, name in wanted}
    found = []
    for row in engine.store.runtime.pods() if wanted else ():
        lives = row.desired in (RUN, CREATE)
        if lives and any(name in row.plan for name in names) and _shows(plan_of(row), wanted):
            mark_pod(engine, row.uid)
            found.append(row.uid)
    return found


def _shows(plan: PodPlan, wanted: set[tuple[str, str, str]]) -> bool:
    return any((one.kind, plan.namespace, one.object_name) in wanted for volume in plan.volumes for one in objects(volume.source))


def mark_pod(engine: Engine, uid: str) -> None:
    """Have the pod's files written by who looks at it next; the text makes each mark another one."""
    engine.store.runtime.set_backoff(BackoffRow(uid, FILES, 0.0, engine.clock.now(), "", os.urandom(8).hex()))
    engine.store.runtime.set_pod(uid, wake_at=engine.clock.now())


def shows_itself(plan: PodPlan) -> bool:
    """Whether any volume shows the pod's own labels or annotations (DA4)."""
    return any(_is_downward(volume.source) for volume in plan.volumes)


def _is_downward(source: VolumeSource) -> bool:
    parts = source.sources if isinstance(source, Projected) else (source,)
    return any(isinstance(part, DownwardFiles) for part in parts)


def bring(engine: Engine, uids: Iterable[str]) -> None:
    """Reconcile marked pods at once, as nobody else may be there to do it.

    One that somebody holds for longer (a container in its grace period) is left to that one, who looks at the pod again afterwards.
    """
    from kubeplay.reconcile.pod import reconcile

    until = engine.clock.monotonic() + PATIENCE

    def one(uid: str) -> None:
        while reconcile(engine, uid, wait_lock=False).busy and engine.clock.monotonic() < until:
            engine.clock.sleep(0.01)

    parallel.each(one, list(uids))


# writing
def setup(engine: Engine, uid: str, plan: PodPlan) -> None:
    """Make all volumes of a pod that is to start. Raises VolumeError, ImageError, Exhausted."""
    known = engine.store.runtime.backoffs(uid).get(FILES)
    engine.volumes.setup(uid, plan, _files(engine, uid, plan), engine.image_view, idmaps.plain(engine, uid, plan.sandbox.users))
    _written(engine, uid, plan, known)


def refresh(engine: Engine, found: Look) -> float | None:
    """Write a running pod's files if that is due; when it is the next time, None = only when something changes."""
    seen, row = found.seen, found.seen.backoffs.get(FILES)
    runs = seen.sandbox_ready and not seen.void and seen.desired in (RUN, CREATE) and seen.phase not in TERMINAL
    if row is None or not runs:
        return None
    if row.since + row.delay > engine.clock.now():
        return row.since + row.delay
    try:
        files = _files(engine, seen.uid, seen.plan)
        engine.volumes.write(seen.uid, seen.plan, files, idmaps.plain(engine, seen.uid, seen.plan.sandbox.users))
    except KubeplayError as error:  # what was there stays: an object that comes back marks the pod again
        engine.store.events.add(key_of(found.row), seen.uid, "FailedMount", error.message, WARNING, engine.clock.now())
    faults.point("live:written")
    return _written(engine, seen.uid, seen.plan, row)


def _written(engine: Engine, uid: str, plan: PodPlan, known: BackoffRow | None) -> float | None:
    """Take the mark `known` away, unless it is another one by now; with tokens the next one is their renewal."""
    due = _renewal(engine, uid, plan)
    runtime = engine.store.runtime
    if due is None and known is None:
        return None
    with engine.store.write():
        now = engine.clock.now()
        if runtime.backoffs(uid).get(FILES) != known:
            return now
        if due is None:
            runtime.clear_backoff(uid, FILES)
        else:
            runtime.set_backoff(BackoffRow(uid, FILES, max(0.0, due - now), now, "", os.urandom(8).hex()))
    return due


# what they hold
def _files(engine: Engine, uid: str, plan: PodPlan) -> dict[str, dict[str, File]]:
    """What every volume is to hold now whose files we write. Raises VolumeError."""
    return volume_files(plan, Contents(engine.store, plan.namespace), _facts(engine, uid, plan))


def _facts(engine: Engine, uid: str, plan: PodPlan) -> Facts:
    def pod() -> PodFacts:
        found = environment.facts_of(plan, uid, (), (), os.uname().nodename)
        return found._replace(annotations={**found.annotations, **_seen(_created(engine, uid))})

    def token(item: TokenFile) -> str:
        from kubeplay.reconcile import tokens

        life = tokens.period(_created(engine, uid), item.seconds, engine.clock.now())
        return tokens.Signer(engine.settings.root).sign(tokens.claims(pod(), item.audience, life))

    return Facts(pod, node.facts, token)


def _created(engine: Engine, uid: str) -> float:
    found = engine.store.objects.by_uid(uid)
    return found.created if found else 0.0


def _seen(created: float) -> dict[str, str]:
    """What a kubelet adds to the annotations of every pod that it gets (record 035)."""
    from datetime import UTC, datetime

    seconds, rest = divmod(int(created * 1e9), 10**9)
    when = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {"kubernetes.io/config.seen": f"{when}.{rest:09d}Z", "kubernetes.io/config.source": "api"}


def _renewal(engine: Engine, uid: str, plan: PodPlan) -> float | None:
    """When the first of the pod's tokens is to be renewed; None without tokens."""
    items = [p for v in plan.volumes if isinstance(v.source, Projected) for p in v.source.sources if isinstance(p, TokenFile)]
    if not items:
        return None
    from kubeplay.reconcile import tokens

    now, created = engine.clock.now(), _created(engine, uid)
    return float(min(tokens.period(created, item.seconds, now).renewed for item in items))
