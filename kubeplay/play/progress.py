"""What a play or down tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable

from kubeplay.record import Record


class ProgressEvent(Record):
    """`kind`: object, volume, service, pod, container, wait, warning; `action`: created, started, unchanged, removed, ready, failed ...

    `name` is NS/NAME, for a container NS/POD/CONTAINER; `id` a pod's uid, a container's id, a Service's address.
    """

    kind: str
    action: str
    name: str
    id: str = ""
    message: str = ""


Progress = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """Tell nobody."""
