"""Which image a container or an image volume gets, and whether a registry is asked for it first (DF2, RB4, CS11). Nothing here pulls."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import Ambiguous, ImageError, InvalidInput, KubeplayError
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import ImageVolume
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.reconcile.pulls import Pulls

NEVER_PULL, PULL, BAD_NAME, BACK_OFF = "ErrImageNeverPull", "ErrImagePull", "InvalidImageName", "ImagePullBackOff"
UNAVAILABLE, UNTRUSTED = "RegistryUnavailable", "SignatureValidationFailed"
PULL_REASONS = (PULL, UNAVAILABLE, UNTRUSTED)  # a pull was tried: it is tried again in a back-off of its own (RB4)
# What decide() says.
USE, FETCH, REFUSE, WAIT, NOWHERE = "use", "fetch", "refuse", "wait", "nowhere"
_ID, _HEX = 64, frozenset("0123456789abcdef")
LOCAL = "localhost/"  # Podman's and our name for what was built, imported or tagged here: no registry has that name
_LOAD = "kubeplay pull, kubeplay build, or kubeplay load -i ARCHIVE brings it here"


class Wanted(Record):
    """One image that a pod asks for. `chosen`: its policy was chosen by somebody.

    Of one that is to be pulled, `name` is what a registry is asked for, and `spare` says that there is a local image that would do.
    """

    image: str
    policy: str
    chosen: bool
    namespace: str
    secrets: tuple[str, ...] = ()
    name: str = ""
    spare: bool = False


known: weakref.WeakKeyDictionary[Engine, Pulls] = weakref.WeakKeyDictionary()  # the pulls of each engine that has had any


def wanted(pod: PodPlan, image: str, policy: str, chosen: bool) -> Wanted:
    return Wanted(image, policy, chosen, pod.namespace, pod.pull_secrets)


def of_pod(pod: PodPlan) -> Iterator[tuple[str, Wanted]]:
    """Every image of a pod: (where it stands, what is wanted)."""
    for volume in pod.volumes:
        source = volume.source
        if isinstance(source, ImageVolume):
            yield f"volume {volume.name}", wanted(pod, source.reference, source.pull_policy, source.pull_policy_set)
    for container in pod.containers:
        if not container.imageless:
            yield f"container {container.name}", wanted(pod, container.image, container.pull_policy, container.pull_policy_set)


def decide(policy: str, present: bool, local: bool = False, held: bool = False) -> str:
    """What to do about an image. Pure.

    `local`: its name belongs to no registry. `held`: a pull failed a moment ago and its back-off has not passed.
    """
    if present and (policy != "Always" or local):
        return USE
    if policy == "Never":
        return REFUSE
    if local:
        return NOWHERE
    return WAIT if held else FETCH


def suffices(chosen: bool, present: bool, reason: str) -> bool:
    """Whether the local image does after a pull failed: where nobody chose Always, unless the trust policy refused (Podman's `newer`)."""
    return present and not chosen and reason != UNTRUSTED


def look(engine: Engine, want: Wanted) -> tuple[ImageRow | None, Wanted | None]:
    """(the image to run, None) or (the local image if any, what to pull). Raises ImageError with the reason a kubelet gives (CS3).

    Who calls this has seen to the back-off (decide.py).
    """
    row = find(engine, want.image)
    if row is not None and want.policy != "Always":
        return row, None
    name = registry_name(engine, want.image, row)
    todo = decide(want.policy, row is not None, name.startswith(LOCAL))
    if todo == USE:
        return row, None
    if todo == REFUSE:
        raise ImageError(NEVER_PULL, f'Container image "{want.image}" is not present with pull policy of Never', hint=_LOAD)
    if todo == NOWHERE:
        raise ImageError(PULL, f'failed to pull image "{want.image}": it is not on this machine, and localhost is no registry', hint=_LOAD)
    return row, want._replace(name=name, spare=suffices(want.chosen, row is not None, PULL))


def missing(engine: Engine, pods: Sequence[PodPlan]) -> list[str]:
    """Images of the pods that are not on this machine, each once; what cannot be a name is not counted."""
    found = []
    for image in dict.fromkeys(want.image for pod in pods for _, want in of_pod(pod)):
        try:
            if find(engine, image) is None:
                found.append(image)
        except ImageError:
            continue
    return found


def find(engine: Engine, reference: str) -> ImageRow | None:
    """The local image of that name. Raises ImageError for a name that cannot be one."""
    try:
        row = engine.images.resolve(reference)
    except (InvalidInput, Ambiguous) as error:
        raise _bad_name(reference, error) from error
    if row is not None and len(reference) < _ID and _HEX.issuperset(reference) and not _named_so(engine, reference, row):
        return None  # the beginning of an id: in a manifest `face` is a name, and nothing else may run under it
    return row


def _named_so(engine: Engine, name: str, row: ImageRow) -> bool:
    from kubeplay.engine.images import reference

    names = engine.images.names(row.id)
    return any(str(reference.parse(name, domain)) in names for domain in (reference.DEFAULT_DOMAIN, "localhost"))


def registry_name(engine: Engine, image: str, row: ImageRow | None) -> str:
    """The name to ask a registry for: that of the local image which `image` means, else `image` itself.

    A short name that means localhost/NAME must never be asked for at docker.io: somebody else may own it there.
    """
    from kubeplay.engine.images import reference

    try:
        parsed = reference.parse(image)
    except InvalidInput as error:
        if row is not None:
            return f"{LOCAL}{row.id}"  # an id: nothing to pull
        raise _bad_name(image, error) from error
    if parsed.domain == "localhost":
        return str(parsed)
    if row is not None and reference.is_short(image):
        at_home = str(reference.parse(image, "localhost"))
        names = engine.images.names(row.id)
        if at_home in names and str(parsed) not in names:
            return at_home
    return image


def _bad_name(image: str, error: KubeplayError) -> ImageError:
    return ImageError(BAD_NAME, f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {error.message}')
