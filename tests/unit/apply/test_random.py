"""Random valid objects of every kind: what was applied is no difference, and what an apply would make is none afterwards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kubeplay.apply.model import LEAVE, UPDATE, Change
from kubeplay.engine.store.applied import Applied
from kubeplay.play import fields
from kubeplay.play import given as givens
from tests.support.objects import objects
from tests.support.stored import Cluster, read

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
# A claim asks the engine what may grow; everything else is decided from the store alone.
KINDS = sorted(set(fields.KINDS) - {"PersistentVolumeClaim"})


def named(obj: Any) -> Any:
    return {**obj, "metadata": {**obj["metadata"], "name": "a", "namespace": "default"}} if obj["kind"] != "Namespace" else obj


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=2, deadline=None, suppress_health_check=QUIET, phases=[Phase.generate])
@given(data=st.data())
def test_applied_is_applied(kind: str, data: st.DataObject) -> None:
    first, second = (named(data.draw(objects(kind))) for _ in range(2))
    second["metadata"]["name"] = first["metadata"]["name"]
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(Path(directory))
        try:
            _hold(cluster, first, second)
        finally:
            cluster.store.close()


def _hold(cluster: Cluster, first: Any, second: Any) -> None:
    cluster.apply(first)
    same = _main(cluster, first)
    assert same.action == LEAVE, same
    change = _main(cluster, second)
    if change.action != UPDATE:  # what is made anew is the file's
        return
    key = change.key
    text = givens.given(read(second), cluster.stack(second).objects)[0].text
    stored = cluster.store.objects.update(key, change.merged)
    Applied(cluster.store).put(stored.uid, 0, text)
    again = _main(cluster, second)
    assert again.action == LEAVE, again.fields


def _main(cluster: Cluster, obj: Any) -> Change:
    """What becomes of the object itself; a StatefulSet's claims come with it."""
    return next(one for one in cluster.plan(obj) if one.key.kind == obj["kind"])
