"""Section 16, CronJob, in virtual time: CJ1 and CJ2."""

from __future__ import annotations

import calendar
from typing import Any

import pytest

from kubeplay.kube import jobs
from kubeplay.kube.validate.cronjob import NAME_MAX
from kubeplay.plan.stack import ObjectKey
from kubeplay.play.kinds import cronjob as kinds
from kubeplay.supervisor.controllers.model import Thing
from tests.support.batch import Batch, of_cron

TICK = ObjectKey("CronJob", "default", "tick")
NOON = float(calendar.timegm((2026, 1, 1, 12, 0, 30)))


class Clockwork(Batch):
    """A cluster whose story begins thirty seconds after noon."""

    def __init__(self, *codes: int, **more: Any) -> None:
        super().__init__(*codes, **more)
        self.now = NOON

    def tick(self, schedule: str = "*/5 * * * *", **more: Any) -> Thing:
        return self.add(of_cron(schedule, **more))

    @property
    def shown(self) -> dict[str, Any]:
        found = self.find(TICK)
        assert found is not None
        return found.status

    def change_tick(self, **fields: Any) -> None:
        self.change(TICK, lambda body: body["spec"].update(fields))

    def jobs(self) -> list[Thing]:
        return [one for one in self.list("Job") if one.deleted is None]

    def minutes(self) -> list[int]:
        """Minutes after noon that have a Job."""
        return sorted(int(one.key.name.removeprefix("tick-")) - int(NOON) // 60 for one in self.jobs())


def test_cj1_a_job_at_each_time_named_after_its_minute() -> None:
    cluster = Clockwork()
    own = cluster.tick(jobs_spec={"backoffLimit": 3})
    cluster.run(12 * 60)
    assert cluster.minutes() == [5, 10]
    first = cluster.jobs()[0]
    assert first.key.name == f"tick-{(int(NOON) + 270) // 60}" and first.owner_uid == own.uid
    assert first.body["metadata"]["annotations"] == {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T12:05:00Z"}
    assert first.body["spec"]["backoffLimit"] == 3 and first.body["spec"]["completions"] == 1, "with the Job's own defaults"
    assert cluster.shown == {"lastScheduleTime": "2026-01-01T12:10:00Z", "lastSuccessfulTime": "2026-01-01T12:10:01Z"}
    assert cluster.reasons("CronJob") == ["SuccessfulCreate", "SawCompletedJob"] * 2


def test_cj1_time_zones() -> None:
    cluster = Clockwork()
    cluster.tick("30 18 * * *", timeZone="Asia/Kolkata")  # 13:00 UTC
    cluster.run(3600)
    assert cluster.minutes() == [60]
    assert cluster.jobs()[0].body["metadata"]["annotations"][jobs.SCHEDULED] == "2026-01-01T18:30:00+05:30"


def test_cj1_metadata_of_the_template() -> None:
    body = of_cron("@hourly")
    body["spec"]["jobTemplate"]["metadata"] = {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    made = kinds.job_of(body, int(NOON))
    assert made["metadata"]["labels"] == {"a": "b"}
    assert made["metadata"]["annotations"] == {"c": "d", jobs.SCHEDULED: "2026-01-01T12:00:30Z"}


def test_cj1_the_longest_name_leaves_room_for_the_minute() -> None:
    assert len(kinds.name_at("c" * NAME_MAX, 4_000_000_000)) <= 63


def test_cj1_a_schedule_that_never_comes_waits_for_nothing() -> None:
    cluster = Clockwork()
    cluster.tick("0 0 30 2 *")
    cluster.run(100_000)
    assert not cluster.jobs() and not cluster._wakes


def test_cj1_every_is_counted_from_the_last_run() -> None:
    cluster = Clockwork()
    cluster.tick("@every 90s")
    cluster.run(5 * 60)
    assert cluster.minutes() == [2, 3, 5]


# CJ2
@pytest.mark.parametrize(
    ("policy", "running", "reason"), [("Allow", 3, ""), ("Forbid", 1, "JobAlreadyActive"), ("Replace", 1, "SuccessfulDelete")]
)
def test_cj2_concurrency(policy: str, running: int, reason: str) -> None:
    cluster = Clockwork(runs=None)
    cluster.tick(concurrencyPolicy=policy)
    cluster.run(16 * 60)
    assert len(cluster.jobs()) == running and len(cluster.shown["active"]) == running
    assert cluster.minutes() == {"Allow": [5, 10, 15], "Forbid": [5], "Replace": [15]}[policy]
    assert not reason or reason in cluster.reasons("CronJob")
    (first, *_) = cluster.shown["active"]
    assert first["kind"] == "Job" and first["uid"] in {one.uid for one in cluster.jobs()}


def test_cj2_what_was_forbidden_runs_when_it_can() -> None:
    cluster = Clockwork(runs=7 * 60)
    cluster.tick(concurrencyPolicy="Forbid")
    cluster.run(13 * 60)
    assert cluster.minutes() == [5, 10], "the time of 10 was held back until the run of 5 had ended"


def _missed(cluster: Clockwork, seconds: float, **more: Any) -> None:
    """A CronJob whose supervisor was away for so long."""
    cluster.tick(**more)
    cluster.settle()
    cluster.now += seconds


def test_cj2_only_the_newest_missed_time_runs() -> None:
    cluster = Clockwork()
    _missed(cluster, 33 * 60)
    cluster.run(1)
    assert cluster.minutes() == [30]
    assert cluster.shown["lastScheduleTime"] == "2026-01-01T12:30:00Z"
    assert "TooManyMissedTimes" not in cluster.reasons("CronJob")


@pytest.mark.parametrize("schedule", ["* * * * *", "*/5 * * * *", "0 9 * * 1", "0 0 1 * *", "@every 1m"])
def test_cj2_the_newest_of_very_many_is_found_at_once(schedule: str) -> None:
    cluster = Clockwork()
    _missed(cluster, 40 * 86400 + 7, schedule=schedule)
    cluster.run(1)
    assert len(cluster.jobs()) == 1
    assert ("TooManyMissedTimes" in cluster.reasons("CronJob")) == (schedule not in ("0 9 * * 1", "0 0 1 * *"))


@pytest.mark.parametrize(("deadline", "runs"), [(None, [30]), (200, [30]), (100, []), (0, [])])
def test_cj2_later_than_the_deadline_is_missed(deadline: int | None, runs: list[int]) -> None:
    cluster = Clockwork()
    _missed(cluster, 32 * 60, startingDeadlineSeconds=deadline)  # two and a half minutes late
    cluster.run(1)
    assert cluster.minutes() == runs
    cluster.run(5 * 60)
    assert cluster.minutes() == ([*runs, 35] if deadline != 0 else []), "no controller comes within no time"


def test_cj2_suspended_nothing_starts_and_what_was_missed_meanwhile_is_made_good_once() -> None:
    cluster = Clockwork()
    cluster.tick(suspend=True)
    cluster.run(22 * 60)
    assert not cluster.jobs()
    cluster.change_tick(suspend=False)
    cluster.run(1)
    assert cluster.minutes() == [20]


@pytest.mark.parametrize(("good", "bad"), [(3, 1), (0, 0), (1, 2), (None, None)])
def test_cj2_history(good: int | None, bad: int | None) -> None:
    cluster = Clockwork(0, 3)
    limits = {} if good is None else {"successfulJobsHistoryLimit": good, "failedJobsHistoryLimit": bad}
    cluster.tick(jobs_spec={"backoffLimit": 0}, **limits)
    codes = iter([0, 3] * 20)
    cluster.does, cluster.runs = {}, 1.0
    said: dict[str, int] = {}
    cluster.behave = lambda pod: cluster._behaviour(pod)._replace(code=said.setdefault(pod.uid, next(codes)))
    cluster.run(61 * 60)
    ended = [jobs.finished(one.status) for one in cluster.jobs()]
    assert ended.count("Complete") == (3 if good is None else good) and ended.count("Failed") == (1 if bad is None else bad)


def test_cj2_jobs_made_by_hand_do_not_count_as_running() -> None:
    cluster = Clockwork(runs=None)
    own = cluster.tick(concurrencyPolicy="Forbid")
    made = kinds.made_of(own.body, "by-hand", {kinds.MANUAL: "manual"})
    cluster.add(made, own.uid)
    cluster.run(6 * 60)
    assert [one.key.name for one in cluster.jobs()] == ["by-hand", f"tick-{int(NOON) // 60 + 5}"]


def test_cj2_a_job_that_went_missing_is_told() -> None:
    cluster = Clockwork(runs=None)
    cluster.tick()
    cluster.run(5 * 60)
    cluster.delete(cluster.jobs()[0].key)
    cluster.run(1)
    assert "MissingJob" in cluster.reasons("CronJob") and "active" not in cluster.shown
    assert not cluster.jobs(), "its time does not come again"


def test_cj2_deleted_it_takes_its_jobs_along() -> None:
    cluster = Clockwork(runs=None)
    cluster.tick()
    cluster.run(5 * 60)
    cluster.delete(TICK)
    cluster.run(1)
    assert not cluster.jobs() and not cluster.pods()


def test_cj2_a_create_that_is_refused_is_tried_again() -> None:
    cluster = Clockwork()
    cluster.refuse = lambda body: "exceeded quota" if cluster.now < NOON + 300 else ""
    cluster.tick()
    cluster.run(6 * 60)
    assert cluster.minutes() == [5]
