"""Names for pods where the host asks a resolver on its own loopback (systemd-resolved, dnsmasq), which no pod may reach.

slirp4netns brings a way to it. Beside pasta (its --dns-forward of 2023 does not serve a loopback resolver) a second
forwarder lives in the host's network, listens inside and leads to that one port only.
"""

from __future__ import annotations

from _socket import AF_INET, SO_REUSEADDR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net import resolv, rtnl
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.net.rootless.control import Forwarder
from kubeplay.engine.net.rootless.place import Place
from kubeplay.engine.net.rootless.wayout import DNS, SLIRP

_LOOPBACK = ("127.", "::1")
_LO = 1  # its index in every namespace


def seen_from_inside(text: str) -> str:
    """A resolv.conf with the relay in the place of servers on the loopback."""
    found = resolv.parse(text)
    if not loopback(text):
        return text
    servers = dict.fromkeys(DNS if server.startswith(_LOOPBACK) else server for server in found.servers)
    return resolv.text_of(found._replace(servers=tuple(servers)))


def loopback(text: str) -> str:
    """The first server on the loopback, "" without one. IPv6's is asked by its IPv4 name: who serves one serves both."""
    found = next((server for server in resolv.parse(text).servers if server.startswith(_LOOPBACK)), "")
    return "127.0.0.1" if ":" in found else found


class Relay:
    """The relay of one user. Its methods run in the host's network namespace."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._forwarder = Forwarder(place.directory, "relay", "plain")

    def ensure(self, helper: str, resolv_conf: str) -> None:
        """See that it runs where it is needed, and asks the resolver the host has now."""
        try:
            with open(resolv_conf, encoding="utf-8", errors="replace") as file:
                server = loopback(file.read())
        except OSError:
            server = ""
        if not server or helper == SLIRP:
            return
        with self._place.alone("relay"):
            if not self._forwarder.process():
                self._begin(server)
                return
            with self._forwarder.talk() as talk:
                for kind in ("UDP", "TCP"):
                    talk.ask("set", f"{DNS}/{kind}/53", f"{server}:53")

    def _begin(self, server: str) -> None:
        udp, tcp = self._place.call(_listening)
        try:
            in_thread(self._forwarder.start)
            with self._forwarder.talk() as talk:
                talk.ask("add", f"{DNS}/UDP/53", f"{server}:53", sock=udp)
                talk.ask("add", f"{DNS}/TCP/53", f"{server}:53", sock=tcp)
        finally:
            udp.close()
            tcp.close()

    def end(self) -> None:
        self._forwarder.end()


def _listening() -> tuple[socket, socket]:
    with Netlink() as netlink:
        netlink.run(rtnl.add_address(_LO, DNS, 32))
    udp, tcp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC)
    tcp.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    udp.bind((DNS, 53))
    tcp.bind((DNS, 53))
    tcp.listen(64)
    return udp, tcp
