"""Time zones of CronJobs (CJ1): names of the IANA database, as Go's LoadLocation takes them."""

from __future__ import annotations

import time
from functools import lru_cache

from kubeplay.kube.cron import Zone

URL = "https://www.iana.org/time-zones"


def faults(name: str) -> list[str]:
    """What is wrong with a name, in the server's words."""
    if not name:
        return ["timeZone must be nil or non-empty string"]
    found = [f"timeZone must be an explicit time zone as defined in {URL}"] if name.lower() == "local" else []
    if name != "Local" and zone(name) is None:
        found.append(f"unknown time zone {name}")
    return found


@lru_cache(maxsize=64)
def zone(name: str) -> Zone | None:
    """The zone of that name, case and all; "" is the machine's own; None where there is none."""
    if not name:
        return _own
    if name == "UTC":
        return _utc
    if len(name) > 255 or name[0] in "/\\" or ".." in name or not name.isascii():
        return None
    from datetime import datetime
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        found = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # no file, a directory, or a file that is no zone
        return None

    def offset(at: int) -> int:
        gone = datetime.fromtimestamp(at, found).utcoffset()
        return int(gone.total_seconds()) if gone is not None else 0

    return offset


def _own(at: int) -> int:
    return time.localtime(at).tm_gmtoff


def _utc(at: int) -> int:
    return 0


def stamp(at: int, place: Zone) -> str:
    """RFC 3339 with the offset of that place."""
    east = place(at)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at + east))
    if not east:
        return text + "Z"
    sign, minutes = "-" if east < 0 else "+", abs(east) // 60
    return f"{text}{sign}{minutes // 60:02}:{minutes % 60:02}"
