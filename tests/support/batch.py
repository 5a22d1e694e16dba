"""Jobs and CronJobs in a virtual cluster (tests/support/cluster.py)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import check, jobs
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor.controllers import cronjob, job
from kubeplay.supervisor.controllers.model import Thing
from tests.support.cluster import Behaviour, Cluster

Json = dict[str, Any]
KEY = ObjectKey("Job", "default", "work")


def checked(body: Json) -> Json:
    """A body through the same door as a file: with its defaults, and found right."""
    import json

    (manifest,) = check.read(json.dumps(body).encode(), "test")
    return manifest.object


def spec(**more: Any) -> Json:
    policy = more.pop("restart", "Never")
    return {**more, "template": {"spec": {"restartPolicy": policy, "containers": [{"name": "main", "image": "busybox:1"}]}}}


def of_job(**more: Any) -> Json:
    return checked({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work"}, "spec": spec(**more)})


def of_cron(schedule: str, *, jobs_spec: Json | None = None, **more: Any) -> Json:
    template = {"spec": spec(**(jobs_spec or {}))}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}}
    return checked({**body, "spec": {"schedule": schedule, "jobTemplate": template, **more}})


class Batch(Cluster):
    """A cluster with both controllers. `codes`: what the pods made one after the other (of an index: of that index) end with; the last
    one stands for all that follow. They run for `runs` seconds, None = until they are ended."""

    def __init__(self, *codes: int, runs: float | None = 1.0, by_index: dict[int, list[int]] | None = None, **does: Any) -> None:
        super().__init__(job, cronjob, behave=self._behaviour)
        self.codes, self.runs, self.by_index, self.does = codes or (0,), runs, by_index or {}, does
        self.made: list[tuple[float, int | None]] = []
        self._said: dict[str, Behaviour] = {}

    def _behaviour(self, pod: Thing) -> Behaviour:
        if pod.uid not in self._said:
            index = job.accounts.index_of(pod)
            before = sum(1 for _, other in self.made if index is None or other == index)
            codes = self.by_index.get(index, self.codes) if index is not None else self.codes
            self.made.append((round(self.now - pod_epoch(self), 3), index))
            self._said[pod.uid] = Behaviour(runs=self.runs, code=codes[min(before, len(codes) - 1)], **self.does)
        return self._said[pod.uid]

    def play(self, **more: Any) -> Thing:
        self.began = self.now
        return self.add(of_job(**more))

    @property
    def job(self) -> Thing:
        found = self.find(KEY)
        assert found is not None
        return found

    def until_finished(self, limit: float = 100_000.0) -> tuple[str, str]:
        """How the Job ends, and the reason."""
        self.run_until(lambda: bool(jobs.finished(self.job.status)), limit)
        self.settle()
        condition = jobs.finish(self.job.status)
        assert condition is not None
        return condition["type"], condition["reason"]

    def numbers(self) -> tuple[int, int, int]:
        """Active, succeeded, failed."""
        status = self.job.status
        return status.get("active", 0), status.get("succeeded", 0), status.get("failed", 0)

    def conditions(self) -> list[str]:
        return [one["type"] for one in self.job.status.get("conditions", []) if one["status"] == "True"]

    def reasons(self, kind: str = "Job") -> list[str]:
        return [note.reason for note in self.notes if note.key.kind == kind]


def pod_epoch(cluster: Cluster) -> float:
    return getattr(cluster, "began", cluster.now)
