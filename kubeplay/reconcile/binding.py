"""Which claim gets which volume: a pure function of what is there (PV1, PV2)."""

from __future__ import annotations

from collections.abc import Mapping

from kubeplay.kube import labels
from kubeplay.kube.storage import BUILT_IN, NO_PROVISIONER, ClaimView, ClassView, VolumeView
from kubeplay.record import Record

# Reasons of the events of a claim that waits, as a cluster's controller gives them.
FAILED, MISMATCH, FIRST_CONSUMER, EXTERNAL = "FailedBinding", "VolumeMismatch", "WaitForFirstConsumer", "ExternalProvisioning"


class World(Record):
    """What there is. `taken`: volume name -> claim (namespace, name) that has or had it; `bound`: claims that have one;
    `made`: claims for which a named volume is there already; `used`: claims that a pod wants; `waiting`: claims for which no volume was
    found before: they go on waiting for one when the last of their class is taken away.
    """

    volumes: tuple[VolumeView, ...] = ()
    claims: tuple[ClaimView, ...] = ()
    classes: tuple[ClassView, ...] = ()
    taken: Mapping[str, tuple[str, str]] = {}
    bound: frozenset[tuple[str, str]] = frozenset()
    made: frozenset[tuple[str, str]] = frozenset()
    used: frozenset[tuple[str, str]] = frozenset()
    waiting: frozenset[tuple[str, str]] = frozenset()


class Bind(Record):
    """The claim has this volume from now on."""

    claim: ClaimView
    volume: VolumeView


class Provision(Record):
    """Make a directory for the claim; `missing`: its class is not here, so the built-in one serves it."""

    claim: ClaimView
    storage: ClassView
    missing: bool = False


class Wait(Record):
    """The claim stays Pending."""

    claim: ClaimView
    reason: str
    message: str


Step = Bind | Provision | Wait


def decide(world: World) -> list[Step]:
    """A step for each claim that has no volume, the eldest first; a volume goes to one claim only."""
    steps: list[Step] = []
    taken = set(world.taken)
    for claim in sorted(world.claims, key=lambda one: (one.meta.created, one.key)):
        if claim.key in world.bound or claim.meta.deleted:
            continue
        step = _step(world, claim, taken)
        if isinstance(step, Bind):
            taken.add(step.volume.name)
        steps.append(step)
    return steps


def _step(world: World, claim: ClaimView, taken: set[str]) -> Step:
    free = [volume for volume in world.volumes if volume.name not in taken and not volume.meta.deleted]
    if claim.volume:
        return _named(world, claim, taken)
    ours = next((volume for volume in free if volume.claim == claim.key), None)
    if ours is not None and not _unfit(world, claim, ours):
        return Bind(claim, ours)
    if claim.key in world.made:
        return Provision(claim, class_of(world, claim)[0] or BUILT_IN)
    storage, missing = class_of(world, claim)
    if storage is not None and storage.waits and claim.key not in world.used:
        return Wait(claim, FIRST_CONSUMER, "waiting for first consumer to be created before binding")
    found = match(claim, free, storage)
    if found is not None:
        return Bind(claim, found)
    if storage is None:
        return Wait(claim, FAILED, "no persistent volumes available for this claim and no storage class is set")
    if storage.provisioner == NO_PROVISIONER:
        return Wait(claim, FAILED, f'no persistent volumes available for this claim, and class "{storage.name}" makes none')
    if claim.selector:
        return Wait(claim, FAILED, "claim.Spec.Selector is not supported by what makes volumes, and no volume that is there fits")
    return Provision(claim, storage, missing)


def _named(world: World, claim: ClaimView, taken: set[str]) -> Step:
    """spec.volumeName: that volume or none."""
    volume = next((one for one in world.volumes if one.name == claim.volume), None)
    if volume is None:
        return Wait(claim, FAILED, f'volume "{claim.volume}" not found')
    if volume.name in taken or volume.meta.deleted or (volume.claim is not None and volume.claim != claim.key):
        return Wait(claim, FAILED, f'volume "{volume.name}" already bound to a different claim.')
    why = _unfit(world, claim, volume)
    if why:
        return Wait(claim, MISMATCH, f'Cannot bind to requested volume "{volume.name}": {why}')
    return Bind(claim, volume)


def _unfit(world: World, claim: ClaimView, volume: VolumeView) -> str:
    """Why a volume that is asked for by its name does not do."""
    if volume.capacity < claim.request:
        return "requested PV is too small"
    if volume.mode != claim.mode:
        return "incompatible volumeMode"
    if volume.storage_class not in _names(claim, class_of(world, claim)[0]):
        return "storageClassName does not match"
    return "" if set(claim.modes) <= set(volume.modes) else "incompatible accessMode"


def match(claim: ClaimView, free: list[VolumeView], storage: ClassView | None) -> VolumeView | None:
    """PV1: the smallest volume that is large enough, of the same class and mode, with all access modes, that the selector picks."""
    wanted = _names(claim, storage)
    fit = [
        volume for volume in free
        if volume.claim is None and volume.capacity >= claim.request and volume.storage_class in wanted and volume.mode == claim.mode
        and set(claim.modes) <= set(volume.modes) and (not claim.selector or labels.matches(claim.selector, volume.labels))
    ]  # fmt: skip
    return min(fit, key=lambda volume: (volume.capacity, volume.name), default=None)


def _names(claim: ClaimView, storage: ClassView | None) -> tuple[str, ...]:
    """Classes whose volumes fit. Where nobody has made a default class, a claim without one takes a volume without one too, as in a
    cluster that has no default class (docs/decisions/0505).
    """
    if storage is None:
        return ("",)
    return (storage.name, "") if claim.storage_class is None and storage == BUILT_IN else (storage.name,)


def class_of(world: World, claim: ClaimView) -> tuple[ClassView | None, bool]:
    """(the claim's class, whether it is not here); None = only volumes that are there already (PV2).

    A class that has no object is one of volumes made by hand where there are such; else the built-in one serves it.
    """
    if claim.storage_class == "":
        return None, False
    if claim.storage_class is None:
        marked = [one for one in world.classes if one.default]
        return max(marked, key=lambda one: (one.meta.created, one.name)) if marked else BUILT_IN, False
    found = next((one for one in world.classes if one.name == claim.storage_class), None)
    if found is not None:
        return found, False
    made = any(volume.storage_class == claim.storage_class and not volume.ours for volume in world.volumes)
    if made or claim.key in world.waiting:
        return ClassView(claim.storage_class, NO_PROVISIONER), False
    return BUILT_IN._replace(name=claim.storage_class), claim.storage_class != BUILT_IN.name
