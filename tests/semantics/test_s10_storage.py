"""Section 10 without containers: claims, volumes, classes, and what a mount asks of them (VO7, VO11-VO14, PV1-PV4)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.oci.mounts import MountPoint, bind
from kubeplay.engine.volumes import emptydir, fsgroup, hostpath, subpath
from kubeplay.errors import VolumeError
from kubeplay.kube import check, storage
from kubeplay.kube.storage import ClaimView, ClassView, Meta, VolumeView
from kubeplay.plan.container import ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.plan.volumes import Claim, EmptyDir, HostPath, Mount, Volume
from kubeplay.play import stack
from kubeplay.reconcile import binding, eviction

CLAIM_SPEC = "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}"
EPHEMERAL = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: kube-system}}
spec:
  volumes:
  - name: data
    ephemeral: {{volumeClaimTemplate: {{metadata: {{labels: {{a: b}}}}, spec: {CLAIM_SPEC}}}}}
  containers: [{{name: main, image: i, volumeMounts: [{{name: data, mountPath: /d}}]}}]
"""


def built(text: str) -> Stack:
    found = check.inspect(text.encode(), "f.yaml")
    assert not found.faults, found.faults
    return stack.build(found.manifests)


def test_vo14_a_claim_is_called_after_pod_and_volume_and_owned_by_the_pod() -> None:
    made = built(EPHEMERAL)
    key = ObjectKey("PersistentVolumeClaim", "kube-system", "web-data")
    assert [one.key.kind for one in made.objects] == ["Pod", "PersistentVolumeClaim"]  # the owner comes first
    planned = made.objects[1]
    assert planned.key == key and planned.owner == ObjectKey("Pod", "kube-system", "web")
    body: dict[str, Any] = json.loads(planned.body)
    assert body["metadata"]["labels"] == {"a": "b"}
    assert body["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "web", "controller": True, "blockOwnerDeletion": True}
    ]
    assert made.pods[0].volumes[0].source == Claim("web-data")
    assert [(claim.namespace, claim.name) for claim in made.claims] == [("kube-system", "web-data")]


def test_vo14_drivers_of_a_cluster_are_refused_loudly() -> None:
    from kubeplay.play import fields

    found = check.inspect(EPHEMERAL.replace("ephemeral: {", "csi: {driver: d} # {").encode(), "f.yaml")
    faults = fields.unsupported(found.manifests[0].object, "Pod")
    assert [fault.path for fault in faults] == ["spec.volumes[0].csi"]


# PV1, PV2: which claim gets which volume
GI = 2**30


def volume(name: str, size: int = GI, modes: tuple[str, ...] = ("ReadWriteOnce",), cls: str = "manual", **more: Any) -> VolumeView:
    return VolumeView(name, size, modes, cls, **more)


def claim(name: str = "c", size: int = GI, cls: str | None = "manual", **more: Any) -> ClaimView:
    return ClaimView("default", name, size, more.pop("modes", ("ReadWriteOnce",)), cls, **more)


def outcome(claims: ClaimView | list[ClaimView], *volumes: VolumeView, **world: Any) -> list[str]:
    """What becomes of each claim: the volume's name, `new CLASS`, or the reason it waits for."""
    given = tuple(claims) if isinstance(claims, list) else (claims,)
    steps = binding.decide(binding.World(volumes, given, **world))
    return [_said(step) for step in steps]


def _said(step: binding.Step) -> str:
    if isinstance(step, binding.Wait):
        return step.reason
    return step.volume.name if isinstance(step, binding.Bind) else f"new {step.storage.name}"


STATIC = (ClassView("manual", storage.NO_PROVISIONER),)


def test_pv1_the_smallest_that_is_large_enough() -> None:
    assert outcome(claim(size=2 * GI), volume("a", 9 * GI), volume("b", 3 * GI), volume("c", GI)) == ["b"]


@pytest.mark.parametrize(("claimed", "there"), [
    (claim(), volume("v", GI - 1)),
    (claim(), volume("v", cls="other")),
    (claim(cls=""), volume("v")),
    (claim(modes=("ReadWriteMany",)), volume("v")),
    (claim(modes=("ReadWriteOnce", "ReadOnlyMany")), volume("v")),
    (claim(mode="Block"), volume("v")),
    (claim(selector={"matchLabels": {"a": "b"}}), volume("v", labels={"a": "c"})),
    (claim(), volume("v", claim=("default", "other"))),
    (claim(), volume("v", meta=Meta(deleted=True))),
], ids=["small", "class", "static", "mode", "modes", "block", "selector", "meant for another", "deleted"])  # fmt: skip
def test_pv1_one_that_does_not_fit(claimed: ClaimView, there: VolumeView) -> None:
    assert outcome(claimed, there, classes=STATIC) == ["FailedBinding"]


def test_pv1_a_claim_ref_wins_over_a_better_fit() -> None:
    assert outcome(claim(), volume("small"), volume("meant", 9 * GI, claim=("default", "c"))) == ["meant"]


