"""How long containers get to end (TE1-TE3); tests/e2e/test_fields_life.py stops real ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from kubeplay.reconcile import terminate


class Told(NamedTuple):
    """What a deletion said."""

    deleted: float | None = None
    grace_seconds: float | None = None


class Plan(NamedTuple):
    grace_seconds: float


class Seen(NamedTuple):
    plan: Plan


class Found(NamedTuple):
    """The two parts of a look that decide."""

    stored: Told | None
    seen: Seen


@pytest.mark.parametrize(("own", "told", "given"), [
    (30, None, 30), (30, Told(), 30), (30, Told(1.0, 5), 5), (30, Told(None, 5), 30),
    (0, None, terminate.NOTHING), (30, Told(1.0, 0), terminate.NOTHING), (1, None, 2), (-1, None, 2),
    (30, Told(1.0, -7), 2), (0, Told(1.0, 9), 9),
])  # fmt: skip
def test_te2_te3_what_the_deletion_says_else_the_pod(own: float, told: Told | None, given: float) -> None:
    found: Any = Found(told, Seen(Plan(own)))
    assert terminate.grace(found) == given and terminate.NOTHING < 0.1
