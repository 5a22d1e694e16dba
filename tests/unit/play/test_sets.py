"""First batches of StatefulSets and DaemonSets, and claims that are there already."""

from __future__ import annotations

import pytest

from kubeplay.errors import InvalidInput
from tests.support.manifests import play

SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: NAME}
spec:
  replicas: 3
  podManagementPolicy: POLICY
  selector: {matchLabels: {app: w}}
  template:
    metadata: {labels: {app: w}}
    spec: {containers: [{name: main, image: a}]}
  volumeClaimTemplates:
  - {metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
  - {metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}
"""
CLAIM = """
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: d-w-0}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 5Mi}}}
"""


def sets(policy: str = "OrderedReady", name: str = "w") -> str:
    return SET.replace("POLICY", policy).replace("NAME", name)


@pytest.mark.parametrize(("policy", "count"), [("OrderedReady", 1), ("Parallel", 3)])
def test_st2_the_first_batch(policy: str, count: int) -> None:
    made = play(sets(policy))
    assert [pod.name for pod in made.pods] == [f"w-{number}" for number in range(count)]
    claims = [one for one in made.objects if one.key.kind == "PersistentVolumeClaim"]
    assert [one.key.name for one in claims] == [f"d-w-{number}" for number in range(count)] and all(one.keep for one in claims)


def test_st1_a_claim_of_the_file_is_used_as_it_is() -> None:
    made = play(sets() + CLAIM)
    (claim,) = [one for one in made.objects if one.key.kind == "PersistentVolumeClaim"]
    assert "5Mi" in claim.body and not claim.keep and len(made.claims) == 1


def test_st1_a_name_that_leaves_no_room_for_a_revision_is_refused() -> None:
    assert play(sets(name="a" * 52)).pods
    with pytest.raises(InvalidInput, match="cannot be played"):
        play(sets(name="a" * 53))
