"""The view of a stack while `play --wait-ready` waits: on a terminal lines that change in place, elsewhere a line for each change."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kubeplay.errors import KubeplayError
from kubeplay.kube import progress as states

if TYPE_CHECKING:
    from kubeplay.cli.progress import Progress
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import Stack

LOOK_SECONDS = 0.5
PATIENT_LOOKS = 4  # where lines stay, a pod's reason is told when it has been the same for so many looks: most pods are quicker
SHOWN = 10  # pods that are told on a terminal


class StackView:
    """Looks at the pods of a stack beside the play, from `with` to its end."""

    def __init__(self, engine: Engine, stack: Stack, shown: Progress) -> None:
        self.engine, self.stack, self.shown = engine, stack, shown
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._bars: set[str] = set()
        self._same: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> StackView:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._bar({})

    def _watch(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            try:
                self.show(pods(self.engine, self.stack))
            except KubeplayError:
                continue  # the play itself says what is wrong with the store

    def show(self, found: list[states.PodState]) -> None:
        """Tell of one look."""
        if not found or all(one.ready for one in found) and not self._bars:
            return
        waiting = states.waiting(found)
        if self.shown.live:
            texts = {name: f"  {name}: {why}" for name, why in waiting[:SHOWN]}
            more = {"~more": f"  and {len(waiting) - SHOWN} more"} if len(waiting) > SHOWN else {}
            self._bar({" stack": states.summary(found), **texts, **more})
            return
        self.shown.step("stack", states.summary(found))
        for name, why in waiting:
            before, looks = self._same.get(name, ("", 0))
            self._same[name] = (why, looks + 1 if before == why else 1)
            if self._same[name][1] == PATIENT_LOOKS:
                self.shown.step(f"pod {name}", why)

    def _bar(self, texts: dict[str, str]) -> None:
        for key in self._bars - set(texts):
            self.shown.bar(f"view {key}", "")
        for key, text in texts.items():
            self.shown.bar(f"view {key}", text)
        self._bars = set(texts)


def pods(engine: Engine, stack: Stack) -> list[states.PodState]:
    """The states of the stack's pods as they are stored: its own, and those of its workloads whoever made them."""
    import json

    from kubeplay.cli.inspection import stored
    from kubeplay.play import children

    uids = {row.uid for one in stack.objects if one.key.kind in children.WORKLOADS and one.owner is None
            for row in children.standing(engine, one.key)}  # fmt: skip
    wanted = {(one.key.namespace, one.key.name) for one in stack.objects if one.key.kind == "Pod" and one.owner is None}
    found = []
    for namespace in sorted({one.key.namespace for one in stack.objects if one.key.namespace}):
        for one in engine.store.objects.list("Pod", namespace):
            if one.uid in uids or (one.key.namespace, one.key.name) in wanted:
                found.append(states.state({"status": json.loads(one.status or "{}"), **stored(one)}))
    return [one for one in found if one.text != "Terminating"]  # a play that takes itself back says so
