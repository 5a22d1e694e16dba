"""Published ports: host ports of pods (HP1) and node ports of Services (SV2), one holder each on the whole machine.

Three things can stand in the way: a lease of our own store, the claim of another kubeplay root, a program that
listens. The last is found by binding once and letting go, which also tells whether the address is this machine's.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, IPPROTO_SCTP, SO_REUSEADDR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket
from collections.abc import Callable, Sequence

from kubeplay.engine.net import claims
from kubeplay.engine.net.addresses import is_v6, plain
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.leases import Lease
from kubeplay.errors import Conflict, Exhausted, Forbidden, InvalidInput
from kubeplay.plan.container import Port
from kubeplay.record import Record

HOST_POOL, NODE_POOL = "hostport", "nodeport"
ANY = "*"
_EVERY = ("", "0.0.0.0", "::")  # every address of this machine, of the families that the pod has
NODE_FIRST, NODE_LAST = 30000, 32767  # SV2
NODE_STATIC = 86  # SV2: the first 86 are left to those who ask for a number
_EACCES, _EADDRINUSE, _EADDRNOTAVAIL = 13, 98, 99


class Published(Record):
    """One host port as nft needs it: `ip` ANY or an address of this machine; `target` the pod's."""

    ip: str
    protocol: str
    port: int
    target: str
    target_port: int


class Key(Record):
    """What can be held: a port of one address or of all."""

    ip: str
    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.ip}/{self.protocol}/{self.port}"

    def clashes(self, other: Key) -> bool:
        return self[1:] == other[1:] and (self.ip == other.ip or ANY in (self.ip, other.ip))


Probe = Callable[[Key], None]  # raises when the port cannot be had on this machine


def parse(key: str) -> Key:
    ip, protocol, port = key.split("/")
    return Key(ip, protocol, int(port))


def publish(
    store: Store, bridge: str, uid: str, addresses: Sequence[str], ports: Sequence[Port], probe: Probe | None = None
) -> None:
    """Take the host ports of a pod; all or none. Raises Conflict or InvalidInput; idempotent for the same pod and addresses.

    `addresses` at most one of each family: ports are published in those. A pod without an address (loopback only) has nothing a port
    could lead to: none is taken.
    """
    if not addresses:
        return
    wanted = {key_of(port): _targets(port, addresses) for port in ports if port.host_port}
    if len(wanted) < len({(key_of(port), port.container_port) for port in ports if port.host_port}):
        raise Conflict("two containers of the pod publish the same host port to different container ports")
    if not wanted:
        return
    with claims.machine_lock(), store.write():
        before = {lease.key: lease.value for lease in store.leases.held(HOST_POOL, uid)}
        if before == {str(key): value for key, value in wanted.items()}:
            return
        store.leases.release(uid, HOST_POOL)
        foreign = claims.others(bridge)
        for key, target in wanted.items():
            check_free(store, foreign, key, (probe or check_bindable) if str(key) not in before else None)
            store.leases.take(HOST_POOL, str(key), uid, target)
        write_claims(store, bridge)


def _targets(port: Port, addresses: Sequence[str]) -> str:
    """Where a host port leads to, separated by commas. Raises InvalidInput for an address of a family that the pod has not."""
    v6 = is_v6(port.host_ip) if port.host_ip not in _EVERY else None
    fitting = [ip for ip in addresses if v6 in (None, is_v6(ip))]
    if not fitting:
        raise InvalidInput(f"hostIP {port.host_ip}: the pod has no address of that family", hint="give it a network with one: --network")
    return ",".join(f"{ip}:{port.container_port}" for ip in fitting)


def release(store: Store, bridge: str, holders: Sequence[str], pool: str = HOST_POOL) -> None:
    """Give back the ports of these holders; those without any cost one query."""
    held = [holder for holder in holders if store.leases.held(pool, holder)]
    if not held:
        return
    with claims.machine_lock():
        with store.write():
            for holder in held:
                store.leases.release(holder, pool)
        write_claims(store, bridge)


def key_of(port: Port) -> Key:
    """The host side of a plan's port. Raises InvalidInput for a hostIP that is no address."""
    if port.host_ip in _EVERY:
        return Key(ANY, port.protocol, port.host_port)
    return Key(plain(port.host_ip), port.protocol, port.host_port)


def check_free(store: Store, foreign: dict[str, str], key: Key, probe: Probe | None) -> None:
    """Raises Conflict, naming who has the port; `probe` finds programs that listen. Under the machine's lock."""
    for lease in taken(store):
        if key.clashes(parse(lease.key)):
            raise Conflict(f"port {key.port} is already in use by {_owner(store, lease.holder)} ({key.protocol.lower()})", hint=_HINT)
    for text, other in foreign.items():
        if key.clashes(parse(text)):
            raise Conflict(f"port {key.port} is already in use by another kubeplay root (bridge {other})", hint=_HINT)
    if probe:
        probe(key)


