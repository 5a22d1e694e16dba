"""Which host ports lead into the user's namespace: what his roots want, in files, and the forwarder that does it.

Level-triggered as everything in this room: each root writes what it wants, whoever writes brings the forwarder to what
all of them want, and starts it with all of it when it is not there.
"""

from __future__ import annotations

import os
from _socket import SOCK_STREAM, socket
from collections.abc import Callable, Mapping, Sequence, Set

from kubeplay.engine.net import ports
from kubeplay.engine.net.nft import NetState
from kubeplay.engine.net.ports import ANY, Key
from kubeplay.engine.net.rootless.control import Forwarder, Talk, forget
from kubeplay.engine.net.rootless.place import Place, outside
from kubeplay.errors import Conflict, KubeplayError, NotSupported
from kubeplay.record import Record

_BACKLOG = 4096  # the kernel takes net.core.somaxconn when that is less
_DEVICES = "/proc/sys/net/ipv4/conf"  # of the namespace of whoever looks


class Wanted(Record):
    """What one root wants: key -> target, and the prefixes its pods and Services use, whose addresses no client may be shown with."""

    ports: Mapping[str, str]
    own: tuple[str, ...]


def wanted(state: NetState) -> Wanted:
    """Host ports lead to their pod, node ports to their Service, whose rules choose the endpoint. The forwarder's side is IPv4."""
    four = [one for one in state.published if ":" not in one.target]
    found = {str(Key(one.ip, one.protocol, one.port)): f"{one.target}:{one.target_port}" for one in four}
    for service in [route.service for route in state.routes]:
        for port in service.ports:
            target = f"{service.cluster_ip}:{port.port}"
            if port.node_port:
                found[str(Key(ANY, port.protocol, port.node_port))] = target
            if service.ingress:  # one that lets in some clients only does so at the machine's own address
                target = f"{state.gateway}:{port.port}" if service.source_ranges else target
                found[str(Key(service.load_balancer_ip or ANY, port.protocol, port.port))] = target
    own = [prefix for prefix in (*state.subnets, state.services) if prefix and ":" not in prefix]
    return Wanted({key: found[key] for key in sorted(found)}, tuple(own))


def text_of(one: Wanted) -> str:
    return "".join([f"own {' '.join(one.own)}\n", *(f"{key} {target}\n" for key, target in one.ports.items())]) if one.ports else ""


def parse(text: str) -> Wanted:
    own: tuple[str, ...] = ()
    found = {}
    for line in text.splitlines():
        first, _, rest = line.partition(" ")
        if first == "own":
            own = tuple(rest.split())
        else:
            found[first] = rest
    return Wanted(found, own)


