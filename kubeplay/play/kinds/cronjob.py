"""CronJob: its Jobs (CJ1). Nothing runs before the first time; what the pods will be is compiled at once, so that faults show."""

from __future__ import annotations

from kubeplay.kube import cron, jobs, zones
from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds import job, workload
from kubeplay.play.kinds.base import Object, Part, key, planned

MANUAL = "cronjob.kubernetes.io/instantiate"


def build(obj: Object, options: CompileOptions) -> Part:
    made = job_of(obj, 0)
    job.build(made, [made["spec"]["template"]], options)
    return Part((planned(obj),))


def name_at(name: str, at: int) -> str:
    """The name of the Job of one time: the minute, so that none is made twice."""
    return f"{name}-{at // 60}"


def zone_of(obj: Object) -> cron.Zone | None:
    return zones.zone(obj["spec"].get("timeZone") or "")


def job_of(obj: Object, at: int) -> Object:
    """The Job of the time `at`."""
    place = zones.zone(obj["spec"].get("timeZone") or "UTC") or zones.zone("UTC")
    assert place is not None
    return made_of(obj, name_at(key(obj).name, at), {jobs.SCHEDULED: zones.stamp(at, place)})


def made_of(obj: Object, name: str, marks: dict[str, str]) -> Object:
    """A defaulted Job of the CronJob's template; `marks` are annotations beside the template's."""
    from kubeplay.kube import defaults, kinds
    from kubeplay.kube.normal import fresh

    template = fresh(obj["spec"]["jobTemplate"])
    given = template.get("metadata") or {}
    meta: Object = {"name": name, "namespace": key(obj).namespace}
    meta["annotations"] = {**workload.podman_marks(obj), **(given.get("annotations") or {}), **marks}
    if given.get("labels"):
        meta["labels"] = given["labels"]
    meta["ownerReferences"] = [workload.owner_reference(obj)]
    kind = kinds.find("batch/v1", "Job")
    assert kind is not None
    return defaults.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}, kind)
