"""Which images of manifests no registry is known to have: what a cluster could not pull."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kubeplay.errors import KubeplayError
from kubeplay.kube.portable.model import Facts, part

if TYPE_CHECKING:
    from kubeplay.engine.images.store import ImageStore


def facts(images: ImageStore, objects: Iterable[dict[str, Any]]) -> Facts:
    """What this machine knows of the images that the manifests name.

    How a layer was packed is noted when it comes and when it is pushed; an image with a layer of which that is not known was made here
    and has gone nowhere.
    """
    names = {
        str(container["image"]) for obj in objects if (pod := part(obj)) for _, container in pod.containers() if container.get("image")
    }
    return Facts(unpublished=frozenset(name for name in names if _only_here(images, name)))


def _only_here(images: ImageStore, name: str) -> bool:
    try:
        row = images.resolve(name)
    except KubeplayError:  # a name that is none, or of several images: nothing is known
        return False
    return row is not None and any(not images.rows.blobs(layer) for layer in row.layers)
