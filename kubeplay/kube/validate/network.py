"""DNS, host names and host aliases of a pod (DN1-DN4)."""

from __future__ import annotations

from kubeplay.kube import ip, names
from kubeplay.kube.validate.report import Faults, Object, record, records

DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
# DN2: what resolv.conf(5) readers hold.
NAMESERVERS_MAX, SEARCHES_MAX, SEARCH_CHARACTERS_MAX = 3, 32, 2048
# [T: core/v1 hostnameOverride] the kernel's limit, uname(2).
HOSTNAME_MAX = 64


def dns(faults: Faults, path: str, spec: Object) -> None:
    """`dnsConfig`, which dnsPolicy None needs."""
    config = record(spec, "dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            faults.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.get("nameservers"):
            faults.required(f"{path}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > NAMESERVERS_MAX:
        faults.invalid(f"{path}.nameservers", servers, f"must not have more than {NAMESERVERS_MAX} nameservers")
    for index, text in enumerate(servers):
        faults.each(f"{path}.nameservers[{index}]", text, ip.ip(text))
    if len(searches) > SEARCHES_MAX:
        faults.invalid(f"{path}.searches", searches, f"must not have more than {SEARCHES_MAX} search paths")
    if len(" ".join(searches)) > SEARCH_CHARACTERS_MAX:
        detail = f"must not have more than {SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        faults.invalid(f"{path}.searches", searches, detail)
    for index, text in enumerate(searches):
        if text != ".":
            faults.each(f"{path}.searches[{index}]", text, names.relaxed_subdomain(text.removesuffix(".")))
    for index, option in enumerate(records(config, "options")):
        if not option.get("name"):
            faults.required(f"{path}.options[{index}]", "must not be empty")


def hostnames(faults: Faults, path: str, spec: Object) -> None:
    """hostname, subdomain."""
    for field in ("hostname", "subdomain"):
        text = spec.get(field)
        if text:
            faults.each(f"{path}.{field}", text, names.dns_label(text))


def override(faults: Faults, path: str, spec: Object) -> None:
    """hostnameOverride stands alone."""
    text = spec.get("hostnameOverride")
    if text is None:
        return
    at = f"{path}.hostnameOverride"
    if len(text) > HOSTNAME_MAX:
        faults.invalid(at, text, names.max_length(HOSTNAME_MAX))
    faults.each(at, text, names.dns_subdomain(text))
    if spec.get("setHostnameAsFQDN"):
        faults.forbidden(at, "may not be set when setHostnameAsFQDN is true")
    if spec.get("hostNetwork"):
        faults.forbidden(at, "may not be set when hostNetwork is true")


def aliases(faults: Faults, path: str, spec: Object) -> None:
    """`hostAliases`."""
    for index, alias in enumerate(records(spec, "hostAliases")):
        text = alias.get("ip") or ""
        faults.each(f"{path}[{index}].ip", text, ip.ip(text))
        for place, name in enumerate(alias.get("hostnames") or []):
            faults.each(f"{path}[{index}].hostnames[{place}]", name, names.dns_subdomain(name))
