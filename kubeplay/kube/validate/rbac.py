"""Role, ClusterRole and their bindings: nothing here asks them, but what a cluster would refuse is refused (rbac/validation)."""

from __future__ import annotations

from kubeplay.kube import names
from kubeplay.kube.defaults_policy import RBAC
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.report import Faults, Object, record, records


def segment(text: str) -> list[str]:
    """A name that may be a part of a URL's path (api/validation/path)."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{sign}'" for sign in ("/", "%") if sign in text]


def role(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], segment)
    for index, rule in enumerate(records(obj, "rules")):
        _rule(faults, f"rules[{index}]", rule, namespaced=True)


def cluster_role(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], segment, namespaced=False)
    for index, rule in enumerate(records(obj, "rules")):
        _rule(faults, f"rules[{index}]", rule, namespaced=False)
    aggregation = record(obj, "aggregationRule")
    if aggregation is None:
        return
    selectors = records(aggregation, "clusterRoleSelectors")
    if not selectors:
        faults.required("aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for index, selector in enumerate(selectors):
        metadata.check_selector(faults, f"aggregationRule.clusterRoleSelectors[{index}]", selector)


def _rule(faults: Faults, path: str, rule: Object, *, namespaced: bool) -> None:
    if not rule.get("verbs"):
        faults.required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs") or []
    if urls:
        if namespaced:
            faults.invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            faults.invalid(f"{path}.nonResourceURLs", urls, "rules cannot apply to both regular resources and non-resource URLs")
        return
    if not rule.get("apiGroups"):
        faults.required(f"{path}.apiGroups", "resource rules must supply at least one api group", '"" is the core group')
    if not rule.get("resources"):
        faults.required(f"{path}.resources", "resource rules must supply at least one resource")


def role_binding(faults: Faults, obj: Object) -> None:
    _binding(faults, obj, ("ClusterRole", "Role"), namespaced=True)


def cluster_role_binding(faults: Faults, obj: Object) -> None:
    _binding(faults, obj, ("ClusterRole",), namespaced=False)


def _binding(faults: Faults, obj: Object, kinds: tuple[str, ...], *, namespaced: bool) -> None:
    metadata.check(faults, obj["metadata"], segment, namespaced=namespaced)
    reference = record(obj, "roleRef") or {}
    if reference.get("apiGroup") != RBAC:
        faults.unsupported("roleRef.apiGroup", reference.get("apiGroup") or "", (RBAC,))
    if reference.get("kind") not in kinds:
        faults.unsupported("roleRef.kind", reference.get("kind") or "", kinds)
    if not reference.get("name"):
        faults.required("roleRef.name")
    else:
        faults.each("roleRef.name", reference["name"], segment(reference["name"]))
    for index, subject in enumerate(records(obj, "subjects")):
        _subject(faults, f"subjects[{index}]", subject, namespaced)


def _subject(faults: Faults, path: str, subject: Object, namespaced: bool) -> None:
    name, kind, group = subject.get("name") or "", subject.get("kind") or "", subject.get("apiGroup") or ""
    if not name:
        faults.required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            faults.each(f"{path}.name", name, names.dns_subdomain(name))
        if group:
            faults.unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            faults.required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        if group != RBAC:
            faults.unsupported(f"{path}.apiGroup", group, (RBAC,))
    else:
        faults.unsupported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))
