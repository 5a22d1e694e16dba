"""How long containers get to end (TE1-TE3); tests/e2e/test_fields_life.py stops real ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from kubeplay.reconcile import grace
from kubeplay.reconcile.order import MINIMUM


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


@pytest.mark.parametrize(("own", "told", "probe", "wanted"), [
    (30, None, None, 30), (30, Told(), None, 30), (30, Told(1.0, 5), None, 5), (30, Told(None, 5), None, 30),
    (0, None, None, 0), (30, Told(1.0, 0), None, 0), (1, None, None, 1), (-1, None, None, 1),
    (30, Told(1.0, -7), None, 1), (0, Told(1.0, 9), None, 9), (30, None, 7, 7), (30, Told(1.0, 9), 7, 9), (30, None, 0, 0),
])  # fmt: skip
def test_te3_the_deletion_then_the_probe_then_the_pod(own: float, told: Told | None, probe: float | None, wanted: float) -> None:
    found: Any = Found(told, Seen(Plan(own)))
    assert grace.seconds(found, probe) == wanted


@pytest.mark.parametrize(("given", "explicit", "catches", "wanted"), [
    (30, False, False, MINIMUM), (1, False, False, MINIMUM), (0, False, True, MINIMUM), (0, False, False, grace.NOTHING),
    (0, True, True, grace.NOTHING), (1, True, False, 1), (30, True, False, MINIMUM),
])  # fmt: skip
def test_te2_two_seconds_at_least_unless_a_person_says_less(given: float, explicit: bool, catches: bool, wanted: float) -> None:
    assert grace.least(given, explicit, catches) == wanted
