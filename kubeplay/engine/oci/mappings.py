"""A pod's ids as the runtime is told them: it joins the namespace by path, and asks for the map all the same (runc 1.1)."""

from __future__ import annotations

from typing import Any

from kubeplay.engine.host.idmapped import Map
from kubeplay.engine.host.userns import Range


def mappings(users: Map | None) -> dict[str, Any]:
    """`linux.uidMappings` and `gidMappings`; {} for the host's users."""
    return {"uidMappings": _rows(users.uids), "gidMappings": _rows(users.gids)} if users else {}


def _rows(ranges: tuple[Range, ...]) -> list[dict[str, int]]:
    return [{"containerID": r.inside, "hostID": r.outside, "size": r.length} for r in ranges]
