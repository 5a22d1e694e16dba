"""Storage of real containers: claims of pods, volumes and classes (VO14, PV1-PV4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

SCRATCH = """
apiVersion: v1
kind: Pod
metadata: {name: scratch}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 2000}
  volumes:
  - name: data
    ephemeral:
      volumeClaimTemplate:
        metadata: {labels: {of: scratch}, annotations: {example.com/why: test}}
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "echo $((`cat /data/count 2>/dev/null || echo 0` + 1)) > /data/count; exec sleep 1000"]
    volumeMounts: [{name: data, mountPath: /data}]
"""
WORKERS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: workers}
spec:
  replicas: 2
  selector: {matchLabels: {app: workers}}
  template:
    metadata: {labels: {app: workers}}
    spec:
      terminationGracePeriodSeconds: 0
      volumes: [{name: d, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}}}]
      containers: [{name: main, image: "busybox:1", command: [sleep, "1000"], volumeMounts: [{name: d, mountPath: /d}]}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("storage"), image_archives) as machine:
        yield machine


@covers("volume.ephemeral.volumeClaimTemplate.spec volume.ephemeral.volumeClaimTemplate.metadata.labels{} "
        "volume.ephemeral.volumeClaimTemplate.metadata.annotations{}")  # fmt: skip
def test_vo14_an_ephemeral_claim_lives_as_long_as_its_pod(kp: Machine) -> None:
    kp.play(SCRATCH)
    kp.wait(lambda: kp.sh("scratch", "cat /data/count 2>/dev/null; true") == "1")
    assert kp.sh("scratch", "stat -c '%a %g' /data") == "2777 2000"
    assert kp("volume", "ls", "-q").out.split() == ["scratch-data"]
    assert kp("volume", "rm", "scratch-data", status=None).status != 0
    kp("restart", "-t", "0", "scratch-main")
    kp.wait(lambda: kp.sh("scratch", "cat /data/count") == "2")
    made = kp("generate", "kube", "pvc/scratch-data").out
    assert "of: scratch" in made and "example.com/why: test" in made and "ownerReferences" not in made
    kp.play(SCRATCH, "--replace")
    kp.wait(lambda: kp.sh("scratch", "cat /data/count 2>/dev/null; true") == "1")
    assert kp.play(SCRATCH).status == 0
    kp("pod", "rm", "-f", "scratch")
    assert kp("volume", "ls", "-q").out == "" and kp("generate", "kube", "pvc/scratch-data", status=None).status != 0


def test_vo14_every_pod_of_a_workload_has_its_own(kp: Machine) -> None:
    kp.play(WORKERS)
    pods = [row["Name"] for row in kp("pod", "ps", "--format", "json").json]
    assert len(pods) == 2 and kp("volume", "ls", "-q").out.split() == sorted(f"{name}-d" for name in pods)
    kp.down(WORKERS)
    assert kp("volume", "ls", "-q").out == ""


def test_vo14_a_claim_of_somebody_else_is_not_taken(kp: Machine) -> None:
    other = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: scratch-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
    kp.play(other)
    said = kp.play(SCRATCH, status=None)
    assert said.status != 0 and "scratch-data" in said.err
    assert kp("volume", "ls", "-q").out.split() == ["scratch-data"]
    kp.down(other, "--force")
