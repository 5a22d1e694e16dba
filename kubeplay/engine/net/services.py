"""Addresses of Services: cluster IPs, node ports and load balancers' ports as leases, the present routes in a file of the runroot."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from typing import Any
from zlib import crc32

from kubeplay.engine.net import claims, families, ports
from kubeplay.engine.net.addresses import Subnet, number, text
from kubeplay.engine.store.db import Store
from kubeplay.errors import Conflict, Exhausted, InvalidInput, KubeplayError, NotSupported
from kubeplay.plan.service import ServicePlan, ServicePort, ServiceRoute

POOL = "clusterip"
HEADLESS = "None"
RANGE_POOL = "servicerange"  # the lease that holds the range of a root
BALANCED = "lb/"  # what a node port's lease says that is a load balancer's
KUBERNETES, DNS = 1, 10  # offsets in the range: SV2 the API server's Service, kubeadm's habit for DNS


def holder(namespace: str, name: str) -> str:
    return f"svc:{namespace}/{name}"


def allocate(
    store: Store, bridge: str, range_: Subnet, plan: ServicePlan, probe: ports.Probe | None = None, range6: str = ""
) -> ServicePlan:
    """The plan with its cluster IPs, node ports and host ports given; the same ones again for a Service that has them.

    `range6` is where IPv6 addresses come from, "" = there are none. A load balancer's host ports are all given (`ingress` is ANY or the
    address asked for), or none is and `pending` says why: that is no error, and may be tried again.
    Raises Conflict, InvalidInput, Exhausted, NotSupported; then nothing new is held.
    """
    who = holder(plan.namespace, plan.name)
    with claims.machine_lock(), store.write():
        addresses, known = _cluster_ips(store, range_, range6, who, plan)
        foreign = claims.others(bridge)
        given = _node_ports(store, foreign, who, plan, probe)
        ingress, pending = _balanced(store, foreign, who, plan, probe)
        ports.write_claims(store, bridge)
        first = addresses[0] if addresses else ""
        return plan._replace(cluster_ip=first, cluster_ips=addresses, families=known, ports=given, ingress=ingress, pending=pending)


def _cluster_ips(store: Store, range_: Subnet, range6: str, who: str, plan: ServicePlan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(addresses, families). The IPv6 address is as far into its range as the IPv4 one, unless another is asked for."""
    if plan.type == "ExternalName":
        store.leases.release(who, POOL)
        return (), ()
    there = tuple([name for name in plan.families if name == families.V4.name or range6])
    if plan.cluster_ip == HEADLESS:
        return (HEADLESS,), there or plan.families
    if not there or (len(there) < len(plan.families) and not plan.prefer_dual):
        raise NotSupported("Services have no IPv6 addresses here", hint="leave out ipFamilies, or give the default network an IPv6 subnet")
    asked = {families.of(ip).name: ip for ip in plan.cluster_ips or (plan.cluster_ip,) if ip}
    first = _cluster_ip(store, range_, who, asked.get(families.V4.name, ""))
    if len(there) == 1 and there[0] == families.V4.name:
        return (first,), there
    second = _second(store, range6, who, number(first) - range_.base, asked.get(families.V6.name, ""))
    return tuple([first if name == families.V4.name else second for name in there]), there


def _second(store: Store, range6: str, who: str, offset: int, asked: str) -> str:
    """The IPv6 address of a Service. Raises Conflict, InvalidInput."""
    base, _, _ = families.prefix(range6).partition("/")
    address = families.plain(asked) if asked else families.shifted(base, offset)
    if not families.V6.within(address, [families.prefix(range6)]):
        raise InvalidInput(f"clusterIP {address} is not in the Service range {range6}", hint="leave clusterIPs out to have one given")
    held = {lease.key: lease.holder for lease in store.leases.held(POOL)}
    for key in [key for key, other in held.items() if other == who and ":" in key and key != address]:
        store.leases.release(who, POOL, key)
    if not store.leases.take(POOL, address, who):
        owner = held[address].removeprefix("svc:")
        raise Conflict(f"clusterIP {address} is already in use by {owner}", hint="leave clusterIPs out to have one given")
    return address


def _balanced(store: Store, foreign: dict[str, str], who: str, plan: ServicePlan, probe: ports.Probe | None) -> tuple[str, str]:
    """(address, why there is none) of a load balancer, whose ports are the machine's own."""
    held = {lease.key for lease in store.leases.held(ports.NODE_POOL, who) if lease.value.startswith(BALANCED)}
    wanted: list[ports.Key] = []
    pending = ""
    if plan.type == "LoadBalancer":
        pending = f"nobody here serves loadBalancerClass {plan.balancer}" if plan.balancer else ""
        wanted = [] if pending else [ports.Key(plan.load_balancer_ip or ports.ANY, port.protocol, port.port) for port in plan.ports]
    try:
        for key in wanted:
            if str(key) not in held:
                ports.check_free(store, foreign, key, probe or ports.check_bindable)
    except KubeplayError as error:
        wanted, pending = [], error.message.replace("hostIP", "loadBalancerIP")
    for old in held - {str(key) for key in wanted}:
        store.leases.release(who, ports.NODE_POOL, old)
    for key in wanted:
        store.leases.take(ports.NODE_POOL, str(key), who, f"{BALANCED}{key.protocol}/{key.port}")
    return (wanted[0].ip if wanted else ""), pending


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
    leases = store.leases.held(ports.NODE_POOL, who)
    before = {lease.value: ports.parse(lease.key) for lease in leases if not lease.value.startswith(BALANCED)}
    wanted = {}
    if plan.type == "NodePort" or (plan.type == "LoadBalancer" and plan.node_ports):
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
    mine = next((key for key, other in held.items() if other == who and ":" not in key), "")
    if mine and wanted in ("", mine):
        return mine
    if wanted:
        _check(range_, wanted, who, held)
    address = wanted or _free(range_, held, who)
    if mine:  # the caller replaces the Service by one with another address
        store.leases.release(who, POOL, mine)
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


# the text that was last written or read and its routes: a `sync` follows each `save`, and decoding a hundred Services is half of its time
_decoded: list[Any] = []


def save(path: str, routes: Sequence[ServiceRoute]) -> bool:
    """Keep the present routes; True when they differ from what was kept."""
    from kubeplay.plan import codec

    ordered = tuple(sorted(routes, key=lambda route: (route.service.namespace, route.service.name)))
    wanted = codec.dumps(ordered)
    _decoded[:] = [wanted, ordered]
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
    if _decoded[:1] != [kept]:
        from kubeplay.plan import codec

        _decoded[:] = [kept, codec.loads(kept)]
    found: tuple[ServiceRoute, ...] = _decoded[1]
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
