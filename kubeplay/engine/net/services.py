"""Addresses of Services: cluster IPs and node ports as leases, the present routes in a file of the runroot."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from zlib import crc32

from kubeplay.engine.net import claims, ports
from kubeplay.engine.net.addresses import Subnet, number, text
from kubeplay.engine.store.db import Store
from kubeplay.errors import Conflict, Exhausted, InvalidInput
from kubeplay.plan.service import ServicePlan, ServicePort, ServiceRoute

POOL = "clusterip"
HEADLESS = "None"
RANGE_POOL = "servicerange"  # the lease that holds the range of a root
KUBERNETES, DNS = 1, 10  # offsets in the range: SV2 the API server's Service, kubeadm's habit for DNS


def holder(namespace: str, name: str) -> str:
    return f"svc:{namespace}/{name}"


def allocate(store: Store, bridge: str, range_: Subnet, plan: ServicePlan, probe: ports.Probe | None = None) -> ServicePlan:
    """The plan with its cluster IP and node ports given; the same ones again for a Service that has them.

    Raises Conflict, InvalidInput, Exhausted; then nothing new is held.
    """
    if plan.type == "ExternalName":
        return plan
    who = holder(plan.namespace, plan.name)
    with claims.machine_lock(), store.write():
        address = plan.cluster_ip if plan.cluster_ip == HEADLESS else _cluster_ip(store, range_, who, plan.cluster_ip)
        given = _node_ports(store, claims.others(bridge), who, plan, probe)
        ports.write_claims(store, bridge)
        return plan._replace(cluster_ip=address, ports=given)


def check(store: Store, range_: Subnet, plan: ServicePlan, going: Set[str] = frozenset()) -> None:
    """Raises, as `allocate` would, when the Service cannot have the cluster IP it asks for; those of the holders `going` count as free."""
    held = {lease.key: lease.holder for lease in store.leases.held(POOL) if lease.holder not in going}
    _check(range_, plan.cluster_ip, holder(plan.namespace, plan.name), held)


def release(store: Store, bridge: str, namespace: str, name: str) -> None:
    """Give back everything of a Service. Idempotent."""
    who = holder(namespace, name)
    store.leases.release(who, POOL)
    ports.release(store, bridge, [who], ports.NODE_POOL)


def _node_ports(
    store: Store, foreign: dict[str, str], who: str, plan: ServicePlan, probe: ports.Probe | None
) -> tuple[ServicePort, ...]:
    """The ports with node ports given where the type has them: the numbers asked for, those held before, new ones."""
    before = {lease.value: ports.parse(lease.key) for lease in store.leases.held(ports.NODE_POOL, who)}
    wanted = {}
    if plan.type in ("NodePort", "LoadBalancer"):
        for port in plan.ports:
            held = before.get(_value(port))
            wanted[port] = port.node_port or (held.port if held else 0)
    keep = {ports.Key(ports.ANY, port.protocol, number_) for port, number_ in wanted.items()}
    for key in before.values():
        if key not in keep:
            store.leases.release(who, ports.NODE_POOL, str(key))
    given = []
    for port in plan.ports:
        number_ = 0
        if port in wanted:
            number_ = ports.take_node_port(store, foreign, who, port.protocol, wanted[port], _value(port), probe)
        given.append(port._replace(node_port=number_))
    return tuple(given)


def _value(port: ServicePort) -> str:
    return f"{port.protocol}/{port.port}"


def _cluster_ip(store: Store, range_: Subnet, who: str, wanted: str) -> str:
    held = {lease.key: lease.holder for lease in store.leases.held(POOL)}
    mine = next((key for key, other in held.items() if other == who), "")
    if mine and wanted in ("", mine):
        return mine
    if wanted:
        _check(range_, wanted, who, held)
    address = wanted or _free(range_, held, who)
    if mine:  # the caller replaces the Service by one with another address
        store.leases.release(who, POOL)
    store.leases.take(POOL, address, who)
    return address


def _check(range_: Subnet, wanted: str, who: str, held: dict[str, str]) -> None:
    offset = number(wanted) - range_.base
    if number(wanted) not in range_ or offset in (0, range_.size - 1):
        raise InvalidInput(f"clusterIP {wanted} is not in the Service range {range_}", hint="leave clusterIP out to have one given")
    owner = {KUBERNETES: "Service default/kubernetes", DNS: "the cluster DNS"}.get(offset) or held.get(wanted, who).removeprefix("svc:")
    if owner != who.removeprefix("svc:"):
        raise Conflict(f"clusterIP {wanted} is already in use by {owner}", hint="leave clusterIP out to have one given")


def _free(range_: Subnet, held: dict[str, str], who: str) -> str:
    """SV2: the upper part first, so that the lower stays for those who ask for an address."""
    offset = min(max(16, range_.size // 16), 256)
    for low, high in ((offset, range_.size - 1), (1, offset)):
        start = crc32(who.encode())
        for step in range(high - low):
            place = low + (start + step) % (high - low)
            address = text(range_.base + place)
            if address not in held and place not in (KUBERNETES, DNS):
                return address
    raise Exhausted(f"no address left in the Service range {range_}", hint="remove Services")


def save(path: str, routes: Sequence[ServiceRoute]) -> bool:
    """Keep the present routes; True when they differ from what was kept."""
    from kubeplay.plan import codec

    wanted = codec.dumps(tuple(sorted(routes, key=lambda route: (route.service.namespace, route.service.name))))
    if _read(path) == wanted:
        return False
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(wanted)
    os.rename(f"{path}.new", path)
    return True


def saved(path: str) -> tuple[ServiceRoute, ...]:
    """The routes kept by `save`, none after a reboot."""
    kept = _read(path)
    if not kept or kept == "[]":
        return ()
    from kubeplay.plan import codec

    found: tuple[ServiceRoute, ...] = codec.loads(kept)
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
