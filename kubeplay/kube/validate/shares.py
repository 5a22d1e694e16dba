"""A number of pods or a share of them (VL5): `maxUnavailable` and its like, in the server's words."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import names
from kubeplay.kube.validate.report import Faults


def positive(faults: Faults, path: str, value: Any) -> None:
    """A whole number from 0, or a percentage."""
    if isinstance(value, str):
        faults.each(path, value, names.percent(value))
    else:
        faults.not_negative(path, value)


def not_over_all(faults: Faults, path: str, value: Any) -> None:
    """A percentage of at most 100."""
    if isinstance(value, str) and not names.percent(value) and amount(value) > 100:
        faults.invalid(path, value, "must not be greater than 100%")


def amount(value: Any) -> int:
    """The number in `25%`, `"3"` or 3; what is none of these counts as 0."""
    if not isinstance(value, str):
        return value if isinstance(value, int) else 0
    digits = value.removesuffix("%")
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 12 else 0
