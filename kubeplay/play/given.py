"""What files say of their objects, kept for the next apply: texts without defaults, and the stack that the files make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.plan.stack import Given, ObjectKey, Origin, PlannedObject
from kubeplay.play.kinds import base

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.kube.check import Manifest

Json = dict[str, Any]
NAME_MOST = 53  # characters: helm's bound for the name of a release
SET_ID, TOOLING, OURS = "applyset.kubernetes.io/id", "applyset.kubernetes.io/tooling", "kubeplay"  # of parents (apply/applyset.py)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def given(manifests: Sequence[Manifest], planned: Sequence[PlannedObject]) -> tuple[Given, ...]:
    """The texts of all manifests; `planned` are their objects in the stack, by which an object without a name is found."""
    found = []
    names = {one.key for one in planned}
    for manifest in manifests:
        obj = written(manifest)
        if obj["metadata"].get("name") and (key := base.key(obj)) in names:
            found.append(Given(key, base.body(obj)))
    return tuple(found)


def written(manifest: Manifest) -> Json:
    """A manifest's object as its author has it: with its namespace, without what only a server says, a Secret's texts as data."""
    obj: Json = dict(manifest.document.value)
    meta = dict(obj.get("metadata") or {})
    place = manifest.object["metadata"].get("namespace")
    if place:
        meta["namespace"] = place
    obj["metadata"] = meta
    marks = meta.get("annotations")
    if isinstance(marks, dict) and LAST_APPLIED in marks:  # no text within the text
        meta["annotations"] = {name: value for name, value in marks.items() if name != LAST_APPLIED}
    obj = base.cleaned(obj)
    if obj.get("kind") == "Secret" and isinstance(obj.get("stringData"), dict):
        obj = _with_data(obj)
    return obj


def _with_data(secret: Json) -> Json:
    """VL2: what the server stores of stringData, so that a text that leaves the file leaves the Secret too."""
    from base64 import b64encode

    made = {name: value for name, value in secret.items() if name != "stringData"}
    texts = {name: b64encode(str(text).encode("utf-8", "surrogatepass")).decode("ascii") for name, text in secret["stringData"].items()}
    made["data"] = {**(made.get("data") or {}), **texts}
    return made


def origin(namespace: str, sources: Sequence[str]) -> Origin:
    """The stack of these words of the command line: by the real paths of files and directories; standard input makes none."""
    if not sources or "-" in sources:
        return Origin(namespace)
    urls = ("http://", "https://")
    names = [one if one.startswith(urls) else os.path.realpath(one) for one in sources]
    return Origin(namespace, source="\n".join(sorted(names)), wish=_wish(names[0]))


def _wish(path: str) -> str:
    """A stack's name after its first file or directory, as a label's value may be."""
    stem = os.path.basename(path.rstrip("/"))
    stem = stem.rpartition(".")[0] if stem.endswith((".yaml", ".yml", ".json")) else stem
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem.lower()).strip("-")
    return name[:NAME_MOST].strip("-") or "stack"


def keep(engine: Engine, origin: Origin | None, texts: Sequence[Given], uids: dict[ObjectKey, str]) -> None:
    """Remember the texts of stored objects, inside the play's transaction. Nothing without an origin: no file is behind it."""
    if origin is None or not texts:
        return
    from kubeplay.engine.store.applied import Applied

    applied = Applied(engine.store)
    stack = stack_id(applied, origin)
    for one in texts:
        if one.key in uids:
            applied.put(uids[one.key], stack, one.text)


def stack_id(applied: Any, origin: Origin) -> int:
    """The stack's number, made where it is not there; 0 = none."""
    if origin.name:
        return int(applied.named(origin.namespace, origin.name, origin.source).id)
    if origin.source:
        return int(applied.of_source(origin.namespace, origin.source, origin.wish or "stack").id)
    return 0


def found_id(applied: Any, origin: Origin) -> int:
    """The stack's number where it is there, 0 = there is none: what `stack_id` would give, and nothing is made."""
    row = applied.stack(origin.namespace, origin.name) if origin.name else None
    if row is None and origin.source:
        row = applied.find_source(origin.namespace, origin.source)
    return int(row.id) if row is not None else 0


def forget(engine: Engine) -> None:
    """Stacks of which nothing is left are forgotten, and the parents that we made of their ApplySets go."""
    from kubeplay.engine.store.applied import Applied

    for row in Applied(engine.store).collect():
        for kind in ("Secret", "ConfigMap"):
            key = ObjectKey(kind, row.namespace, row.name)
            found = engine.store.objects.find(key)
            if found is not None and _is_parent(found.body):
                engine.store.objects.delete(key)


def _is_parent(body: str) -> bool:
    import json

    meta = json.loads(body)["metadata"] if SET_ID in body else {}
    return SET_ID in (meta.get("labels") or {}) and str((meta.get("annotations") or {}).get(TOOLING)).startswith(f"{OURS}/")
