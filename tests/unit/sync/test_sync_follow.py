"""A followed source in virtual time: new revisions, bad ones, sources out of reach, drift, restarts of the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubeplay.config import settings
from kubeplay.engine.host.paths import Paths
from kubeplay.errors import Conflict, InvalidInput, RegistryError, Timeout
from kubeplay.sync.decide import LIMIT, MOST
from kubeplay.sync.follow import DRIFT_SECONDS, Brought, Follower, Told
from kubeplay.sync.model import APPLY, BUILD, DIRECTORY, GIT, SOURCE, Built, Spec, Status
from kubeplay.sync.state import State, every


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class World:
    """A source and a machine. A revision's content is its name; `bad` cannot be read, `invalid` is refused, `broken` does not come up."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock = Clock()
        self.revision = "a"
        self.away = self.gone = False
        self.bad, self.invalid, self.broken = set[str](), set[str](), set[str]()
        self.live = ""
        self.number = 0
        self.brought: list[str] = []
        self.drifts = 0
        self.looks = 0
        self.told: list[Told] = []
        self.state = State(Paths(settings(root=str(tmp_path))), "shop")
        self.state.hold()
        self.spec = Spec("shop", GIT, "https://host/shop.git", "https://host/shop.git")

    def follower(self, **changes: Any) -> Follower:
        return Follower(self.spec._replace(**changes), self, self, self.state, self.clock, self.told.append)

    # the source
    def look(self) -> str:
        self.looks += 1
        if self.away:
            raise RegistryError("host: unreachable")
        if self.gone:
            raise FileNotFoundError(2, "No such file or directory", "/srv/\udcff")
        return self.revision

    def build(self, revision: str) -> Built:
        if revision in self.bad:
            raise InvalidInput(f"{revision}: not yaml")
        return Built(revision, (("app.yaml", revision.encode()),))

    def places(self) -> list[tuple[str, bool]]:
        return []

    # the machine
    def check(self, built: Built) -> str:
        if built.revision in self.invalid:
            raise InvalidInput("invalid: 1 fault")
        return built.texts[0][1].decode()

    def bring(self, manifests: str) -> Brought:
        self.brought.append(manifests)
        if manifests in self.broken:
            raise Timeout("pod default/web does not become ready")
        changed = ("deployment/web updated",) if self.live != manifests else ()
        self.change(manifests)
        return Brought(changed, ("Deployment/default/web",))

    def drift(self, manifests: str) -> tuple[str, ...]:
        self.drifts += 1
        return () if self.live == manifests else (f"deployment/web: {self.live} is not {manifests}",)

    def mark(self, objects: tuple[str, ...]) -> object:
        return self.number

    def change(self, live: str) -> None:
        self.live, self.number = live, self.number + 1

    def reasons(self) -> list[str]:
        found = [one.reason for one in self.told]
        self.told.clear()
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _run(world: World, follower: Follower, seconds: float, each: Callable[[], None] = lambda: None) -> None:
    end = world.clock.time + seconds
    while world.clock.time < end:
        world.clock.time += max(0.01, follower.wait())
        follower.step()
        each()


def test_the_first_revision_and_the_next(world: World) -> None:
    follower = world.follower()
    assert follower.once().applied == "a" and world.live == "a"
    world.revision = "b"
    _run(world, follower, world.spec.interval + 1)
    assert (world.live, follower.status.applied, follower.status.error) == ("b", "b", None)
    assert world.reasons() == ["Synced", "Synced"] and world.brought == ["a", "b"]


def test_a_source_at_rest_is_asked_once_an_interval_and_nothing_is_played(world: World) -> None:
    follower = world.follower()
    follower.once()
    _run(world, follower, 10 * world.spec.interval)
    assert world.looks in (10, 11, 12) and world.brought == ["a"] and world.drifts == 0


