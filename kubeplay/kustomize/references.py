"""Names in other objects follow the objects: what a prefix, a suffix or a hash has renamed is found by what it was called before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kustomize.fields import change
from kubeplay.kustomize.model import Id, Resource, Tree, cluster_wide, fault, text
from kubeplay.kustomize.specs import Reference, references

Names = dict[str, list[Resource]]


def followed(resources: Sequence[Resource], where: str) -> None:
    """Every name that a field holds, made the one that its object has now. Raises InvalidInput where it may be several."""
    for row in references():
        names = _names(resources, row)
        if not names:
            continue
        for referrer in resources:
            id = referrer.id
            for spec in row.specs:
                if spec.fits(id):
                    finder = _Finder(referrer, row, names, where)
                    change(referrer.value, spec.path, False, finder.renamed)


def _names(resources: Sequence[Resource], row: Reference) -> Names:
    """The objects of a row's kind by every name they have or had; none where none was ever renamed."""
    found: Names = {}
    for resource in resources:
        if not resource.past:
            continue
        for name in {id.name for id in resource.ids if _is(id, row)}:
            found.setdefault(name, []).append(resource)
    if not found:
        return found
    for resource in resources:  # those that kept their names are meant by them, too
        if not resource.past and _is(resource.id, row):
            found.setdefault(resource.name, []).append(resource)
    return found


def _is(id: Id, row: Reference) -> bool:
    return id.kind == row.kind and row.group in ("", id.group) and row.version in ("", id.version)


class _Finder:
    """One referrer's fields of one kind of reference."""

    def __init__(self, referrer: Resource, row: Reference, names: Names, where: str) -> None:
        self.referrer, self.row, self.names, self.where = referrer, row, names, where

    def renamed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.renamed(item) for item in value]
        if isinstance(value, dict):
            return self._mapping(value)
        found = self._object(value, self.names.get(value, [])) if isinstance(value, str) else None
        return found.name if found is not None else value

    def _mapping(self, value: Tree) -> Tree:
        """A name with its namespace beside it, as in the subjects of a binding."""
        name, namespace = text(value.get("name")), text(value.get("namespace")) or "default"
        if value.get("kind", self.row.kind) != self.row.kind:
            return value
        candidates = self.names.get(name, [])
        by_first = [one for one in candidates if (one.original.namespace or "default") == namespace]
        found = self._object(name, by_first or [one for one in candidates if (one.id.namespace or "default") == namespace])
        if found is None:
            return value
        return {**value, "name": found.name, **({"namespace": found.id.namespace} if found.id.namespace else {})}

    def _object(self, name: str, candidates: Sequence[Resource]) -> Resource | None:
        found = [one for one in candidates if self._role(one) and self._reachable(one)]
        for strict in (True, False):
            if len(found) > 1:
                closer = [one for one in found if _same_layers(self.referrer, one, strict)]
                found = closer if strict else closer or []
        if len({one.name for one in found}) > 1:
            several = ", ".join(str(one.id) for one in found)
            raise fault(self.where, "", f"{self.referrer.id}: {name}: found multiple possible referrals: {several}")
        return found[0] if found else None

    def _role(self, candidate: Resource) -> bool:
        """The roleRef of a binding names a kind."""
        role = self.referrer.value.get("roleRef")
        if self.row.kind not in ("Role", "ClusterRole") or not isinstance(role, dict):
            return True
        return role.get("kind") == candidate.id.kind

    def _reachable(self, candidate: Resource) -> bool:
        """In the same namespace; accounts may be bound from others."""
        here, there = self.referrer.id, candidate.id
        if cluster_wide(here) or cluster_wide(there) or there.kind == "ServiceAccount":
            return True
        return (here.namespace or "default") == (there.namespace or "default")


def _same_layers(one: Resource, other: Resource, strict: bool) -> bool:
    """Whether two have gone through the same prefixes and suffixes last."""
    pairs = ((one.prefixes, other.prefixes), (one.suffixes, other.suffixes))
    return all((not strict and not (mine and theirs)) or _same_end(mine, theirs) for mine, theirs in pairs)


def _same_end(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    return one[len(one) - shared :] == other[len(other) - shared :]