class Forwards:
    """The ports of one user. Called inside his namespace, where the forwarder lives; sockets are bound outside."""

    def __init__(self, place: Place) -> None:
        self._directory = f"{place.directory}/forwards"
        self._place = place
        self._forwarder = Forwarder(place.directory, "forwarder")
        self._held: dict[str, socket] = {}  # bound by this process, not handed over yet

    def hold(self, key: Key) -> None:
        """Take a host port now, so that nobody else can. Raises Conflict, Forbidden, InvalidInput, NotSupported."""
        if str(key) in self._held:
            return
        if key.protocol == "SCTP":
            what = f"port {key.port}/SCTP: host ports of an ordinary user are TCP or UDP"
            raise NotSupported(what, hint="leave hostPort out, or play it as root")
        with self._place.alone("forwards"):
            try:
                self._held[str(key)] = _bound(key)
            except Conflict:
                if not self._give_way(key):
                    raise
                if str(key) not in self._present():
                    self._held[str(key)] = _bound(key)
            if not self._forwarder.process():
                self._forwarder.start()

    def release(self, leased: Callable[[], Set[str]]) -> None:
        """Let go of what this process has bound and nobody wants any more."""
        if self._held:
            for key in self._held.keys() - leased():
                self._held.pop(key).close()

    def _give_way(self, key: Key) -> bool:
        """Drop what the forwarder still has of pods that are gone: leases and claims say that nobody else has `key`."""
        process = self._forwarder.process()
        if not process:
            return False
        try:
            with self._forwarder.talk() as talk:
                clashing = [other for other in talk.ports() if key.clashes(ports.parse(other))]
                for other in clashing:
                    if other != str(key):
                        talk.ask("del", other)
            return bool(clashing)
        except OSError:  # it ended just now, and with it what it had
            return True

    def _present(self) -> Mapping[str, str]:
        try:
            with self._forwarder.talk() as talk:
                return talk.ports()
        except OSError:
            return {}

    def apply(self, bridge: str, mine: Wanted) -> Sequence[tuple[str, KubeplayError]]:
        """Make `mine` the ports of the root that owns `bridge`; those that could not be had although they were before, with the reason."""
        path = f"{self._directory}/{bridge}"
        before, text = _read(path), text_of(mine)
        if before == text and (not text or self._forwarder.process()) and not mine.ports.keys() & self._held.keys():
            return ()
        with self._place.alone("forwards"):
            _write(path, text)
            failed = self._bring()
            self._strike(failed)
        had = parse(before).ports
        return [(key, error) for key, error in failed.items() if key in had]

    def revive(self) -> Sequence[tuple[str, KubeplayError]]:
        """Start the forwarder again with all ports when it was killed; those that could not be had, with the reason."""
        with self._place.alone("forwards"):
            if self._forwarder.process():
                return ()
            failed = self._bring()
            self._strike(failed)
            return list(failed.items())

    def _strike(self, failed: Mapping[str, object]) -> None:
        """Forget what could not be had: the root's next `apply` finds it missing and tries again."""
        for name in self._roots() if failed else ():
            one = parse(_read(f"{self._directory}/{name}"))
            left = {key: target for key, target in one.ports.items() if key not in failed}
            _write(f"{self._directory}/{name}", text_of(one._replace(ports=left)))

    def _bring(self) -> Mapping[str, KubeplayError]:
        everyone = [parse(_read(f"{self._directory}/{name}")) for name in self._roots()]
        targets = {key: target for one in everyone for key, target in one.ports.items()}
        try:
            return self._carry_over(targets, everyone)
        except (ConnectionError, FileNotFoundError):  # it was killed, or just ended: once more with a new one
            self._forwarder.end()
            return self._carry_over(targets, everyone)

    def _carry_over(self, targets: Mapping[str, str], everyone: Sequence[Wanted]) -> Mapping[str, KubeplayError]:
        if not targets:
            self._forwarder.end()
            return {}
        if not self._forwarder.process():
            self._forwarder.start()
        failed: dict[str, KubeplayError] = {}
        with self._forwarder.talk() as talk:
            there = talk.ports()
            talk.ask("own", *sorted({prefix for one in everyone for prefix in one.own}))
            for key in there:
                if key not in targets:
                    talk.ask("del", key)
            for key, target in targets.items():
                if there.get(key) == target:
                    continue
                if key in there:
                    talk.ask("set", key, target)
                else:
                    self._add(talk, key, target, failed)
        return failed

    def _add(self, talk: Talk, key: str, target: str, failed: dict[str, KubeplayError]) -> None:
        try:
            sock = self._held.get(key) or _bound(ports.parse(key))
        except KubeplayError as error:
            failed[key] = error
            return
        talk.ask("add", key, target, sock=sock)
        self._held.pop(key, None)
        sock.close()

    def _roots(self) -> list[str]:
        """Bridges whose roots want ports; what a root left that a crash took away is forgotten."""
        found = []
        for name in sorted(os.listdir(self._directory)) if os.path.isdir(self._directory) else ():
            if os.path.exists(f"{_DEVICES}/{name}"):
                found.append(name)
            else:
                forget(f"{self._directory}/{name}")
        return found

    def end(self) -> None:
        """Take everything away."""
        with self._place.alone("forwards"):
            self._forwarder.end()
            for sock in self._held.values():
                sock.close()
            self._held.clear()
            for name in os.listdir(self._directory) if os.path.isdir(self._directory) else ():
                forget(f"{self._directory}/{name}")


def _bound(key: Key) -> socket:
    """A socket on the host's port; TCP listens already, so that two programs cannot both have it."""

    def work() -> socket:
        made = ports.bound(key)
        if made.type == SOCK_STREAM:
            made.listen(_BACKLOG)
        return made

    return outside(work)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    if not text:
        forget(path)
        return
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, text.encode("ascii"))
    finally:
        os.close(fd)
    os.rename(f"{path}.new", path)
