"""Volumes of a pod and their mounts (VO1-VO12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubeplay.errors import NotSupported
from kubeplay.kube.defaults_pod import pull_policy
from kubeplay.plan.volumes import Claim, EmptyDir, HostPath, ImageVolume, KeyPath, Mount, ObjectFiles, Volume, VolumeSource
from kubeplay.play.compile import marks as known
from kubeplay.play.compile.resources import whole

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


def _files(kind: str, name: str, value: Mapping[str, Any]) -> ObjectFiles:
    items = value.get("items")
    paths = tuple([KeyPath(i["key"], i["path"], -1 if i.get("mode") is None else i["mode"]) for i in items or ()])
    mode = value.get("defaultMode")
    return ObjectFiles(kind, name, paths or None, DEFAULT_MODE if mode is None else mode, bool(value.get("optional")))


def _claim(value: Mapping[str, Any]) -> Claim:
    return Claim(value["claimName"], bool(value.get("readOnly")))


def _image(value: Mapping[str, Any], marks: Mapping[str, str]) -> ImageVolume:
    reference = value.get("reference") or ""
    return ImageVolume(reference, *pull(reference, value.get("pullPolicy"), marks))


_SOURCES: dict[str, Any] = {
    "emptyDir": _empty_dir, "hostPath": _host_path, "configMap": _config_map, "secret": _secret,
    "persistentVolumeClaim": _claim,
}  # fmt: skip


def mounts(container: Mapping[str, Any], volumes: Sequence[Volume]) -> tuple[Mount, ...]:
    """Mounts, parents before what is mounted inside them, else in file order (VO10)."""
    fixed = {v.name for v in volumes if _is_read_only(v.source)}
    made = [_mount(m, m["name"] in fixed) for m in container.get("volumeMounts") or []]
    return tuple(sorted(made, key=lambda mount: len([part for part in mount.path.split("/") if part])))


def _is_read_only(source: VolumeSource) -> bool:
    """VO2, VO12: what we project is never writable."""
    return isinstance(source, (ObjectFiles, ImageVolume)) or (isinstance(source, Claim) and source.read_only)


def _mount(item: Mapping[str, Any], read_only: bool) -> Mount:
    path = item["mountPath"]
    return Mount(
        volume=item["name"],
        path=path if path.startswith("/") else f"/{path}",
        read_only=read_only or bool(item.get("readOnly")),
        sub_path=item.get("subPath") or "",
        sub_path_expr=item.get("subPathExpr") or "",
        propagation=item.get("mountPropagation") or "None",
    )
