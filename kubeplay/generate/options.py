"""What `generate kube` was asked for."""

from __future__ import annotations

from typing import Any

from kubeplay.record import Record

TYPES = ("pod", "deployment", "daemonset", "job")


class GenerateOptions(Record):
    """`type` "" = as stored; `replicas` None = one, or as stored."""

    type: str = ""
    replicas: int | None = None
    service: bool = False
    show_secrets: bool = False


class Volume(Record):
    """A named volume that no stored claim describes."""

    namespace: str
    name: str
    options: tuple[tuple[str, str], ...] = ()


class Wanted(Record):
    """What the names given stand for: whole objects, (pod, container name) pairs, and bare volumes."""

    objects: tuple[dict[str, Any], ...] = ()
    containers: tuple[tuple[dict[str, Any], str], ...] = ()
    volumes: tuple[Volume, ...] = ()
