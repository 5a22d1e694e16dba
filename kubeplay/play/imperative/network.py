"""Ports, names and resolvers: -p, -P, --expose, --hostname, --add-host, --dns*, --pid, --ipc.

--network, --ip, --mac-address, --userns and --log-* are those of `play kube` and are written by its own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.play.compile import ports
from kubeplay.play.imperative import words
from kubeplay.play.imperative.draft import Draft, Given, Machine


def fill(draft: Draft, given: Given, machine: Machine) -> None:
    """What belongs to the whole pod. Raises InvalidInput, NotSupported."""
    if given.get("hostname"):
        _hostname(draft, given["hostname"])
    aliases = [_alias(text) for text in given.get("add_host", ())]
    if aliases:
        draft.spec["hostAliases"] = aliases
    _dns(draft, given)
    _namespaces(draft, given)
    if _is_host(given):
        if given.get("publish"):
            draft.warnings.append("--publish has no effect with --network host: the container's ports are the host's own")
        return
    if "none" in given.get("network", ()) and given.get("publish"):
        draft.warnings.append("--publish has no effect with --network none: nothing can reach the container")
        return
    made = published(given.get("publish", ()), machine)
    if made:
        draft.container["ports"] = made


def _is_host(given: Given) -> bool:
    return "host" in given.get("network", ())


def published(texts: Sequence[str], machine: Machine) -> list[dict[str, Any]]:
    """-p [[IP:]HOST:]PORT[/PROTOCOL] as container ports; without HOST a free one is taken, as podman does."""
    found = []
    for text in texts:
        for entry in ports.parse(text):
            port: dict[str, Any] = {"containerPort": entry.container_port}
            port["hostPort"] = entry.host_port or machine.port(entry.host_ip, entry.protocol)
            if entry.host_ip:
                port["hostIP"] = entry.host_ip
            if entry.protocol != "TCP":
                port["protocol"] = entry.protocol
            if port not in found:
                found.append(port)
    return found


def exposed(container: dict[str, Any], wanted: Sequence[str], machine: Machine) -> None:
    """-P: a free port of the host for each of `wanted` (PORT[/PROTOCOL]) that is not published yet."""
    known = {(port["containerPort"], port.get("protocol") or "TCP") for port in container.get("ports", ())}
    for text in wanted:
        for entry in ports.parse(text):
            if (entry.container_port, entry.protocol) not in known:
                container.setdefault("ports", []).extend(published([text], machine))
                break


def _hostname(draft: Draft, text: str) -> None:
    """`web` or `web.example.org`: the name, and what the pod's own full name is."""
    from kubeplay.kube.names import dns_label, dns_subdomain

    if "." in text and not dns_subdomain(text):
        draft.spec["hostnameOverride"] = text
    elif dns_label(text):
        usable = words.label(text)
        raise InvalidInput(f"--hostname {text!r} is not a host name", hint=f"{usable} would do" if usable else "as web-1")
    else:
        draft.spec["hostname"] = text


def _alias(text: str) -> dict[str, Any]:
    """--add-host NAME[;NAME...]:IP"""
    names, _, address = text.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    if not names or not address:
        raise InvalidInput(f"--add-host {text!r} is not NAME:ADDRESS")
    if address == "host-gateway":
        raise NotSupported(f"--add-host {text}: host-gateway is not supported", hint="give the address of this machine")
    return {"ip": address, "hostnames": names.split(";")}


def _dns(draft: Draft, given: Given) -> None:
    servers, searches = words.listed(given.get("dns", ())), words.listed(given.get("dns_search", ()))
    options = [option.partition(":") for option in words.listed(given.get("dns_option", ()))]
    config: dict[str, Any] = {}
    if servers and servers != ["none"]:
        config["nameservers"] = servers
        draft.spec["dnsPolicy"] = "None"  # podman asks those that are given and no others
    if searches:
        config["searches"] = [search for search in searches if search != "."]
    if options:
        config["options"] = [{"name": name, **({"value": value} if colon else {})} for name, colon, value in options]
    if config:
        draft.spec["dnsConfig"] = config


def _namespaces(draft: Draft, given: Given) -> None:
    for dest, field in (("pid", "hostPID"), ("ipc", "hostIPC")):
        mode = given.get(dest)
        if mode == "host":
            draft.spec[field] = True
        elif mode not in (None, "", "private", "shareable", "pod"):
            raise NotSupported(f"--{dest} {mode}: not supported", hint="known: host, private")
    if given.get("uts") not in (None, "", "private", "pod"):
        raise NotSupported("--uts host: not supported", hint="--network host gives the host's name as well")
    if given.get("init"):
        # PID 1 of the pod is its pause process, which reaps; the program then is an ordinary process that dies of TERM.
        draft.spec["shareProcessNamespace"] = True
