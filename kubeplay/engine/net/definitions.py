"""The networks of a root: defined in the store, their bridges brought up when a pod wants them, taken away when none is left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from zlib import crc32

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths, ensure_directory
from kubeplay.engine.net import bridge, claims, definition, ipam, rtnl, services, subnets
from kubeplay.engine.net.addresses import V6, Subnet, subnet, text
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import AlreadyExists, Conflict, Forbidden, NotFound, SandboxError

DEFAULT = "kubeplay-default"
RANGE6_POOL = "servicerange6"  # the lease that holds the range of IPv6 cluster addresses, where the default network has IPv6
_RANGE_POOL = services.RANGE_POOL


class Definitions:
    """What Networks is built on."""

    netns = ""  # where they are: "" = the namespace of this process
    mtu = 0  # of networks; 0 = the uplink's

    def __init__(self, settings: Settings, store: Store, paths: Paths) -> None:
        self.settings = settings
        self.store = store
        self.paths = paths
        self.directory = f"{paths.runroot}/net"

    def ensure(self, name: str = DEFAULT) -> NetworkRow:
        """The network, its bridge up; the default one is made on demand. Raises NotFound, Conflict, Exhausted, SandboxError."""
        row = self.store.resources.network(name)
        with Netlink() as netlink:
            if row and self._up(netlink, row) and self._default_ready(netlink):
                bridge.enable_forwarding()  # another program may have switched it off
                if row.subnet6:
                    bridge.enable_forwarding6()
                return row
            with self._lock(), claims.machine_lock():
                self._bring_up_default(netlink)
                return self._bring_up_named(netlink, name)

    def create(self, wanted: definition.Wanted) -> NetworkRow:
        """Define a network; its bridge comes with the first pod. Raises AlreadyExists, InvalidInput, NotSupported, Conflict, Exhausted."""
        wanted = definition.check(wanted)
        with self._lock(), claims.machine_lock(), Netlink() as netlink:
            if self.store.resources.network(wanted.name):
                raise AlreadyExists(f"network {wanted.name} already exists")
            used = self._used(netlink, [], wanted.name)
            free = definition.Free(
                lambda: subnets.free_pod_subnet(used), lambda: subnets.free_pod_subnet6(self.settings.tag, used)
            )
            routed = wanted.driver == definition.BRIDGE
            row = definition.row(wanted, free, self._bridge_name(wanted.name) if routed else "", self.store.clock.now())
            for prefix in row.prefixes if routed else ():
                subnets.check_free(subnet(prefix), used, f"network {wanted.name}")
            if row.subnet6 and routed:
                bridge.check_v6()
            if not routed:
                self._parent(netlink, row)
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

    def users(self, name: str) -> set[str]:
        """The uids of the pods on a network."""
        return {lease.holder for v6 in (False, True) for lease in self.store.leases.held(ipam.pool(name, v6))}

    def remove(self, name: str) -> None:
        """Forget a network and delete its bridge. Raises NotFound, Conflict while pods are on it."""
        row = self.inspect(name)
        if name == DEFAULT:
            raise Conflict(f"network {name} is the default network and cannot be removed")
        with self._lock():
            users = self.users(name)
            if users:
                raise Conflict(f"network {name} is in use by {len(users)} pod(s)", hint="remove them first, or use --force")
            if row.routed:
                with Netlink() as netlink:
                    self._delete_bridge(netlink, row.bridge)
            self.store.resources.delete_network(name)

    # inside
    def _lock(self, name: str = "net") -> Lock:
        """Of the root's networks. `net-idle`: held while idle bridges are taken down, apart from "net", which a `sync` holds for 30 ms."""
        path = self.paths.lock(name)
        ensure_directory(os.path.dirname(path))
        return Lock(path)

    def _bridge_name(self, name: str) -> str:
        """Five hex digits after the root's own name fill IFNAMSIZ; a clash within the root moves on by one."""
        if name == DEFAULT:
            return self.settings.bridge
        taken = {row.bridge for row in self.list()}
        value = crc32(name.encode()) & 0xFFFFF
        while f"{self.settings.bridge}{value:05x}" in taken:
            value = value + 1 & 0xFFFFF
        return f"{self.settings.bridge}{value:05x}"

    def _parent(self, netlink: Netlink, row: NetworkRow) -> rtnl.Link:
        """The device that a macvlan or ipvlan network's pods hang on. Raises Forbidden, NotFound, SandboxError."""
        if self.netns:
            raise Forbidden(f"network {row.name}: {row.driver} needs root: an ordinary user has no device of the host's")
        name = row.option("parent")
        if not name:
            index = next((route.device for route in rtnl.routes(netlink) if not route.destination.length), 0)
            found = rtnl.link_at(netlink, index) if index else None
            if found is None:
                raise SandboxError(f"network {row.name}: this machine has no default route", hint="name the device: -o parent=eth0")
            return found
        found = rtnl.link(netlink, name)
        if found is None:
            raise NotFound(f"network {row.name}: device {name} not found", hint="see: ip link")
        return found

    def _up(self, netlink: Netlink, row: NetworkRow) -> bool:
        """True when the bridge is the one we finished setting up: the mark holds its device number."""
        if not row.routed:
            return True
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

    def _default_ready(self, netlink: Netlink) -> bool:
        """Whether it is up, with all families that the settings ask for."""
        row = self.store.resources.network(DEFAULT)
        return row is not None and self._up(netlink, row) and bool(row.subnet6 or not self.settings.ipv6)

    def _finish(self, netlink: Netlink, row: NetworkRow, services_: tuple[tuple[str, str], ...] = (), dns: tuple[str, ...] = ()) -> None:
        ways = tuple(way for way in ((row.subnet, row.gateway), (row.subnet6, row.gateway6)) if way[0])
        if row.subnet6:
            bridge.check_v6()
        if bridge.enable_forwarding() | (bool(row.subnet6) and bridge.enable_forwarding6()):
            ensure_directory(self.directory)
            with open(f"{self.directory}/forwarding-enabled", "w", encoding="ascii"):
                pass  # for `system check` and the curious; it is never switched off again
        link = bridge.ensure(netlink, bridge.Bridge(row.bridge, ways, services_, dns, int(row.option("mtu") or 0) or self.mtu))
        ensure_directory(self.directory)
        with open(f"{self.directory}/{row.bridge}", "w", encoding="ascii") as file:
            file.write(str(link.number))

    def _bring_up_default(self, netlink: Netlink) -> None:
        if self._default_ready(netlink):
            return
        row = self.store.resources.network(DEFAULT)
        foreign = self._foreign(netlink)
        range_ = self._service_range(foreign)
        row = self._settled(row or self._new_default(foreign, range_), [*foreign, range_])
        if self.settings.ipv6 and not row.subnet6:
            row = self._with_v6(row, foreign)
        ranges, dns = [(str(range_), row.gateway)], [text(range_.base + services.DNS)]
        if row.subnet6:
            second = self._service_range6(foreign)
            ranges.append((str(second), row.gateway6))
            dns.append(text(second.base + services.DNS, V6))
        self._finish(netlink, row, tuple(ranges), tuple(dns))

    def _bring_up_named(self, netlink: Netlink, name: str) -> NetworkRow:
        row = self.inspect(name)
        if name != DEFAULT and not self._up(netlink, row):
            row = self._settled(row, self._used(netlink, [row.bridge], name))
            self._finish(netlink, row)
        return row

    def _new_default(self, foreign: Sequence[Subnet], range_: Subnet) -> NetworkRow:
        chosen = subnets.free_pod_subnet([*foreign, range_, *self._stored("")])
        row = NetworkRow(DEFAULT, str(chosen), subnets.gateway_of(chosen), self.settings.bridge, (definition.AUTO,), self.store.clock.now())
        self.store.resources.add_network(row)
        return row

    def _with_v6(self, row: NetworkRow, foreign: Sequence[Subnet]) -> NetworkRow:
        chosen = subnets.free_pod_subnet6(self.settings.tag, [*foreign, *self._stored(row.name)])
        made = row._replace(subnet6=str(chosen), gateway6=subnets.gateway_of(chosen))
        self._replace(made)
        return made

    def _replace(self, row: NetworkRow) -> None:
        with self.store.write():
            self.store.resources.delete_network(row.name)
            self.store.resources.add_network(row)

    def _settled(self, row: NetworkRow, used: Sequence[Subnet]) -> NetworkRow:
        """The row with a subnet nobody took while the bridge was down. A subnet a person chose is a Conflict instead."""
        for prefix in row.prefixes:
            if prefix != row.subnet or definition.AUTO not in row.options:
                subnets.check_free(subnet(prefix), used, f"network {row.name}")
        if not row.subnet or not any(subnet(row.subnet).overlaps(other) for other in used):
            return row
        chosen = subnets.free_pod_subnet([*used, *self._stored(row.name)])
        moved = row._replace(subnet=str(chosen), gateway=subnets.gateway_of(chosen))
        with self.store.write():
            for lease in self.store.leases.held(ipam.pool(row.name)):
                self.store.leases.release(lease.holder, lease.pool)  # no bridge, so no pod is connected
            self._replace(moved)
        return moved

    def _service_range(self, foreign: Sequence[Subnet]) -> Subnet:
        chosen = self._chosen_range(foreign)
        self._keep(_RANGE_POOL, chosen)
        return chosen

    def _service_range6(self, foreign: Sequence[Subnet]) -> Subnet:
        """Of the root's own prefix, which nobody else can have by accident: taken by another, it is an error."""
        chosen = subnets.service_range6(self.settings.tag)
        subnets.check_free(chosen, foreign, "IPv6 Service addresses of this root")
        self._keep(RANGE6_POOL, chosen)
        return chosen

    def _keep(self, pool: str, range_: Subnet) -> None:
        if [lease.value for lease in self.store.leases.held(pool)] != [str(range_)]:
            self.store.leases.release("root", pool)
            self.store.leases.take(pool, "range", "root", str(range_))

    def _chosen_range(self, foreign: Sequence[Subnet]) -> Subnet:
        """The range held, another one where somebody took it while no Service of ours was in it."""
        for mine in self._stored_range():
            if not any(mine.overlaps(other) for other in foreign):
                return mine
            if self.store.leases.held(services.POOL):
                subnets.check_free(mine, foreign, "Service addresses of this root")
        return subnets.free_service_range(foreign)

    def _foreign(self, netlink: Netlink) -> Sequence[Subnet]:
        """What others use: every device whose name does not begin with our root's, and is not a pod's of ours."""
        own = [link.number for link in rtnl.links(netlink) if link.name.startswith(self.settings.bridge) or link.group == self._group]
        return [*subnets.in_use(netlink, own), *self._elsewhere()]

    @property
    def _group(self) -> int:
        """The device group of our host ends, by which rules and clean-up know them: 28 bits of the root's tag."""
        return int(self.settings.tag, 16) >> 4 | 1 << 29

    def _elsewhere(self) -> Sequence[Subnet]:
        """What other network namespaces use that our pods must be able to reach."""
        return ()

    def _used(self, netlink: Netlink, own: Sequence[str], name: str) -> Sequence[Subnet]:
        indices = [link.number for link in rtnl.links(netlink) if link.name in own]
        stored6 = [subnet(lease.value) for lease in self.store.leases.held(RANGE6_POOL)]
        return [*subnets.in_use(netlink, indices), *self._elsewhere(), *self._stored(name), *self._stored_range(), *stored6]

    def _stored(self, but: str) -> Sequence[Subnet]:
        return [subnet(prefix) for row in self.list() if row.name != but for prefix in row.prefixes]

    def _stored_range(self) -> Sequence[Subnet]:
        return [subnet(lease.value) for lease in self.store.leases.held(_RANGE_POOL)]

    def _delete_bridge(self, netlink: Netlink, name: str) -> None:
        bridge.delete(netlink, name)
        try:
            os.unlink(f"{self.directory}/{name}")
        except FileNotFoundError:
            pass
