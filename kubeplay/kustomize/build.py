"""A kustomization built: its resources, components and generators collected, its transformers applied, layer by layer.

The order is kustomize's: resources, generators, components, then patches, namespace, prefix, suffix, labels, annotations, JSON patches,
replicas, images, replacements; hashes and references once at the end, over everything (measured against v5.5.0).
"""

from __future__ import annotations

import os
from typing import Any

from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kustomize import generators, hashing, images, metadata, patches, reading, references, replacements, root, shape, sorting, text
from kubeplay.kustomize.model import Id, Resource, Tree, cluster_wide, copied, plain
from kubeplay.kustomize.model import text as word
from kubeplay.kustomize.root import Root
from kubeplay.record import Record

# A tool's own file among manifests: not for a cluster.
LOCAL = "config.kubernetes.io/local-config"
NEEDS_HASH = "kustomize.config.k8s.io/needs-hash"


class Object(Record):
    """One object of a build, and the file or generator that it comes from."""

    value: Tree
    origin: str


class Built(Record):
    """What a kustomization comes to, in the order of its output."""

    directory: str
    objects: tuple[Object, ...]

    def text(self) -> str:
        """What `kubectl kustomize` prints."""
        return text.documents([one.value for one in self.objects])

    def lines(self) -> list[int]:
        """The line of the text that each object starts at, from 1."""
        found, line = [], 1
        for one in self.objects:
            found.append(line)
            line += text.one(one.value).count("\n") + 1
        return found


def build(directory: str, within: str = "") -> Built:
    """The objects of the kustomization in a directory.

    With `within` no directory outside of that one is read: for sources that others may write. Raises InvalidInput with every fault of a
    file, NotFound for a missing one, NotSupported for plugins, remote bases and the like.
    """
    if root.is_remote(directory) and not os.path.isdir(directory):
        raise NotFound(f"{directory}: is no directory", hint="fetch a remote kustomization first (git clone) and name the local copy")
    top = root.root(directory, directory, root.Budget(), os.path.realpath(within) if within else "")
    target = _Target(top)
    resources = _hashed(target.accumulated([]))
    references.followed(resources, top.shown)
    ordered = sorting.ordered(resources, target.kustomization.get("sortOptions"), top.shown)
    return Built(directory, tuple([Object(one.value, one.origin) for one in ordered]))


def is_kustomization(directory: str) -> bool:
    """Whether a directory has a kustomization file."""
    return any(os.path.isfile(os.path.join(directory, name)) for name in root.NAMES)


def _hashed(resources: list[Resource]) -> list[Resource]:
    found = []
    for resource in resources:
        now = resource
        if resource.hashed:
            now = resource.remembering()
            now.value["metadata"]["name"] = f"{resource.name}-{hashing.suffix(resource.value)}"
        _annotated(now.value["metadata"])
        found.append(now)
    return found


def _annotated(metadata: Tree) -> None:
    """Annotations are texts, and none are no map: kustomize keeps notes of its own among them while it builds."""
    annotations = metadata.get("annotations")
    if annotations == {}:
        del metadata["annotations"]
    elif isinstance(annotations, dict):
        kept = (dict, list, type(None))  # no annotations, which the check of the manifest says
        metadata["annotations"] = {key: item if isinstance(item, kept) else plain(item) for key, item in annotations.items()}


class _Target:
    """One directory's kustomization."""

    def __init__(self, top: Root) -> None:
        self.root = top
        name, data = top.kustomization()
        self.kustomization: Tree = shape.kustomization(data, name).value
        self.kind: str = self.kustomization.get("kind") or "Kustomization"

    def accumulated(self, given: list[Resource]) -> list[Resource]:
        """The given resources and this kustomization's, transformed."""
        known, found = _Ids(given), list(given)
        for name in [*self._list("resources"), *self._list("bases")]:
            found += known.added(self._resource(name))
        for made in generators.generated(self.root, self.kustomization):
            found = generators.absorbed(found, made)
        for name in self._list("components"):
            found = self._component(name).accumulated(found)
        return self._transformed(found)

    def _list(self, field: str) -> list[Any]:
        return self.kustomization.get(field) or []

    def _resource(self, name: str) -> list[Resource]:
        if not root.is_remote(name) and self.root.is_directory(name):
            inner = _Target(self.root.child(name))
            if inner.kind == "Component":
                raise InvalidInput(f"{inner.root.shown}: is a Component", hint=f"name it under `components:` of {self.root.shown}")
            return inner.accumulated([])
        return _objects(self.root.read(name, "resource"), self.root.name(name))

    def _component(self, name: str) -> _Target:
        inner = _Target(self.root.child(name))
        if inner.kind != "Component":
            hint = f"name it under `resources:` of {self.root.shown}"
            raise InvalidInput(f"{inner.root.shown}: is no Component but a {inner.kind}", hint=hint)
        return inner

    def _transformed(self, found: list[Resource]) -> list[Resource]:
        this, where = self.kustomization, self.root.shown
        found = patches.patched(found, patches.of(self.root, this))
        found = metadata.placed(found, this.get("namespace") or "", where)
        found = metadata.prefixed(found, this.get("namePrefix") or "", this.get("nameSuffix") or "")
        metadata.labelled(found, this)
        metadata.annotated(found, this.get("commonAnnotations") or {})
        found = patches.patched(found, patches.json(self.root, this))
        images.scaled(found, self._list("replicas"), where)
        images.imaged(found, self._list("images"))
        replacements.replaced(found, replacements.of(self.root, self._list("replacements")))
        return found


class _Ids:
    """The ids of what has been collected, to tell a second one of the same."""

    def __init__(self, resources: list[Resource]) -> None:
        self.known: dict[Id, str] = {}
        self.added(resources)

    def added(self, resources: list[Resource]) -> list[Resource]:
        """The same resources. Raises InvalidInput for an id that is there already."""
        for resource in resources:
            id = resource.id
            key = id._replace(namespace="" if cluster_wide(id) else id.namespace or "default")
            if key in self.known:
                raise InvalidInput(
                    f"may not add resource with an already registered id: {id}: it is in {self.known[key]} and in {resource.origin}"
                )
            self.known[key] = resource.origin
        return resources


def _objects(data: bytes, source: str) -> list[Resource]:
    """The objects of a file, lists spread out. Raises InvalidInput for what has no kind or name."""
    found = []
    for document in reading.objects(data, source):
        value = copied(document.value)
        meta = value.get("metadata")
        annotations = meta.get("annotations") if isinstance(meta, dict) else None
        if isinstance(annotations, dict) and annotations.get(LOCAL) not in (None, "false"):
            continue
        if not (word(value.get("apiVersion")) or word(value.get("kind"))) or not isinstance(meta, dict) or not word(meta.get("name")):
            line, _ = document.positions.at(())
            what = "kind" if not word(value.get("kind")) else "metadata.name"
            raise InvalidInput(f"{source}:{line}: missing {what} in object {value.get('kind') or ''}".rstrip())
        found.append(Resource(value, source, hashed=isinstance(annotations, dict) and annotations.get(NEEDS_HASH) in ("true", "enabled")))
    return found
