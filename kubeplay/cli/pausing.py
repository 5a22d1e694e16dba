"""pause and unpause, for containers and for pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.cli.declare import command
from kubeplay.cli.lifecycle import ALL, LATEST, NAMES, PODS, Act, Target, each, label, targets
from kubeplay.engine.store.runtime import PodRow

if TYPE_CHECKING:
    from kubeplay.cli.app import App


def _act(stand_still: bool, every: bool) -> Act:
    """`every`: with --all those that are as they should be are passed over."""

    def act(app: App, target: Target) -> str | None:
        from kubeplay.play import pausing

        uid, only = (target.uid, "") if isinstance(target, PodRow) else (target.pod.uid, target.name)
        done = pausing.pause(app.engine, uid, only) if stand_still else pausing.unpause(app.engine, uid, only)
        if not done and not every:
            pausing.refuse(app.engine, uid, only, stand_still)
        return label(target) if done else None

    return act


@command("pause", "Have every process of containers stand still, until unpause.", NAMES, ALL, LATEST)
def pause(app: App, *, name: tuple[str, ...], all: bool, latest: bool) -> int:
    return each(app, targets(app, name, all, latest), _act(True, all))


@command("unpause", "Let the processes of paused containers run on.", NAMES, ALL, LATEST)
def unpause(app: App, *, name: tuple[str, ...], all: bool, latest: bool) -> int:
    return each(app, targets(app, name, all, latest), _act(False, all))


@command("pause", "Have every process of pods stand still, until unpause.", PODS, ALL, LATEST)
def pod_pause(app: App, *, pod: tuple[str, ...], all: bool, latest: bool) -> int:
    return each(app, targets(app, pod, all, latest, pods_only=True), _act(True, all))


@command("unpause", "Let the processes of paused pods run on.", PODS, ALL, LATEST)
def pod_unpause(app: App, *, pod: tuple[str, ...], all: bool, latest: bool) -> int:
    return each(app, targets(app, pod, all, latest, pods_only=True), _act(False, all))
