"""Names, namespaces, labels and annotations: what a kustomization gives to all of its resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kustomize import specs
from kubeplay.kustomize.fields import Spec, change, of, set_keys
from kubeplay.kustomize.model import Resource, Tree, cluster_wide, fault, text


def prefixed(resources: Sequence[Resource], prefix: str, suffix: str) -> list[Resource]:
    """Names with the prefix and the suffix, which are remembered: a reference prefers what has its own."""
    if not prefix and not suffix:
        return list(resources)
    found = []
    for resource in resources:
        first = resource.original
        if any(first.kind == kind and group in ("", first.group) for kind, group in specs.UNPREFIXED):
            found.append(resource)
            continue
        now = resource.remembering()
        metadata = now.value.setdefault("metadata", {})
        metadata["name"] = f"{prefix}{text(metadata.get('name'))}{suffix}"
        found.append(now._replace(prefixes=(*now.prefixes, *filter(None, [prefix])), suffixes=(*now.suffixes, *filter(None, [suffix]))))
    return found


def labelled(resources: Sequence[Resource], kustomization: Tree) -> None:
    for row in kustomization.get("labels") or ():
        _put(resources, row.get("pairs") or {}, _label_specs(row))
    _put(resources, kustomization.get("commonLabels") or {}, specs.LABELS)


def _label_specs(row: Tree) -> list[Spec]:
    own = [of(field) for field in row.get("fields") or ()]
    if row.get("includeSelectors"):
        return [*own, *specs.LABELS]
    return [*own, *(specs.TEMPLATE_LABELS if row.get("includeTemplates") else ()), specs.METADATA_LABELS]


def annotated(resources: Sequence[Resource], annotations: Tree) -> None:
    _put(resources, annotations, specs.ANNOTATIONS)


def _put(resources: Sequence[Resource], pairs: Tree, into: Sequence[Spec]) -> None:
    if not pairs:
        return
    made = set_keys(pairs)
    for resource in resources:
        id = resource.id
        for row in into:
            if row.fits(id):
                change(resource.value, row.path, row.create, made)


def placed(resources: Sequence[Resource], namespace: str, where: str) -> list[Resource]:
    """Everything that lives in a namespace in this one, and Namespaces called after it. Raises InvalidInput for two that become one."""
    if not namespace:
        return list(resources)
    found = []
    for resource in resources:
        if not resource.value:
            continue
        now, id = resource.remembering(), resource.id
        if not cluster_wide(id):
            now.value.setdefault("metadata", {})["namespace"] = namespace
        for row in specs.NAMESPACES:
            if row.fits(id):
                change(now.value, row.path, row.create, lambda _: namespace)
        if id.kind in ("RoleBinding", "ClusterRoleBinding"):
            _subjects(now.value, namespace)
        found.append(now)
    _distinct(found, where)
    return found


def _subjects(binding: Tree, namespace: str) -> None:
    """The account `default` is in every namespace, so it is the one of this; others are found by their names."""
    subjects = binding.get("subjects")
    for subject in subjects if isinstance(subjects, list) else ():
        if isinstance(subject, dict) and subject.get("kind") == "ServiceAccount" and subject.get("name") == "default":
            subject["namespace"] = namespace


def _distinct(resources: Sequence[Resource], where: str) -> None:
    seen: dict[Any, Resource] = {}
    for resource in resources:
        id = resource.id
        key = id._replace(namespace="" if cluster_wide(id) else id.namespace or "default")
        if key in seen:
            of = f"{id} of {seen[key].origin} and {resource.origin}"
            raise fault(where, "namespace", f"namespace transformation produces ID conflict: {of}")
        seen[key] = resource
