"""Which rows of the field table a test proves: `@covers("container.env[].name ...")`, read by test_fields_covered.

A path names its ancestors too. `container.`, `volume.` and `pod.` stand for the parts of a PodSpec, which is the same in every kind;
`meta.` for every kind's metadata; all others start with their kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., None])
SHORT = {"container": "Pod.spec.containers[]", "volume": "Pod.spec.volumes[]", "pod": "Pod.spec", "meta": "Any.metadata"}


def covers(text: str) -> Callable[[F], F]:
    """Note the rows of `text` (paths between blanks) on a test."""

    def noted(test: F) -> F:
        test.covers = tuple(whole(path) for path in text.split())  # type: ignore[attr-defined]
        return test

    return noted


def whole(path: str) -> str:
    first, _, rest = path.partition(".")
    return f"{SHORT.get(first, first)}.{rest}"
