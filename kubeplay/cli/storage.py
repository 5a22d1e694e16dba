"""The store's part of `system check`: one line for each thing that is damaged, or one that all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.cli.check import DAMAGED, NOTE, OK, Check
from kubeplay.cli.human import SHORT_ID
from kubeplay.errors import InvalidInput, KubeplayError

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.integrity import Damage

_MEND = "kubeplay system check --repair"


def run(app: App, quick: bool, age: float, repair: bool) -> list[Check]:
    """Check, and with `repair` mend, the store of this root; nothing when there is none."""
    if not app.has_store:
        return []
    try:
        return _run(app, quick, age, repair)
    except KubeplayError as error:
        return [Check("storage", DAMAGED, error.message, error.hint)]


def _run(app: App, quick: bool, age: float, repair: bool) -> list[Check]:
    from kubeplay.engine import integrity

    damages = integrity.check(app.engine, quick=quick, age=age)
    if not damages:
        count = f"{len(app.store.images.list())} images, {len(app.engine.images.layers.list())} layers"
        return [Check("storage", OK, f"{count}: nothing is missing" + ("" if quick else " or damaged"))]
    if not repair:
        return [_shown(app, one, _MEND) for one in damages]
    done = integrity.repair(app.engine, damages)
    checks = [Check("storage", OK, line) for line in done.done]
    checks += [Check("image", NOTE, f"{name} was removed", f"kubeplay pull {name}") for name in done.pull]
    in_use = "it is in use: remove the pods whose containers need it, wait for pulls to end, then repair again"
    return checks + [_shown(app, one, in_use) for one in done.left]


def _shown(app: App, damage: Damage, remedy: str) -> Check:
    names = [app.engine.images.names(one) or (one[7 : 7 + SHORT_ID],) for one in damage.images]
    of = f" (of {', '.join(name for group in names for name in group)})" if names else ""
    state = NOTE if damage.kind == "orphan" else DAMAGED
    return Check(damage.kind, state, f"{damage.subject}: {damage.why}{of}", remedy)


def seconds(text: str) -> float:
    """--max as seconds. Raises InvalidInput."""
    from kubeplay.cli import human

    try:
        return human.seconds(text)
    except ValueError as error:
        raise InvalidInput(f"--max: {error}") from None
