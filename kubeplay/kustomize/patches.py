"""Patches of all kinds: strategic merge and JSON 6902, of a file or inline, for one target or for all that a selector means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube.compose import BadYaml
from kubeplay.kustomize import jsonpatch, strategic
from kubeplay.kustomize.model import Id, Resource, Tree, copied, fault, id_of
from kubeplay.kustomize.reading import scan, value
from kubeplay.kustomize.root import Root
from kubeplay.kustomize.select import selected
from kubeplay.record import Record


class Patch(Record):
    """A patch as read: the objects of a strategic one, or the operations of a JSON patch."""

    where: str
    objects: tuple[Tree, ...] = ()
    operations: tuple[Tree, ...] = ()
    target: Tree | None = None
    may_rename: bool = False
    may_change_kind: bool = False


def of(root: Root, kustomization: Tree) -> list[Patch]:
    """The patches that are laid over resources before they are named: patchesStrategicMerge, then patches. Raises InvalidInput."""
    found = []
    for at, text in enumerate(kustomization.get("patchesStrategicMerge") or ()):
        where = f"{root.shown}: patchesStrategicMerge[{at}]"
        inline = "\n" in text or ": " in text
        data, source = (text.encode(), where) if inline else (root.read(text, "patch"), root.name(text))
        found.append(_strategic(data, source))
    return found + [_read(root, row, f"patches[{at}]") for at, row in enumerate(kustomization.get("patches") or ())]


def json(root: Root, kustomization: Tree) -> list[Patch]:
    """patchesJson6902, which come after names and labels. Raises InvalidInput."""
    found = []
    for at, row in enumerate(kustomization.get("patchesJson6902") or ()):
        patch = _read(root, row, f"patchesJson6902[{at}]")
        if not patch.operations or not patch.target or not patch.target.get("name"):
            raise fault(root.shown, f"patchesJson6902[{at}]", "must have a JSON patch, and a target with a kind and a name")
        found.append(patch)
    return found


def _read(root: Root, row: Tree, path: str) -> Patch:
    file, text = row.get("path"), row.get("patch")
    where = f"{root.shown}: {path}"
    if bool(file) == bool(text):
        raise InvalidInput(f"{where}: must specify one of patch and path")
    data, source = (root.read(str(file), "patch"), root.name(str(file))) if file else (str(text).encode(), where)
    options = row.get("options") or {}
    patch = _parsed(data, source)
    if patch.operations and not row.get("target"):
        raise InvalidInput(f"{where}: must specify a target for JSON patch {source}")
    if len(patch.objects) > 1 and row.get("target"):
        raise InvalidInput(f"{where}: a patch with a target is one document, {source} has {len(patch.objects)}")
    rename, kind = bool(options.get("allowNameChange")), bool(options.get("allowKindChange"))
    return patch._replace(where=where, target=row.get("target"), may_rename=rename, may_change_kind=kind)


def _parsed(data: bytes, source: str) -> Patch:
    """A list is a JSON patch, objects are strategic ones."""
    operations = _operations(data, source)
    return Patch(source, operations=tuple(operations)) if operations is not None else _strategic(data, source)


def _operations(data: bytes, source: str) -> list[Tree] | None:
    import yaml

    try:
        found = value(data) if data.lstrip()[:1] in (b"-", b"[", b"#") else None
    except (BadYaml, yaml.YAMLError):
        return None  # the reader of documents says what is wrong with it
    if not isinstance(found, list):
        return None
    wrong = jsonpatch.check(found)
    if wrong:
        raise InvalidInput(f"{source}: {wrong}")
    return found


def _strategic(data: bytes, source: str) -> Patch:
    documents, found = scan(data, source)
    if found:
        raise InvalidInput(f"{source}: unable to parse SM or JSON patch", found)
    if not documents:
        raise InvalidInput(f"{source}: the patch is empty")
    return Patch(source, tuple([copied(document.value) for document in documents]))


def patched(resources: Sequence[Resource], patches: Sequence[Patch]) -> list[Resource]:
    """The resources with all patches, in their order; those that a patch deletes are gone. Raises InvalidInput."""
    found = list(resources)
    for patch in patches:
        found = _one(found, patch)
    return found


def _one(resources: list[Resource], patch: Patch) -> list[Resource]:
    if patch.target is not None:
        chosen = {id(resource) for resource in selected(resources, patch.target, patch.where)}
        wanted = patch.objects[0] if patch.objects else None
        return [
            made
            for resource in resources
            for made in [_laid(resource, wanted, patch) if id(resource) in chosen else resource]
            if made is not None
        ]
    for wanted in patch.objects:
        found = _target(resources, id_of(wanted), patch.where)
        changed = _laid(found, wanted, patch)
        resources = [now for one in resources for now in [changed if one is found else one] if now is not None]
    return resources


def _target(resources: Sequence[Resource], wanted: Id, where: str) -> Resource:
    """The one resource that has or had this id. Raises InvalidInput."""
    if not wanted.kind or not wanted.name:
        raise InvalidInput(f"{where}: a patch without a target must name its object by apiVersion, kind and metadata.name")
    found = [one for one in resources if any(known.same(wanted) for known in one.ids)]
    if len(found) != 1:
        problem = "no matches" if not found else f"multiple matches ({', '.join(str(one.id) for one in found)})"
        raise InvalidInput(
            f"{where}: {problem} for Id {wanted}; failed to find unique target for patch {wanted}",
            hint=_close(resources, wanted) if not found else "",
        )
    return found[0]


def _close(resources: Sequence[Resource], wanted: Id) -> str:
    """What else has that name or kind."""
    alike = [str(one.original) for one in resources if wanted.name in (one.name, one.original.name) or one.id.kind == wanted.kind]
    return f"there are {', '.join(alike[:5])}" if alike else ""


def _laid(resource: Resource, wanted: Tree | None, patch: Patch) -> Resource | None:
    try:
        made: Any = jsonpatch.applied(resource.value, patch.operations) if wanted is None else strategic.merged(resource.value, wanted)
    except (jsonpatch.BadPatch, strategic.BadPatch) as error:
        raise InvalidInput(f"{patch.where}: {resource.id}: {error}") from None
    if made is None:
        return None
    if not isinstance(made, dict) or not isinstance(made.get("metadata"), dict):
        raise InvalidInput(f"{patch.where}: {resource.id}: is no object with metadata any more")
    return _kept(resource, made, patch, wanted is not None)


def _kept(resource: Resource, made: Tree, patch: Patch, strategic_: bool) -> Resource:
    """A patch does not give its target another name or kind, unless it is told to; a JSON patch says so itself."""
    before, now = resource.value, resource
    if strategic_:
        if not patch.may_rename:
            _same(made["metadata"], before.get("metadata") or {}, ("name", "namespace"))
        if not patch.may_change_kind:
            _same(made, before, ("apiVersion", "kind"))
    if id_of(made) != resource.id:
        now = resource.remembering()
    return now._replace(value=made)


def _same(made: Tree, before: Tree, keys: tuple[str, ...]) -> None:
    for key in keys:
        if key in before:
            made[key] = before[key]
        else:
            made.pop(key, None)
