"""What `generate kube` was asked for."""

from __future__ import annotations

from typing import Any

from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record

TYPES = ("pod", "deployment", "daemonset", "job")


class GenerateOptions(Record):
    """`type` "" = as stored; `replicas` None = one, or as stored; `podman_only`: with the annotations that mean something here alone."""

    type: str = ""
    replicas: int | None = None
    service: bool = False
    show_secrets: bool = False
    podman_only: bool = False


class Volume(Record):
    """A named volume that no stored claim describes."""

    namespace: str
    name: str
    options: tuple[tuple[str, str], ...] = ()


class Wanted(Record):
    """What the names given stand for: whole objects, (pod, container name) pairs, and bare volumes.

    `left` tells what cannot be written; `noted` are the pods whose files say themselves what `run` would note (kube.notes).
    """

    objects: tuple[dict[str, Any], ...] = ()
    containers: tuple[tuple[dict[str, Any], str], ...] = ()
    volumes: tuple[Volume, ...] = ()
    left: tuple[str, ...] = ()
    noted: frozenset[ObjectKey] = frozenset()
