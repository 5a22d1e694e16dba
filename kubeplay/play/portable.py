"""What of a cluster's manifest this machine does not do: the rules of kube.portable and what the field table says of each field."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.portable.findings import NOTHING, findings
from kubeplay.kube.portable.model import ERROR, INFO, LEVELS, LOCAL, Facts, Finding
from kubeplay.play import fields

Object = dict[str, Any]
# Set by servers in whatever comes out of a cluster: nothing that an author would change.
_SERVERS = ("metadata", "status")


def local(obj: Object, facts: Facts = NOTHING) -> list[Finding]:
    """Fields that are not supported here, that change nothing on one machine, or that mean something else; the worst first.

    `obj` is a manifest as written, of a shape that its schema takes.
    """
    found = findings(obj, LOCAL, facts)
    kind = str(obj.get("kind"))
    if kind in fields.KINDS:
        known = {one.path for one in found}
        hits = [hit for hit in fields.hits(obj, kind) if hit.path[0] not in _SERVERS and hit.path not in known]
        found += [_finding(hit) for hit in hits if not _nothing(obj, hit.path)]
    return sorted(found, key=lambda one: LEVELS.index(one.level))


def _finding(hit: fields.Hit) -> Finding:
    if hit.support == fields.NOT_SUPPORTED:
        allowed = f"supported: {', '.join(hit.row.only)}" if hit.row.only else "leave it out"
        return Finding(hit.path, ERROR, fields.message(hit.row), allowed, "not-supported")
    return Finding(hit.path, INFO, f"no effect: {hit.row.note}", "", "no-effect")


def _nothing(obj: Any, path: tuple[str | int, ...]) -> bool:
    """Whether the field is there and says nothing: null, or an empty list or record."""
    for step in path:
        obj = obj[step]
    return obj is None or obj in ([], {})
