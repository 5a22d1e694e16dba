"""What a play or down tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable

from kubeplay.record import Record


class ProgressEvent(Record):
    """`kind`: object, volume, service, pod, container, image, blob, build, wait, warning; `action`: created, started, removed, pulled ...

    `name` is NS/NAME, for a container NS/POD/CONTAINER; `id` a pod's uid, a container's id, a Service's address. A `blob` is a part of
    an image that is being pulled: `name` its digest, `action` a state of copying/progress.py, `done` of `total` bytes.
    """

    kind: str
    action: str
    name: str
    id: str = ""
    message: str = ""
    done: int = 0
    total: int = 0


Progress = Callable[[ProgressEvent], None]


def silent(event: ProgressEvent) -> None:
    """Tell nobody."""
