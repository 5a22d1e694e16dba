"""The files of a pod's volumes, written when it starts and whenever what they show has changed (VO5, DA4).

Who changes an object marks the pods that show it, in the same transaction; whoever reconciles such a pod next writes its files and takes
the mark away. So a kill in between loses nothing, and without a supervisor the command that made the change does it all by itself.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kubeplay.engine import idmaps
from kubeplay.kube import environment
from kubeplay.kube.downward import PodFacts
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import Files, Projected, TokenFile
from kubeplay.reconcile import node, tokens
from kubeplay.reconcile.files import Facts, volume_files
from kubeplay.reconcile.objects import Contents

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.volumes.atomic import File

FILES = "files"  # key of the back-off table: the files are to be written at `since` + `delay`


def shows_files(plan: PodPlan) -> bool:
    """Whether any volume's files are ours to write."""
    return any(isinstance(volume.source, Files) for volume in plan.volumes)


def files(engine: Engine, uid: str, plan: PodPlan) -> dict[str, dict[str, File]]:
    """What every such volume is to hold now. Raises VolumeError."""
    return volume_files(plan, Contents(engine.store, plan.namespace), _facts(engine, uid, plan))


def write(engine: Engine, uid: str, plan: PodPlan) -> None:
    """Make all volumes of the pod, or bring their files up to date. Raises VolumeError, ImageError."""
    made = files(engine, uid, plan)
    engine.volumes.setup(uid, plan, made, engine.image_view, idmaps.plain(engine, uid, plan.sandbox.users))


def _facts(engine: Engine, uid: str, plan: PodPlan) -> Facts:
    def pod() -> PodFacts:
        found = environment.facts_of(plan, uid, (), (), os.uname().nodename)
        return found._replace(annotations={**found.annotations, **_seen(_created(engine, uid))})

    def token(item: TokenFile) -> str:
        life = tokens.period(_created(engine, uid), item.seconds, engine.clock.now())
        return tokens.Signer(engine.settings.root).sign(tokens.claims(pod(), item.audience, life))

    return Facts(pod, node.facts, token)


def _created(engine: Engine, uid: str) -> float:
    found = engine.store.objects.by_uid(uid)
    return found.created if found else 0.0


def _seen(created: float) -> dict[str, str]:
    """What a kubelet adds to the annotations of every pod that it gets (record 035)."""
    seconds, rest = divmod(int(created * 1e9), 10**9)
    when = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {"kubernetes.io/config.seen": f"{when}.{rest:09d}Z", "kubernetes.io/config.source": "api"}


def renewal(engine: Engine, uid: str, plan: PodPlan) -> float | None:
    """When the first of the pod's tokens is to be renewed; None without tokens."""
    items = [p for v in plan.volumes if isinstance(v.source, Projected) for p in v.source.sources if isinstance(p, TokenFile)]
    if not items:
        return None
    now, created = engine.clock.now(), _created(engine, uid)
    return float(min(tokens.period(created, item.seconds, now).renewed for item in items))
