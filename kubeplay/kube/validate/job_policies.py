"""podFailurePolicy, successPolicy and podReplacementPolicy of a Job (JO5)."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.kube import indexes, jobs, names
from kubeplay.kube.validate.report import Faults, Object, record, records

RULES, EXIT_CODES, CONDITIONS = 20, 255, 20
_INDEXES_MAX = 64 * 1024
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")


def check(faults: Faults, path: str, spec: Object) -> None:
    """All three."""
    failure, success = record(spec, "podFailurePolicy"), record(spec, "successPolicy")
    if failure is not None:
        _failure(faults, f"{path}.podFailurePolicy.rules", spec, records(failure, "rules"))
    if success is not None and spec.get("completionMode") != jobs.INDEXED:
        faults.invalid(f"{path}.successPolicy", success, "requires indexed completion mode", "set completionMode: Indexed")
    elif success is not None:
        _success(faults, f"{path}.successPolicy.rules", spec, records(success, "rules"))
    replacement = spec.get("podReplacementPolicy")
    allowed = _REPLACEMENTS if failure is None else ("Failed",)
    if replacement is not None and replacement not in allowed:
        faults.unsupported(f"{path}.podReplacementPolicy", replacement, allowed)


def _failure(faults: Faults, path: str, spec: Object, rules: list[Object]) -> None:
    if len(rules) > RULES:
        faults.too_many(path, len(rules), RULES)
    pod = record(record(spec, "template"), "spec") or {}
    containers = {item.get("name") for field in ("containers", "initContainers") for item in records(pod, field)}
    for at, rule in enumerate(rules):
        _rule(faults, f"{path}[{at}]", spec, rule, containers)


def _rule(faults: Faults, path: str, spec: Object, rule: Object, containers: set[str | None]) -> None:
    action, codes, conditions = rule.get("action") or "", record(rule, "onExitCodes"), records(rule, "onPodConditions")
    if not action:
        faults.required(f"{path}.action", _valid(_ACTIONS))
    elif action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            faults.invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set")
    elif action not in _ACTIONS:
        faults.unsupported(f"{path}.action", action, _ACTIONS)
    if codes is not None:
        _exit_codes(faults, f"{path}.onExitCodes", codes, containers)
    if len(conditions) > CONDITIONS:
        faults.too_many(f"{path}.onPodConditions", len(conditions), CONDITIONS)
    for at, pattern in enumerate(conditions):
        _pattern(faults, f"{path}.onPodConditions[{at}]", pattern)
    if codes is not None and conditions:
        faults.invalid(path, rule, "specifying both OnExitCodes and OnPodConditions is not supported", "make two rules of it")
    if codes is None and not conditions:
        faults.invalid(path, rule, "specifying one of OnExitCodes and OnPodConditions is required")


def _exit_codes(faults: Faults, path: str, codes: Object, containers: set[str | None]) -> None:
    operator, values = codes.get("operator") or "", codes.get("values") or []
    if not operator:
        faults.required(f"{path}.operator", _valid(_OPERATORS))
    elif operator not in _OPERATORS:
        faults.unsupported(f"{path}.operator", operator, _OPERATORS)
    name = codes.get("containerName")
    if name is not None and name not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        faults.invalid(f"{path}.containerName", name, detail)
    if not values:
        faults.invalid(f"{path}.values", values, "at least one value is required")
    elif len(values) > EXIT_CODES:
        faults.too_many(f"{path}.values", len(values), EXIT_CODES)
    seen: set[int] = set()
    for at, value in enumerate(values):
        if operator == "In" and value == 0:
            faults.invalid(f"{path}.values[{at}]", value, "must not be 0 for the In operator", "0 is success")
        if value in seen:
            faults.duplicate(f"{path}.values[{at}]", value)
        seen.add(value)
    if values != sorted(values):
        faults.invalid(f"{path}.values", values, "must be ordered")


def _pattern(faults: Faults, path: str, pattern: Object) -> None:
    kind, status = pattern.get("type") or "", pattern.get("status") or ""
    faults.each(f"{path}.type", kind, names.qualified(kind))
    if not status:
        faults.required(f"{path}.status", _valid(_STATUSES))
    elif status not in _STATUSES:
        faults.unsupported(f"{path}.status", status, _STATUSES)


def _valid(words: Sequence[str]) -> str:
    listed = " ".join(f'"{word}"' for word in words)
    return f"valid values: [{listed}]"


def _success(faults: Faults, path: str, spec: Object, rules: list[Object]) -> None:
    if not rules:
        faults.required(path, "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > RULES:
        faults.too_many(path, len(rules), RULES)
    for at, rule in enumerate(rules):
        _success_rule(faults, f"{path}[{at}]", rule, spec.get("completions") or 0)


def _success_rule(faults: Faults, path: str, rule: Object, completions: int) -> None:
    chosen, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if chosen is None and count is None:
        faults.required(path, "at least one of succeededCount or succeededIndexes must be specified")
    total = 0
    if chosen is not None:
        at = f"{path}.succeededIndexes"
        if len(chosen) > _INDEXES_MAX:
            faults.too_long(at, _INDEXES_MAX)
        try:
            total = indexes.count(indexes.parse(chosen, completions))
        except ValueError as error:
            faults.invalid(at, chosen, f"error parsing succeededIndexes: {error}", "as in 0,2-4: rising, below completions")
    if count is None:
        return
    at = f"{path}.succeededCount"
    faults.not_negative(at, count)
    if count > completions:
        faults.invalid(at, count, f"must be less than or equal to {completions} (the number of specified completions)")
    if chosen is not None and count > total:
        detail = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        faults.invalid(at, count, detail)
