"""What pods take from ConfigMaps and Secrets: variables for env (EN1, EN5) and files for volumes (reconcile/files.py)."""

from __future__ import annotations

from collections.abc import Mapping

from kubeplay.engine.store.db import Store
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import ROOT_CA
from kubeplay.record import Record


class Content(Record):
    """`text` is what env may see (ConfigMap.data, Secret.data as text), `files` what volumes show (binaryData too)."""

    text: Mapping[str, str]
    files: Mapping[str, bytes]


_NO_CA = Content({"ca.crt": ""}, {"ca.crt": b""})  # there is no API server whose certificate it could be


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
            self._known[kind, name] = content(kind, found.body) if found else _NO_CA if (kind, name) == ROOT_CA else None
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
