"""Where a pod may run: accepted and without effect on one machine (LR1), checked all the same."""

from __future__ import annotations

from kubeplay.kube import labels, names
from kubeplay.kube.validate.metadata import check_selector
from kubeplay.kube.validate.report import NOT_POSITIVE, Faults, Object, record, records

REQUIRED, PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_WEIGHT = "must be in the range 1-100"
_OPERATOR = "not a valid selector operator"


def affinity(faults: Faults, path: str, value: Object | None) -> None:
    """`affinity`."""
    node = record(value, "nodeAffinity")
    if node is not None:
        _node(faults, f"{path}.nodeAffinity", node)
    for field in ("podAffinity", "podAntiAffinity"):
        pods = record(value, field)
        if pods is not None:
            _pods(faults, f"{path}.{field}", pods)


def _node(faults: Faults, path: str, value: Object) -> None:
    required = record(value, REQUIRED)
    if required is not None:
        at = f"{path}.{REQUIRED}.nodeSelectorTerms"
        terms = records(required, "nodeSelectorTerms")
        if not terms:
            faults.required(at, "must have at least one node selector term")
        for index, term in enumerate(terms):
            _node_term(faults, f"{at}[{index}]", term, strict=True)
    for index, preference in enumerate(records(value, PREFERRED)):
        at = f"{path}.{PREFERRED}[{index}]"
        _weight(faults, at, preference)
        _node_term(faults, f"{at}.preference", record(preference, "preference") or {}, strict=False)


def _weight(faults: Faults, path: str, value: Object) -> None:
    weight = value.get("weight") or 0
    if not 1 <= weight <= 100:
        faults.invalid(f"{path}.weight", weight, _WEIGHT)


def _node_term(faults: Faults, path: str, term: Object, *, strict: bool) -> None:
    for index, item in enumerate(records(term, "matchExpressions")):
        _node_requirement(faults, f"{path}.matchExpressions[{index}]", item, strict)
    for index, item in enumerate(records(term, "matchFields")):
        _node_field(faults, f"{path}.matchFields[{index}]", item)


def _node_requirement(faults: Faults, path: str, item: Object, strict: bool) -> None:
    operator, values = item.get("operator") or "", item.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            faults.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            faults.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            faults.required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        faults.invalid(f"{path}.operator", operator, _OPERATOR)
    name = item.get("key") or ""
    faults.each(f"{path}.key", name, labels.key(name))
    for index, value in enumerate(values if strict else ()):
        faults.each(f"{path}.values[{index}]", value, labels.value(value))


