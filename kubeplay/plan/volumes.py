"""Volumes of a pod and their mounts in a container."""

from __future__ import annotations

from kubeplay.record import Record

DEFAULT_MODE = 0o644  # VO2


class EmptyDir(Record):
    """Per-pod directory; medium "" is disk, "Memory" is tmpfs; `size_limit` in bytes, 0 = none (VO7)."""

    medium: str = ""
    size_limit: int = 0


class HostPath(Record):
    """A path of the host; `type` as in the API, "" = no check (VO8)."""

    path: str
    type: str = ""


class KeyPath(Record):
    """One `items` entry; `mode` -1 means the volume's default (VO2, VO3)."""

    key: str
    path: str
    mode: int = -1


class ObjectFiles(Record):
    """A ConfigMap or Secret as files; `items` None = every key (VO2, VO3)."""

    kind: str
    object_name: str
    items: tuple[KeyPath, ...] | None = None
    default_mode: int = DEFAULT_MODE
    optional: bool = False


class Claim(Record):
    """A PersistentVolumeClaim of the pod's namespace."""

    claim_name: str
    read_only: bool = False


class ImageVolume(Record):
    """The root file system of an image, read-only (VO12). `pull_policy_set` as in ContainerPlan."""

    reference: str
    pull_policy: str = "IfNotPresent"
    pull_policy_set: bool = True


VolumeSource = EmptyDir | HostPath | ObjectFiles | Claim | ImageVolume


class Volume(Record):
    """A named volume of the pod."""

    name: str
    source: VolumeSource


class Mount(Record):
    """One volumeMount; `sub_path_expr` still holds its `$(VAR)` references (EN3, VO9, VO11)."""

    volume: str
    path: str
    read_only: bool = False
    sub_path: str = ""
    sub_path_expr: str = ""
    propagation: str = "None"
