"""Whether a container's image is there (RB4, CS11). Pulling from registries comes with the issue on images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import ImageError, InvalidInput
from kubeplay.plan.container import ContainerPlan

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

NEVER_PULL, PULL, BAD_NAME, BACK_OFF = "ErrImageNeverPull", "ErrImagePull", "InvalidImageName", "ImagePullBackOff"
_LOAD = "kubeplay image load ARCHIVE, or kubeplay image import ROOTFS.tar NAME"


def present(engine: Engine, plan: ContainerPlan) -> ImageRow:
    """The image to run. Raises ImageError with the reason a kubelet gives (CS3)."""
    row = find(engine, plan.image)
    if row is not None and (plan.pull_policy != "Always" or not plan.pull_policy_set):
        return row  # a defaulted Always (DF2) is content with the local image: there is nothing to pull from yet
    if plan.pull_policy == "Never":
        raise ImageError(NEVER_PULL, f'Container image "{plan.image}" is not present with pull policy of Never', hint=_LOAD)
    raise ImageError(PULL, _pull_message(plan.image, row is not None), hint=_LOAD)


def find(engine: Engine, reference: str) -> ImageRow | None:
    """The local image of that name. Raises ImageError for a name that cannot be one."""
    try:
        return engine.images.resolve(reference)
    except InvalidInput as error:
        message = f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": {error.message}'
        raise ImageError(BAD_NAME, message) from error


def _pull_message(image: str, local: bool) -> str:
    why = "imagePullPolicy Always asks for a pull" if local else "it is not present on this machine"
    return f'failed to pull image "{image}": {why}, and pulling from a registry is not supported yet; use kubeplay image load'
