"""The form of a kustomization file: which fields it has and of what type, so that what is misspelt is said with its line.

A shape is a type, a list of one shape, a dict of fields, or a dict of one `...` for a map with any keys.
"""

from __future__ import annotations

from typing import Any

from kubeplay.errors import Fault, InvalidInput, NotSupported
from kubeplay.kube.document import Document, Path, path_text
from kubeplay.kube.load import scan  # the file itself is read as kubectl reads: `y` is true in it
from kubeplay.kustomize.model import Tree

_TEXT, _FLAG, _COUNT, _ANY = str, bool, int, object
_MAP = {...: _TEXT}
_FIELD_SPEC = {"group": _TEXT, "version": _TEXT, "kind": _TEXT, "path": _TEXT, "create": _FLAG}
_SELECTOR = {
    **dict.fromkeys(("group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"), _TEXT),
}
_OPTIONS = {"labels": _MAP, "annotations": _MAP, "disableNameSuffixHash": _FLAG, "immutable": _FLAG}
_GENERATOR = {
    "name": _TEXT, "namespace": _TEXT, "behavior": _TEXT, "literals": [_TEXT], "files": [_TEXT], "envs": [_TEXT], "env": _TEXT,
    "options": _OPTIONS,
}  # fmt: skip
_PATCH = {"path": _TEXT, "patch": _TEXT, "target": _SELECTOR, "options": {"allowNameChange": _FLAG, "allowKindChange": _FLAG}}
_TARGET_OPTIONS = {"delimiter": _TEXT, "index": _COUNT, "encoding": _TEXT, "create": _FLAG}
_ID = {"group": _TEXT, "version": _TEXT, "kind": _TEXT, "name": _TEXT, "namespace": _TEXT}
REPLACEMENT = {
    "source": {**_ID, "fieldPath": _TEXT, "options": _TARGET_OPTIONS},
    "targets": [{"select": _SELECTOR, "reject": [_SELECTOR], "fieldPaths": [_TEXT], "options": _TARGET_OPTIONS}],
}
SHAPE: Tree = {
    "apiVersion": _TEXT, "kind": _TEXT, "metadata": {"name": _TEXT, "namespace": _TEXT, "labels": _MAP, "annotations": _MAP},
    "resources": [_TEXT], "bases": [_TEXT], "components": [_TEXT],
    "namespace": _TEXT, "namePrefix": _TEXT, "nameSuffix": _TEXT,
    "commonLabels": _MAP, "commonAnnotations": _MAP,
    "labels": [{"pairs": _MAP, "includeSelectors": _FLAG, "includeTemplates": _FLAG, "fields": [_FIELD_SPEC]}],
    "patches": [_PATCH], "patchesStrategicMerge": [_TEXT], "patchesJson6902": [{**_PATCH, "target": _SELECTOR}],
    "images": [dict.fromkeys(("name", "newName", "newTag", "tagSuffix", "digest"), _TEXT)],
    "replicas": [{"name": _TEXT, "count": _COUNT}],
    "replacements": [{"path": _TEXT, **REPLACEMENT}],
    "configMapGenerator": [_GENERATOR], "secretGenerator": [{**_GENERATOR, "type": _TEXT}], "generatorOptions": _OPTIONS,
    "sortOptions": {"order": _TEXT, "legacySortOptions": {"orderFirst": [_TEXT], "orderLast": [_TEXT]}},
}  # fmt: skip
# What kustomize has and this has not, and what to do instead.
MISSING = {
    "helmCharts": "run `helm template` and name its output as a resource",
    "helmGlobals": "run `helm template` and name its output as a resource",
    "helmChartInflationGenerator": "run `helm template` and name its output as a resource",
    "generators": "plugins are not run; configMapGenerator and secretGenerator are",
    "transformers": "plugins are not run; write labels, patches, images and the like as fields of the kustomization",
    "validators": "plugins are not run",
    "configurations": "the field specs of kustomize itself are used",
    "crds": "the kinds of Kubernetes itself are known",
    "openapi": "the kinds of Kubernetes itself are known",
    "vars": "kustomize itself has deprecated them: write `replacements`",
    "buildMetadata": "nothing says where its objects come from, but for errors",
    "inventory": "apply with --prune instead",
}
API = {"Kustomization": "kustomize.config.k8s.io/v1beta1", "Component": "kustomize.config.k8s.io/v1alpha1"}
_NAMES = {str: "a string", bool: "true or false", int: "an integer", list: "a list", dict: "a mapping"}