def _node_field(faults: Faults, path: str, item: Object) -> None:
    operator, values = item.get("operator") or "", item.get("values") or []
    if operator not in ("In", "NotIn"):
        faults.invalid(f"{path}.operator", operator, _OPERATOR)
    elif len(values) != 1:
        faults.required(f"{path}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
    if item.get("key") != "metadata.name":
        faults.invalid(f"{path}.key", item.get("key") or "", "not a valid field selector key")
        return
    for index, value in enumerate(values):
        faults.each(f"{path}.values[{index}]", value, names.dns_subdomain(value))


def _pods(faults: Faults, path: str, value: Object) -> None:
    for index, term in enumerate(records(value, REQUIRED)):
        _pod_term(faults, f"{path}.{REQUIRED}[{index}]", term)
    for index, weighted in enumerate(records(value, PREFERRED)):
        at = f"{path}.{PREFERRED}[{index}]"
        _weight(faults, at, weighted)
        _pod_term(faults, f"{at}.podAffinityTerm", record(weighted, "podAffinityTerm") or {})


def _pod_term(faults: Faults, path: str, term: Object) -> None:
    for field in ("labelSelector", "namespaceSelector"):
        check_selector(faults, f"{path}.{field}", record(term, field))
    for name in term.get("namespaces") or []:
        faults.each(f"{path}.namespace", name, names.dns_label(name))
    _label_keys(faults, path, term)
    key = term.get("topologyKey") or ""
    if not key:
        faults.required(f"{path}.topologyKey", "can not be empty", "kubernetes.io/hostname means each machine")
    faults.each(f"{path}.topologyKey", key, labels.key(key))


def _label_keys(faults: Faults, path: str, term: Object) -> None:
    match, mismatch = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    if (match or mismatch) and record(term, "labelSelector") is None:
        for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
            if keys:
                faults.forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set")
        return
    used = _selected_keys(record(term, "labelSelector"))
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        for index, key in enumerate(keys):
            at = f"{path}.{field}[{index}]"
            faults.each(at, key, labels.key(key))
            if field == "matchLabelKeys" and key in used:
                faults.invalid(at, key, "exists in both matchLabelKeys and labelSelector")
            if field == "matchLabelKeys" and key in mismatch:
                faults.invalid(at, key, "exists in both matchLabelKeys and mismatchLabelKeys")


def _selected_keys(selector: Object | None) -> set[str]:
    terms = {term.get("key") or "" for term in records(selector, "matchExpressions")}
    return terms | set((selector or {}).get("matchLabels") or ())


def tolerations(faults: Faults, path: str, spec: Object) -> None:
    """`tolerations`; a bad key or value is reported at `.operator`, as the server does."""
    for index, item in enumerate(records(spec, "tolerations")):
        at = f"{path}[{index}]"
        key, operator, value, effect = (item.get(field) or "" for field in ("key", "operator", "value", "effect"))
        if key:
            faults.each(f"{at}.key", key, labels.key(key))
        elif operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            faults.invalid(f"{at}.operator", operator, detail)
        if item.get("tolerationSeconds") is not None and effect != "NoExecute":
            faults.invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator in ("", "Equal"):
            wrong = labels.value(value)
            if wrong:
                faults.invalid(f"{at}.operator", value, ";".join(wrong))
        elif operator == "Exists":
            if value:
                faults.invalid(f"{at}.operator", item, "value must be empty when `operator` is 'Exists'")
        else:
            faults.unsupported(f"{at}.operator", operator, ("Equal", "Exists"))
        if effect and effect not in _EFFECTS:
            faults.unsupported(f"{at}.effect", effect, _EFFECTS)


def spread(faults: Faults, path: str, spec: Object) -> None:
    """`topologySpreadConstraints`."""
    constraints = records(spec, "topologySpreadConstraints")
    for index, item in enumerate(constraints):
        at = f"{path}[{index}]"
        key, action, skew = item.get("topologyKey") or "", item.get("whenUnsatisfiable") or "", item.get("maxSkew") or 0
        if skew <= 0:
            faults.invalid(f"{at}.maxSkew", skew, NOT_POSITIVE)
        if not key:
            faults.required(f"{at}.topologyKey", "can not be empty")
        else:
            faults.each(f"{at}.topologyKey", key, labels.key(key))
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            faults.unsupported(f"{at}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        if any((later.get("topologyKey"), later.get("whenUnsatisfiable")) == (key, action) for later in constraints[index + 1 :]):
            faults.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        _domains(faults, f"{at}.minDomains", item.get("minDomains"), action)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if item.get(field) not in (None, "Honor", "Ignore"):
                faults.unsupported(f"{at}.{field}", item[field], ("Honor", "Ignore"))
        _label_keys(faults, at, {"matchLabelKeys": item.get("matchLabelKeys"), "labelSelector": item.get("labelSelector")})
        check_selector(faults, f"{at}.labelSelector", record(item, "labelSelector"))


def _domains(faults: Faults, path: str, number: int | None, action: str) -> None:
    if number is None:
        return
    if number <= 0:
        faults.invalid(path, number, NOT_POSITIVE)
    if action != "DoNotSchedule":
        faults.invalid(path, number, f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}")


def gates(faults: Faults, path: str, spec: Object) -> None:
    """`readinessGates` and `schedulingGates`."""
    for index, gate in enumerate(records(spec, "readinessGates")):
        condition = gate.get("conditionType") or ""
        faults.each(f"{path}.readinessGates[{index}].conditionType", condition, names.qualified(condition))
    seen = set()
    for index, gate in enumerate(records(spec, "schedulingGates")):
        at, name = f"{path}.schedulingGates[{index}]", gate.get("name") or ""
        faults.each(at, name, names.qualified(name))
        if name in seen:
            faults.duplicate(at, name)
        seen.add(name)
