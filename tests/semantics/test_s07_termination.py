"""TE1-TE3, LH2 and IN4 in virtual time: what containers do on their way down is played, order.py decides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from kubeplay.kube.status import ContainerView, Instance, PodView, pod_status
from kubeplay.plan.container import APP, INIT, SIDECAR, ContainerPlan
from kubeplay.plan.probe import Sleep
from kubeplay.reconcile import grace, order
from kubeplay.reconcile.services import _is_ready
from tests.support.simulator import pod

NEVER = 1e9


class Does(NamedTuple):
    """A container: how long its preStop hook takes (None = it has none), and how soon it ends after its stop signal."""

    hook: float | None = None
    ends: float = NEVER
    kind: str = APP
    least: float = order.MINIMUM
    itself: float = NEVER  # when it ends of its own accord


class Ending(NamedTuple):
    """What came of it: (time, what, who), in order; the state of things for further steps."""

    log: list[tuple[float, str, str]]

    def at(self, what: str, name: str) -> float | None:
        return next((round(when, 3) for when, event, who in self.log if (event, who) == (what, name)), None)


def end(grace: float, shorter: tuple[float, float] | None = None, **containers: Does) -> Ending:
    """Stop them with `grace`; `shorter` = (at this time, until that time): a second deletion."""
    plans = [
        ContainerPlan(name, "i", kind=does.kind, pre_stop=None if does.hook is None else Sleep(int(does.hook)))
        for name, does in containers.items()
    ]
    now, until = 0.0, grace
    goings = order.begin(plans, {name: does.least for name, does in containers.items()}, now, until)
    log: list[tuple[float, str, str]] = [(now, "hook", each.name) for each in order.hooks(goings)]
    hooked = {each.name: now + (containers[each.name].hook or 0) for each in order.hooks(goings)}
    ends = {name: does.itself for name, does in containers.items()}
    ended: set[str] = set()
    for _ in range(1000):
        for name in sorted(ends):
            if ends[name] <= now and name not in ended:
                ended.add(name)
                log.append((ends[name], "end", name))
        goings, commands, wake = order.step(goings, now, until, ended, {name for name, when in hooked.items() if when <= now})
        for each in commands:
            log.append((now, type(each).__name__.lower(), each.name))
            ends[each.name] = now if isinstance(each, order.Kill) else min(ends[each.name], now + containers[each.name].ends)
        if order.over(goings):
            return Ending(log)
        moments = [when for when in (*ends.values(), *hooked.values()) if when > now] + ([wake] if wake is not None else [])
        moments += [shorter[0]] if shorter and shorter[0] > now else []
        if any(when <= now for name, when in ends.items() if name not in ended):
            continue
        now = min(moments)
        if shorter and now >= shorter[0]:
            until = min(until, shorter[1])
    raise AssertionError(log)


def test_te2_one_that_obeys_ends_at_once() -> None:
    found = end(30, main=Does(ends=0.5))
    assert (found.at("signal", "main"), found.at("end", "main"), found.at("kill", "main")) == (0, 0.5, None)


def test_te2_one_that_does_not_is_killed_when_the_grace_is_over() -> None:
    found = end(30, main=Does())
    assert (found.at("signal", "main"), found.at("kill", "main"), found.at("end", "main")) == (0, 30, 30)


@pytest.mark.parametrize("grace", [0.5, 1, 2])
def test_te2_two_seconds_at_least(grace: float) -> None:
    assert end(grace, main=Does()).at("kill", "main") == 2


def test_te2_containers_end_side_by_side() -> None:
    found = end(10, a=Does(ends=4), b=Does(ends=1), c=Does())
    assert [found.at("signal", name) for name in "abc"] == [0, 0, 0]
    assert (found.at("end", "a"), found.at("end", "b"), found.at("kill", "c")) == (4, 1, 10)


def test_lh2_the_hook_comes_before_the_signal_and_its_time_is_deducted() -> None:
    found = end(10, main=Does(hook=3))
    assert (found.at("hook", "main"), found.at("signal", "main"), found.at("kill", "main")) == (0, 3, 10)


def test_lh2_a_hook_longer_than_the_grace_is_left_behind() -> None:
    # record 156: then the signal, with the two seconds of TE2
    found = end(4, main=Does(hook=60))
    assert (found.at("signal", "main"), found.at("kill", "main")) == (4, 6)


def test_lh2_no_hook_where_there_is_no_grace() -> None:
    found = end(0, main=Does(hook=3, least=0.03))
    assert (found.at("hook", "main"), found.at("signal", "main"), found.at("kill", "main")) == (None, 0, 0.03)


def test_lh2_a_container_that_ends_during_its_hook_gets_no_signal() -> None:
    found = end(30, main=Does(hook=20, itself=5))
    assert (found.at("end", "main"), found.at("signal", "main"), found.at("kill", "main")) == (5, None, None)


def test_te1_a_second_deletion_shortens_the_wait() -> None:
    assert end(30, (5, 8), main=Does()).at("kill", "main") == 8


def test_te1_a_second_deletion_cuts_a_hook_short() -> None:
    found = end(30, (5, 6), main=Does(hook=20))
    assert (found.at("signal", "main"), found.at("kill", "main")) == (6, 8)


def test_te1_after_a_second_deletion_at_once_two_seconds_remain_from_the_signal() -> None:
    assert end(30, (1, 1), main=Does()).at("kill", "main") == 2
    assert end(30, (5, 5), main=Does()).at("kill", "main") == 5


def test_te1_a_second_deletion_never_lengthens() -> None:
    assert end(10, (5, 60), main=Does()).at("kill", "main") == 10


def test_in4_sidecars_end_after_the_app_in_reverse_order() -> None:
    found = end(30, one=Does(ends=1, kind=SIDECAR), two=Does(ends=1, kind=SIDECAR), main=Does(ends=3), other=Does(ends=2))
    assert [found.at("signal", name) for name in ("main", "other", "two", "one")] == [0, 0, 3, 4]
    assert found.at("end", "one") == 5


def test_in4_all_within_one_grace_period_then_two_seconds_each() -> None:
    # the app takes it all: both sidecars get their signal when it is over, and their minimum
    found = end(10, one=Does(kind=SIDECAR), two=Does(kind=SIDECAR), main=Does())
    assert found.at("kill", "main") == 10
    assert [found.at("signal", name) for name in ("one", "two")] == [10, 10]
    assert [found.at("kill", name) for name in ("one", "two")] == [12, 12]


def test_in4_a_sidecar_hook_does_not_wait_for_its_turn() -> None:
    # TE2: hook first, then the turn
    found = end(30, side=Does(hook=2, ends=0, kind=SIDECAR), main=Does(ends=5))
    assert (found.at("hook", "side"), found.at("signal", "side")) == (0, 5)


def test_in4_a_sidecar_that_has_ended_by_itself_delays_nobody() -> None:
    found = end(30, one=Does(ends=0, kind=SIDECAR), two=Does(kind=SIDECAR, itself=1), main=Does(ends=2))
    assert (found.at("signal", "two"), found.at("signal", "one")) == (None, 2)


def test_in4_without_app_containers_only_the_order_of_sidecars_counts() -> None:
    found = end(30, one=Does(ends=1, kind=SIDECAR), two=Does(ends=1, kind=SIDECAR))
    assert (found.at("signal", "two"), found.at("signal", "one")) == (0, 1)


def test_in4_no_grace_means_no_order() -> None:
    found = end(0, side=Does(kind=SIDECAR, least=0.03), main=Does(least=0.03))
    assert (found.at("signal", "side"), found.at("signal", "main"), found.at("kill", "side")) == (0, 0, 0.03)


def test_in4_an_init_container_waits_for_nobody() -> None:
    found = end(30, init=Does(ends=1, kind=INIT), side=Does(ends=1, kind=SIDECAR))
    assert (found.at("signal", "init"), found.at("signal", "side")) == (0, 0)


@pytest.mark.parametrize(("given", "catches", "kill"), [(0, True, 2.0), (0, False, 0.03), (1, False, 2.0), (30, True, 30.0)])
def test_te2_no_grace_still_leaves_two_seconds_to_one_that_can_use_them(given: float, catches: bool, kill: float) -> None:
    assert end(given, main=Does(least=grace.least(given, explicit=False, catches=catches))).at("kill", "main") == kill


def _look(own: float, deleted: float | None) -> Any:
    stored = None if deleted is None else SimpleNamespace(deleted=1.0, grace_seconds=deleted)
    return SimpleNamespace(stored=stored, seen=SimpleNamespace(plan=SimpleNamespace(grace_seconds=own)))


@pytest.mark.parametrize(("own", "probe", "deleted", "wanted"), [(30, None, None, 30), (30, 7, None, 7), (30, 7, 5, 5), (0, 9, None, 9)])
def test_te3_the_deletion_then_the_probe_then_the_pod(own: float, probe: float | None, deleted: float | None, wanted: float) -> None:
    assert grace.seconds(_look(own, deleted), probe) == wanted


@pytest.mark.parametrize(("codes", "phase"), [((0, 0), "Succeeded"), ((0, 1), "Failed"), ((137,), "Failed")])
def test_te4_the_end_shows_the_phase_that_the_exit_codes_say(codes: tuple[int, ...], phase: str) -> None:
    plans = [ContainerPlan(f"c{number}", "i") for number in range(len(codes))]
    ended = [ContainerView(plan, Instance("a", 0, "exited", started=1, finished=2, exit_code=code)) for plan, code in zip(plans, codes)]
    view = PodView(pod(*plans), 0.0, tuple(ended), initialized=True, ending=True)
    assert pod_status(view, 3.0, {"phase": "Running"})["phase"] == "Running"  # until everything is given back
    status = pod_status(view._replace(finished=True), 3.0, {"phase": "Running"})
    assert status["phase"] == phase and not _is_ready(status)


def test_te5_a_forced_removal_kills_at_once() -> None:
    found = end(0, main=Does(hook=9, least=grace.least(0, explicit=True, catches=True)))
    assert (found.at("hook", "main"), found.at("kill", "main")) == (None, grace.NOTHING)
