"""How the containers of a pod end, in time: preStop hooks, turns, stop signals, the last two seconds (TE2, IN4, LH2).

Pure: what has happened goes in, what is to be done comes out. All times are seconds of one clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from kubeplay.plan.container import APP, SIDECAR, ContainerPlan
from kubeplay.record import Record

MINIMUM = 2.0  # TE2: what a container gets after its stop signal, however little of the grace period is left

HOOK, TURN, SIGNALLED, KILLED, OVER = "hook", "turn", "signalled", "killed", "over"


class Going(Record):
    """A container on its way down. `after`: who has to be gone before its stop signal; `least`: seconds it gets after that signal."""

    name: str
    stage: str = TURN
    after: frozenset[str] = frozenset()
    least: float = MINIMUM
    signalled: float = 0.0


class RunHook(Record):
    """Run the container's preStop hook; nobody waits for it longer than the grace period."""

    name: str


class Signal(Record):
    """Send the stop signal."""

    name: str


class Kill(Record):
    """Kill everything of the container."""

    name: str


Command = RunHook | Signal | Kill


def turns(containers: Iterable[ContainerPlan], running: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Who waits for whom (IN4): a sidecar for all app containers and for every later sidecar, nobody else for anyone."""
    known = [c for c in containers if c.name in running]
    found = {c.name: frozenset[str]() for c in known}
    before = frozenset(c.name for c in known if c.kind == APP)
    for sidecar in reversed([c for c in known if c.kind == SIDECAR]):
        found[sidecar.name] = before
        before |= {sidecar.name}
    return found


def begin(containers: Iterable[ContainerPlan], running: Mapping[str, float], now: float, until: float) -> tuple[Going, ...]:
    """The running containers (name -> the least they get) at the beginning. Hooks are left out where there is no grace (LH2)."""
    plans = list(containers)
    waits = turns(plans, running)
    hooked = {c.name for c in plans if c.pre_stop is not None and until > now}
    return tuple([Going(name, HOOK if name in hooked else TURN, waits.get(name, frozenset()), least) for name, least in running.items()])


def hooks(goings: Iterable[Going]) -> tuple[RunHook, ...]:
    """What is to be run first, all of it at once: a sidecar's hook does not wait for its turn (TE2)."""
    return tuple([RunHook(each.name) for each in goings if each.stage == HOOK])


def step(
    goings: tuple[Going, ...], now: float, until: float, ended: Collection[str], hooked: Collection[str] = ()
) -> tuple[tuple[Going, ...], tuple[Command, ...], float | None]:
    """Go on: `ended` containers are gone, `hooked` have their hook behind them, the grace period lasts `until`.

    Returns how they stand, what to do now, and when to look again if nothing happens (None = only an end brings it on).
    `until` may be another one at each call: a second deletion shortens it (TE1).
    """
    gone = frozenset(each.name for each in goings if each.name in ended or each.stage == OVER)
    stepped = [_one(each, now, until, gone, hooked) for each in goings]
    times = [time for each, _ in stepped if (time := _wake(each, until)) is not None]
    commands = tuple([command for _, commands in stepped for command in commands])
    return tuple([each for each, _ in stepped]), commands, min(times, default=None)


def _one(each: Going, now: float, until: float, gone: frozenset[str], hooked: Collection[str]) -> tuple[Going, list[Command]]:
    made: list[Command] = []
    if each.name in gone:
        return each._replace(stage=OVER), made
    if each.stage == HOOK and (each.name in hooked or now >= until):  # one that takes longer is left behind
        each = each._replace(stage=TURN)
    if each.stage == TURN and (each.after <= gone or now >= until):
        each = each._replace(stage=SIGNALLED, signalled=now)
        made.append(Signal(each.name))
    if each.stage == SIGNALLED and now >= _last(each, until):
        each = each._replace(stage=KILLED)
        made.append(Kill(each.name))
    return each, made


def _last(each: Going, until: float) -> float:
    """When a container that had its stop signal is killed."""
    return max(until, each.signalled + each.least)


def _wake(each: Going, until: float) -> float | None:
    if each.stage in (HOOK, TURN):
        return until
    return _last(each, until) if each.stage == SIGNALLED else None


def over(goings: Iterable[Going]) -> bool:
    return all(each.stage == OVER for each in goings)
