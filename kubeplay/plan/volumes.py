"""Volumes of a pod and their mounts in a container."""

from __future__ import annotations

from kubeplay.record import Record

DEFAULT_MODE = 0o644  # VO2
ROOT_CA = ("ConfigMap", "kube-root-ca.crt")  # a cluster puts it into every namespace, so nobody's files have it


class EmptyDir(Record):
    """Per-pod directory; medium "" is disk, "Memory" is tmpfs, "HugePages" and "HugePages-2Mi" are huge pages (VO7).

    `size_limit` in bytes, 0 = none.
    """

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


class FieldFile(Record):
    """A field of the pod as a file (DA2); `mode` as in KeyPath."""

    path: str
    field: str
    mode: int = -1


class ResourceFile(Record):
    """A resource of the container `container` as a file (DA3)."""

    path: str
    resource: str
    container: str
    divisor: str = "0"
    mode: int = -1


class DownwardFiles(Record):
    """What the pod may know about itself, as files (DA2, DA4)."""

    items: tuple[FieldFile | ResourceFile, ...] = ()
    default_mode: int = DEFAULT_MODE


class TokenFile(Record):
    """A token that says who the pod is, to `audience` ("" = this root's own), good for `seconds` (VO6)."""

    path: str
    audience: str = ""
    seconds: int = 3600


class Projected(Record):
    """Several sources in one directory (VO6); each has the modes it needs already, `default_mode` is a token's."""

    sources: tuple[ObjectFiles | DownwardFiles | TokenFile, ...] = ()
    default_mode: int = DEFAULT_MODE


class Claim(Record):
    """A PersistentVolumeClaim of the pod's namespace."""

    claim_name: str
    read_only: bool = False


class ImageVolume(Record):
    """The root file system of an image, read-only (VO12). `pull_policy_set` as in ContainerPlan."""

    reference: str
    pull_policy: str = "IfNotPresent"
    pull_policy_set: bool = True


Files = ObjectFiles | DownwardFiles | Projected
"""Sources whose files we write, and the container only reads (VO2)."""

VolumeSource = EmptyDir | HostPath | Files | Claim | ImageVolume


class Volume(Record):
    """A named volume of the pod."""

    name: str
    source: VolumeSource


class Mount(Record):
    """One volumeMount; `sub_path_expr` still holds its `$(VAR)` references (EN3, VO9, VO11).

    `recursive_read_only`: IfPossible or Enabled make everything mounted below it read-only too; "" is Disabled.
    """

    volume: str
    path: str
    read_only: bool = False
    sub_path: str = ""
    sub_path_expr: str = ""
    propagation: str = "None"
    recursive_read_only: str = ""


def in_memory(source: Files) -> bool:
    """VO2: what is secret, or may be, never touches the disk."""
    return not (isinstance(source, ObjectFiles) and source.kind == "ConfigMap")


def objects(source: VolumeSource) -> tuple[ObjectFiles, ...]:
    """The ConfigMaps and Secrets that a volume shows."""
    if isinstance(source, Projected):
        return tuple([part for part in source.sources if isinstance(part, ObjectFiles)])
    return (source,) if isinstance(source, ObjectFiles) else ()
