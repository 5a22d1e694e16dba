"""Claims for volumes, and Secrets whose values stay hidden."""

from __future__ import annotations

from typing import Any

from kubeplay.generate.options import Volume
from kubeplay.kube.portable.model import PLACEHOLDER as PLACEHOLDER

Object = dict[str, Any]

SIZE = "1Gi"  # podman-kube-facts.md section 5: a claim must ask for something
PREFIX = "volume.podman.io/"


def claim(volume: Volume) -> Object:
    """A claim that makes the volume again."""
    meta: Object = {"name": volume.name, "namespace": volume.namespace}
    if volume.options:
        meta["annotations"] = {PREFIX + key: value for key, value in volume.options}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": SIZE}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def hidden(secret: Object) -> Object:
    """The Secret with its keys but not its values."""
    made = dict(secret)
    for field in ("data", "stringData"):
        if made.get(field):
            made[field] = dict.fromkeys(made[field], PLACEHOLDER)
    return made
