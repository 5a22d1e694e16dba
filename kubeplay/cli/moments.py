"""--since and --until: a duration before now, or a point in time."""

from __future__ import annotations

from kubeplay.cli.human import seconds
from kubeplay.errors import InvalidInput


def moment(text: str, now: float) -> float:
    """Epoch seconds of `10m` (ago), `1763780000`, `2026-11-22T03:00:00Z` or `2026-11-22`. Raises InvalidInput."""
    if text.replace(".", "", 1).isdigit() and float(text) > 1e8:  # a bare small number is a duration, a large one a time
        return float(text)
    try:
        return now - seconds(text)
    except ValueError:
        pass
    from datetime import datetime

    try:
        made = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is neither a duration such as 10m nor a time such as 2026-11-22T03:00:00Z") from None
    return made.timestamp()
