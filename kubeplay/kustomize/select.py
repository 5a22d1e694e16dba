"""Which resources a patch or a replacement is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from kubeplay.errors import InvalidInput
from kubeplay.kube import selector
from kubeplay.kustomize.model import Id, Resource, Tree, fault

# A pattern is an expression of Go's, which cannot be made to run for long; Python's can (`(a+)+b`), so only the plain ones are taken.
_NESTED = re.compile(r"\)[*+{]|\([?]|\\[1-9]|[*+}][*+{]")
MAX_PATTERN = 500


@lru_cache(maxsize=512)
def pattern(text: str) -> re.Pattern[str]:
    """An expression that a whole name must fit. Raises InvalidInput."""
    if len(text) > MAX_PATTERN or _NESTED.search(text) or sum(text.count(mark) for mark in "*+{") > 6:
        raise InvalidInput(f"the pattern {text[:60]!r} is too involved", hint="name the targets by more and simpler selectors")
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidInput(f"{text!r} is no regular expression: {error}") from None


def selected(resources: Sequence[Resource], target: Tree, where: str) -> list[Resource]:
    """The resources that a selector means: names and namespaces that they have or had, labels and annotations that they have."""
    try:
        patterns = {key: pattern(str(target[key])) for key in ("group", "version", "kind", "name", "namespace") if target.get(key)}
        labels, annotations = (selector.labels(target.get(key) or "") for key in ("labelSelector", "annotationSelector"))
    except InvalidInput as error:
        raise fault(where, "target", error.message, error.hint) from None
    return [
        resource
        for resource in resources
        if any(_fits(id, patterns) for id in resource.ids)
        and labels(_map(resource.value, "labels"))
        and annotations(_map(resource.value, "annotations"))
    ]


def _fits(id: Id, patterns: dict[str, re.Pattern[str]]) -> bool:
    return all(pattern.fullmatch(_of(id, key)) for key, pattern in patterns.items())


def _of(id: Id, key: str) -> str:
    value: str = getattr(id, key)
    return value or ("default" if key == "namespace" else "")


def _map(value: Tree, key: str) -> dict[str, str]:
    metadata = value.get("metadata")
    found = metadata.get(key) if isinstance(metadata, dict) else None
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