def test_a_change_of_a_file_is_seen_at_once(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.revision = "b"
    follower.step(stirred=True)
    assert world.live == "b"


@pytest.mark.parametrize(
    ("kind", "stage", "reason"), [("bad", BUILD, "BuildFailed"), ("invalid", BUILD, "BuildFailed"), ("broken", APPLY, "SyncFailed")]
)
def test_a_bad_revision_leaves_the_last_good_one(world: World, kind: str, stage: str, reason: str) -> None:
    follower = world.follower()
    follower.once()
    getattr(world, kind).add("b")
    world.revision = "b"
    follower.step(stirred=True)
    assert (world.live, follower.status.applied, follower.status.seen) == ("a", "a", "b")
    assert follower.status.error and (follower.status.error.stage, follower.status.error.revision) == (stage, "b")
    assert world.reasons() == ["Synced", reason]
    _run(world, follower, 3600)
    assert world.live == "a" and world.reasons() == []  # told once
    if kind == "broken":
        assert world.brought.count("b") == LIMIT + 1
    getattr(world, kind).clear()
    world.revision = "c"
    _run(world, follower, world.spec.interval + 1)
    assert (world.live, follower.status.error) == ("c", None)


def test_a_bad_revision_that_is_taken_back(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.invalid.add("b")
    world.revision = "b"
    follower.step(stirred=True)
    world.revision = "a"
    follower.step(stirred=True)
    assert follower.status.error is None and follower.status.applied == "a" and world.brought == ["a"]


def test_what_a_bad_revision_lacked_may_come(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.invalid.add("b")
    world.revision = "b"
    follower.step(stirred=True)
    world.invalid.clear()
    _run(world, follower, MOST)
    assert world.live == "b"


def test_a_source_out_of_reach_keeps_what_runs_and_is_asked_again_soon(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.away = True
    _run(world, follower, world.spec.interval + 30)
    assert world.live == "a" and follower.status.error and follower.status.error.stage == SOURCE and follower.status.error.times >= 3
    assert world.reasons() == ["Synced", "SourceFailed"]
    world.change("by hand")
    _run(world, follower, 2 * DRIFT_SECONDS)
    assert world.live == "a" and follower.status.healed == 1  # healed all the same
    world.away = False
    _run(world, follower, world.spec.interval)
    assert follower.status.error is None


def test_drift_is_told_and_healed(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.change("by hand")
    _run(world, follower, 2 * DRIFT_SECONDS)
    assert (world.live, follower.status.healed, follower.status.drift) == ("a", 1, ())
    assert world.reasons() == ["Synced", "Drifted", "Healed"]


def test_a_change_that_is_no_drift_is_looked_at_once(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.number += 1  # an autoscaler's replicas
    _run(world, follower, 60)
    assert world.drifts == 1 and world.brought == ["a"]


def test_a_heal_that_fails_is_tried_ever_more_rarely(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.broken.add("a")
    world.change("by hand")
    _run(world, follower, 3600)
    assert world.brought.count("a") == 1 + LIMIT + 1 and follower.status.drift
    assert world.reasons() == ["Synced", "Drifted", "SyncFailed"]


def test_a_bad_revision_does_not_keep_drift_from_being_healed(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.broken.add("b")
    world.revision = "b"
    follower.step(stirred=True)
    world.change("by hand")
    follower.step()
    assert world.live == "a" and follower.status.error and follower.status.error.revision == "b"


def test_another_process_goes_on_where_the_last_one_ended(world: World) -> None:
    world.follower().once()
    world.change("while nobody looked")
    world.invalid.add("b")
    world.revision = "b"
    again = world.follower()
    again.step(stirred=True)
    assert again.status.error and again.status.drift and again.status.applied == "a"  # the new revision goes first
    again.step()
    assert world.live == "a" and again.status.healed == 1


def test_a_source_out_of_reach_at_the_start(world: World) -> None:
    world.follower().once()
    world.away = True
    world.follower().step()
    assert world.brought == ["a", "a"]  # what ran last runs again, after a reboot say


def test_another_source_of_the_same_name_begins_anew(world: World) -> None:
    world.follower().once()
    again = world.follower(branch="next")
    assert again.status.applied == "" and again.status.objects == ("Deployment/default/web",)
    again.once()
    assert again.status.applied == "a"


def test_once_says_what_went_wrong_and_tries_again_when_asked(world: World) -> None:
    world.broken.add("a")
    for _ in range(LIMIT + 3):
        with pytest.raises(Timeout):
            world.follower().once()
    assert len(world.brought) == LIMIT + 3


def test_a_directory_that_cannot_be_built(world: World) -> None:
    world.away = True
    follower = world.follower(kind=DIRECTORY)
    follower.step()
    assert follower.status.error and follower.status.error.stage == BUILD


def test_state(tmp_path: Path, world: World) -> None:
    with pytest.raises(Conflict, match="another process follows shop"):
        State(Paths(settings(root=str(tmp_path))), "shop").hold()
    assert world.state.load() is None and world.state.good() is None
    built = Built("b", (("a.yaml", b"\xff\xfea\0"),))
    world.state.keep(built)
    world.state.save(world.spec, Status(applied="b"))
    found = every(Paths(settings(root=str(tmp_path))))
    assert [one.name for one in found] == ["shop"] and found[0].good() == built and found[0].load() == (world.spec, Status(applied="b"))
    assert (tmp_path / "sync/shop/good.json").stat().st_mode & 0o777 == 0o600
    assert found[0].follower > 0
    with pytest.raises(Conflict):
        found[0].forget()
    world.state.release()
    found[0].forget()
    assert every(Paths(settings(root=str(tmp_path)))) == []


def test_what_the_machine_refuses_ends_nothing(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.gone = True
    follower.step(stirred=True)
    assert follower.status.error and follower.status.error.message == "/srv/?: No such file or directory"
    assert world.state.load() == (world.spec, follower.status)


def test_a_source_that_comes_and_goes_does_not_have_a_bad_revision_tried_again(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.broken.add("b")
    world.revision = "b"
    _run(world, follower, 3600)
    assert world.brought.count("b") == LIMIT + 1
    for _ in range(3):
        world.away = True
        _run(world, follower, 300)
        world.away = False
        _run(world, follower, 300)
    assert world.brought.count("b") == LIMIT + 1 and follower.status.error and follower.status.error.revision == "b"


def test_neither_the_newest_nor_the_last_good_state_comes_up(world: World) -> None:
    follower = world.follower()
    follower.once()
    world.broken |= {"a", "b"}
    world.revision = "b"
    world.change("by hand")
    _run(world, follower, 7200)
    assert (world.brought.count("a"), world.brought.count("b")) == (1 + LIMIT + 1, LIMIT + 1)


def test_without_the_kept_state_the_source_is_all_there_is(world: World, tmp_path: Path) -> None:
    world.follower().once()
    (tmp_path / "sync/shop/good.json").unlink()
    world.away = True
    again = world.follower()
    again.step(stirred=True)
    world.away = False
    again.step(stirred=True)
    assert again.status.error is None
