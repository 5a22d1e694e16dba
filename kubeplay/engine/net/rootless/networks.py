"""The network engine's door for an ordinary user: the same code as for root, inside his own network namespace."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from kubeplay.config import Settings
from kubeplay.engine.host import threads
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.net import nft, ports, subnets
from kubeplay.engine.net.addresses import Subnet
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.net.networks import Networks
from kubeplay.engine.net.rootless import forwards, relay
from kubeplay.engine.net.rootless.place import MARK, Place, outside
from kubeplay.engine.net.rootless.wayout import MTU, WayOut
from kubeplay.engine.store.db import Store
from kubeplay.errors import KubeplayError, NotSupported
from kubeplay.plan.pod import SandboxPlan
from kubeplay.plan.stack import ObjectKey

# Of Networks' calls: those that make the namespace when it is not there, and those that look into it or clear away
_MAKING = ("ensure", "service_range", "service_range6", "allocate_service", "dns_argv")
_INSIDE = ("expected_service_range", "check_service", "create", "remove", "devices", "publish", "release_service", "socket", "sync",
           "state", "join", "leave")  # fmt: skip


class UserNetworks(Networks):
    """All networks of one root of an ordinary user. `directory` is who.user_directory()."""

    mtu = MTU

    def __init__(self, settings: Settings, store: Store, paths: Paths, directory: str) -> None:
        super().__init__(settings, store, paths)
        self._place = Place(directory)
        self._way = WayOut(self._place, settings.network_helper, settings.host_loopback)
        self._forwards = forwards.Forwards(self._place)
        self._relay = relay.Relay(self._place)
        self._probe = self._hold

    @property
    def netns(self) -> str:  # type: ignore[override]
        """The pin of the namespace the networks are in."""
        return self._place.pin

    def way_out(self) -> tuple[str, str]:
        """(pasta, slirp4netns or none; why), for `info`. Raises what would stand in a pod's way."""
        return self._way.current() or self._way.choose()

    def prepare(self) -> None:
        """Begin what a first pod would wait for: the helper takes 30 ms, in which much else can be done. What goes wrong `attach` says."""
        threads.start(self._connect)

    def attach(self, uid: str, netns: str, plan: SandboxPlan) -> tuple[str, ...]:
        """See Networks. Raises also MissingPrerequisite and Forbidden when the pod could not reach the network."""
        if plan.host_network or not plan.attachments:
            return ()
        with self._place.kept():
            addresses = self._place.call(lambda: super(UserNetworks, self).attach(uid, netns, plan), make=True)
            try:
                self._connect()
            except BaseException:
                self.detach(uid)
                raise
        return addresses

    def _connect(self) -> None:
        with self._place.kept():
            helper = self._way.ensure()
            self._relay.ensure(helper.helper, self.resolv_conf)

    def node_resolver(self) -> str:
        """The node's resolv.conf with what answers for the host's loopback in its place."""
        return relay.seen_from_inside(super().node_resolver())

    def teardown_if_idle(self) -> bool:
        """See Networks; with the user's last root goes his namespace."""
        done = self._place.call(super().teardown_if_idle)
        if done:
            self._leave()
        return done

    def reset(self) -> None:
        self._place.call(super().reset)
        self._forwards.release(set)
        self._leave()

    def revive(self) -> None:
        """Start again what was killed: the way out, the forwarder with every port, the relay of names. Raises what `attach` raises."""
        if not self._place.exists():
            self._leave()
            return
        with self._place.kept():
            self._connect()
            self._place.call(self._open_ports)

    def watch(self) -> None:
        """Nobody else changes rules in a user's own namespace."""

    def _open_ports(self) -> None:
        for key, error in self._forwards.revive():
            self._tell(key, error)

    def _leave(self) -> None:
        def ending() -> None:
            self._forwards.end()
            self._relay.end()
            self._way.end()

        self._place.remove_if_empty(ending)

    def _tear_down(self) -> None:
        super()._tear_down()
        self._forwards.apply(self.settings.bridge, forwards.Wanted({}, ()))

    def detach_many(self, uids: Sequence[str], wait: bool = True) -> None:
        self._place.call(lambda: super(UserNetworks, self).detach_many(uids, wait))
        self._forwards.release(lambda: {lease.key for lease in ports.taken(self.store)})

    def unpublish(self, uid: str) -> None:
        self._place.call(lambda: super(UserNetworks, self).unpublish(uid))
        self._forwards.release(lambda: {lease.key for lease in ports.taken(self.store)})

    def _hold(self, key: ports.Key) -> None:
        if ":" in key.ip:
            raise NotSupported(f"hostIP {key.ip}: an ordinary user's host ports are on IPv4 addresses", hint="leave hostIP out")
        self._forwards.hold(key)

    def state(self) -> nft.NetState:
        return self._place.call(super().state)._replace(mark=MARK)

    def _bring(self, state: nft.NetState) -> bool:
        changed = super()._bring(state)
        for key, error in self._forwards.apply(self.settings.bridge, forwards.wanted(state)):
            self._tell(key, error)
        return changed

    def _tell(self, key: str, error: KubeplayError) -> None:
        """A port that was lost with the forwarder and is somebody else's now."""
        for lease in ports.taken(self.store):
            if lease.key == key:
                row = self.store.row("SELECT namespace, name FROM pods WHERE uid=?", lease.holder)
                kind = "Pod" if row else "Service"
                namespace, name = row or tuple(lease.holder.removeprefix("svc:").split("/", 1))
                self.store.events.add(ObjectKey(kind, namespace, name), lease.holder, "HostPortConflict", error.message, "Warning")

    def _elsewhere(self) -> Sequence[Subnet]:
        """The host's own networks: pods must be able to reach them."""

        def work() -> Sequence[Subnet]:
            with Netlink() as netlink:
                return subnets.in_use(netlink)

        return outside(work)


def _moved(call: Callable[..., Any], make: bool) -> Callable[..., Any]:
    @functools.wraps(call)
    def moved(self: UserNetworks, *args: Any, **named: Any) -> Any:
        return self._place.call(lambda: call(self, *args, **named), make)

    return moved


for _name in (*_MAKING, *_INSIDE):
    if _name not in vars(UserNetworks):
        setattr(UserNetworks, _name, _moved(getattr(Networks, _name), _name in _MAKING))
