"""Job, and the JobSpec of a CronJob (JO1-JO6) [K: pkg/apis/batch/validation/validation.go]."""

from __future__ import annotations

from kubeplay.kube import jobs, labels, names
from kubeplay.kube.validate import job_policies, metadata, pod
from kubeplay.kube.validate.report import Faults, Object, key, record

_MODES = ("Indexed", "NonIndexed")
_RESTARTS = ("OnFailure", "Never")
_MANY = 100_000  # completions beyond which per-index back-off has tighter bounds
_FEW = 10_000
_MANAGER_MAX = 63
# The server makes the selector of the object's uid before it validates; any uid will do to see whether it fits.
_UID = "00000000-0000-4000-8000-000000000000"


def job(faults: Faults, obj: Object) -> None:
    """A Job."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    name = obj["metadata"].get("name") or names.generated(obj["metadata"].get("generateName") or "")
    if not obj["metadata"].get("name"):
        obj = {**obj, "metadata": {**obj["metadata"], "name": name}}
    made = jobs.labelled(obj, _UID) if record(obj, "spec") else obj
    spec = record(made, "spec") or {}
    if not spec.get("manualSelector"):
        _generated(faults, spec, name)
    check_spec(faults, "spec", spec)
    _selector(faults, spec)
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == jobs.INDEXED and completions > 0:
        last = f"{name}-{completions - 1}"
        if names.dns_label(last):
            hint = "the pods' host names are the Job's name and an index: at most 63 letters, no dots"
            faults.invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {last}", hint)


def _generated(faults: Faults, spec: Object, name: str) -> None:
    """Labels that the author set where the server wants its own."""
    have = record(record(spec, "template"), "metadata") or {}
    path, found = "spec.template.metadata.labels", have.get("labels") or {}
    for label, value in jobs.labels_of(name, _UID).items():
        if found.get(label) != value:
            faults.invalid(key(path, label), found, f"must be '{value}'", "remove the label: it is made for each Job")
    if not labels.matches(spec["selector"], jobs.labels_of(name, _UID)):
        hint = "remove the selector, or set manualSelector: true to choose pods by labels of your own"
        faults.invalid("spec.selector", spec["selector"], "`selector` not auto-generated", hint)


def _selector(faults: Faults, spec: Object) -> None:
    selector = record(spec, "selector")
    if selector is None:
        faults.required("spec.selector", hint="manualSelector: true needs the selector to be written")
    else:
        before = len(faults)
        metadata.check_selector(faults, "spec.selector", selector)
        if len(faults) > before:
            return
    have = (record(record(spec, "template"), "metadata") or {}).get("labels")
    if not labels.matches(selector, have):
        faults.invalid("spec.template.metadata.labels", have, "`selector` does not match template `labels`")


def check_spec(faults: Faults, path: str, spec: Object) -> None:
    """All of a JobSpec but its selector."""
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex"):
        faults.not_negative(f"{path}.{field}", spec.get(field))
    most = spec.get("maxFailedIndexes")
    if most is not None:
        faults.not_negative(f"{path}.maxFailedIndexes", most)
        if spec.get("backoffLimitPerIndex") is None:
            faults.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if spec.get("managedBy") is not None:
        _manager(faults, f"{path}.managedBy", spec["managedBy"])
    mode = spec.get("completionMode")
    if mode is not None and mode not in _MODES:
        faults.unsupported(f"{path}.completionMode", mode, _MODES)
    if mode == jobs.INDEXED:
        _indexed(faults, path, spec)
    elif mode in (None, "NonIndexed"):
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                faults.invalid(f"{path}.{field}", spec[field], "requires indexed completion mode", "set completionMode: Indexed")
    job_policies.check(faults, path, spec)
    _template(faults, f"{path}.template", spec)


def _manager(faults: Faults, path: str, manager: str) -> None:
    faults.each(path, manager, names.domain_prefixed(manager))
    if len(manager) > _MANAGER_MAX:
        faults.too_long(path, _MANAGER_MAX)


def _indexed(faults: Faults, path: str, spec: Object) -> None:
    completions, parallel, most = spec.get("completions"), spec.get("parallelism"), spec.get("maxFailedIndexes")
    if completions is None:
        faults.required(f"{path}.completions", "when completion mode is Indexed")
    if parallel is not None and parallel > _MANY:
        faults.invalid(f"{path}.parallelism", parallel, f"must be less than or equal to {_MANY} when completion mode is Indexed")
    if completions is not None and most is not None and most > completions:
        faults.invalid(f"{path}.maxFailedIndexes", most, "must be less than or equal to completions")
    if most is not None and most > _MANY:
        faults.invalid(f"{path}.maxFailedIndexes", most, f"must be less than or equal to {_MANY}")
    if completions is None or completions <= _MANY or spec.get("backoffLimitPerIndex") is None:
        return
    if most is None:
        faults.required(f"{path}.maxFailedIndexes", f"must be specified when completions is above {_MANY}")
    for field, value in (("parallelism", parallel), ("maxFailedIndexes", most)):
        if value is not None and value > _FEW:
            detail = f"must be less than or equal to {_FEW} when completions are above {_MANY} and used with backoff limit per index"
            faults.invalid(f"{path}.{field}", value, detail)


def _template(faults: Faults, path: str, spec: Object) -> None:
    template = record(spec, "template") or {}
    inner = record(template, "spec") or {}
    pod.template(faults, path, record(template, "metadata") or {}, inner)
    restart, path = inner.get("restartPolicy") or "", f"{path}.spec.restartPolicy"
    if restart in ("", "Always"):
        faults.required(path, 'valid values: "OnFailure", "Never"', "a Job's pods end: choose Never (another pod) or OnFailure (same pod)")
    elif restart not in _RESTARTS:
        faults.unsupported(path, restart, _RESTARTS)
    elif record(spec, "podFailurePolicy") is not None and restart != "Never":
        faults.invalid(path, restart, 'only "Never" is supported when podFailurePolicy is specified')
