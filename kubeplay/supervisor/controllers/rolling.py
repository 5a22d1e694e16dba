"""The arithmetic of a rollout over numbers alone (DE3, DE6): how big each ReplicaSet is to be next."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.record import Record


class Size(Record):
    """A ReplicaSet in numbers: what it asks for, what is there, what of that is available; `most` is its max-replicas mark, 0 = none."""

    name: str
    created: float
    wanted: int
    there: int = 0
    available: int = 0
    most: int = 0

    @property
    def pods(self) -> int:
        """What may be running of it: one asked for may come at any moment, one too many has yet to go."""
        return max(self.wanted, self.there)


class Goal(Record):
    """`surge` and `unavailable`: how many more than `replicas` there may be, how many may be missing."""

    replicas: int
    surge: int
    unavailable: int


Sizes = dict[str, int]


def first(goal: Goal, olds: Sequence[Size], recreate: bool) -> int:
    """How many pods a new ReplicaSet begins with."""
    if recreate:
        return goal.replicas
    return max(0, min(goal.replicas, goal.replicas + goal.surge - sum(old.pods for old in olds)))


def step(goal: Goal, new: Size, olds: Sequence[Size], recreate: bool) -> Sizes:
    """The next sizes of those that change: the new one grows first, then the old ones shrink (DE3)."""
    if new.wanted > goal.replicas:
        return {new.name: goal.replicas}
    grown = goal.replicas if recreate else new.wanted + max(0, min(first(goal, [*olds, new], False), goal.replicas - new.wanted))
    if grown != new.wanted:
        return {new.name: grown}
    return _shrunk(goal, new, olds)


def _shrunk(goal: Goal, new: Size, olds: Sequence[Size]) -> Sizes:
    """Unhealthy pods first, then the oldest ReplicaSet's; never fewer available than is allowed."""
    least = goal.replicas - goal.unavailable
    spare = new.wanted + sum(old.wanted for old in olds) - least - (new.wanted - min(new.available, new.wanted))
    if spare <= 0:
        return {}
    sizes: Sizes = {}
    ordered = sorted(olds, key=lambda old: (old.created, old.name))
    for old in ordered:  # pods that serve nobody
        broken = min(spare, old.wanted - min(old.available, old.wanted))
        if broken:
            sizes[old.name] = old.wanted - broken
            spare -= broken
    usable = min(new.available, new.wanted) + sum(min(old.available, old.wanted) for old in olds) - least
    for old in ordered:
        size = sizes.get(old.name, old.wanted)
        gone = min(size, usable, spare)
        if gone > 0:
            sizes[old.name] = size - gone
            usable -= gone
            spare -= gone
    return sizes


def proportional(goal: Goal, sets: Sequence[Size]) -> Sizes:
    """DE6: a change of replicas in the middle of a rollout is shared by the active ReplicaSets in proportion to their size."""
    active = [one for one in sets if one.wanted]
    change = (goal.replicas + goal.surge if goal.replicas else 0) - sum(one.wanted for one in active)
    if not change:
        return {}
    newer = 1 if change > 0 else -1  # of equal ones the newer grows, the older shrinks
    ordered = sorted(active, key=lambda one: (-one.wanted, -newer * one.created, one.name))
    sizes: Sizes = {}
    given = 0
    for one in ordered:
        share = _share(goal, one)
        left = change - given
        share = min(share, left) if change > 0 else max(share, left)
        sizes[one.name] = one.wanted + share
        given += share
    if ordered:
        sizes[ordered[0].name] = max(0, sizes[ordered[0].name] + change - given)
    return {one.name: sizes[one.name] for one in ordered if sizes[one.name] != one.wanted}


def _share(goal: Goal, one: Size) -> int:
    if not goal.replicas:
        return -one.wanted
    if not one.most:
        return 0
    return _rounded(one.wanted * (goal.replicas + goal.surge), one.most) - one.wanted


def _rounded(value: int, by: int) -> int:
    """Halves away from zero, in whole numbers: no float of a large product."""
    return (2 * value + by) // (2 * by)
