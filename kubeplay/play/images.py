"""The images of a play: pulled side by side before anything is made, each once (RB4), so that what cannot be had costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.errors import ImageError
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.play.progress import Progress, ProgressEvent
from kubeplay.reconcile import images
from kubeplay.reconcile.images import Wanted
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.reconcile.pulls import Flags, Pulls


class _Use(Record):
    """One use of an image by a pod. `strict`: the play fails without it; `present`: there is a local one."""

    where: str
    want: Wanted
    strict: bool
    present: bool


def prepare(engine: Engine, stack: Stack, plans: Sequence[PodPlan], flags: Flags | None, keep: bool, progress: Progress) -> None:
    """See that the images of `plans` are here. Raises ImageError for a pod that the play would fail with.

    With `keep`, and for pods of a controller, a failure is left to the pod itself: it shows and retries it, like on a kubelet.
    """
    uses = [use for plan in plans for use in _uses(engine, plan, strict=not (keep or plan.controlled))]
    if not uses:
        return
    from kubeplay.reconcile import pulls

    known = pulls.of(engine)
    known.flags = flags or pulls.Flags()
    bodies = {planned.key: planned.body for planned in stack.objects if planned.key.kind == "Secret"}
    stored = known.secrets
    known.secrets = lambda namespace, name: bodies.get(ObjectKey("Secret", namespace, name)) or stored(namespace, name)
    try:
        todo = [use.want for use in uses if known.result(use.want) is None]
        known.run(todo, lambda image, action, details: _tell(progress, image, action, details))
    finally:
        known.secrets = stored
    _judge(known, uses, progress)


def _uses(engine: Engine, plan: PodPlan, strict: bool) -> list[_Use]:
    """The images of a pod that a registry has to be asked for."""
    found = []
    for where, want in images.of_pod(plan):
        where = f"pod {plan.namespace}/{plan.name}, {where}"
        try:
            row, pull = images.look(engine, want)
        except ImageError as error:
            if strict:
                raise _failed(where, error) from error
            continue
        if pull is not None:
            found.append(_Use(where, pull, strict, row is not None))
    return found


def _judge(known: Pulls, uses: Sequence[_Use], progress: Progress) -> None:
    warned: set[str] = set()
    for use in uses:
        result = known.result(use.want)
        if result is None or result.error is None:
            continue
        if images.suffices(use.want.chosen, use.present, result.error.reason):
            if use.want.image not in warned:
                warned.add(use.want.image)
                progress(ProgressEvent("warning", "not pulled, the local image is used", use.want.image, message=result.error.message))
        elif use.strict:
            raise _failed(use.where, result.error) from result.error


def _failed(where: str, error: ImageError) -> ImageError:
    return ImageError(error.reason, f"{where}: {error.reason}: {error.message}", hint=error.hint)


def _tell(progress: Progress, image: str, action: str, details: Any) -> None:
    if action in ("pulling", "pulled"):
        progress(ProgressEvent("image", action, image, str(details).removeprefix("sha256:")[:12]))
    elif action == "progress" and details.kind == "blob":
        progress(ProgressEvent("blob", details.state, details.subject, done=details.done, total=details.total))
    elif action == "progress" and details.kind == "warning":
        progress(ProgressEvent("warning", "pull", image, message=details.subject))
