"""Storage of real containers: claims of pods, volumes and classes (VO14, PV1-PV4)."""

from __future__ import annotations

import subprocess
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


STATIC = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: small, labels: {tier: fast}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOncePod]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: manual
  volumeMode: Filesystem
  hostPath: {path: PLACE/small, type: DirectoryOrCreate}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: large, labels: {tier: slow}}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}
  local: {path: PLACE/large}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: meant}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  claimRef: {namespace: default, name: meant}
  hostPath: {path: PLACE/meant}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: picks}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  selector: {matchLabels: {tier: slow}, matchExpressions: [{key: tier, operator: In, values: [slow, slower]}]}
  resources: {requests: {storage: 1Mi}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: named}
spec: {accessModes: [ReadWriteOncePod], storageClassName: manual, volumeName: small, resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: meant}
spec: {accessModes: [ReadWriteOnce], storageClassName: manual, resources: {requests: {storage: 1Gi}}}
---
"""
USER = """
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 3000}
  volumes:
  - {name: picks, persistentVolumeClaim: {claimName: picks}}
  - {name: named, persistentVolumeClaim: {claimName: named}}
  - {name: meant, persistentVolumeClaim: {claimName: meant}}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts: [{name: picks, mountPath: /picks}, {name: named, mountPath: /named}, {name: meant, mountPath: /meant}]
"""
CLASSES = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: kept, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.com/any
reclaimPolicy: Retain
allowVolumeExpansion: true
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: late}
provisioner: example.com/any
volumeBindingMode: WaitForFirstConsumer
---
"""


def claim(name: str, *more: str) -> str:
    spec = ", ".join(("accessModes: [ReadWriteOnce]", "resources: {requests: {storage: 1Mi}}", *more))
    return f"\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"


def mounting(name: str, of: str) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{{name: d, persistentVolumeClaim: {{claimName: {of}}}}}]
  containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"], volumeMounts: [{{name: d, mountPath: /d}}]}}]
