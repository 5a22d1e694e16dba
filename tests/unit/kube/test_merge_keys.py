"""The table of merge keys is what the API's description says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kubeplay.kube.merge import keys

ROOT = Path(__file__).resolve().parents[3]


def test_the_table_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, "schemas/generate_merge.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("record", "name", "expected"),
    [
        ("PodSpec", "containers", keys.Field("Container", merges=True, key="name")),
        ("PodSpec", "volumes", keys.Field("Volume", merges=True, key="name", retains=True)),
        ("PodSpec", "tolerations", keys.Field("Toleration")),
        ("Container", "ports", keys.Field("ContainerPort", merges=True, key="containerPort")),
        ("Container", "args", keys.Field()),
        ("DeploymentSpec", "strategy", keys.Field("DeploymentStrategy", retains=True)),
        ("ObjectMeta", "finalizers", keys.Field(merges=True)),
        ("ObjectMeta", "labels", keys.Field()),
        ("PodDisruptionBudgetSpec", "selector", keys.Field("LabelSelector", replaces=True)),
        ("", "spec", keys.Field()),
        ("PodSpec", "nosuch", keys.Field()),
    ],
)
def test_fields(record: str, name: str, expected: keys.Field) -> None:
    assert keys.field(record, name) == expected


def test_records_of_kinds() -> None:
    assert keys.record_of("apps/v1", "Deployment") == "Deployment"
    assert keys.record_of("autoscaling/v2", "HorizontalPodAutoscaler") == "V2HorizontalPodAutoscaler"
    assert keys.record_of("example.com/v1", "Widget") == keys.OPAQUE
