"""Which image a pod gets, and when a registry is asked: DF2, RB4, CS11, and Podman's `newer`."""

from __future__ import annotations

import pytest

from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.errors import Exhausted, NotFound, RegistryError, TrustError, Unauthorized
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.volumes import ImageVolume, Volume
from kubeplay.reconcile import images
from kubeplay.reconcile.decide import decide
from kubeplay.reconcile.images import FETCH, NOWHERE, REFUSE, USE, WAIT
from kubeplay.reconcile.model import IMAGE, START, VOLUMES, MakeSandbox, Note, Observed, Seen
from kubeplay.reconcile.pulls import failure


@pytest.mark.parametrize(
    ("policy", "present", "local", "held", "todo"),
    [
        ("Never", True, False, False, USE), ("Never", False, False, False, REFUSE), ("Never", False, True, True, REFUSE),
        ("IfNotPresent", True, False, False, USE), ("IfNotPresent", True, False, True, USE), ("IfNotPresent", False, False, False, FETCH),
        ("IfNotPresent", False, False, True, WAIT), ("IfNotPresent", False, True, False, NOWHERE),
        ("Always", True, False, False, FETCH), ("Always", True, False, True, WAIT), ("Always", True, True, False, USE),
        ("Always", False, False, False, FETCH), ("Always", False, True, False, NOWHERE),
    ],
)  # fmt: skip
def test_what_is_done_about_an_image(policy: str, present: bool, local: bool, held: bool, todo: str) -> None:
    assert images.decide(policy, present, local, held) == todo


def test_the_local_image_does_where_nobody_chose_always() -> None:
    assert images.suffices(False, True, images.PULL) and images.suffices(False, True, images.UNAVAILABLE)
    assert not images.suffices(True, True, images.PULL)
    assert not images.suffices(False, False, images.PULL)
    assert not images.suffices(False, True, images.UNTRUSTED)  # a signature that does not hold is never passed over


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (RegistryError("no route"), "ErrImagePull", 'failed to pull image "r/x:1": no route'),
        (Unauthorized("who are you", 401), "ErrImagePull", 'failed to pull image "r/x:1": who are you'),
        (NotFound("no such tag"), "ErrImagePull", 'failed to pull image "r/x:1": no such tag'),
        (Exhausted("disk full"), "ErrImagePull", 'failed to pull image "r/x:1": disk full'),
        (RegistryError("down", 503), "RegistryUnavailable", "image pull failed for r/x:1 because the registry is unavailable: down"),
        (TrustError("no"), "SignatureValidationFailed", "image pull failed for r/x:1 because the signature validation failed: no"),
    ],
)  # fmt: skip
def test_failures_have_a_kubelets_reasons(error: Exception, reason: str, message: str) -> None:
    found = failure("r/x:1", error)  # type: ignore[arg-type]
    assert (found.reason, found.message) == (reason, message)


CONTAINERS = tuple(ContainerPlan(name, "local:1") for name in "ab")
POD = PodPlan("default", "p", SandboxPlan("p"), CONTAINERS, (Volume("v", ImageVolume("r/data:1")),))


def seen(**backoffs: tuple[float, float, str]) -> Observed:
    rows = {key.replace("_", ":"): BackoffRow("u", key, delay, since, reason, "why") for key, (delay, since, reason) in backoffs.items()}
    return Observed("u", POD, "run", containers=tuple(Seen(c) for c in CONTAINERS), backoffs=rows)


def test_vo12_an_image_volumes_back_off_is_shown_by_the_containers() -> None:
    pull = (10.0, 100.0, "ErrImagePull")
    failed = {f"{START}a": pull, f"{START}b": pull, VOLUMES: pull, f"{IMAGE}r/data:1": pull}
    found = decide(seen(**failed), 101.5)
    assert [(n.name, n.reason) for n in found.actions if isinstance(n, Note)] == [("a", "ImagePullBackOff"), ("b", "ImagePullBackOff")]
    assert found.wake_at == 110.0
    assert 'pulling image "r/data:1": ErrImagePull: why' in found.actions[0].message  # type: ignore[union-attr]
    assert decide(seen(**failed), 110.5).actions == (MakeSandbox(0),)


def test_every_image_of_a_pod_is_found() -> None:
    pod = POD._replace(containers=(*CONTAINERS, ContainerPlan("h", "host", host_rootfs=True)), pull_secrets=("s",))
    assert [(where, want.image, want.secrets) for where, want in images.of_pod(pod)] == [
        ("volume v", "r/data:1", ("s",)), ("container a", "local:1", ("s",)), ("container b", "local:1", ("s",)),
    ]  # fmt: skip
