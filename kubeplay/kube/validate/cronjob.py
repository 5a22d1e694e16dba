"""CronJob (CJ1, CJ2) [K: pkg/apis/batch/validation/validation.go]."""

from __future__ import annotations

from kubeplay.kube import cron, names, zones
from kubeplay.kube.validate import job, metadata
from kubeplay.kube.validate.report import Faults, Object, record

NAME_MAX = 52  # the Jobs' names end with a dash and the minute
_CONCURRENCY = ("Allow", "Forbid", "Replace")
_ZONE_IN_SCHEDULE = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"


def cron_job(faults: Faults, obj: Object) -> None:
    """A CronJob."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = record(obj, "spec") or {}
    _schedule(faults, spec.get("schedule") or "")
    faults.not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    if spec.get("timeZone") is not None:
        zone = spec["timeZone"]
        faults.each("spec.timeZone", zone, zones.faults(zone), "a name such as Europe/Warsaw, written exactly so")
    faults.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), _CONCURRENCY)
    _template(faults, "spec.jobTemplate.spec", record(record(spec, "jobTemplate"), "spec") or {})
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        faults.not_negative(f"spec.{field}", spec.get(field))
    name = obj["metadata"].get("name") or names.generated(obj["metadata"].get("generateName") or "")
    if len(name) > NAME_MAX:
        faults.invalid("metadata.name", name, f"must be no more than {NAME_MAX} characters")


def _schedule(faults: Faults, schedule: str) -> None:
    path = "spec.schedule"
    if not schedule:
        faults.required(path, hint='five fields as in "*/5 * * * *", or @hourly, @daily, @every 10m')
        return
    try:
        cron.parse(schedule)
    except cron.BadSchedule as error:
        faults.invalid(path, schedule, str(error), _hint(schedule))
    if "TZ" in schedule:
        faults.invalid(path, schedule, _ZONE_IN_SCHEDULE)


def _hint(schedule: str) -> str:
    if schedule.startswith("@"):
        return "one of @yearly @monthly @weekly @daily @hourly, in small letters, or @every 1h30m"
    if schedule.split()[-1:] == ["7"]:
        return "Sunday is 0"
    return "minute, hour, day of the month, month, day of the week"


def _template(faults: Faults, path: str, spec: Object) -> None:
    job.check_spec(faults, path, spec)
    if record(spec, "selector") is not None:
        faults.invalid(f"{path}.selector", spec["selector"], "`selector` will be auto-generated", "remove it")
    if spec.get("manualSelector"):
        faults.unsupported(f"{path}.manualSelector", True, ("nil", "false"))