_HINT = "choose another port, or stop what uses this one"


def check_bindable(key: Key) -> None:
    """Raises what `bound` raises."""
    try:
        bound(key).close()
    except OSError:
        return  # a kernel without SCTP: nobody listens


def bound(key: Key) -> socket:
    """A socket on that port of this network namespace.

    Raises Conflict when a program listens there, InvalidInput when the address is not this machine's, Forbidden for a port the
    kernel keeps for root, OSError for a protocol the kernel has not.
    """
    kind = SOCK_DGRAM if key.protocol == "UDP" else SOCK_STREAM
    family = AF_INET6 if is_v6(key.ip) else AF_INET
    made = socket(family, kind | SOCK_CLOEXEC, IPPROTO_SCTP if key.protocol == "SCTP" else 0)
    try:
        if kind == SOCK_STREAM:
            made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)  # connections in TIME_WAIT hold no port that matters
        made.bind(("0.0.0.0" if key.ip == ANY else key.ip, key.port))
        return made
    except OSError as error:
        made.close()
        raise _why(key, error) from error


def _why(key: Key, error: OSError) -> Exception:
    if error.errno == _EADDRINUSE:
        return Conflict(f"port {key.port} is already in use by a program on this machine ({key.protocol.lower()})", hint=_HINT)
    if error.errno == _EADDRNOTAVAIL:
        return InvalidInput(f"hostIP {key.ip} is not an address of this machine", hint="see: ip address")
    if error.errno == _EACCES:
        first = _first_port()
        return Forbidden(
            f"port {key.port} is kept for root: this machine gives its users the ports from {first} on",
            hint=f"choose a port from {first} on, or as root: sysctl -w net.ipv4.ip_unprivileged_port_start={key.port}",
        )
    return error


def _first_port() -> int:
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        return int(file.read())


def take_node_port(
    store: Store, foreign: dict[str, str], holder: str, protocol: str, wanted: int, value: str, probe: Probe | None = None
) -> int:
    """A node port for a Service, `wanted` unless 0; `value` is kept with it. Raises Conflict, Exhausted.

    Inside a transaction under the machine's lock.
    """
    probe = probe or check_bindable
    mine = {lease.key for lease in store.leases.held(NODE_POOL, holder)}
    if wanted:
        key = Key(ANY, protocol, wanted)
        if str(key) not in mine:
            check_free(store, foreign, key, probe)
        store.leases.release(holder, NODE_POOL, str(key))
        store.leases.take(NODE_POOL, str(key), holder, value)
        return wanted
    busy = [parse(lease.key) for lease in taken(store)] + [parse(text) for text in foreign]
    for port in _candidates(holder, protocol):
        key = Key(ANY, protocol, port)
        if any(key.clashes(other) for other in busy):
            continue
        try:
            probe(key)
        except Conflict:
            continue
        store.leases.take(NODE_POOL, str(key), holder, value)
        return port
    raise Exhausted(f"no node port left in {NODE_FIRST}-{NODE_LAST} ({protocol.lower()})", hint="remove Services of type NodePort")


def _candidates(holder: str, protocol: str) -> list[int]:
    from zlib import crc32

    dynamic = range(NODE_FIRST + NODE_STATIC, NODE_LAST + 1)
    start = crc32(f"{holder}/{protocol}".encode()) % len(dynamic)
    return [*dynamic[start:], *dynamic[:start], *range(NODE_FIRST, NODE_FIRST + NODE_STATIC)]


def taken(store: Store) -> list[Lease]:
    """Every published port of this root."""
    return store.leases.held(HOST_POOL) + store.leases.held(NODE_POOL)


def published(store: Store) -> tuple[Published, ...]:
    """The host ports of all pods."""
    found = []
    for lease in store.leases.held(HOST_POOL):
        ip, protocol, port = parse(lease.key)
        for one in lease.value.split(","):
            target, _, target_port = one.rpartition(":")
            found.append(Published(ip, protocol, port, target, int(target_port)))
    return tuple(found)


def write_claims(store: Store, bridge: str) -> None:
    """Tell the other roots. Under the machine's lock."""
    claims.write(bridge, sorted({lease.key for lease in taken(store)}))


def _owner(store: Store, holder: str) -> str:
    if holder.startswith("svc:"):
        return f"Service {holder[4:]}"
    row = store.row("SELECT namespace, name FROM pods WHERE uid=?", holder)
    return f"pod {row[0]}/{row[1]}" if row else f"pod {holder}"
