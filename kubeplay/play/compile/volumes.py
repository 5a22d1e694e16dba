"""Volumes of a pod and their mounts (VO1-VO12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubeplay.errors import NotSupported
from kubeplay.kube.defaults_pod import pull_policy
from kubeplay.kube.resources import whole
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.volumes import (
    ROOT_CA,
    Claim,
    DownwardFiles,
    EmptyDir,
    FieldFile,
    Files,
    HostPath,
    ImageVolume,
    KeyPath,
    Mount,
    ObjectFiles,
    Projected,
    ResourceFile,
    TokenFile,
    Volume,
    VolumeSource,
)
from kubeplay.play.compile import marks as known

DEFAULT_MODE = 0o644  # VO2


def plan(spec: Mapping[str, Any], marks: Mapping[str, str] = {}, pod: str = "") -> tuple[Volume, ...]:
    """`marks` are the pod's annotations, `pod` is its name."""
    return tuple([Volume(v["name"], _source(v, marks, pod)) for v in spec.get("volumes") or []])


def pull(image: str, policy: str | None, marks: Mapping[str, str]) -> tuple[str, bool]:
    """(policy, whether somebody chose it) of an image. One equal to DF2's default, and the mark `newer`, count as not chosen."""
    implied = pull_policy(image)
    if policy != "Never" and marks.get(known.PULL_POLICY) == known.NEWER:
        return "Always", False
    return policy or implied, bool(policy) and policy != implied


def _source(volume: Mapping[str, Any], marks: Mapping[str, str], pod: str) -> VolumeSource:
    kinds = [key for key, value in volume.items() if key != "name" and value is not None]
    if not kinds:  # VO1
        return EmptyDir()
    if kinds[0] == "image":
        return _image(volume["image"], marks)
    if kinds[0] == "ephemeral":
        return Claim(claim_name(pod, volume["name"]))
    make = _SOURCES.get(kinds[0])
    if make is None:
        raise NotSupported(f"volume {volume['name']}: {kinds[0]} volumes are not supported")
    made: VolumeSource = make(volume[kinds[0]])
    return made


def claim_name(pod: str, volume: str) -> str:
    """The claim of a generic ephemeral volume (VO14)."""
    return f"{pod}-{volume}"


def _empty_dir(value: Mapping[str, Any]) -> EmptyDir:
    return EmptyDir(value.get("medium") or "", whole(value.get("sizeLimit") or 0))


def _host_path(value: Mapping[str, Any]) -> HostPath:
    return HostPath(value["path"], value.get("type") or "")


def _config_map(value: Mapping[str, Any]) -> ObjectFiles:
    return _files("ConfigMap", value.get("name") or "", value)


def _secret(value: Mapping[str, Any]) -> ObjectFiles:
    return _files("Secret", value.get("secretName") or "", value)


def _files(kind: str, name: str, value: Mapping[str, Any], mode: int | None = None) -> ObjectFiles:
    """`mode`: the default of the volume that this is a part of, else it has its own."""
    paths = tuple([KeyPath(i["key"], i["path"], _item_mode(i)) for i in value.get("items") or ()])
    return ObjectFiles(kind, name, paths or None, _default_mode(value) if mode is None else mode, bool(value.get("optional")))


def _item_mode(item: Mapping[str, Any]) -> int:
    return -1 if item.get("mode") is None else int(item["mode"])


def _default_mode(value: Mapping[str, Any]) -> int:
    mode = value.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def _downward(value: Mapping[str, Any], mode: int | None = None) -> DownwardFiles:
    items = tuple([_downward_item(item) for item in value.get("items") or ()])
    return DownwardFiles(items, _default_mode(value) if mode is None else mode)


def _downward_item(item: Mapping[str, Any]) -> FieldFile | ResourceFile:
    if item.get("fieldRef") is not None:
        return FieldFile(item["path"], item["fieldRef"]["fieldPath"], _item_mode(item))
    ref = item["resourceFieldRef"]
    return ResourceFile(item["path"], ref["resource"], ref.get("containerName") or "", str(ref.get("divisor") or "0"), _item_mode(item))


