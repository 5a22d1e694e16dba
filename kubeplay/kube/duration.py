"""Go's durations (`1h30m`, `-5m`, `1.5s`), as time.ParseDuration reads them; pure."""

from __future__ import annotations

import json

_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MOST = 2**63


def parse(text: str) -> int:
    """Nanoseconds. Raises ValueError with Go's words."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    sign = -1 if text.startswith("-") else 1
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {_quoted(text)}")
    total = 0
    while rest:
        value, rest = _term(rest, text)
        total += value
        if total > _MOST or (sign > 0 and total == _MOST):
            raise ValueError(f"time: invalid duration {_quoted(text)}")
    return sign * total


def _term(rest: str, text: str) -> tuple[int, str]:
    """One number with its unit, and what follows it."""
    whole, rest = _take(rest, "0123456789")
    fraction = ""
    dotted = rest.startswith(".")
    if dotted:
        fraction, rest = _take(rest[1:], "0123456789")
    if not whole and not fraction:
        raise ValueError(f"time: invalid duration {_quoted(text)}")
    end = next((at for at, letter in enumerate(rest) if letter == "." or letter in "0123456789"), len(rest))
    unit, rest = rest[:end], rest[end:]
    if not unit:
        raise ValueError(f"time: missing unit in duration {_quoted(text)}")
    if unit not in _UNITS:
        raise ValueError(f"time: unknown unit {_quoted(unit)} in duration {_quoted(text)}")
    scale = _UNITS[unit]
    if len(whole) > 20:
        raise ValueError(f"time: invalid duration {_quoted(text)}")
    digits = fraction[:18]
    return int(whole or "0") * scale + (int(digits) * scale // 10 ** len(digits) if digits else 0), rest


def _take(text: str, letters: str) -> tuple[str, str]:
    rest = text.lstrip(letters)
    return text[: len(text) - len(rest)], rest


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
