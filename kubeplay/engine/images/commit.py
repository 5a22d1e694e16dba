"""What a commit's image says: the configuration of the image below, what the container was told otherwise, and the changes asked for. Pure.

Values that came from Secrets and ConfigMaps, or are expanded from other variables, stay out: an image travels, and they were
never the image's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubeplay.engine.images import changes
from kubeplay.engine.images.descriptor import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.env import EnvLiteral
from kubeplay.record import Record

OCI, DOCKER = "oci", "docker"


class Wish(Record):
    """What `commit` was asked for. `changes` are Dockerfile instructions; `squash` makes one layer of everything."""

    author: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    form: str = OCI
    squash: bool = False
    include_volumes: bool = False


def left_out(plan: ContainerPlan) -> tuple[str, ...]:
    """Variables of the container that the image does not get, by name; `*` stands for all of an envFrom."""
    names = [entry.name for entry in plan.env if not _plain(entry)]
    return tuple(names + [f"{source.prefix}* of {source.kind} {source.object_name}" for source in plan.env_from])


def config(base: str, plan: ContainerPlan, wish: Wish, diff_id: str, created: str) -> bytes:
    """The configuration blob. `base` is that of the image below; `created` RFC 3339. Raises InvalidInput (a change that is none)."""
    value: dict[str, Any] = json.loads(base)
    inner = _told(dict(value.get("config") or {}), plan, wish.include_volumes)
    value["config"] = changes.apply(wish.changes, inner)
    entry = {"created": created, "created_by": " ".join(plan.command or plan.args or inner.get("Cmd") or ()), "author": wish.author}
    entry["comment"] = wish.message
    entry = {key: text for key, text in entry.items() if text}
    below = value.get("rootfs", {}).get("diff_ids") or []
    value["rootfs"] = {"type": "layers", "diff_ids": [diff_id] if wish.squash else [*below, diff_id]}
    value["history"] = [entry] if wish.squash else [*(value.get("history") or []), entry]
    for key in ("container", "container_config", "id", "parent", "docker_version"):  # of docker's older forms; they name the image below
        value.pop(key, None)
    value.update(created=created)
    for key, text in (("author", wish.author), ("comment", wish.message if wish.form == DOCKER else "")):
        value.pop(key, None)
        if text:
            value[key] = text
    return json.dumps(value, separators=(",", ":")).encode()


def manifest(config_bytes: bytes, layers: Sequence[tuple[str, int]], form: str) -> bytes:
    """A manifest over uncompressed layers, (digest, size) base first."""
    from kubeplay.engine.images.archive import sha256

    kind, inner, layer = (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER) if form == DOCKER else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    value = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": inner, "digest": sha256(config_bytes), "size": len(config_bytes)},
        "layers": [{"mediaType": layer, "digest": digest, "size": size} for digest, size in layers],
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _told(inner: dict[str, Any], plan: ContainerPlan, volumes: bool) -> dict[str, Any]:
    """The image's own settings with those of the container's manifest over them."""
    if plan.command is not None:  # CM1: a command takes the image's CMD away
        inner["Entrypoint"], inner["Cmd"] = list(plan.command), list(plan.args or ())
    elif plan.args is not None:
        inner["Cmd"] = list(plan.args)
    env = dict(entry.split("=", 1) for entry in inner.get("Env") or [] if "=" in entry)
    env.update({entry.name: entry.value.replace("$$", "$") for entry in plan.env if isinstance(entry, EnvLiteral) and _plain(entry)})
    inner["Env"] = [f"{name}={value}" for name, value in env.items()]
    if plan.working_dir:
        inner["WorkingDir"] = plan.working_dir
    if plan.stop_signal:
        inner["StopSignal"] = plan.stop_signal
    user, group = plan.security.run_as_user, plan.security.run_as_group
    if user is not None or group is not None:
        inner["User"] = f"{user or 0}" + (f":{group}" if group is not None else "")
    if plan.ports:
        ports: dict[str, Any] = {f"{port.container_port}/{port.protocol.lower()}": {} for port in plan.ports}
        inner["ExposedPorts"] = {**(inner.get("ExposedPorts") or {}), **ports}
    if volumes and plan.mounts:
        inner["Volumes"] = {**(inner.get("Volumes") or {}), **{mount.path: {} for mount in plan.mounts}}
    return {key: value for key, value in inner.items() if value not in (None, [], {})}


def _plain(entry: object) -> bool:
    """A literal without references to other variables (EN2: `$$` is a dollar)."""
    return isinstance(entry, EnvLiteral) and "$(" not in entry.value
