"""DaemonSet (DS1) [K: pkg/apis/apps/validation/validation.go]."""

from __future__ import annotations

from kubeplay.kube import labels, names
from kubeplay.kube.validate import metadata, pod, shares
from kubeplay.kube.validate.report import Faults, Object, record
from kubeplay.kube.validate.workload import _shared_disks

ROLLING, ON_DELETE = "RollingUpdate", "OnDelete"


def daemon_set(faults: Faults, obj: Object) -> None:
    """A DaemonSet."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    selector, before = record(spec, "selector"), len(faults)
    metadata.check_selector(faults, "spec.selector", selector)
    readable = len(faults) == before
    template = record(spec, "template") or {}
    meta, pods = record(template, "metadata") or {}, record(template, "spec") or {}
    if readable and not labels.matches(selector, meta.get("labels")):
        hint = "the template's labels must contain all of the selector's"
        faults.invalid("spec.template.metadata.labels", meta.get("labels"), "`selector` does not match template `labels`", hint)
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        faults.invalid("spec.selector", selector, "empty selector is invalid for daemonset")
    pod.template(faults, "spec.template", meta, pods)
    _shared_disks(faults, "spec.template.spec.volumes", pods)
    if pods.get("restartPolicy") != "Always":
        faults.unsupported("spec.template.spec.restartPolicy", pods.get("restartPolicy") or "", ("Always",))
    if pods.get("activeDeadlineSeconds") is not None:
        faults.forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in DaemonSet is not Supported")
    faults.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    _strategy(faults, spec.get("updateStrategy") or {})
    faults.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _strategy(faults: Faults, strategy: Object) -> None:
    kind = strategy.get("type")
    if kind == ROLLING:
        _rolling(faults, "spec.updateStrategy.rollingUpdate", record(strategy, "rollingUpdate") or {})
    elif kind != ON_DELETE:
        faults.unsupported("spec.updateStrategy", strategy, (ROLLING, ON_DELETE))


def _rolling(faults: Faults, path: str, rolling: Object) -> None:
    """Exactly one of the two must allow a replacement."""
    fields = ("maxUnavailable", "maxSurge")
    for field in fields:
        shares.positive(faults, f"{path}.{field}", rolling.get(field))
    for field in fields:
        shares.not_over_all(faults, f"{path}.{field}", rolling.get(field))
    unavailable, surge = (shares.amount(rolling.get(field)) != 0 for field in fields)
    if unavailable and surge:
        hint = "maxUnavailable is 1 unless given: set it to 0"
        faults.invalid(f"{path}.maxSurge", rolling["maxSurge"], "may not be set when maxUnavailable is non-zero", hint)
    elif not unavailable and not surge:
        faults.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0", "no pod could ever be replaced")
