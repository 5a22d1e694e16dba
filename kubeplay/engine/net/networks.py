"""The network engine's door: networks, pods' attachments, published ports, Services; rules and DNS files by `sync`.

What the kernel has is rebuilt from the store whenever it is missing (reboot, another program's clean-up), so every
call may be repeated, and a kill -9 between two of them leaves nothing that the next one does not complete or remove.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from kubeplay.config import Settings
from kubeplay.engine.host import userns
from kubeplay.engine.host.paths import Paths, ensure_directory
from kubeplay.engine.net import apply, bridge, claims, conntrack, dns, ipam, joining, nameserver, nft, ports, rtnl, services, tcp, veth
from kubeplay.engine.net.addresses import V4, V6, Subnet, is_v6, subnet, text, unpacked
from kubeplay.engine.net.definitions import DEFAULT, RANGE6_POOL, Definitions
from kubeplay.engine.net.kept import policies
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.net.reach import Reach
from kubeplay.engine.net.table import NOTHING
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.leases import Lease
from kubeplay.plan.container import Port
from kubeplay.plan.pod import SandboxPlan
from kubeplay.plan.service import ServicePlan, ServiceRoute

_RANGE_POOL = services.RANGE_POOL
_HOLDING = (*ipam.PREFIXES, ports.HOST_POOL, ports.NODE_POOL, services.POOL)
_OWN_POOLS = (*_HOLDING, _RANGE_POOL, RANGE6_POOL)


class Networks(Definitions):
    """All networks of one root. Thread-safe: state lives in the store and the kernel.

    They are in the host's network namespace; an ordinary user's are in one of his own (rootless/networks.py).
    """

    dns_seen_at = nameserver.SEEN_AT  # where the name server sees `dns_directory`

    def __init__(self, settings: Settings, store: Store, paths: Paths, resolv_conf: str = "/etc/resolv.conf") -> None:
        super().__init__(settings, store, paths)
        self.resolv_conf = resolv_conf
        self._rules = apply.Applied(settings.nft_table, f"{self.directory}/rules")
        self._probe: ports.Probe = ports.check_bindable

    # pods
    def prepare(self) -> None:
        """Pods will be attached soon: begin what takes time and needs no pod. Nothing, in the host's own network."""

    def attach(self, uid: str, netns: str, plan: SandboxPlan) -> tuple[str, ...]:
        """Connect a pod's network namespace as its plan says; its addresses, in the order of the attachments, of each IPv4 first.

        Idempotent: a pod keeps its addresses. Raises SandboxError, Exhausted, Conflict, InvalidInput, NotFound;
        then nothing is left of what this call made.
        """
        if plan.host_network or not plan.attachments:
            return ()
        kept = {lease.pool for lease in self.store.leases.held(holder=uid)}
        taken: list[str] = []
        try:
            made = joining.ports(self, uid, plan.attachments, taken)
            veth.attach(netns, made)
            return joining.addresses(made)
        except BaseException:
            for pool in taken:
                if pool not in kept:
                    self.store.leases.release(uid, pool)
            raise

    def join(self, uid: str, netns: str, plan: SandboxPlan, name: str) -> tuple[str, ...]:
        """Connect a running pod to network `name` of its plan, its other devices untouched; all its addresses.

        Raises what `attach` raises; then the pod is as it was.
        """
        return joining.join(self, uid, netns, plan.attachments, name)

    def leave(self, uid: str, netns: str, plan: SandboxPlan, name: str) -> tuple[str, ...]:
        """Take a running pod off network `name`, which its plan has no more; the addresses left. Idempotent. Raises SandboxError."""
        return joining.leave(self, uid, netns, plan.attachments, name)

    def reload(self) -> None:
        """Write packet rules and records anew, whatever is there. Raises MissingPrerequisite without nft, CommandFailed."""
        with self._lock():
            self._rules.forget()
        self.sync()

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
            names = [veth.name_of(uid, number) for uid in uids for number in _devices(held[uid])]
            with Netlink() as netlink:
                veth.delete(netlink, names)
        ports.release(self.store, self.settings.bridge, [uid for uid in uids if held[uid]])
        with self.store.write():
            for uid, leases in held.items():
                for lease in leases:
                    if lease.pool.startswith(ipam.PREFIXES):
                        self.store.leases.release(uid, lease.pool)

    def devices(self, uids: Sequence[str]) -> Sequence[str]:
        """Those of the pods' devices that are still there, after `detach(wait=False)`."""
        names = {veth.name_of(uid)[:-1] for uid in uids}
        with Netlink() as netlink:
            return [link.name for link in rtnl.links(netlink) if link.name[:-1] in names]

    def publish(self, uid: str, addresses: Sequence[str], published: Sequence[Port]) -> None:
        """Take the pod's host ports for the first of its addresses of each family (no rules yet: `sync`).

        Raises Conflict naming who has the port, InvalidInput.
        """
        first = [next((one for one in addresses if is_v6(one) == v6), "") for v6 in (False, True)]
        ports.publish(self.store, self.settings.bridge, uid, [one for one in first if one], published, self._probe)

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

    def service_range6(self) -> Subnet | None:
        """Where IPv6 cluster addresses come from; None where the default network has no IPv6 (`ipv6` of the settings). Brings it up."""
        if not self.ensure().subnet6:
            return None
        return subnet(self.store.leases.held(RANGE6_POOL)[0].value)

    def dns_address6(self) -> str:
        """The same of IPv6; "" where the default network has none."""
        held = self.store.leases.held(RANGE6_POOL)
        return text(subnet(held[0].value).base + services.DNS, V6) if held else ""

    def allocate_service(self, plan: ServicePlan) -> ServicePlan:
        """The plan with cluster IP and node ports; idempotent. Raises Conflict, InvalidInput, Exhausted."""
        range6 = str(self.service_range6() or "")
        return services.allocate(self.store, self.settings.bridge, self.service_range(), plan, self._probe, range6)

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
            return self._bring(self.state())

    def _bring(self, state: nft.NetState) -> bool:
        rules = self._rules.bring(nft.rules(state))
        if rules:
            self._forget_udp(state)
        return self._write_dns(state) or rules

    def state(self) -> nft.NetState:
        """What the rules follow from, as the store has it; empty while no bridge is up."""
        with Netlink() as netlink:
            up = [row for row in self.list() if row.routed and self._up(netlink, row)]
        if not up:
            return nft.NetState(self.settings.nft_table)
        first = next((row for row in up if row.name == DEFAULT), up[0])
        held, range6 = self.store.leases.held(_RANGE_POOL), self.store.leases.held(RANGE6_POOL)
        return nft.NetState(
            self.settings.nft_table,
            self._group,
            first.gateway,
            tuple(sorted(prefix for row in up for prefix in row.prefixes)),
            held[0].value if held else "",
            self.dns_address(),
            ports.published(self.store),
            services.saved(f"{self.directory}/services.json"),
            gateway6=next((row.gateway6 for row in (first, *up) if row.gateway6), ""),
            networks=tuple(sorted(Reach(row.prefixes, row.internal, row.option("isolate").replace("false", "")) for row in up)),
            services6=range6[0].value if range6 else "",
            dns6=self.dns_address6(),
            policies=policies(self.directory),
        )

    def _forget_udp(self, state: nft.NetState) -> None:
        """Level-triggered like the rest: compare every UDP flow with the rules, and with the places of the rules before."""
        now = conntrack.udp_rules(state)
        path = f"{self.directory}/udp"
        rules = {**dict.fromkeys(_places(path), set[tuple[str, int]]()), **now}
        if not rules:
            return
        with Netlink() as netlink:
            own = {unpacked(raw) for bits in (V4, V6) for _, raw, _ in rtnl.addresses(netlink, bits)}
        conntrack.forget(rules, own)
        with open(path, "w", encoding="ascii") as file:
            file.write("".join(f"{ip} {port}\n" for ip, port in sorted(now)))

    def _write_dns(self, state: nft.NetState) -> bool:
        if not state.dns:
            return False
        rows = self.list()
        pools = [(row.name, ipam.pool(row.name, v6)) for row in rows for v6 in (False, True)]
        leases = [(lease.holder, name, lease.key) for name, pool in pools for lease in self.store.leases.held(pool)]
        pods = dns.pod_names(DEFAULT, leases, self.store.rows("SELECT uid, namespace, name, plan FROM pods"))
        master = text(subnet(state.services).base + services.KUBERNETES)
        ranges = (state.services, *filter(None, (state.services6,)), *(prefix for row in rows for prefix in row.prefixes))
        cluster = dns.Cluster(master, tuple(filter(None, (state.dns, state.dns6))), ranges)
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
        addresses = tuple(filter(None, (self.dns_address(), self.dns_address6())))
        if not nameserver.configured(self.dns_directory, addresses):
            with self._lock():
                self._write_dns(self.state())
        return nameserver.argv(program, self.dns_seen_at, addresses)

    # the end
    def teardown_if_idle(self) -> bool:
        """Remove bridges, routes, rules and DNS files when nothing holds an address, a port or a Service; True when done.

        `ip_forward` stays on (bridge.enable_forwarding says why); networks stay defined.
        """
        with self._lock(joining.IDLE), self._lock():
            if any(lease.pool.startswith(_HOLDING) for lease in self.store.leases.held()):
                return False
            self._tear_down()
            return True

    def reset(self) -> None:
        """Remove everything of this root from the machine, also what a crash left, and its networks from the store."""
        with self._lock(joining.IDLE), self._lock():
            self._tear_down()
            with self.store.write():
                for lease in self.store.leases.held():
                    if lease.pool.startswith(_OWN_POOLS):
                        self.store.leases.release(lease.holder, lease.pool)
                for row in self.list():
                    self.store.resources.delete_network(row.name)

    def revive(self) -> None:
        """Start again what was killed of processes that carry packets (root has none); put right rules that strangers damaged."""
        if self._rules.damaged():
            self.sync()

    def watch(self) -> apply.Watch | None:
        """Hears of changes of the rules, after which `revive` is to be called; None where only we can make any."""
        return apply.Watch()

    def _tear_down(self) -> None:
        import shutil

        ensure_directory(self.directory)
        names = {row.bridge for row in self.list() if row.routed}
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


def networks(settings: Settings, store: Store, paths: Paths) -> Networks:
    """The networks of one root, for whom this process works."""
    handed = userns.handed_on()
    if not handed:
        return Networks(settings, store, paths)
    from kubeplay.engine.net.rootless.networks import UserNetworks

    return UserNetworks(settings, store, paths, handed.directory)


def _devices(leases: Sequence[Lease]) -> Sequence[int]:
    """The numbers of a pod's devices; the first also when it has no address yet."""
    return sorted({0, *(int(lease.value or 0) for lease in leases if lease.pool.startswith(ipam.PREFIXES))})


def _places(path: str) -> Sequence[tuple[str, int]]:
    try:
        with open(path, encoding="ascii") as file:
            return [(words[0], int(words[1])) for words in map(str.split, file)]
    except FileNotFoundError:
        return ()
