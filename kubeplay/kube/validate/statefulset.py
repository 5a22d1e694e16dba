"""StatefulSet (ST1-ST3) [K: pkg/apis/apps/validation/validation.go]."""

from __future__ import annotations

from kubeplay.kube import labels, names
from kubeplay.kube.validate import claim, metadata, pod
from kubeplay.kube.validate.report import Faults, Object, record, records

_MANAGEMENT = ("OrderedReady", "Parallel")
_RETENTION = ("Delete", "Retain")
ROLLING, ON_DELETE = "RollingUpdate", "OnDelete"


def stateful_set(faults: Faults, obj: Object) -> None:
    """A StatefulSet; its pods are named after it, so it is a label."""
    metadata.check(faults, obj["metadata"], names.dns_label)
    spec = obj.get("spec") or {}
    policy = spec.get("podManagementPolicy")
    if policy not in _MANAGEMENT:
        faults.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    _strategy(faults, spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        if retention.get(field) not in _RETENTION:
            faults.unsupported(f"spec.persistentVolumeClaimRetentionPolicy.{field}", retention.get(field) or "", _RETENTION)
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        faults.not_negative(f"spec.{field}", spec.get(field))
    faults.not_negative("spec.ordinals.start", (record(spec, "ordinals") or {}).get("start"))
    if spec.get("serviceName"):
        faults.each("spec.serviceName", spec["serviceName"], names.dns_label(spec["serviceName"]))
    _claims(faults, spec)
    _selected(faults, spec)
    template = record(record(spec, "template"), "spec") or {}
    if template.get("restartPolicy") != "Always":
        faults.unsupported("spec.template.spec.restartPolicy", template.get("restartPolicy") or "", ("Always",))
    if template.get("activeDeadlineSeconds") is not None:
        faults.forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in StatefulSet is not Supported")


def _strategy(faults: Faults, strategy: Object) -> None:
    kind, rolling = strategy.get("type"), record(strategy, "rollingUpdate")
    if kind == ON_DELETE:
        if rolling is not None:
            faults.invalid("spec.updateStrategy.rollingUpdate", rolling, f"only allowed for updateStrategy '{ROLLING}'")
    elif kind == ROLLING:
        faults.not_negative("spec.updateStrategy.rollingUpdate.partition", (rolling or {}).get("partition"))
    else:
        faults.invalid("spec.updateStrategy", strategy, f"must be '{ROLLING}' or '{ON_DELETE}'")


def _claims(faults: Faults, spec: Object) -> None:
    for index, template in enumerate(records(spec, "volumeClaimTemplates")):
        claim.check_spec(faults, f"spec.volumeClaimTemplates[{index}].spec", record(template, "spec") or {})


def _selected(faults: Faults, spec: Object) -> None:
    selector, before = record(spec, "selector"), len(faults)
    if selector is None:
        faults.required("spec.selector", hint="matchLabels with the labels of the template")
    else:
        metadata.check_selector(faults, "spec.selector", selector)
        if len(faults) > before:  # one that cannot be read chooses nothing
            faults.invalid("spec.selector", selector, "")
            return
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            faults.invalid("spec.selector", selector, "empty selector is invalid for statefulset")
    template = record(spec, "template") or {}
    meta, pods = record(template, "metadata") or {}, record(template, "spec") or {}
    if not labels.matches(selector, meta.get("labels")):
        hint = "the template's labels must contain all of the selector's"
        faults.invalid("spec.template.metadata.labels", meta.get("labels"), "`selector` does not match template `labels`", hint)
    pod.template(faults, "spec.template", meta, with_claims(pods, spec))


def with_claims(pods: Object, spec: Object) -> Object:
    """The template's spec as its pods will have it: each claim template is a volume, in the place of one of its name (ST1)."""
    wanted = [(record(template, "metadata") or {}).get("name") or "" for template in records(spec, "volumeClaimTemplates")]
    if not wanted:
        return pods
    kept = [volume for volume in records(pods, "volumes") if volume.get("name") not in wanted]
    made = [{"name": name, "persistentVolumeClaim": {"claimName": name or "claim"}} for name in dict.fromkeys(wanted)]
    return {**pods, "volumes": [*kept, *made]}
