"""The `images` and `replicas` of a kustomization."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kubeplay.kustomize import specs
from kubeplay.kustomize.fields import change
from kubeplay.kustomize.model import Resource, Tree, fault

_LISTS = ("containers", "initContainers")
# What may follow the name: a tag (braces are in those of build systems) and a digest.
_REST = r"(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?"


def imaged(resources: Sequence[Resource], rows: Sequence[Tree]) -> None:
    """The image of every container of every pod that is described anywhere in the resources; CRDs are left alone."""
    for row in rows:
        pattern = re.compile(re.escape(row.get("name") or "") + _REST)
        for resource in resources:
            if resource.id.kind != "CustomResourceDefinition":
                _walk(resource.value, row, pattern)


def _walk(value: Any, row: Tree, pattern: re.Pattern[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _walk(item, row, pattern)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _LISTS and isinstance(item, list):
                for container in item:
                    _container(container, row, pattern)
            else:
                _walk(item, row, pattern)


def _container(container: Any, row: Tree, pattern: re.Pattern[str]) -> None:
    image = container.get("image") if isinstance(container, dict) else None
    if isinstance(image, str) and pattern.fullmatch(image):
        container["image"] = renamed(image, row)


def renamed(image: str, row: Tree) -> str:
    """The image with the row's name, tag and digest: a new one of either replaces both of the old."""
    rest, _, digest = image.partition("@")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:  # the colon of a registry's port
        name, tag = rest, ""
    name = row.get("newName") or name
    new_tag, new_digest, suffix = (row.get(key) or "" for key in ("newTag", "digest", "tagSuffix"))
    if new_tag or new_digest:
        tag, digest = new_tag, new_digest
    elif suffix:
        tag, digest = tag + suffix, ""
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def scaled(resources: Sequence[Resource], rows: Sequence[Tree], where: str) -> None:
    """`replicas` by the name that a workload has or had. Raises InvalidInput when none has it."""
    for row in rows:
        name, found = row.get("name") or "", False
        for resource in resources:
            for one in specs.REPLICAS:
                if any(id.name == name and one.fits(id) for id in resource.ids):
                    count = row.get("count") or 0
                    change(resource.value, one.path, True, lambda _, count=count: count)  # type: ignore[misc]
                    found = True
        if not found:
            kinds = ", ".join(one.kind for one in specs.REPLICAS)
            raise fault(where, "replicas", f"resource with name {name} does not match a config with the following kinds: {kinds}")