def test_pv1_a_volume_name_is_that_volume_or_none() -> None:
    assert outcome(claim(volume="b"), volume("a"), volume("b", 9 * GI)) == ["b"]
    assert outcome(claim(volume="b"), volume("a")) == ["FailedBinding"]
    assert outcome(claim(volume="b"), volume("b", GI - 1)) == ["VolumeMismatch"]
    assert outcome(claim(volume="b"), volume("b", claim=("default", "other"))) == ["FailedBinding"]
    assert outcome(claim(volume="b"), volume("b"), taken={"b": ("default", "gone")}) == ["FailedBinding"]  # Released


def test_pv1_two_claims_never_get_one_volume_and_the_elder_is_first() -> None:
    both = [claim("young", meta=Meta(created=2)), claim("old", meta=Meta(created=1))]
    assert outcome(both, volume("v"), classes=STATIC) == ["v", "FailedBinding"]


def test_pv2_no_class_is_the_default_one_the_newest_wins() -> None:
    marked = [ClassView(name, default=True, meta=Meta(created=at)) for name, at in (("a", 1), ("b", 3), ("c", 2))]
    assert outcome(claim(cls=None), classes=tuple(marked)) == ["new b"]
    assert outcome(claim(cls=None)) == ["new local"]


def test_pv2_an_empty_class_takes_only_what_is_there() -> None:
    assert outcome(claim(cls="")) == ["FailedBinding"]
    assert outcome(claim(cls=""), volume("v", cls="")) == ["v"]


def test_pv2_waiting_for_the_first_consumer() -> None:
    late = (ClassView("manual", waits=True),)
    assert outcome(claim(), volume("v"), classes=late) == ["WaitForFirstConsumer"]
    assert outcome(claim(), volume("v"), classes=late, used=frozenset({("default", "c")})) == ["v"]
    assert outcome(claim(), classes=late, used=frozenset({("default", "c")})) == ["new manual"]


def test_pv4_a_class_that_is_not_here_is_served_by_the_built_in_one() -> None:
    step = binding.decide(binding.World((), (claim(cls="fast-ssd"),)))[0]
    assert isinstance(step, binding.Provision) and step.missing and step.storage.name == "fast-ssd"


def test_pv4_a_named_volume_of_that_name_is_the_claims() -> None:
    assert outcome(claim(cls=""), made=frozenset({("default", "c")})) == ["new local"]


def test_pv1_bound_claims_stay_as_they_are() -> None:
    assert outcome(claim(), volume("v"), bound=frozenset({("default", "c")})) == []


def test_pv2_a_class_of_volumes_made_by_hand_makes_none() -> None:
    assert outcome(claim(), volume("v", GI - 1)) == ["FailedBinding"]
    assert outcome(claim(), volume("v", GI - 1, ours=True)) == ["new manual"]
    waits = frozenset({("default", "c")})
    assert outcome(claim(), waiting=waits) == ["FailedBinding"]  # the last one is being made anew


# VO7, RS8: eviction
def limited(**limits: int) -> PodPlan:
    """A pod with an emptyDir `e` of at most 100 bytes, a `free` one, and containers with these limits."""
    volumes = (Volume("e", EmptyDir(size_limit=100)), Volume("free", EmptyDir()), Volume("m", EmptyDir("Memory", 1)))
    containers = [ContainerPlan(name, "i", resources=Resources(ephemeral_limit=limit or None)) for name, limit in limits.items()]
    return PodPlan("default", "p", SandboxPlan("p"), tuple(containers), volumes)


def test_vo7_an_empty_dir_above_its_limit_evicts_the_pod() -> None:
    found = eviction.decide(limited(c=0), eviction.Usage({"e": 101, "free": 10**9}))
    assert found == eviction.Verdict(100, volume="e")
    assert found.text("1Mi") == 'Usage of EmptyDir volume "e" exceeds the limit "1Mi". '  # record 163
    assert eviction.decide(limited(c=0), eviction.Usage({"e": 100, "free": 10**9})) is None


def test_rs8_all_that_the_pod_writes_counts_against_its_containers_limits() -> None:
    assert eviction.decide(limited(c=50, d=50), eviction.Usage({"free": 60}, {"c": 20, "d": 10}, 11)) == eviction.Verdict(100)
    assert eviction.decide(limited(c=50, d=50), eviction.Usage({"free": 60}, {"c": 20, "d": 10}, 10)) is None


def test_rs8_a_container_above_its_own_limit() -> None:
    found = eviction.decide(limited(c=50, d=500), eviction.Usage(containers={"c": 51}))
    assert found == eviction.Verdict(50, container="c")
    assert found.text("50") == 'Container c exceeded its local ephemeral storage limit "50". '
    assert eviction.decide(limited(c=0), eviction.Usage(containers={"c": 10**12})) is None


