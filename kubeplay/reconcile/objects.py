"""What pods take from ConfigMaps and Secrets: variables for env (EN1, EN5) and files for volumes (VO2, VO3)."""

from __future__ import annotations

from collections.abc import Mapping

from kubeplay.engine.store.db import Store
from kubeplay.errors import VolumeError
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import ObjectFiles
from kubeplay.record import Record


class Content(Record):
    """`text` is what env may see (ConfigMap.data, Secret.data as text), `files` what volumes show (binaryData too)."""

    text: Mapping[str, str]
    files: Mapping[str, bytes]


class Contents:
    """ConfigMaps and Secrets of one namespace, each read once."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._namespace = namespace
        self._known: dict[tuple[str, str], Content | None] = {}

    def get(self, kind: str, name: str) -> Content | None:
        """The content, None when there is no such object."""
        if (kind, name) not in self._known:
            found = self._store.objects.find(ObjectKey(kind, self._namespace, name))
            self._known[kind, name] = content(kind, found.body) if found else None
        return self._known[kind, name]

    def text(self, kind: str, name: str) -> Mapping[str, str] | None:
        found = self.get(kind, name)
        return None if found is None else found.text


def content(kind: str, body: str) -> Content:
    """The content of a stored ConfigMap or Secret."""
    import json
    from base64 import b64decode

    data = json.loads(body)
    if kind == "Secret":
        files = {key: b64decode(value) for key, value in (data.get("data") or {}).items()}
        files.update({key: _bytes(value) for key, value in (data.get("stringData") or {}).items()})
        return Content({key: value.decode("utf-8", "surrogateescape") for key, value in files.items()}, files)
    text = dict(data.get("data") or {})
    files = {key: _bytes(value) for key, value in text.items()}
    files.update({key: b64decode(value) for key, value in (data.get("binaryData") or {}).items()})
    return Content(text, files)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def volume_files(plan: PodPlan, contents: Contents) -> dict[str, dict[str, tuple[bytes, int]]]:
    """volume name -> path -> (content, mode) of every ConfigMap and Secret volume. Raises VolumeError (CS5, VO3)."""
    return {v.name: _files(v.name, v.source, contents) for v in plan.volumes if isinstance(v.source, ObjectFiles)}


def _files(volume: str, source: ObjectFiles, contents: Contents) -> dict[str, tuple[bytes, int]]:
    found = contents.get(source.kind, source.object_name)
    if found is None:
        if source.optional:
            return {}
        raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : {source.kind.lower()} "{source.object_name}" not found')
    if source.items is None:
        return {key: (value, source.default_mode) for key, value in found.files.items()}
    made: dict[str, tuple[bytes, int]] = {}
    for item in source.items:
        if item.key in found.files:
            made[item.path] = (found.files[item.key], source.default_mode if item.mode < 0 else item.mode)
        elif not source.optional:
            what = "config key" if source.kind == "ConfigMap" else "secret key"
            kind = source.kind.lower()
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : {kind} references non-existent {what}: {item.key}')
    return made
