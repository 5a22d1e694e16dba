"""Amounts as docker and compose write them: sizes, CPUs, durations; each raises ValueError with what is wrong."""

from __future__ import annotations

import re

# Powers of 1024 whatever the letters (compose spec, "Specifying byte values").
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_BINARY = (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))?\s*(?:([bkmgt])(?:i?b)?)?")
_CPUS = re.compile(r"([0-9]{0,9})(?:\.([0-9]{0,12}))?")
_SECONDS = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6}
_LONGEST = 10 * 365 * 24 * 3600  # s; no probe or grace period is ten years long


def size(text: str) -> int:
    """Bytes of `64m`, `1.5gb`, `1024`."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is not a size as 512m or 2g")
    whole, part, unit = found.groups()
    factor = _UNITS[unit or ""]
    return int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)


def quantity(count: int) -> str:
    """Bytes as a manifest has them."""
    for suffix, factor in _BINARY:
        if count and count % factor == 0:
            return f"{count // factor}{suffix}"
    return str(count)


def cpus(text: str) -> str:
    """`0.5` as `500m`; finer than a thousandth is rounded up, as the API server does."""
    found = _CPUS.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        raise ValueError(f"{text!r} is not a number of CPUs as 2 or 0.5")
    part = found[2] or ""
    milli = int(found[1] or 0) * 1000 + int((part + "000")[:3]) + (1 if part[3:].strip("0") else 0)
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def seconds(text: str) -> float:
    """Seconds of `1m30s`, `500ms`, `1h5m`; a number alone is seconds."""
    bare = text.strip()
    if re.fullmatch(r"[0-9]{1,9}", bare):
        return float(bare)
    parts = re.findall(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(us|ms|s|m|h)", bare)
    if not parts or "".join(number + unit for number, unit in parts) != bare:
        raise ValueError(f"{text!r} is not a duration as 30s or 1m30s")
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts) / 10**6
    if total > _LONGEST:
        raise ValueError(f"{text!r} is longer than ten years")
    return total


def whole_seconds(text: str) -> tuple[int, bool]:
    """Seconds as Kubernetes counts them, rounded up, at least one; and whether that changed it."""
    exact = seconds(text)
    made = max(int(-(-exact // 1)), 1)
    return made, made != exact
