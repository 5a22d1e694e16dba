"""The network engine's door: networks, pods' attachments, published ports, Services; rules and DNS files by `sync`.

What the kernel has is rebuilt from the store whenever it is missing (reboot, another program's clean-up), so every
call may be repeated, and a kill -9 between two of them leaves nothing that the next one does not complete or remove.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence, Set
from zlib import crc32

from kubeplay.config import Settings
from kubeplay.engine.host import userns
from kubeplay.engine.host.paths import Paths, ensure_directory
from kubeplay.engine.net import apply, bridge, claims, conntrack, dns, ipam, nameserver, nft, ports, rtnl, services, subnets, tcp, veth
from kubeplay.engine.net.addresses import Subnet, number, subnet, text
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.net.table import NOTHING
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from kubeplay.plan.container import Port
from kubeplay.plan.pod import SandboxPlan
from kubeplay.plan.service import ServicePlan, ServiceRoute

DEFAULT = "kubeplay-default"
_AUTO = ("auto", "1")  # the subnet was ours to choose, and is so again when someone took it while we were down
_RANGE_POOL = services.RANGE_POOL
_IDLE = "net-idle"
_HOLDING = ("ip:", ports.HOST_POOL, ports.NODE_POOL, services.POOL)
_OWN_POOLS = (*_HOLDING, _RANGE_POOL)


class Networks:
    """All networks of one root. Thread-safe: state lives in the store and the kernel.

    They are in the host's network namespace; an ordinary user's are in one of his own (rootless/networks.py).
    """

    netns = ""  # where they are: "" = the namespace of this process
    mtu = 0  # of networks; 0 = the uplink's
    dns_seen_at = nameserver.SEEN_AT  # where the name server sees `dns_directory`

    def __init__(self, settings: Settings, store: Store, paths: Paths, resolv_conf: str = "/etc/resolv.conf") -> None:
        self.settings = settings
        self.resolv_conf = resolv_conf
        self.store = store
        self.paths = paths
        self.directory = f"{paths.runroot}/net"
        self._rules = apply.Applied(settings.nft_table, f"{self.directory}/rules")
        self._probe: ports.Probe = ports.check_bindable

    # networks
    def ensure(self, name: str = DEFAULT) -> NetworkRow:
        """The network, its bridge up; the default one is made on demand. Raises NotFound, Conflict, Exhausted, SandboxError."""
        row = self.store.resources.network(name)
        with Netlink() as netlink:
            if row and self._up(netlink, row) and (name == DEFAULT or self._default_up(netlink)):
                bridge.enable_forwarding()  # another program may have switched it off
                return row
            with self._lock(), claims.machine_lock():
                self._bring_up_default(netlink)
                return self._bring_up_named(netlink, name)

    def create(self, name: str, subnet_text: str = "", gateway: str = "", options: Sequence[tuple[str, str]] = ()) -> NetworkRow:
        """Define a network; its bridge comes with the first pod. Raises AlreadyExists, InvalidInput, Conflict, Exhausted."""
        if not name or len(name) > 63 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in name) or not name[0].isalnum():
            raise InvalidInput(f"network name {name[:80]!r} is invalid", hint="letters, digits, '_', '.' and '-', at most 63")
        with self._lock(), claims.machine_lock(), Netlink() as netlink:
            if self.store.resources.network(name):
                raise AlreadyExists(f"network {name} already exists")
            used = self._used(netlink, [], name)
            chosen = subnet(subnet_text) if subnet_text else subnets.free_pod_subnet(used)
            if chosen.length > 30:
                raise InvalidInput(f"subnet {chosen} is too small: network, gateway and broadcast address leave no room for pods")
            subnets.check_free(chosen, used, f"network {name}")
            way = gateway or subnets.gateway_of(chosen)
            if number(way) not in chosen or number(way) in (chosen.base, chosen.last):
                raise InvalidInput(f"gateway {way} is not a host address of {chosen}")
            pairs = tuple(sorted([*options, *(() if subnet_text else (_AUTO,))]))
            row = NetworkRow(name, str(chosen), way, self._bridge_name(name), pairs, self.store.clock.now())
            self.store.resources.add_network(row)
            return row

    def inspect(self, name: str) -> NetworkRow:
        """Raises NotFound."""
        row = self.store.resources.network(name)
        if row is None:
            raise NotFound(f"network {name} not found", hint="make it: kubeplay network create")
        return row

    def list(self) -> list[NetworkRow]:
        return self.store.resources.networks()

    def remove(self, name: str) -> None:
        """Forget a network and delete its bridge. Raises NotFound, Conflict while pods are on it."""
        row = self.inspect(name)
        if name == DEFAULT:
            raise Conflict(f"network {name} is the default network and cannot be removed")
        with self._lock():
            users = self.store.leases.held(ipam.pool(name))
            if users:
                raise Conflict(f"network {name} is in use by {len(users)} pod(s)", hint="remove them first")
            with Netlink() as netlink:
                self._delete_bridge(netlink, row.bridge)
            self.store.resources.delete_network(name)

    # pods
    def prepare(self) -> None:
        """Pods will be attached soon: begin what takes time and needs no pod. Nothing, in the host's own network."""

    def attach(self, uid: str, netns: str, plan: SandboxPlan) -> tuple[str, ...]:
        """Connect a pod's network namespace as its plan says; its addresses, in the order of the attachments.

        Idempotent: a pod keeps its addresses. Raises SandboxError, Exhausted, Conflict, InvalidInput, NotFound;
        then nothing is left of what this call made.
        """
        if plan.host_network or not plan.attachments:
            return ()
        kept = {lease.pool for lease in self.store.leases.held(holder=uid)}
        taken = []
        try:
            made = []
            for index, wanted in enumerate(plan.attachments):
                row = self.ensure(wanted.network or DEFAULT)
                taken.append(ipam.pool(row.name))
                made.append(self._port(uid, index, row, wanted.ip, wanted.mac))
            veth.attach(netns, made)
            return tuple(port.address for port in made)
        except BaseException:
            for pool in taken:
                if pool not in kept:
                    self.store.leases.release(uid, pool)
            raise

    def detach(self, uid: str, wait: bool = True) -> None:
        """Take a pod off its networks and give back addresses and host ports; see `detach_many`."""
        self.detach_many((uid,), wait)

    def detach_many(self, uids: Sequence[str], wait: bool = True) -> None:
        """Detach several pods for the price of one (20 ms in the kernel). Idempotent.

        With `wait` the devices are gone on return. Without, they go with the pods' namespaces, which the kernel clears
        in the background once the last process and pin is gone (66 ms for ten, measured): nothing is deleted here.
        """
        held = {uid: self.store.leases.held(holder=uid) for uid in uids}
        if wait and uids:
            names = [veth.name_of(uid, index) for uid in uids for index in range(max(1, _networks(held[uid])))]
            with Netlink() as netlink:
                veth.delete(netlink, names)
        ports.release(self.store, self.settings.bridge, [uid for uid in uids if held[uid]])
        with self.store.write():
            for uid, leases in held.items():
                for lease in leases:
                    if lease.pool.startswith("ip:"):
                        self.store.leases.release(uid, lease.pool)

    def devices(self, uids: Sequence[str]) -> Sequence[str]:
        """Those of the pods' devices that are still there, after `detach(wait=False)`."""
        names = {veth.name_of(uid)[:-1] for uid in uids}
        with Netlink() as netlink:
            return [link.name for link in rtnl.links(netlink) if link.name[:-1] in names]

    def publish(self, uid: str, ip: str, published: Sequence[Port]) -> None:
        """Take the pod's host ports (no rules yet: `sync`). Raises Conflict naming who has the port, InvalidInput."""
        ports.publish(self.store, self.settings.bridge, uid, ip, published, self._probe)

    def unpublish(self, uid: str) -> None:
        ports.release(self.store, self.settings.bridge, [uid])

    # Services
    def socket(self, family: int) -> tcp.Opened:
        """A TCP socket in the network that the pods' addresses belong to: what asks pods from outside (PR11)."""
        return tcp.socket(family)

    def service_range(self) -> Subnet:
        """Where cluster IPs come from; brings the default network up, whose route claims the range on this machine."""
        self.ensure()
        return subnet(self.store.leases.held(_RANGE_POOL)[0].value)

    def expected_service_range(self) -> Subnet:
        """Where cluster IPs will come from, were the default network brought up now; changes nothing. Raises Conflict, Exhausted."""
        with Netlink() as netlink:
            held = self._stored_range() if self._default_up(netlink) else ()
            return held[0] if held else self._chosen_range(self._foreign(netlink))

    def check_service(self, plan: ServicePlan, going: Set[str]) -> None:
        """Whether the Service can have the address it asks for; `going`: holders that give theirs back before.

        Raises Conflict, InvalidInput. Takes nothing.
        """
        services.check(self.store, self.expected_service_range(), plan, going)

    def dns_address(self) -> str:
        """The cluster DNS server's address, "" before the default network was ever up."""
        held = self.store.leases.held(_RANGE_POOL)
        return text(subnet(held[0].value).base + services.DNS) if held else ""

    def allocate_service(self, plan: ServicePlan) -> ServicePlan:
        """The plan with cluster IP and node ports; idempotent. Raises Conflict, InvalidInput, Exhausted."""
        return services.allocate(self.store, self.settings.bridge, self.service_range(), plan, self._probe)

    def release_service(self, namespace: str, name: str) -> None:
        services.release(self.store, self.settings.bridge, namespace, name)

    def set_services(self, routes: Callable[[], Sequence[ServiceRoute]]) -> bool:
        """Say which endpoints every Service has now (all Services, each time); True when `sync` has something to do.

        `routes` is called with the lock held, so that the older look of two at the same time is not the one kept.
        """
        with self._lock():
            ensure_directory(self.directory)  # with the lock: whoever removes the last pod removes the directory
            return services.save(f"{self.directory}/services.json", routes())

    def sync(self) -> bool:
        """Bring packet rules and DNS records to what the store and `set_services` say; True when something changed.

        Once per play, down or change of endpoints. Raises MissingPrerequisite without nft, CommandFailed.
        """
        with self._lock():
            ensure_directory(self.directory)
            return self._sync()

    def _sync(self) -> bool:
        return self._bring(self.state())

    def _bring(self, state: nft.NetState) -> bool:
        rules = self._rules.bring(nft.rules(state))
        if rules:
            self._forget_udp(state)
        return self._write_dns(state) or rules

    def state(self) -> nft.NetState:
        """What the rules follow from, as the store has it; empty while no bridge is up."""
        with Netlink() as netlink:
            up = [row for row in self.list() if self._up(netlink, row)]
        if not up:
            return nft.NetState(self.settings.nft_table)
        held = self.store.leases.held(_RANGE_POOL)
        return nft.NetState(
            self.settings.nft_table,
            self._group,
            next((row.gateway for row in up if row.name == DEFAULT), up[0].gateway),
            tuple(sorted(row.subnet for row in up)),
            held[0].value if held else "",
            self.dns_address(),
            ports.published(self.store),
            services.saved(f"{self.directory}/services.json"),
        )

    def _forget_udp(self, state: nft.NetState) -> None:
        """Level-triggered like the rest: compare every UDP flow with the rules, and with the places of the rules before."""
        now = conntrack.udp_rules(state)
        path = f"{self.directory}/udp"
        rules = {**dict.fromkeys(_places(path), set[tuple[str, int]]()), **now}
        if not rules:
            return
        with Netlink() as netlink:
            own = {text(int.from_bytes(raw, "big")) for _, raw, _ in rtnl.addresses(netlink)}
        conntrack.forget(rules, own)
        with open(path, "w", encoding="ascii") as file:
            file.write("".join(f"{ip} {port}\n" for ip, port in sorted(now)))

    def _write_dns(self, state: nft.NetState) -> bool:
        if not state.dns:
            return False
        rows = self.list()
        leases = [(lease.holder, lease.key) for row in rows for lease in self.store.leases.held(ipam.pool(row.name))]
        pods = dns.pod_names(leases, self.store.rows("SELECT uid, namespace FROM pods"))
        master = text(subnet(state.services).base + services.KUBERNETES)
        cluster = dns.Cluster(master, state.dns, (state.services, *(row.subnet for row in rows)))
        return nameserver.bring(self.dns_directory, self.dns_seen_at, cluster, dns.zones(cluster, state.routes, pods), self.node_resolver())

    def node_resolver(self) -> str:
        """The node's resolv.conf as it is of use to pods with a network of their own; "" when there is none."""
        try:
            with open(self.resolv_conf, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    @property
    def dns_directory(self) -> str:
        """The files of the name server."""
        return f"{self.paths.runroot}/dns"

    def dns_argv(self, program: str = "unbound") -> tuple[str, ...]:
        """The name server's command, to be run in the host's network namespace; its files are there. Raises as `service_range`."""
        self.service_range()
        if not nameserver.configured(self.dns_directory, self.dns_address()):
            with self._lock():
                self._write_dns(self.state())
        return nameserver.argv(program, self.dns_seen_at, self.dns_address())

    # the end
    def teardown_if_idle(self) -> bool:
        """Remove bridges, routes, rules and DNS files when nothing holds an address, a port or a Service; True when done.

        `ip_forward` stays on (bridge.enable_forwarding says why); networks stay defined.
        """
        with self._lock(_IDLE), self._lock():
            if any(lease.pool.startswith(_HOLDING) for lease in self.store.leases.held()):
                return False
            self._tear_down()
            return True

    def reset(self) -> None:
        """Remove everything of this root from the machine, also what a crash left, and its networks from the store."""
        with self._lock(_IDLE), self._lock():
            self._tear_down()
            with self.store.write():
                for lease in self.store.leases.held():
                    if lease.pool.startswith(_OWN_POOLS):
                        self.store.leases.release(lease.holder, lease.pool)
                for row in self.list():
                    self.store.resources.delete_network(row.name)

    def revive(self) -> None:
        """Start again what was killed of processes that carry packets. As root the kernel does all of it."""

    def _tear_down(self) -> None:
        import shutil

        ensure_directory(self.directory)
        names = {row.bridge for row in self.list()}
        with Netlink() as netlink:
            links = rtnl.links(netlink)
            veth.delete(netlink, [link.name for link in links if link.kind == "veth" and link.group == self._group])
            names |= {link.name for link in links if link.kind == "bridge" and link.name.startswith(self.settings.bridge)}
            for name in names:
                bridge.delete(netlink, name)
        claims.forget(self.settings.bridge)
        self._rules.bring(NOTHING)
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.dns_directory, ignore_errors=True)

    # inside
    @property
    def _group(self) -> int:
        """The device group of our host ends, by which rules and clean-up know them: 28 bits of the root's tag."""
        return int(self.settings.tag, 16) >> 4 | 1 << 29

    def _port(self, uid: str, index: int, row: NetworkRow, ip: str, mac: str) -> veth.Port:
        name = veth.name_of(uid, index)
        for _ in range(3):
            address = ipam.take(self.store, row, uid, ip)
            with self._lock(_IDLE):
                pass  # one that began before we had the address has ended now; one that begins later sees that we have it
            with Netlink() as netlink:
                link = rtnl.link(netlink, row.bridge)
            if link:
                break
            row = self.ensure(row.name)  # torn down as idle between the two: our lease keeps the next one
        else:
            raise Conflict(f"bridge {row.bridge} of network {row.name} was removed again and again", hint="what removes it?")
        hardware = veth.parse_mac(mac) if mac else veth.mac_of(address)
        return veth.Port(name, self._group, link.mtu, address, hardware, subnet(row.subnet), row.gateway)

    def _lock(self, name: str = "net") -> Lock:
        """Of the root's networks. `_IDLE`: held while bridges are taken down as idle, apart from "net", which a `sync` holds for 30 ms."""
        path = self.paths.lock(name)
        ensure_directory(os.path.dirname(path))
        return Lock(path)

    def _bridge_name(self, name: str) -> str:
        """Five hex digits after the root's own name fill IFNAMSIZ; a clash within the root moves on by one."""
        taken = {row.bridge for row in self.list()}
        value = crc32(name.encode()) & 0xFFFFF
        while f"{self.settings.bridge}{value:05x}" in taken:
            value = value + 1 & 0xFFFFF
        return f"{self.settings.bridge}{value:05x}"

    def _up(self, netlink: Netlink, row: NetworkRow) -> bool:
        """True when the bridge is the one we finished setting up: the mark holds its device number."""
        link = rtnl.link(netlink, row.bridge)
        if link is None:
            return False
        try:
            with open(f"{self.directory}/{row.bridge}", encoding="ascii") as file:
                return file.read() == str(link.number)
        except OSError:
            return False

    def _default_up(self, netlink: Netlink) -> bool:
        row = self.store.resources.network(DEFAULT)
        return row is not None and self._up(netlink, row)

    def _finish(self, netlink: Netlink, wanted: bridge.Bridge) -> None:
        link = bridge.ensure(netlink, wanted)
        ensure_directory(self.directory)
        with open(f"{self.directory}/{wanted.name}", "w", encoding="ascii") as file:
            file.write(str(link.number))

    def _bring_up_default(self, netlink: Netlink) -> None:
        row = self.store.resources.network(DEFAULT)
        if row and self._up(netlink, row):
            return
        foreign = self._foreign(netlink)
        range_ = self._service_range(foreign)
        row = self._settled(row or self._new_default(foreign, range_), [*foreign, range_])
        if bridge.enable_forwarding():
            ensure_directory(self.directory)
            with open(f"{self.directory}/forwarding-enabled", "w", encoding="ascii"):
                pass  # for `system check` and the curious; it is never switched off again
        self._finish(netlink, bridge.Bridge(row.bridge, row.subnet, row.gateway, str(range_), text(range_.base + services.DNS), self.mtu))

    def _bring_up_named(self, netlink: Netlink, name: str) -> NetworkRow:
        row = self.inspect(name)
        if name != DEFAULT and not self._up(netlink, row):
            row = self._settled(row, self._used(netlink, [row.bridge], name))
            self._finish(netlink, bridge.Bridge(row.bridge, row.subnet, row.gateway, mtu=self.mtu))
        return row

    def _new_default(self, foreign: Sequence[Subnet], range_: Subnet) -> NetworkRow:
        chosen = subnets.free_pod_subnet([*foreign, range_, *self._stored("")])
        row = NetworkRow(DEFAULT, str(chosen), subnets.gateway_of(chosen), self.settings.bridge, (_AUTO,), self.store.clock.now())
        self.store.resources.add_network(row)
        return row

    def _settled(self, row: NetworkRow, used: Sequence[Subnet]) -> NetworkRow:
        """The row with a subnet nobody took while the bridge was down. A subnet a person chose is a Conflict instead."""
        mine = subnet(row.subnet)
        if not any(mine.overlaps(other) for other in used):
            return row
        if _AUTO not in row.options:
            subnets.check_free(mine, used, f"network {row.name}")
        chosen = subnets.free_pod_subnet([*used, *self._stored(row.name)])
        moved = row._replace(subnet=str(chosen), gateway=subnets.gateway_of(chosen))
        with self.store.write():
            for lease in self.store.leases.held(ipam.pool(row.name)):
                self.store.leases.release(lease.holder, lease.pool)  # no bridge, so no pod is connected
            self.store.resources.delete_network(row.name)
            self.store.resources.add_network(moved)
        return moved

    def _service_range(self, foreign: Sequence[Subnet]) -> Subnet:
        chosen, held = self._chosen_range(foreign), self.store.leases.held(_RANGE_POOL)
        if [lease.value for lease in held] != [str(chosen)]:
            self.store.leases.release("root", _RANGE_POOL)
            self.store.leases.take(_RANGE_POOL, "range", "root", str(chosen))
        return chosen

    def _chosen_range(self, foreign: Sequence[Subnet]) -> Subnet:
        """The range held, another one where somebody took it while no Service of ours was in it."""
        for mine in self._stored_range():
            if not any(mine.overlaps(other) for other in foreign):
                return mine
            if self.store.leases.held(services.POOL):
                subnets.check_free(mine, foreign, "Service addresses of this root")
        return subnets.free_service_range(foreign)

    def _foreign(self, netlink: Netlink) -> Sequence[Subnet]:
        """What others use: every device whose name does not begin with our root's."""
        own = [link.number for link in rtnl.links(netlink) if link.name.startswith(self.settings.bridge)]
        return [*subnets.in_use(netlink, own), *self._elsewhere()]

    def _elsewhere(self) -> Sequence[Subnet]:
        """What other network namespaces use that our pods must be able to reach."""
        return ()

    def _used(self, netlink: Netlink, own: Sequence[str], name: str) -> Sequence[Subnet]:
        indices = [link.number for link in rtnl.links(netlink) if link.name in own]
        return [*subnets.in_use(netlink, indices), *self._elsewhere(), *self._stored(name), *self._stored_range()]

    def _stored(self, but: str) -> Sequence[Subnet]:
        return [subnet(row.subnet) for row in self.list() if row.name != but]

    def _stored_range(self) -> Sequence[Subnet]:
        return [subnet(lease.value) for lease in self.store.leases.held(_RANGE_POOL)]

    def _delete_bridge(self, netlink: Netlink, name: str) -> None:
        bridge.delete(netlink, name)
        try:
            os.unlink(f"{self.directory}/{name}")
        except FileNotFoundError:
            pass


def networks(settings: Settings, store: Store, paths: Paths) -> Networks:
    """The networks of one root, for whom this process works."""
    handed = userns.handed_on()
    if not handed:
        return Networks(settings, store, paths)
    from kubeplay.engine.net.rootless.networks import UserNetworks

    return UserNetworks(settings, store, paths, handed.directory)


def _networks(leases: Sequence[object]) -> int:
    return sum(1 for lease in leases if getattr(lease, "pool", "").startswith("ip:"))


def _places(path: str) -> Sequence[tuple[str, int]]:
    try:
        with open(path, encoding="ascii") as file:
            return [(words[0], int(words[1])) for words in map(str.split, file)]
    except FileNotFoundError:
        return ()
