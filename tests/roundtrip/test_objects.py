"""play -> generate -> play for random valid objects of every supported kind: the same plan, and a file that the official schemas take."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeplay.play import fields
from tests.roundtrip.test_roundtrip import check, written
from tests.support.manifests import play
from tests.support.objects import CORES, PARTS, Object, objects, over, refused

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_every_kind_is_drawn() -> None:
    assert {*CORES, "Pod"} == set(fields.KINDS)


@pytest.mark.parametrize("kind", CORES)
def test_the_core_is_valid(kind: str) -> None:
    version, core = CORES[kind]
    assert refused({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, **core}) == ()


@pytest.mark.parametrize(("kind", "part"), [(kind, part) for kind, parts in PARTS.items() for part in parts])
def test_the_parts_are_valid_and_come_back(kind: str, part: Object) -> None:
    version, core = CORES[kind]
    obj = over({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, **core}, part)
    assert refused(obj) == ()
    first = play(json.dumps(obj))
    assert play(written(first)) == first


@pytest.mark.parametrize("kind", CORES)
@settings(max_examples=10, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_round_trip(kind: str, data: st.DataObject) -> None:
    first = play(json.dumps(data.draw(objects(kind))))
    text = written(first, podman_only=True)
    assert play(text) == first
    check(text)
    assert written(play(text), podman_only=True) == text