# VO7, VO11, VO13
def huge(medium: str, *pages: str) -> str:
    """Why huge pages cannot be had; "" = they could be mounted."""
    try:
        emptydir.prepare(EmptyDir(medium), "/nowhere", "/proc", 0, pages)  # /proc is a mount already: nothing is made
    except VolumeError as error:
        return error.message
    return ""


def test_vo7_huge_pages_must_be_asked_for_and_be_of_one_size() -> None:
    assert huge("HugePages", "2Mi") == huge("HugePages-1Gi", "1Gi", "2Mi") == ""
    assert "no resource request for huge pages" in huge("HugePages")
    assert "no resource request for huge pages" in huge("HugePages-1Gi", "2Mi")
    assert "several sizes" in huge("HugePages", "1Gi", "2Mi")
    assert "unknown storage medium" in huge("memory")


@pytest.mark.parametrize(("wanted", "options"), [
    (MountPoint("/s", "/p", True), ["rbind", "rprivate", "ro"]),
    (MountPoint("/s", "/p", True, recursive=True), ["rbind", "rprivate", "ro", "rro"]),
    (MountPoint("/s", "/p", False, "HostToContainer"), ["rbind", "rslave", "rw"]),
    (MountPoint("/s", "/p", False, "Bidirectional"), ["rbind", "rshared", "rw"]),
])  # fmt: skip
def test_vo11_read_only_and_propagation_as_the_runtime_is_told(wanted: MountPoint, options: list[str]) -> None:
    assert bind(wanted)["options"] == options


def test_vo13_a_root_that_has_all_that_fs_group_gives_is_left_alone(tmp_path: Path) -> None:
    gid = tmp_path.stat().st_gid
    for mode, fits in ((0o2770, True), (0o2777, True), (0o770, False), (0o2760, False), (0o2750, False)):
        tmp_path.chmod(mode)
        assert fsgroup.fits(str(tmp_path), gid, read_only=False) == fits
    tmp_path.chmod(0o2550)
    assert fsgroup.fits(str(tmp_path), gid, read_only=True)
    assert not fsgroup.fits(str(tmp_path), gid + 1, read_only=True)


def test_pv3_of_a_claim_only_the_request_changes_and_only_grows() -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert storage.claim_changes(spec, {**spec, "resources": {"requests": {"storage": "2Gi"}}}) == []
    assert "less than" in storage.claim_changes(spec, {**spec, "resources": {"requests": {"storage": "1000Mi"}}})[0]
    assert "immutable" in storage.claim_changes(spec, {**spec, "accessModes": ["ReadWriteMany"]})[0]
    assert "immutable" in storage.claim_changes(spec, {**spec, "storageClassName": "other"})[0]


# VO8-VO10, VO12
@pytest.mark.parametrize(("type_", "path", "why"), [
    ("", "missing", ""), ("DirectoryOrCreate", "a/b", ""), ("FileOrCreate", "new", ""), ("Directory", "dir", ""), ("File", "file", ""),
    ("Directory", "file", "is not a directory"), ("File", "dir", "is not a file"), ("Directory", "gone", "is not a directory"),
    ("Socket", "file", "is not a socket"), ("CharDevice", "file", "is not a character device"),
    ("BlockDevice", "dir", "is not a block device"),
    ("FileOrCreate", "gone/new", "is not a file"),
])  # fmt: skip
def test_vo8_host_paths_are_checked_and_made(tmp_path: Path, type_: str, path: str, why: str) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("")
    if not why:
        assert Path(hostpath.prepare(HostPath(str(tmp_path / path), type_))).exists()
        return
    with pytest.raises(VolumeError, match=f"hostPath type check failed: .*{why}"):
        hostpath.prepare(HostPath(str(tmp_path / path), type_))


def test_vo9_sub_paths_stay_in_their_volume(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/")
    tmp_path.chmod(0o770)
    os.close(subpath.open_below(str(tmp_path), "made/here", create=True))
    assert (tmp_path / "made/here").stat().st_mode & 0o777 == 0o770
    for wanted in ("../x", "a/../../x", "out/etc"):
        with pytest.raises(VolumeError):
            subpath.open_below(str(tmp_path), wanted, create=True)


def mounted(text: str, volume: str = "emptyDir: {}") -> tuple[Mount, ...]:
    pod = f"""
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  volumes: [{{name: v, {volume}}}]
  containers: [{{name: main, image: i, volumeMounts: {text}}}]
"""
    return built(pod).pods[0].containers[0].mounts


def test_vo10_outer_mounts_come_first_and_relative_paths_are_absolute() -> None:
    found = mounted("[{name: v, mountPath: /a/b/c}, {name: v, mountPath: x}, {name: v, mountPath: /a}]")
    assert [mount.path for mount in found] == ["/x", "/a", "/a/b/c"]


def test_vo12_an_image_is_read_only_and_may_be_mounted_in_part() -> None:
    (found,) = mounted("[{name: v, mountPath: /i, subPath: usr}]", 'image: {reference: "data:1"}')
    assert found.read_only and found.sub_path == "usr"
