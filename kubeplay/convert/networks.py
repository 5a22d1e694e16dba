"""Networks: who is in different ones does not meet, which NetworkPolicies say.

Only where the file keeps services apart: with one network for all there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeplay.convert import names
from kubeplay.convert.model import Object
from kubeplay.convert.part import Part, Work
from kubeplay.convert.section import Section

LABEL = "compose-network/"
DEFAULT = "default"


def of(found: Section) -> tuple[str, ...]:
    """The networks of a service."""
    if "network_mode" in found:
        return ()
    return tuple(found.section("networks").map) or (DEFAULT,)


def aliases(found: Section, work: Work) -> tuple[str, ...]:
    """The further names that a service has in its networks."""
    made: list[str] = []
    networks = found.section("networks")
    for name in networks.map:
        if name != DEFAULT and work.top("networks", name) is None:
            networks.fault(name, "is not declared under `networks:` at the top of the file", reason="FieldValueNotFound")
        inner = networks.section(name) if networks.raw(name) is not None else Section(type(networks.map)(), networks.at(name), work.report)
        made += inner.words("aliases")
        inner.unsaid(
            dict.fromkeys(("ipv4_address", "ipv6_address", "link_local_ips", "mac_address"), "a pod's address is drawn: use its name")
        )
        inner.unsaid(dict.fromkeys(("priority", "gw_priority", "driver_opts", "interface_name"), "a pod has one network"))
    own = found.text("container_name")
    return tuple(dict.fromkeys([*made, *([own] if own else [])]))


def label(name: str) -> str:
    return f"{LABEL}{names.label(name)}"


def apart(parts: Iterable[Part], work: Work) -> bool:
    """Whether two services share no network, or one is cut off from outside."""
    sets = [set(of(part.section)) for part in parts]
    sets = [one for one in sets if one]
    return any(not one & other for one in sets for other in sets) or any(_internal(name, work) for one in sets for name in one)


def _internal(name: str, work: Work) -> bool:
    found = work.top("networks", name)
    return found is not None and found.map is not None and found.flag("internal")


def policies(parts: Mapping[str, Part], work: Work) -> list[Object]:
    """One policy for each network: its members reach each other; what is published is open; internal ones reach nothing else."""
    made = []
    for name in dict.fromkeys(name for part in parts.values() for name in of(part.section)):
        chosen = {"matchLabels": {label(name): "true"}}
        made.append(
            _policy(
                f"network-{names.label(name)}",
                {"podSelector": chosen, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": chosen}]}]},
            )
        )
    for part in parts.values():
        mine = of(part.section)
        targets = [port for port in part.ports if port.published]
        if mine and targets:
            rules = [{"port": port.target, **({"protocol": port.protocol} if port.protocol != "TCP" else {})} for port in targets]
            made.append(
                _policy(
                    f"published-{part.name}",
                    {
                        "podSelector": {"matchLabels": {"app": part.labels["app"]}},
                        "policyTypes": ["Ingress"],
                        "ingress": [{"ports": rules}],
                    },
                )
            )
        if mine and all(_internal(name, work) for name in mine):
            made.append(_policy(f"internal-{part.name}", _inside(part, mine)))
    return made


def _inside(part: Part, networks: tuple[str, ...]) -> Object:
    """Egress to the members of its networks and to the name server only."""
    peers = [{"podSelector": {"matchLabels": {label(name): "true"}}} for name in networks]
    dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    return {"podSelector": {"matchLabels": {"app": part.labels["app"]}}, "policyTypes": ["Egress"], "egress": [{"to": peers}, dns]}


def _policy(name: str, spec: Object) -> Object:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name[:253]}, "spec": spec}