---
"""


def status(kp: Machine, kind: str, name: str) -> dict[str, object]:
    """The status of an object; nothing of one that is not there."""
    said = kp("get", kind, name, "-o", "json", status=None)
    found: dict[str, object] = said.json["status"] if said.status == 0 else {}
    return found


def phase(kp: Machine, kind: str, name: str) -> object:
    return status(kp, kind, name).get("phase")


@covers("PersistentVolume.spec.capacity{} PersistentVolume.spec.accessModes[] PersistentVolume.spec.claimRef.namespace "
        "PersistentVolume.spec.claimRef.name PersistentVolume.spec.persistentVolumeReclaimPolicy PersistentVolume.spec.storageClassName "
        "PersistentVolume.spec.volumeMode PersistentVolume.spec.hostPath.path PersistentVolume.spec.hostPath.type "
        "PersistentVolume.spec.local.path PersistentVolumeClaim.spec.accessModes[] PersistentVolumeClaim.spec.resources.requests{storage} "
        "PersistentVolumeClaim.spec.storageClassName PersistentVolumeClaim.spec.volumeName "
        "PersistentVolumeClaim.spec.selector.matchLabels{} "
        "PersistentVolumeClaim.spec.selector.matchExpressions[].key PersistentVolumeClaim.spec.selector.matchExpressions[].operator "
        "PersistentVolumeClaim.spec.selector.matchExpressions[].values[] PersistentVolumeClaim.spec.volumeMode")  # fmt: skip
def test_pv1_claims_are_bound_to_volumes_of_the_host(kp: Machine, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    text = STATIC.replace("PLACE", str(tmp_path))
    kp.play(text)
    bound = [phase(kp, "PersistentVolume", name) for name in ("small", "large", "meant")]
    assert bound == ["Bound"] * 3 and phase(kp, "PersistentVolumeClaim", "picks") == "Bound"
    assert status(kp, "PersistentVolumeClaim", "picks")["capacity"] == {"storage": "5Gi"}
    lines = {line.split()[0]: line.split() for line in kp("get", "pv").lines[1:]}
    assert lines["small"][1:7] == ["1Gi", "RWOP", "Retain", "Bound", "default/named", "manual"]
    lines = {line.split()[0]: line.split() for line in kp("get", "pvc").lines[1:]}
    assert lines["picks"][1:6] == ["Bound", "large", "5Gi", "RWO", "manual"]
    kp.play(USER)
    kp.sh("user", "echo p > /picks/f; echo n > /named/f; echo m > /meant/f")
    assert [(tmp_path / name / "f").read_text() for name in ("large", "small", "meant")] == ["p\n", "n\n", "m\n"]
    assert kp.sh("user", "stat -c %g /picks /named") == "3000\n0"  # VO13: a hostPath keeps its group
    # RWOP: one pod at a time
    kp.play(mounting("second", "named"), "--keep-on-failure", status=None)
    assert kp.status("second")["state"]["waiting"]["reason"] == "ContainerCreating" and "ReadWriteOncePod" in kp("events").out
    # PV3: what is in use goes with its last user
    kp.down(text)
    assert phase(kp, "PersistentVolumeClaim", "named") == "Bound" and kp.sh("user", "cat /named/f") == "n"
    assert "Terminating" in kp("get", "pvc", "named").out and "Terminating" in kp("get", "pv", "small").out
    kp("pod", "rm", "-f", "second")
    kp.down(USER)
    assert phase(kp, "PersistentVolumeClaim", "named") is None and phase(kp, "PersistentVolume", "small") is None
    assert (tmp_path / "small/f").exists() and kp("volume", "ls", "-q").out == ""


def test_pv1_a_released_volume_is_not_given_to_another(kp: Machine, tmp_path: Path) -> None:
    volume = STATIC.replace("PLACE", str(tmp_path)).replace("OncePod", "Once").split("---\n")[0]
    mine = claim("mine", "storageClassName: manual")
    kp.play(volume + "---\n" + mine)
    kp.down(mine)
    assert phase(kp, "PersistentVolume", "small") == "Released"
    kp.play(mine, "--keep-on-failure")
    assert phase(kp, "PersistentVolumeClaim", "mine") == "Pending"
    kp.play(mounting("waiter", "mine"), "--keep-on-failure", status=None)
    assert "unbound" in kp("events").out and "containerStatuses" not in kp.pod("waiter")["status"]
    kp.down(volume)
    kp.play(volume)  # made anew it is Available, and the pod that waits is tried at once
    kp.wait(lambda: kp.pod("waiter")["status"]["phase"] == "Running")
    kp.down(mounting("waiter", "mine"))
    kp.down(mine)
    kp.down(volume)


def test_lr1_a_pod_whose_claim_is_missing_or_has_no_volume_is_not_scheduled(kp: Machine) -> None:
    def scheduled(pod: str) -> tuple[str, str, str, str]:
        status = kp.pod(pod)["status"]
        found = next(c for c in status["conditions"] if c["type"] == "PodScheduled")
        assert "containerStatuses" not in status or found["status"] == "True"
        return status["phase"], found["status"], found.get("reason", ""), found.get("message", "")

    after = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    static = claim("static", 'storageClassName: ""')
    late = CLASSES.split("---")[1].replace("example.com/any", "kubernetes.io/no-provisioner").replace("late", "by-hand")
    kp.play(late + "---\n" + static + claim("later", "storageClassName: by-hand"))
    pods = {"lonely": ("nosuch", 'persistentvolumeclaim "nosuch" not found'),
            "unbound": ("static", "pod has unbound immediate PersistentVolumeClaims"),
            "waiting": ("later", "1 node(s) didn't find available persistent volumes to bind")}  # fmt: skip
    for pod, (name, why) in pods.items():
        kp.play(mounting(pod, name), "--keep-on-failure", status=None)
        assert scheduled(pod) == ("Pending", "False", "Unschedulable", f"0/1 nodes are available: {why}. {after}")
    told = [line for line in kp("events").lines if "FailedScheduling" in line]
    assert [sum(f"pod/{pod} " in line for line in told) for pod in pods] == [1, 1, 1]
    kp.play(claim("nosuch"))  # what it waited for is there: it is looked at again
    kp.wait(lambda: scheduled("lonely") == ("Running", "True", "", ""))
    kp.down("---\n".join(mounting(pod, name) for pod, (name, _) in pods.items()))
    kp.down(late + "---\n" + static + claim("later") + claim("nosuch"), "--force")


@covers("StorageClass.provisioner StorageClass.reclaimPolicy StorageClass.volumeBindingMode StorageClass.allowVolumeExpansion")
def test_pv2_classes(kp: Machine) -> None:
    kp.play(CLASSES + claim("by-default") + claim("late", "storageClassName: late") + claim("static", 'storageClassName: ""'))
    assert [phase(kp, "PersistentVolumeClaim", name) for name in ("by-default", "late", "static")] == ["Bound", "Pending", "Pending"]
    classes = [" ".join(line.split()[:5]) for line in kp("get", "sc").lines[1:]]
    assert classes == [
        "kept (default) example.com/any Retain Immediate", "late example.com/any Delete WaitForFirstConsumer false",
        "local kubeplay.io/local Delete Immediate true",
    ]  # fmt: skip
    assert kp("get", "pvc", "by-default", "-o", "jsonpath={.spec.storageClassName}").out.strip() == "kept"
    kp.play(mounting("consumer", "late"))
    assert phase(kp, "PersistentVolumeClaim", "late") == "Bound"
    kp.play(mounting("keeper", "by-default"))
    kp.sh("keeper", "echo kept > /d/f")
    kp.down(mounting("keeper", "by-default"))
    kp.down(claim("by-default"), "--force")
    released = list((kp.root / "volumes").glob("+pvc-*/_data/f"))
    assert [path.read_text() for path in released] == ["kept\n"]  # reclaimPolicy Retain
    kp.down(mounting("consumer", "late"))
    kp.down(claim("late") + claim("static"), "--force")
    assert kp("volume", "ls", "-q").out == ""
    kp.down(CLASSES)


GREEDY = """
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Always
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "head -c 3000000 /dev/zero > /f; exec sleep 1000"]
    resources: {limits: {ephemeral-storage: 1M}}
