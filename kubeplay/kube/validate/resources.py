"""Resources of containers and of the pod (RS1, VL4)."""

from __future__ import annotations

from kubeplay.errors import InvalidInput
from kubeplay.kube import names, quantity
from kubeplay.kube.defaults_pod import effective_requests
from kubeplay.kube.validate.report import NEGATIVE, Faults, Object, record, records

_CONTAINER = ("cpu", "memory", "ephemeral-storage")
_QUOTAS = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
]
_STANDARD = frozenset((*_CONTAINER, *_QUOTAS))
_HUGE = "hugepages-"
_ZERO = quantity.Quantity(0)


def container(faults: Faults, path: str, resources: Object | None, claims: list[str]) -> None:
    """`resources` of a container."""
    if resources:
        _requirements(faults, path, resources, pod_level=False)
        _claims(faults, f"{path}.claims", resources, claims)


def overhead(faults: Faults, path: str, amounts: Object) -> None:
    """`overhead`, checked as limits are."""
    _requirements(faults, path, {"limits": amounts}, pod_level=False)


def pod(faults: Faults, path: str, spec: Object) -> None:
    """`spec.resources`: on its own, and against the containers'."""
    resources = record(spec, "resources")
    if resources is None:
        return
    if resources.get("claims"):
        faults.forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level")
    _requirements(faults, path, resources, pod_level=True)

    total = effective_requests(spec) if _readable(spec) else {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, text in requests.items():
        if name in total and _amount(total[name]).nanos > _amount(text).nanos:
            detail = f"must be greater than or equal to aggregate container requests of {total[name]}"
            faults.invalid(f"{path}.requests[{name}]", text, detail)
    for field in ("containers", "initContainers"):
        for index, item in enumerate(records(spec, field)):
            for name, text in ((item.get("resources") or {}).get("limits") or {}).items():
                if name in limits and _amount(text).nanos > _amount(limits[name]).nanos:
                    at = f"{path.removesuffix('.resources')}.{field}[{index}].resources.limits"
                    faults.invalid(at, text, f"must be less than or equal to pod limits of {limits[name]}")


def _readable(spec: Object) -> bool:
    try:
        for field in ("containers", "initContainers"):
            for item in records(spec, field):
                for text in ((item.get("resources") or {}).get("requests") or {}).values():
                    quantity.parse(text)
    except InvalidInput:
        return False
    return True


def _amount(text: object) -> quantity.Quantity:
    try:
        return quantity.parse(text if isinstance(text, (str, int, float)) else None)
    except InvalidInput:
        return _ZERO


def _requirements(faults: Faults, path: str, resources: Object, *, pod_level: bool) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, text in limits.items():
        _entry(faults, f"{path}.limits[{name}]", name, text, pod_level)
    for name, text in requests.items():
        _entry(faults, f"{path}.requests[{name}]", name, text, pod_level)
        _fits(faults, path, name, text, limits)
    both = limits.keys() | requests.keys()
    if any(name.startswith(_HUGE) for name in both) and "cpu" not in both and "memory" not in both:
        faults.forbidden(path, "HugePages require cpu or memory")


def _entry(faults: Faults, path: str, name: str, text: object, pod_level: bool) -> None:
    _name(faults, path, name, pod_level)
    try:
        amount = quantity.parse(text if isinstance(text, (str, int, float)) else None)
    except InvalidInput as error:
        faults.invalid(path, text, error.message)
        return
    if amount.nanos < 0:
        faults.invalid(path, amount.canonical(), NEGATIVE)
    elif _extended(name) and not amount.whole():
        faults.invalid(path, amount.canonical(), "must be an integer")
    if name.startswith(_HUGE):
        _huge(faults, path, name, amount)


def _huge(faults: Faults, path: str, name: str, amount: quantity.Quantity) -> None:
    try:
        page = quantity.parse(name[len(_HUGE) :])
    except InvalidInput as error:
        faults.invalid(path, amount.canonical(), error.message)
        return
    if page.value() <= 0 or amount.value() % page.value():
        faults.invalid(path, amount.canonical(), f"{amount.canonical()} is not positive integer multiple of {name}")


def _name(faults: Faults, path: str, name: str, pod_level: bool) -> None:
    if _is_device(name) and not pod_level:
        return  # ours and Podman's: a cluster knows no `=` in a resource's name (docs/decisions/0506)
    wrong = names.qualified(name)
    faults.each(path, name, wrong)
    if "/" not in name:
        if not wrong and name not in _STANDARD and not name.startswith(_HUGE):
            faults.invalid(path, name, "must be a standard resource type or fully qualified", "a device has a domain: example.com/gpu")
        if pod_level:
            if name not in ("cpu", "memory") and not name.startswith(_HUGE):
                faults.unsupported(path, name, ("cpu", "hugepages-", "memory"))
        elif name not in _CONTAINER and not name.startswith(_HUGE):
            faults.invalid(path, name, "must be a standard resource for containers")
    elif pod_level:
        faults.unsupported(path, name, ("cpu", "hugepages-", "memory"))
    elif "kubernetes.io/" not in name and not _extended(name):
        faults.invalid(path, name, "doesn't follow extended resource name standard")


def _is_device(name: str) -> bool:
    """A device by its CDI name, `vendor.com/class=name`, or a device node of the host, `podman.io/device=/dev/X`."""
    kind, equals, device = name.partition("=")
    vendor, slash, class_ = kind.partition("/")
    return bool(equals and slash and device and class_) and not names.dns_subdomain(vendor.lower()) and "/" not in class_


def _extended(name: str) -> bool:
    """A device: `domain/name`, not Kubernetes' own, and fit for `requests.` before it."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.") and not names.qualified(f"requests.{name}")


def _fits(faults: Faults, path: str, name: str, text: object, limits: Object) -> None:
    shared = ("/" not in name or "kubernetes.io/" in name or _is_device(name)) and not name.startswith(_HUGE)
    if name not in limits:
        if not shared:
            faults.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    ask, limit = _amount(text), _amount(limits[name])
    if ask.nanos != limit.nanos and not shared:
        faults.invalid(f"{path}.requests", ask.canonical(), f"must be equal to {name} limit of {limit.canonical()}")
    elif ask.nanos > limit.nanos:
        faults.invalid(f"{path}.requests", ask.canonical(), f"must be less than or equal to {name} limit of {limit.canonical()}")


def _claims(faults: Faults, path: str, resources: Object, known: list[str]) -> None:
    seen = set()
    for index, claim in enumerate(records(resources, "claims")):
        at, name = f"{path}[{index}]", claim.get("name") or ""
        if not name:
            faults.required(at)
            continue
        full = f"{name}/{claim['request']}" if claim.get("request") else name
        if full in seen:
            faults.duplicate(at, full)
        seen.add(full)
        if name not in known:
            faults.not_found(at, name, "must be one of the names in pod.spec.resourceClaims" + ("" if known else " which is empty"))


def pod_claims(faults: Faults, path: str, spec: Object) -> list[str]:
    """`resourceClaims` of the pod; returns their names."""
    seen: list[str] = []
    for index, claim in enumerate(records(spec, "resourceClaims")):
        at, name = f"{path}[{index}]", claim.get("name") or ""
        if not name:
            faults.required(f"{at}.name")
        elif name in seen:
            faults.duplicate(f"{at}.name", name)
        else:
            faults.each(f"{at}.name", name, names.dns_label(name))
            seen.append(name)
        direct, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        if direct is not None and template is not None:
            faults.invalid(at, claim, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
        if direct is None and template is None:
            faults.invalid(at, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        for field, value in (("resourceClaimName", direct), ("resourceClaimTemplateName", template)):
            if value is not None:
                faults.each(f"{at}.{field}", value, names.dns_subdomain(value))
    return seen


def resize(faults: Faults, path: str, item: Object, pod_policy: str) -> None:
    """`resizePolicy` (RS8); faults name the list."""
    seen = set()
    for index, policy in enumerate(records(item, "resizePolicy")):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            faults.duplicate(f"{path}[{index}]", name)
        seen.add(name)
        faults.one_of(path, name, ("cpu", "memory"))
        faults.one_of(path, restart, ("NotRequired", "RestartContainer"))
        if pod_policy == "Never" and restart != "NotRequired":
            faults.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'")
