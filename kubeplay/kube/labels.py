"""Labels, annotations and label selectors: their syntax, and matching (semantics VL2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubeplay.kube import names

_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_value_match = re.compile(_VALUE).fullmatch
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',"
    " and must start and end with an alphanumeric character"
)
ANNOTATIONS_MAX = 256 * 1024


def value(text: str) -> list[str]:
    """What is wrong with a label's value."""
    if len(text) <= names.LABEL_MAX and _value_match(text):
        return []
    faults = [names.max_length(names.LABEL_MAX)] if len(text) > names.LABEL_MAX else []
    if not _value_match(text):
        faults.append(names.regex_text(_VALUE_TEXT, _VALUE, "MyValue", "my_value", "12345"))
    return faults


def key(text: str) -> list[str]:
    """What is wrong with a label's key."""
    return names.qualified(text)


def annotation_key(text: str) -> list[str]:
    """What is wrong with an annotation's key: as a label's, but the case does not matter."""
    return names.qualified(text.lower())


def annotations_size(annotations: Mapping[str, str]) -> int:
    """Bytes of all keys and values."""
    return sum(len(k.encode("utf-8", "surrogatepass")) + len((v or "").encode("utf-8", "surrogatepass")) for k, v in annotations.items())


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a LabelSelector picks these labels: null picks nothing, `{}` everything."""
    if selector is None:
        return False
    have = labels or {}
    if any(have.get(k) != (v or "") for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_requirement(term, have) for term in selector.get("matchExpressions") or [])


def matches_map(selector: Mapping[str, str] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a plain map selector (of a Service) picks these labels; an empty one picks nothing."""
    have = labels or {}
    return bool(selector) and all(have.get(k) == (v or "") for k, v in (selector or {}).items())


def _requirement(term: Mapping[str, Any], have: Mapping[str, str]) -> bool:
    name, values = term.get("key") or "", term.get("values") or []
    operator = term.get("operator")
    if operator == "In":
        return name in have and have[name] in values
    if operator == "NotIn":
        return name not in have or have[name] not in values
    if operator == "Exists":
        return name in have
    return operator == "DoesNotExist" and name not in have
