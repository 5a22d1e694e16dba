"""Times in bodies and statuses."""

from __future__ import annotations

import calendar
import time


def seconds(stamp: str) -> float:
    """Epoch seconds of an RFC 3339 time of UTC, as we write them."""
    return float(calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")))


def zoned(stamp: str) -> float:
    """Epoch seconds of an RFC 3339 time with any offset; 0 of a text that is none, as anybody may write into an annotation."""
    try:
        if stamp.endswith("Z"):
            return seconds(stamp)
        text, sign, offset = stamp[:-6], stamp[-6:-5], stamp[-5:]
        east = (int(offset[:2]) * 60 + int(offset[3:])) * 60
        return seconds(text + "Z") - (east if sign == "+" else -east)
    except ValueError:
        return 0.0
