"""A pod's ids as the runtime is told them: it joins the namespace by path, and asks for the map all the same (runc 1.1)."""

from __future__ import annotations

from typing import Any

from kubeplay.engine.host.idmapped import Map
from kubeplay.engine.host.userns import Range


def mappings(users: Map | None) -> dict[str, Any]:
    """`linux.uidMappings` and `gidMappings`; {} for the host's users."""
    return {"uidMappings": _rows(users.uids), "gidMappings": _rows(users.gids)} if users else {}


def read(linux: dict[str, Any]) -> Map | None:
    """The map that a config.json has."""
    if "uidMappings" not in linux:
        return None
    uids, gids = ([Range(r["containerID"], r["hostID"], r["size"]) for r in linux[name]] for name in ("uidMappings", "gidMappings"))
    return Map(tuple(uids), tuple(gids))


def _rows(ranges: tuple[Range, ...]) -> list[dict[str, int]]:
    return [{"containerID": r.inside, "hostID": r.outside, "size": r.length} for r in ranges]
