"""What a service asks of its pod: host name, name servers, the node's namespaces."""

from __future__ import annotations

import ipaddress

from kubeplay.convert import names
from kubeplay.convert.model import Object
from kubeplay.convert.section import Section


def settings(found: Section) -> Object:
    """Fields of the pod's spec."""
    # Compose has no variables about other services; those of Kubernetes (DB_PORT=tcp://...) have broken programs that read their own.
    made: Object = {"enableServiceLinks": False}
    if "hostname" in found:
        made["hostname"] = names.label(found.text("hostname"))
        if made["hostname"] != found.text("hostname"):
            found.note("hostname", f"a host name has a-z, 0-9 and - only: {made['hostname']}")
    _dns(found, made)
    if aliases := _aliases(found):
        made["hostAliases"] = aliases
    if found.text("network_mode") == "host":
        made |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    elif found.text("network_mode") == "none":
        found.note("network_mode", "none: a pod always has a network; a NetworkPolicy without rules lets nothing through")
    for key, ours in (("pid", "hostPID"), ("ipc", "hostIPC")):
        if found.text(key) == "host":
            made[ours] = True
        elif found.text(key) not in ("", "private", "shareable"):
            found.note(key, f"{found.text(key)}: containers of one pod share it (shareProcessNamespace), others cannot")
    for key in ("uts", "userns_mode"):
        if found.text(key) == "host" and key == "uts":
            found.note(key, "host: a pod has a host name of its own, unless hostNetwork is true")
        elif found.text(key) not in ("", "host"):
            found.note(key, f"{found.text(key)}: hostUsers false gives a pod user ids of its own")
    return made


def _dns(found: Section, made: Object) -> None:
    config: Object = {}
    for key, ours in (("dns", "nameservers"), ("dns_search", "searches")):
        if words := [word for word in found.words(key) if word != "."]:
            config[ours] = words
    options = [dict(zip(("name", "value"), word.split(":", 1))) for word in found.words("dns_opt")]
    if options:
        config["options"] = options
    if config:
        made["dnsConfig"] = config


def _aliases(found: Section) -> list[Object]:
    """`extra_hosts` by address."""
    made: dict[str, list[str]] = {}
    for word in found.words("extra_hosts"):
        host, _, address = word.partition("=")
        address = address.strip("[]")
        try:
            ipaddress.ip_address(address)
        except ValueError:
            found.note("extra_hosts", f"{word}: only addresses can be said")
            continue
        made.setdefault(address, []).append(host)
    return [{"ip": address, "hostnames": hosts} for address, hosts in made.items()]
