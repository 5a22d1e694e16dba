"""Names of Services and pods (DN5, DN6), served by dnsmasq on the cluster DNS address.

The records lie in a hosts file of a directory dnsmasq watches (--hostsdir), the upstream servers in a resolv file it
polls: both are replaced by rename and taken up while it runs, so nobody has to find and signal the process, which
lives in a container of its own. What is not in the files ends in the cluster's domain with NXDOMAIN.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from kubeplay.engine.net import resolv
from kubeplay.engine.net.addresses import Subnet, number
from kubeplay.engine.rootless import who
from kubeplay.plan.service import ServiceRoute
from kubeplay.record import Record

DOMAIN = resolv.DOMAIN
HEADLESS = "None"
_NOBODY = 65534  # Debian's base-passwd
_TTL = 5  # DN6: CoreDNS's default
_CACHE = 1000  # names; about 80 bytes each
_HOSTS, _RESOLV = "hosts.d", "resolv.conf"  # dnsmasq passes over names that begin with a dot


class Address(Record):
    """One A record; its PTR comes with it."""

    ip: str
    name: str


class PodName(Record):
    """What DNS needs of a pod; `fqdn` = hostname.subdomain.ns.svc.DOMAIN, "" without subdomain."""

    ip: str
    namespace: str
    fqdn: str = ""


def records(routes: Iterable[ServiceRoute], pods: Iterable[PodName], kubernetes: str) -> tuple[Address, ...]:
    """All names. `kubernetes` is the address of the API server's Service, which always has a name.

    Of several names of one address dnsmasq gives the first as PTR: Services come first, then endpoints' own names.
    """
    listed = tuple(pods)
    named = {pod.ip: pod.fqdn for pod in listed if pod.fqdn}
    found = [Address(kubernetes, f"kubernetes.default.svc.{DOMAIN}")] if kubernetes else []
    for route in sorted(routes, key=lambda route: (route.service.namespace, route.service.name)):
        name = f"{route.service.name}.{route.service.namespace}.svc.{DOMAIN}"
        if route.service.cluster_ip not in ("", HEADLESS):
            found.append(Address(route.service.cluster_ip, name))
        elif route.service.cluster_ip == HEADLESS:
            ips = sorted({end.ip for group in route.endpoints for end in group}, key=number)
            for ip in ips:
                own = named.get(ip, "")
                found.append(Address(ip, own if own.endswith(f".{name}") else f"{ip.replace('.', '-')}.{name}"))
            found += [Address(ip, name) for ip in ips]
    found += [Address(pod.ip, f"{pod.ip.replace('.', '-')}.{pod.namespace}.pod.{DOMAIN}") for pod in sorted(listed)]
    return tuple(dict.fromkeys(found))


def render_hosts(found: Iterable[Address]) -> str:
    """The hosts file: one name a line."""
    return "".join(f"{record.ip} {record.name}\n" for record in found)


def upstream(host: str, own: str) -> str:
    """The resolv file for dnsmasq: the host's servers without ourselves, which would be a loop."""
    return "".join(f"nameserver {server}\n" for server in resolv.parse(host).servers if server != own)


def argv(program: str, directory: str, address: str, ranges: Sequence[Subnet] = (), user: str = "nobody") -> tuple[str, ...]:
    """The foreground command. `directory` is where the process sees the files of `write`; `ranges` are ours to answer for in PTR.

    It needs NET_BIND_SERVICE, SETUID, SETGID, reads nothing of the host's configuration and keeps no pid file. `user` "": it stays who it
    is (which dnsmasq does only when it believes that it is debugged).
    """
    stay = ("--keep-in-foreground", f"--user={user}") if user else ("--no-daemon",)
    return (
        program, *stay, "--conf-file=/dev/null", "--pid-file=", "--log-facility=-",
        "--no-hosts", f"--hostsdir={directory}/{_HOSTS}", f"--resolv-file={directory}/{_RESOLV}", "--clear-on-reload",
        f"--listen-address={address}", "--bind-interfaces", "--no-ident",
        f"--local=/{DOMAIN}/", *(f"--local=/{_zone(one)}/" for one in ranges),
        f"--local-ttl={_TTL}", f"--cache-size={_CACHE}", "--dns-loop-detect",
    )  # fmt: skip


def nobody() -> str:
    """The user that the server becomes; "" where there is none: an ordinary user may have too few subordinate ids."""
    maps = who.maps()
    return "nobody" if maps.has_uid(_NOBODY) and maps.has_gid(_NOBODY) else ""


def _zone(subnet: Subnet) -> str:
    """The in-addr.arpa zone of a prefix, cut to whole bytes."""
    labels = [str(subnet.base >> shift & 255) for shift in (24, 16, 8, 0)][: max(1, subnet.length // 8)]
    return ".".join(reversed(labels)) + ".in-addr.arpa"


def write(directory: str, hosts: str, servers: str) -> bool:
    """Put the files where dnsmasq reads them; True when something changed. Readable by all: dnsmasq gives up root."""
    os.makedirs(f"{directory}/{_HOSTS}", mode=0o755, exist_ok=True)
    changed = [_replace(f"{directory}/{_HOSTS}", "records", hosts), _replace(directory, _RESOLV, servers)]
    return any(changed)


def _replace(directory: str, name: str, text: str) -> bool:
    path = f"{directory}/{name}"
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        pass
    with open(f"{directory}/.{name}", "w", encoding="utf-8", opener=_opener) as file:
        file.write(text)
    os.rename(f"{directory}/.{name}", path)
    return True


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)


def pod_names(leases: Mapping[str, str], pods: Iterable[tuple[str, str, str]]) -> tuple[PodName, ...]:
    """Pods' names from (uid -> address) and (uid, namespace, plan text) rows."""
    found = []
    for uid, namespace, plan in pods:
        if uid in leases:
            found.append(PodName(leases[uid], namespace, _fqdn(plan)))
    return tuple(found)


def _fqdn(plan: str) -> str:
    if '"domain":"' not in plan or '"domain":""' in plan:
        return ""  # nearly every pod: not worth decoding
    import json

    sandbox = json.loads(plan).get("sandbox", {})
    return f"{sandbox.get('hostname', '')}.{sandbox.get('domain', '')}" if sandbox.get("domain") else ""
