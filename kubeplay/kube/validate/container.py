"""Containers of a pod: app, init, sidecar, ephemeral (IN2, RR1)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import names
from kubeplay.kube.validate import env, handlers, mounts, ports, resources, security
from kubeplay.kube.validate.report import Faults, Object, record, records
from kubeplay.kube.validate.volumes import PULL_POLICIES
from kubeplay.record import Record

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_RULES_MAX, _VALUES_MAX = 20, 255  # RR1
_INIT_ONLY = "may not be set for init containers without restartPolicy=Always"
_NOT_EPHEMERAL = (
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resources",
    "resizePolicy",
    "restartPolicyRules",
)


class Surroundings(Record):
    """What a container refers to in its pod."""

    volumes: dict[str, Object]
    claims: list[str]
    grace: int
    policy: str
    host_users: bool


def check(faults: Faults, path: str, spec: Object, around: Surroundings) -> None:
    """containers and initContainers of a pod spec."""
    _apps(faults, f"{path}.containers", records(spec, "containers"), around)
    _inits(faults, f"{path}.initContainers", spec, around)
    _ephemerals(faults, f"{path}.ephemeralContainers", spec, around)


def _apps(faults: Faults, path: str, containers: list[Object], around: Surroundings) -> None:
    if not containers:
        faults.required(path)
        return
    seen = set()
    for index, item in enumerate(containers):
        at = f"{path}[{index}]"
        _common(faults, at, item, around)
        name = item.get("name") or ""
        if name in seen:
            faults.duplicate(f"{at}.name", name)
        seen.add(name)
        _hooks(faults, at, item, around)
        _restart(faults, at, item)
    ports.host_ports(faults, path, containers)


def _inits(faults: Faults, path: str, spec: Object, around: Surroundings) -> None:
    seen = {item.get("name") or "" for item in records(spec, "containers")}
    for index, item in enumerate(records(spec, "initContainers")):
        at, name = f"{path}[{index}]", item.get("name") or ""
        _common(faults, at, item, around)
        _restart(faults, at, item)
        if name in seen and name:
            faults.duplicate(f"{at}.name", name)
        seen.add(name)
        ports.host_ports(faults, path, [item])
        if item.get("restartPolicy") == "Always":
            _hooks(faults, at, item, around)
            continue
        for field in ("lifecycle", *handlers.PROBES):
            if record(item, field) is not None:
                faults.forbidden(f"{at}.{field}", _INIT_ONLY)
        if item.get("resizePolicy"):
            faults.invalid(f"{at}.resizePolicy", item["resizePolicy"], "must not be set for init containers")


def _ephemerals(faults: Faults, path: str, spec: Object, around: Surroundings) -> None:
    """Refused at creation anyway; their own faults are named too."""
    seen = {item.get("name") or "" for field in ("containers", "initContainers") for item in records(spec, field)}
    for index, item in enumerate(records(spec, "ephemeralContainers")):
        at, name = f"{path}[{index}]", item.get("name") or ""
        _common(faults, at, item, around)
        if name in seen:
            faults.duplicate(f"{at}.name", name)
        seen.add(name)
        for field in _NOT_EPHEMERAL:
            if item.get(field):
                faults.forbidden(f"{at}.{field}", "cannot be set for an Ephemeral Container")


def _common(faults: Faults, path: str, item: Object, around: Surroundings) -> None:
    name = item.get("name") or ""
    if not name:
        faults.required(f"{path}.name")
    else:
        faults.each(f"{path}.name", name, names.dns_label(name))
    if not item.get("image"):
        faults.required(f"{path}.image")
    faults.one_of(f"{path}.terminationMessagePolicy", item.get("terminationMessagePolicy"), _MESSAGE_POLICIES)
    ports.container_ports(faults, f"{path}.ports", item)
    env.check_env(faults, f"{path}.env", item)
    env.check_env_from(faults, f"{path}.envFrom", item)
    mounts.check(faults, f"{path}.volumeMounts", item, around.volumes)
    mounts.check_devices(faults, f"{path}.volumeDevices", item, around.volumes)
    faults.one_of(f"{path}.imagePullPolicy", item.get("imagePullPolicy"), PULL_POLICIES)
    resources.container(faults, f"{path}.resources", record(item, "resources"), around.claims)
    resources.resize(faults, f"{path}.resizePolicy", item, around.policy)
    security.container(faults, f"{path}.securityContext", record(item, "securityContext"), host_users=around.host_users)


def _hooks(faults: Faults, path: str, item: Object, around: Surroundings) -> None:
    handlers.lifecycle(faults, f"{path}.lifecycle", record(item, "lifecycle"), around.grace)
    for field in handlers.PROBES:
        handlers.probe(faults, f"{path}.{field}", record(item, field), field, around.grace)


def _restart(faults: Faults, path: str, item: Object) -> None:
    """RR1: a container's own restart policy, and rules that come before it."""
    policy, rules = item.get("restartPolicy"), records(item, "restartPolicyRules")
    if policy is not None and policy not in RESTART_POLICIES:
        faults.unsupported(f"{path}.restartPolicy", policy, RESTART_POLICIES)
    if rules and policy is None:
        faults.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    if len(rules) > _RULES_MAX:
        faults.too_many(f"{path}.restartPolicyRules", len(rules), _RULES_MAX)
    for index, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{index}]"
        if rule.get("action") not in ("Restart", "RestartAllContainers"):
            faults.unsupported(f"{at}.action", rule.get("action") or "", ("Restart", "RestartAllContainers"))
        codes = record(rule, "exitCodes")
        if codes is None:
            faults.required(f"{at}.exitCodes", "must be specified")
        else:
            _exit_codes(faults, f"{at}.exitCodes", codes)


def _exit_codes(faults: Faults, path: str, codes: Object) -> None:
    faults.one_of(f"{path}.operator", codes.get("operator"), ("In", "NotIn"))
    values: list[Any] = codes.get("values") or []
    if len(values) > _VALUES_MAX:
        faults.too_many(f"{path}.values", len(values), _VALUES_MAX)


def image_spaces(faults: Faults, path: str, spec: Object) -> None:
    """Only a Pod's images are checked for surrounding space, not a template's."""
    for field in ("containers", "initContainers"):
        for index, item in enumerate(records(spec, field)):
            image = item.get("image") or ""
            if image != image.strip():
                faults.invalid(f"{path}.{field}[{index}].image", image, "must not have leading or trailing whitespace")
