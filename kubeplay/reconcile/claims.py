"""Claims of pods: the ones that a pod owns go with it (VO14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.plan.volumes import Claim
from kubeplay.reconcile.observe import Look

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def forget_owned(engine: Engine, look: Look) -> None:
    """Remove the claims of a deleted pod's ephemeral volumes, and what is in them."""
    if not any(isinstance(volume.source, Claim) for volume in look.seen.plan.volumes):
        return
    for stored in engine.store.objects.list("PersistentVolumeClaim", look.row.namespace, owner_uid=look.row.uid):
        if engine.store.resources.volume(stored.key.namespace, stored.key.name) is not None:
            engine.volumes.named.remove(stored.key.namespace, stored.key.name)
        engine.store.objects.delete(stored.key)
