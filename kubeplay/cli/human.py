"""Times, sizes and ids as people read them, in podman's and kubectl's words."""

from __future__ import annotations

MINUTE, HOUR, DAY, WEEK, MONTH, YEAR = 60, 3600, 86_400, 604_800, 2_592_000, 31_536_000
SHORT_ID = 12  # digits of a container or image id, as docker and podman print


def duration(seconds: float) -> str:
    """`3 minutes`, `About an hour`: the words of docker and podman (go-units HumanDuration)."""
    whole = max(0, int(seconds))
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < MINUTE:
        return f"{whole} seconds"
    minutes = whole // MINUTE
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(whole / HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    for unit, name, limit in ((DAY, "days", 2 * WEEK), (WEEK, "weeks", 2 * MONTH), (MONTH, "months", 2 * YEAR)):
        if whole < limit:
            return f"{whole // unit} {name}"
    return f"{whole // YEAR} years"


def ago(then: float | None, now: float) -> str:
    return "" if then is None else f"{duration(now - then)} ago"


def size(count: float) -> str:
    """`4.26 MB`: decimal units, three digits, as podman prints image sizes."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError


def size4(count: float) -> str:
    """`4.506MB`: decimal units, four digits, no blank (go-units HumanSize)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.4g}{unit}"
        count /= 1000
    raise AssertionError


def short(identity: str) -> str:
    """An id without its algorithm, cut to the length people type."""
    return identity.removeprefix("sha256:")[:SHORT_ID]


def short_uid(uid: str) -> str:
    """The first two groups of a uid: a prefix of it that reads well."""
    return uid[:13]


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str) -> float:
    """`90`, `60s`, `1m30s`, `1.5h` as seconds. Raises ValueError."""
    total, digits, rest = 0.0, "", text.strip()
    try:
        return float(rest)
    except ValueError:
        pass
    if rest.startswith("-"):  # kubectl's `--timeout=-1s`: never
        return -seconds(rest[1:])
    while rest:
        count = next((i for i, c in enumerate(rest) if not (c.isdigit() or c == ".")), len(rest))
        digits, rest = rest[:count], rest[count:]
        unit = "ms" if rest.startswith("ms") else rest[:1]
        if not digits or unit not in UNITS:
            raise ValueError(f"{text!r} is not a duration such as 90, 60s or 1m30s")
        total, rest = total + float(digits) * UNITS[unit], rest[len(unit) :]
    if not digits:
        raise ValueError("a duration is empty")
    return total


def moment(seconds: float) -> str:
    """A time as Go's own text for one, which podman's templates print."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(seconds))
