"""Ingress and IngressClass (IG1)."""

from __future__ import annotations

import re

from kubeplay.kube import ip, names
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.paths import segment
from kubeplay.kube.validate.report import Faults, Object, record, records

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
CONTROLLER_MAX = 250
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NEVER_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
_NEVER_AT_END = ("/..", "/.")
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def ingress(faults: Faults, obj: Object) -> None:
    """An Ingress."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    default, rules = record(spec, "defaultBackend"), records(spec, "rules")
    if not rules and default is None:
        faults.invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
    if default is not None:
        _backend(faults, "spec.defaultBackend", default)
    for index, rule in enumerate(rules):
        _rule(faults, f"spec.rules[{index}]", rule)
    _tls(faults, records(spec, "tls"))
    name = spec.get("ingressClassName")
    if name is not None:
        faults.each("spec.ingressClassName", name, names.dns_subdomain(name))
    marked = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    if marked is not None and name is not None and marked != name:
        faults.invalid(f"annotations.{CLASS_ANNOTATION}", marked, "must match `ingressClassName` when both are specified")


def _rule(faults: Faults, path: str, rule: Object) -> None:
    host, http = rule.get("host") or "", record(rule, "http")
    if host:
        if ip.sloppy(host) is not None:
            faults.invalid(f"{path}.host", host, "must be a DNS name, not an IP address")
        _host(faults, f"{path}.host", host)
    if http is None:
        return
    paths = records(http, "paths")
    if not paths:
        faults.required(f"{path}.http.paths")
    for index, each in enumerate(paths):
        _path(faults, f"{path}.http.paths[{index}]", each)


def _host(faults: Faults, path: str, host: str) -> None:
    hint = "hosts have no port" if ":" in host else ""
    faults.each(path, host, names.wildcard_subdomain(host) if "*" in host else names.dns_subdomain(host), hint)


def _path(faults: Faults, path: str, each: Object) -> None:
    kind, text = each.get("pathType"), each.get("path") or ""
    if kind is None:
        faults.required(f"{path}.pathType", "pathType must be specified", hint="Prefix or Exact")
        return
    if kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            faults.invalid(f"{path}.path", text, "must be an absolute path")
        for never in _NEVER_IN_PATH:
            if never in text:
                faults.invalid(f"{path}.path", text, f"must not contain '{never}'")
        for never in _NEVER_AT_END:
            if text.endswith(never):
                faults.invalid(f"{path}.path", text, f"cannot end with '{never}'")
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            faults.invalid(f"{path}.path", text, "must be an absolute path")
    else:
        faults.unsupported(f"{path}.pathType", kind, PATH_TYPES)
    _backend(faults, f"{path}.backend", record(each, "backend") or {})


def _backend(faults: Faults, path: str, backend: Object) -> None:
    service, resource = record(backend, "service"), record(backend, "resource")
    if service is not None and resource is not None:
        faults.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        _reference(faults, f"{path}.resource", resource)
    elif service is not None:
        _service(faults, path, service)
    else:
        faults.invalid(path, "", "resource or service backend is required")


def _service(faults: Faults, path: str, service: Object) -> None:
    name, port = service.get("name") or "", record(service, "port") or {}
    if name:
        faults.each(f"{path}.service.name", name, names.dns_label(name))
    else:
        faults.required(f"{path}.service.name")
    named, number = port.get("name") or "", port.get("number") or 0
    if named and number:
        faults.invalid(path, "", "cannot set both port name & port number")
    elif named:
        faults.each(f"{path}.service.port.name", named, names.port_name(named))
    elif number:
        faults.each(f"{path}.service.port.number", number, names.port_number(number))
    else:
        faults.required(path, "port name or number is required")


def _reference(faults: Faults, path: str, reference: Object) -> None:
    group = reference.get("apiGroup")
    if group is not None:
        faults.each(f"{path}.apiGroup", group, names.dns_subdomain(group))
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        if value:
            faults.each(f"{path}.{field}", value, segment(value))
        else:
            faults.required(f"{path}.{field}", f"{field} is required")


def _tls(faults: Faults, listed: list[Object]) -> None:
    for index, each in enumerate(listed):
        for at, host in enumerate(each.get("hosts") or ()):
            _host(faults, f"spec.tls[{index}].hosts[{at}]", host)
        secret = each.get("secretName") or ""
        if secret:
            faults.each(f"spec.tls[{index}].secretName", secret, names.dns_subdomain(secret))


def ingress_class(faults: Faults, obj: Object) -> None:
    """An IngressClass, which lives in no namespace."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain, namespaced=False)
    spec = obj.get("spec") or {}
    controller, path = spec.get("controller") or "", "spec.controller"
    if len(controller.encode("utf-8", "surrogatepass")) > CONTROLLER_MAX:
        faults.too_long(path, CONTROLLER_MAX)
    _controller(faults, path, controller)
    parameters = record(spec, "parameters")
    if parameters is not None:
        _reference(faults, "spec.parameters", parameters)
        _scope(faults, "spec.parameters", parameters)


def _controller(faults: Faults, path: str, controller: str) -> None:
    if not controller:
        faults.required(path)
        return
    host, _, rest = controller.partition("/")
    if not host or not rest:
        faults.invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    faults.each(path, host, names.dns_subdomain(host))
    if not re.fullmatch(_HTTP_PATH, rest):
        faults.invalid(path, rest, names.regex_text("Invalid path", _HTTP_PATH))


def _scope(faults: Faults, path: str, parameters: Object) -> None:
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope == "Namespace":
        if namespace is None:
            faults.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            faults.each(f"{path}.namespace", namespace, names.dns_label(namespace))
    elif scope == "Cluster":
        if namespace is not None:
            faults.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    else:
        faults.unsupported(f"{path}.scope", scope or "", ("Cluster", "Namespace"))