"""


@covers("container.resources.limits{ephemeral-storage}")
def test_rs8_a_container_that_takes_too_much_of_the_disk_is_evicted(kp: Machine) -> None:
    kp.play(GREEDY)
    kp.wait(lambda: kp.pod("greedy")["status"]["phase"] == "Failed")
    status = kp.pod("greedy")["status"]
    message = "Pod ephemeral local storage usage exceeds the total limit of containers 1M. "
    assert (status["reason"], status["message"]) == ("Evicted", message)
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137 and status["containerStatuses"][0]["restartCount"] == 0
    assert "Evicted" in kp("events").out
    kp.down(GREEDY)


@covers("container.volumeMounts[].recursiveReadOnly")
def test_vo11_read_only_with_all_that_is_mounted_below(kp: Machine, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: deep}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{{name: h, hostPath: {{path: {tmp_path}}}}}]
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts:
    - {{name: h, mountPath: /top, readOnly: true, recursiveReadOnly: Disabled}}
    - {{name: h, mountPath: /may, readOnly: true, recursiveReadOnly: IfPossible}}
    - {{name: h, mountPath: /all, readOnly: true, recursiveReadOnly: Enabled}}
"""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "below"], check=True)
    try:
        kp.play(text)
        assert kp.sh("deep", "touch /top/below/f && ls /all/below") == "f"
        for place in ("/top/f", "/may/f", "/may/below/f", "/all/f", "/all/below/f"):
            assert "Read-only" in kp.sh("deep", f"touch {place} 2>&1; true")
        kp.down(text)
    finally:
        subprocess.run(["umount", "-l", tmp_path / "below"], check=True)


@covers("pod.securityContext.fsGroupChangePolicy")
def test_vo13_a_claim_that_is_the_groups_already_is_left_alone(kp: Machine) -> None:
    def text(policy: str) -> str:
        return mounting("grouped", "shared").replace("spec:", f"spec:\n  securityContext: {{fsGroup: 4000, fsGroupChangePolicy: {policy}}}")

    kp.play(claim("shared") + text("OnRootMismatch"))
    assert kp.sh("grouped", "stat -c '%a %g' /d; touch /d/f; chown 7:7 /d/f") == "2777 4000"
    kp.play(text("OnRootMismatch"), "--replace")
    assert kp.sh("grouped", "stat -c %g /d/f") == "7"
    kp.play(text("Always"), "--replace")
    assert kp.sh("grouped", "stat -c '%g %a' /d/f") == "4000 664"
    kp.down(text("Always"))
    kp.down(claim("shared"), "--force")


@pytest.fixture
def huge_pages() -> Iterator[None]:
    """Some huge pages of the usual size set aside, as an administrator does."""
    knob = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    before = knob.read_text()
    knob.write_text(f"{int(before) + 4}")
    if int(knob.read_text()) < int(before) + 4:
        knob.write_text(before)
        pytest.skip("this machine's memory has no room for huge pages")
    yield
    knob.write_text(before)


def test_vo7_huge_pages(kp: Machine, huge_pages: None) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: any, emptyDir: {medium: HugePages}}, {name: sized, emptyDir: {medium: HugePages-2Mi, sizeLimit: 2Mi}}]
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    resources: {limits: {hugepages-2Mi: 4Mi, memory: 64Mi}}
    volumeMounts: [{name: any, mountPath: /any}, {name: sized, mountPath: /sized}]
"""
    kp.play(text)
    lines = [line.split() for line in kp.sh("huge", "grep hugetlbfs /proc/mounts").splitlines()]
    assert sorted(line[1] for line in lines) == ["/any", "/sized"] and all("pagesize=2M" in line[3] for line in lines)
    assert kp.sh("huge", "stat -c %a /any; df -k /sized | tail -1 | tr -s ' ' | cut -d' ' -f2") == "777\n2048"
    kp.down(text)


def test_pv3_a_claim_grows_where_its_class_allows_it(kp: Machine) -> None:
    fixed = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fixed}\nprovisioner: example.com/any\n---\n"
    mine, theirs = claim("grows"), claim("stays", "storageClassName: fixed")
    kp.play(fixed + mine + theirs)
    kp.play(mine.replace("1Mi", "2Mi"), "--update")
    assert status(kp, "PersistentVolumeClaim", "grows")["capacity"] == {"storage": "2Mi"}
    assert "storageclass" in kp.play(theirs.replace("1Mi", "2Mi"), "--update", status=125).err
    assert "less than" in kp.play(mine, "--update", status=125).err
    kp.down(mine + theirs, "--force")
    kp.down(fixed)
    assert "default/grows" not in kp("get", "pv").out and "default/stays" not in kp("get", "pv").out