def _projected(value: Mapping[str, Any]) -> Projected:
    mode = _default_mode(value)
    return Projected(tuple([_part(part, mode) for part in value.get("sources") or ()]), mode)


def _part(part: Mapping[str, Any], mode: int) -> ObjectFiles | DownwardFiles | TokenFile:
    """One source; the volume's mode is that of all of them."""
    kind, value = next((key, value) for key, value in part.items() if value is not None)
    if kind == "configMap":
        return _files("ConfigMap", value.get("name") or "", value, mode)
    if kind == "secret":
        return _files("Secret", value.get("name") or "", value, mode)
    if kind == "downwardAPI":
        return _downward(value, mode)
    if kind == "serviceAccountToken":
        return TokenFile(value["path"], value.get("audience") or "", int(value.get("expirationSeconds") or 3600))
    raise NotSupported(f"projected volumes: {kind} is not supported")


def _claim(value: Mapping[str, Any]) -> Claim:
    return Claim(value["claimName"], bool(value.get("readOnly")))


def _image(value: Mapping[str, Any], marks: Mapping[str, str]) -> ImageVolume:
    reference = value.get("reference") or ""
    return ImageVolume(reference, *pull(reference, value.get("pullPolicy"), marks))


_SOURCES: dict[str, Any] = {
    "emptyDir": _empty_dir, "hostPath": _host_path, "configMap": _config_map, "secret": _secret,
    "persistentVolumeClaim": _claim, "downwardAPI": _downward, "projected": _projected,
}  # fmt: skip


ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_ACCOUNT_SECONDS = 3607  # DF3


def account(spec: Mapping[str, Any], declared: Sequence[Volume]) -> Volume | None:
    """The volume of a token that a PodSpec asks for itself; a cluster gives one to every pod (DF3, docs/decisions/0504)."""
    if spec.get("automountServiceAccountToken") is not True:
        return None
    taken, name = {volume.name for volume in declared}, "kube-api-access"
    while name in taken:
        name += "-x"
    sources = (
        TokenFile("token", "", _ACCOUNT_SECONDS),
        ObjectFiles(*ROOT_CA, (KeyPath("ca.crt", "ca.crt"),)),
        DownwardFiles((FieldFile("namespace", "metadata.namespace"),)),
    )
    return Volume(name, Projected(sources))


def with_account(container: ContainerPlan, volume: Volume) -> ContainerPlan:
    """The container with the token's mount, unless it has something there already."""
    if any(mount.path.rstrip("/") == ACCOUNT_PATH for mount in container.mounts):
        return container
    return container._replace(mounts=(*container.mounts, Mount(volume.name, ACCOUNT_PATH, read_only=True)))


def mounts(container: Mapping[str, Any], volumes: Sequence[Volume]) -> tuple[Mount, ...]:
    """Mounts, parents before what is mounted inside them, else in file order (VO10)."""
    fixed = {v.name for v in volumes if _is_read_only(v.source)}
    made = [_mount(m, m["name"] in fixed) for m in container.get("volumeMounts") or []]
    return tuple(sorted(made, key=lambda mount: len([part for part in mount.path.split("/") if part])))


def _is_read_only(source: VolumeSource) -> bool:
    """VO2, VO12: what we project is never writable."""
    return isinstance(source, Files | ImageVolume) or (isinstance(source, Claim) and source.read_only)


def _mount(item: Mapping[str, Any], read_only: bool) -> Mount:
    path = item["mountPath"]
    return Mount(
        volume=item["name"],
        path=path if path.startswith("/") else f"/{path}",
        read_only=read_only or bool(item.get("readOnly")),
        sub_path=item.get("subPath") or "",
        sub_path_expr=item.get("subPathExpr") or "",
        propagation=item.get("mountPropagation") or "None",
        recursive_read_only="" if item.get("recursiveReadOnly") in (None, "Disabled") else item["recursiveReadOnly"],
    )
