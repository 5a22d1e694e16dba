"""The claims that StatefulSets have made for their pods (ST1): kept by a `down`, removed with what is in them by `down --force`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.objects import StoredObject

CLAIM = "PersistentVolumeClaim"


def of(engine: Engine, found: Iterable[StoredObject]) -> list[ObjectKey]:
    """The claims of all ordinals that the sets among these objects have ever had."""
    made: list[ObjectKey] = []
    for one in found:
        if one.key.kind == "StatefulSet":
            templates = json.loads(one.body)["spec"].get("volumeClaimTemplates") or ()
            starts = tuple(f"{template['metadata']['name']}-{one.key.name}-" for template in templates)
            claims = engine.store.objects.list(CLAIM, one.key.namespace) if starts else ()
            made += [claim.key for claim in claims if _is_one(claim.key.name, starts)]
    return made


def _is_one(name: str, starts: tuple[str, ...]) -> bool:
    return any(name.startswith(start) and name[len(start) :].isdecimal() for start in starts)