def kustomization(data: bytes, source: str) -> Document:
    """The kustomization of a file. Raises InvalidInput with every fault, NotSupported for what is left out here."""
    documents, found = scan(data, source)
    if not found and not documents:
        found = [Fault("", "FieldValueRequired", "kustomization.yaml is empty", "", source, 1, 1)]
    if not found and len(documents) > 1:
        line, column = documents[1].positions.at(())
        found = [Fault("", "FieldValueForbidden", "a kustomization file holds one document", "", source, line, column)]
    if found:
        raise InvalidInput(f"{source}: {len(found)} fault{'s' if len(found) > 1 else ''}", found)
    document = documents[0]
    document.value.update({"images": document.value.pop("imageTags")} if "imageTags" in document.value else {})
    _supported(document)
    return checked(document, SHAPE)


def checked(document: Document, shape: Any) -> Document:
    """The document, when it has that shape. Raises InvalidInput with every fault."""
    found = [_located(document, path, message, hint) for path, message, hint in _faults(document.value, shape, ())]
    found += _type_meta(document) if shape is SHAPE else []
    if found:
        raise InvalidInput(f"invalid Kustomization: {document.source}: {len(found)} fault{'s' if len(found) > 1 else ''}", found)
    return document


def _supported(document: Document) -> None:
    for field, instead in MISSING.items():
        if document.value.get(field):
            line, column = document.positions.at((field,))
            raise NotSupported(f"{document.source}:{line}:{column}: {field}: is not supported", hint=instead)
        document.value.pop(field, None)


def _type_meta(document: Document) -> list[Fault]:
    kind = document.value.get("kind") or "Kustomization"
    if kind not in API:
        return [_located(document, ("kind",), f"kind is {kind!r}", "a kustomization's kind is Kustomization or Component")]
    api = document.value.get("apiVersion") or API[kind]
    if api != API[kind]:
        return [_located(document, ("apiVersion",), f"apiVersion for {kind} should be {API[kind]}", "")]
    return []


def _located(document: Document, path: Path, message: str, hint: str) -> Fault:
    line, column = document.positions.at(path)
    return Fault(path_text(path), "FieldValueInvalid", message, hint, document.source, line, column)


def _faults(value: Any, shape: Any, path: Path) -> list[tuple[Path, str, str]]:
    if value is None or shape is _ANY:
        return []
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [(path, f"must be a list, is {_kind(value)}", "")]
        return [found for at, item in enumerate(value) for found in _item(item, shape[0], (*path, at))]
    if isinstance(shape, dict):
        return _map_faults(value, shape, path)
    if type(value) is shape:
        return []
    hint = "quote it" if shape is str and not isinstance(value, (dict, list)) else ""
    return [(path, f"must be {_NAMES[shape]}, is {_kind(value)}", hint)]


def _item(value: Any, shape: Any, path: Path) -> list[tuple[Path, str, str]]:
    return [(path, "must not be empty", "")] if value is None else _faults(value, shape, path)


def _map_faults(value: Any, shape: Tree, path: Path) -> list[tuple[Path, str, str]]:
    if not isinstance(value, dict):
        return [(path, f"must be a mapping, is {_kind(value)}", "")]
    found: list[tuple[Path, str, str]] = []
    for key, item in value.items():
        inner = shape.get(key, shape.get(...))  # type: ignore[call-overload]
        if inner is None:
            found.append(((*path, key), f'unknown field "{key}"', _meant(key, shape)))
        else:
            found += _faults(item, inner, (*path, key))
    return found


def _kind(value: object) -> str:
    return _NAMES.get(type(value), "a number")


def _meant(key: str, shape: Tree) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, [name for name in shape if isinstance(name, str)], 1, 0.7)
    return f"did you mean {close[0]}?" if close else ""
