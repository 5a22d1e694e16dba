"""Variables from files that an init container wrote (EN5): real containers, and files that mean harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  volumes: [{name: d, emptyDir: {%s}}]
  initContainers:
  - {name: w, image: "busybox:1", command: [sh, -c, %s], volumeMounts: [{name: d, mountPath: /d}]}
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, 'echo "[$A] [$B] [${C-unset}] $(ARG)"; echo done']
    env:
    - {name: A, valueFrom: {fileKeyRef: {volumeName: d, path: dir/e, key: KEY%s}}}
    - {name: B, value: "see $(A)"}
    - {name: C, valueFrom: {fileKeyRef: {volumeName: d, path: dir/e, key: NOPE, optional: true}}}
    - {name: ARG, valueFrom: {fileKeyRef: {volumeName: d, path: link, key: KEY, optional: true}}}
---
"""
GOOD = POD % ("good", "", "\"mkdir /d/dir; printf \\\"KEY='two\\\\nlines # X'\\\\n\\\" > /d/dir/e; ln -s /dir/e /d/link\"", "")
MEMORY = POD % ("memory", "medium: Memory", "\"mkdir /d/dir; echo \\\"KEY='m'\\\" > /d/dir/e\"", "")
WRITES = {
    "missing": "true",
    "fifo": "mkdir /d/dir; mkfifo /d/dir/e",
    "outside": "mkdir /d/dir; ln -s ../../../../../../../../../../../../etc/os-release /d/dir/e",
    "endless": "mkdir /d/dir; ln -s /dev/zero /d/dir/e; ln -s /d/dir /d/dir/loop",
    "device": "mkdir /d/dir; mknod /d/dir/e c 1 5 || true",
    "huge": "mkdir /d/dir; dd if=/dev/zero of=/d/dir/e bs=1M count=2",
    "unquoted": "mkdir /d/dir; echo KEY=val > /d/dir/e",
}
BAD = "".join(POD % (name, "", f'"{script}"', "") for name, script in WRITES.items())
NOTHING = POD % ("nothing", "", '"true"', ", optional: true")


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("kp"), image_archives, GOOD + MEMORY + BAD + NOTHING, "--keep-on-failure", status=None) as made:
        yield made


@covers("""container.env[].valueFrom.fileKeyRef.volumeName container.env[].valueFrom.fileKeyRef.path
container.env[].valueFrom.fileKeyRef.key container.env[].valueFrom.fileKeyRef.optional""")
def test_en5_a_variable_from_a_file(kp: Machine) -> None:
    assert kp.logged("good") == ["[two", "lines # X] [see two", "lines # X] [unset] two", "lines # X"]
    assert kp.logged("memory")[0].startswith("[m] [see m] [unset]")
    assert kp.logged("nothing")[0].startswith("[] [see $(A)] [unset]")


@pytest.mark.parametrize("name", WRITES)
def test_en5_a_file_that_cannot_be_read_record_173(kp: Machine, name: str) -> None:
    def waiting() -> dict[str, str]:
        found: dict[str, str] = kp.status(name)["state"].get("waiting", {})
        return found if found.get("reason") == "CreateContainerConfigError" else {}

    assert kp.wait(waiting)["message"] == "couldn't parse env file"
