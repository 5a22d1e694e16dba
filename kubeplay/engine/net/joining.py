"""What a pod's attachments are on this machine: addresses leased, devices numbered, bridges up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.net import definition, ipam, rtnl, veth
from kubeplay.engine.net.addresses import is_v6, subnet
from kubeplay.engine.net.definitions import DEFAULT
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import Conflict, InvalidInput
from kubeplay.plan.pod import Attachment

if TYPE_CHECKING:
    from kubeplay.engine.net.networks import Networks

IDLE = "net-idle"


def ports(net: Networks, uid: str, attachments: Sequence[Attachment], taken: list[str]) -> list[veth.Port]:
    """The devices to be. `taken` gets the pools of every address asked for, also when this raises what `Networks.attach` raises."""
    made: list[veth.Port] = []
    ways: set[bool] = set()  # the families that have their default route
    chosen = _default(net, attachments)
    for index, wanted in enumerate(attachments):
        row = net.ensure(wanted.network or DEFAULT)
        made.append(_port(net, uid, row, wanted, taken, chosen[index] - ways))
        ways |= {is_v6(place.address) for place in made[-1].places if place.default}
    return made


def addresses(made: Sequence[veth.Port]) -> tuple[str, ...]:
    return tuple(place.address for port in made for place in port.places)


def join(net: Networks, uid: str, netns: str, attachments: Sequence[Attachment], name: str) -> tuple[str, ...]:
    """See Networks.join."""
    kept = {lease.pool for lease in net.store.leases.held(holder=uid)}
    taken: list[str] = []
    try:
        made = ports(net, uid, attachments, taken)
        index = [one.network or DEFAULT for one in attachments].index(name or DEFAULT)
        veth.attach(netns, made[index : index + 1])
        return addresses(made)
    except BaseException:
        for pool in taken:
            if pool not in kept:
                net.store.leases.release(uid, pool)
        raise


def leave(net: Networks, uid: str, netns: str, attachments: Sequence[Attachment], name: str) -> tuple[str, ...]:
    """See Networks.leave."""
    pools = {ipam.pool(name or DEFAULT, v6) for v6 in (False, True)}
    held = [lease for lease in net.store.leases.held(holder=uid) if lease.pool in pools]
    if held:
        veth.remove(netns, veth.name_of(uid, int(held[0].value or 0)), f"eth{int(held[0].value or 0)}")
    for pool in pools:
        net.store.leases.release(uid, pool)
    made = ports(net, uid, attachments, [])
    veth.reroute(netns, made)
    return addresses(made)


def _default(net: Networks, attachments: Sequence[Attachment]) -> list[set[bool]]:
    """Of which families each network may give the default route (False: IPv4): the first that leads out, else the first that has one."""
    rows = [net.store.resources.network(one.network or DEFAULT) for one in attachments]
    found: list[set[bool]] = [set() for _ in rows]
    for v6 in (False, True):
        having = [(index, row) for index, row in enumerate(rows) if (row is None or (row.subnet6 if v6 else row.subnet))]
        able = [(index, row) for index, row in having if row is None or row.option("no_default_route") != "true"]
        leading = [(index, row) for index, row in able if row is None or not row.internal]
        for index, _ in (leading or able)[:1]:
            found[index].add(v6)
    return found


def _port(net: Networks, uid: str, row: NetworkRow, wanted: Attachment, taken: list[str], default: set[bool]) -> veth.Port:
    for asked, has, family in ((wanted.ip, row.subnet, "IPv4"), (wanted.ip6, row.subnet6, "IPv6")):
        if asked and not has:
            raise InvalidInput(f"address {asked}: network {row.name} has no {family} subnet")
    number = _number(net, uid, row)
    for _ in range(3):
        given = _addresses(net, uid, row, wanted, number, taken)
        with net._lock(IDLE):
            pass  # one that began before we had the address has ended now; one that begins later sees that we have it
        with Netlink() as netlink:
            link = rtnl.link(netlink, row.bridge) if row.routed else net._parent(netlink, row)
        if link:
            break
        row = net.ensure(row.name)  # torn down as idle between the two: our lease keeps the next one
    else:
        raise Conflict(f"bridge {row.bridge} of network {row.name} was removed again and again", hint="what removes it?")
    places = tuple(
        veth.Place(address, subnet(row.subnet6 if is_v6(address) else row.subnet), row.gateway6 if is_v6(address) else row.gateway,
                   is_v6(address) in default)
        for address in given
    )  # fmt: skip
    mac = hardware(row, wanted.mac, uid, given[0])
    port = veth.Port(veth.name_of(uid, number), net._group, link.mtu, mac, places, number)
    if row.routed:
        return port
    if wanted.mac and row.driver == definition.IPVLAN:
        raise InvalidInput(f"network {row.name}: ipvlan devices have their parent's hardware address, not {wanted.mac}")
    modes = definition.MODES[row.driver]
    mode = modes[row.option("mode") or next(iter(modes))]
    return port._replace(kind=row.driver, parent=link.number, mode=mode, mtu=int(row.option("mtu") or 0))


def hardware(row: NetworkRow, wanted: str, uid: str, address: str) -> bytes:
    """The hardware address: the one that is wanted, else by the pod's first IP.

    On a network with others it must be nobody else's, so it follows from the pod: two roots may use one LAN.
    """
    if wanted:
        return veth.parse_mac(wanted)
    return veth.mac_of(address) if row.routed else b"\x02\x6b" + bytes.fromhex(uid.replace("-", "")[:8])


def _addresses(net: Networks, uid: str, row: NetworkRow, wanted: Attachment, number: int, taken: list[str]) -> list[str]:
    made = []
    for v6, asked in ((False, wanted.ip), (True, wanted.ip6)):
        if row.subnet6 if v6 else row.subnet:
            taken.append(ipam.pool(row.name, v6))
            made.append(ipam.take(net.store, row, uid, asked, v6=v6, device=number))
    return made


def _number(net: Networks, uid: str, row: NetworkRow) -> int:
    """The number of the pod's device on that network: the one it has, or the lowest that is free."""
    held = {}
    for lease in net.store.leases.held(holder=uid):
        name = ipam.network_of(lease.pool)
        if name:
            held[name] = int(lease.value or 0)
    if row.name in held:
        return held[row.name]
    return next(number for number in range(36) if number not in held.values())
