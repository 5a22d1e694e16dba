"""Names of Services, endpoints and pods (DN5, DN6) as zones, and the configuration of the server that serves them: unbound.

Pure texts. The cluster's zone and those of the reverse lookups are local zones to the server (auth-zone), everything else goes to the
host's servers. `nameserver.py` puts the texts where the server reads them.
"""

from __future__ import annotations

from _socket import inet_pton
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kubeplay.engine.net import families, resolv
from kubeplay.engine.rootless import who
from kubeplay.errors import InvalidInput
from kubeplay.plan.service import Address, ServiceRoute
from kubeplay.record import Record

DOMAIN = resolv.DOMAIN
HEADLESS, EXTERNAL = "None", "ExternalName"
_NOBODY = 65534  # Debian's base-passwd
_TTL = 5  # DN6: CoreDNS's default, and for what does not exist too
_CACHED = 30  # seconds that others' names are kept: what kubeadm gives CoreDNS
_VERSION = "1.1.0"  # of the DNS specification (DN5)
_NAMESERVER = f"ns.dns.{DOMAIN}."
_NOWHERE = "192.0.2.1"  # RFC 5737: stands for servers where the host has none, and is never asked


class PodName(Record):
    """What DNS needs of a pod (DN6); `others`: (name, address) that it has in networks it was told to join, as Podman gives them."""

    namespace: str
    ips: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()


class Cluster(Record):
    """What the names stand in: the address of the API server's Service (it always has a name), those of the name server, our prefixes."""

    kubernetes: str
    addresses: tuple[str, ...]
    ranges: tuple[str, ...] = ()


class Line(Record):
    """One record; `name` and a target are full names without the last dot."""

    name: str
    type: str
    value: str


def zones(cluster: Cluster, routes: Iterable[ServiceRoute], pods: Iterable[PodName]) -> dict[str, str]:
    """Each zone we answer for and its text. Equal states give equal texts. What cannot be a name is left out with its Service."""
    lines = sorted(dict.fromkeys(_lines(cluster, tuple(routes), pods)))
    texts = {DOMAIN: [_head(DOMAIN)]}
    for zone in reverse_zones(cluster.ranges):
        texts.setdefault(zone, [_head(zone)])
    for line in lines:
        zone = DOMAIN if line.type != "PTR" else _zone_of(line.name, texts)
        if zone:
            texts[zone].append(f"{line.name}. {line.type} {line.value}\n")
    return {zone: "".join(parts) for zone, parts in texts.items()}


def _head(zone: str) -> str:
    """The serial stays: the server reads the zone again when it is told to."""
    return f"$ORIGIN {zone}.\n$TTL {_TTL}\n@ SOA {_NAMESERVER} hostmaster.{DOMAIN}. 1 7200 1800 86400 {_TTL}\n@ NS {_NAMESERVER}\n"


def _lines(cluster: Cluster, routes: Sequence[ServiceRoute], pods: Iterable[PodName]) -> Iterator[Line]:
    yield Line(f"dns-version.{DOMAIN}", "TXT", f'"{_VERSION}"')
    for address in cluster.addresses:
        yield Line(_NAMESERVER.rstrip("."), *_address(address))
        yield from _both(f"kube-dns.kube-system.svc.{DOMAIN}", address)
    master = f"kubernetes.default.svc.{DOMAIN}"
    if cluster.kubernetes:
        yield from _both(master, cluster.kubernetes)
        yield from _srv(master, "https", "TCP", 443, [master])
    for route in routes:
        try:
            yield from tuple(_service(route))
        except InvalidInput:
            pass  # API validation lets it pass and DNS has no place for it: a label of externalName over 63. Others keep their names
    taken = {(route.service.namespace, route.service.name) for route in routes}
    for pod in pods:
        for name, ip in pod.others:
            if (pod.namespace, name) not in taken:
                yield from _other(name, pod.namespace, ip)
        for ip in pod.ips:
            yield Line(f"{_dashed(ip)}.{pod.namespace}.pod.{DOMAIN}", *_address(ip))


def _other(name: str, namespace: str, ip: str) -> Iterator[Line]:
    try:
        yield Line(_checked(f"{name}.{namespace}.svc.{DOMAIN}"), *_address(ip))
    except InvalidInput:
        pass  # Podman takes aliases that are no names


def _service(route: ServiceRoute) -> Iterator[Line]:
    plan = route.service
    name = _checked(f"{plan.name}.{plan.namespace}.svc.{DOMAIN}")
    if plan.type == EXTERNAL:
        if plan.external_name:
            yield Line(name, "CNAME", f"{_checked(plan.external_name.rstrip('.'))}.")
        return
    if plan.cluster_ip == HEADLESS:
        yield from _headless(route, name)
        return
    for ip in plan.cluster_ips or filter(None, (plan.cluster_ip,)):
        yield from _both(name, ip)
        for port in plan.ports:
            yield from _srv(name, port.name, port.protocol, port.port, [name])
    for address in route.addresses:  # CoreDNS names these endpoints too: pods of a StatefulSet whose Service has an address
        yield Line(_own(address, name), *_address(address.ip))


def _headless(route: ServiceRoute, name: str) -> Iterator[Line]:
    for address in route.addresses:
        yield Line(name, *_address(address.ip))
        yield from _both(_own(address, name), address.ip)
    owners = {address.ip: _own(address, name) for address in route.addresses}
    for port, ends in zip(route.service.ports, route.endpoints):
        targets: dict[int, list[str]] = {}
        for end in ends:
            if end.ip in owners:
                targets.setdefault(end.port, []).append(owners[end.ip])
        for number, names in targets.items():
            yield from _srv(name, port.name, port.protocol, number, names)


def _own(address: Address, service: str) -> str:
    """An endpoint's name: its host name, or its address with dashes as CoreDNS has it."""
    return _checked(f"{address.hostname or _dashed(address.ip)}.{service}")


def _dashed(ip: str) -> str:
    return ip.replace(".", "-").replace(":", "-")


def _srv(service: str, port: str, protocol: str, number: int, targets: Sequence[str]) -> Iterator[Line]:
    """SRV records of one port: below its name when it has one, and at the Service's own name, where CoreDNS has all of them."""
    names = dict.fromkeys(sorted(targets))
    weight = max(1, 100 // max(1, len(names)))
    for target in names:
        value = f"0 {weight} {number} {_checked(target)}."
        yield Line(service, "SRV", value)
        if port:
            yield Line(_checked(f"_{port}._{protocol}.{service}"), "SRV", value)


def _both(name: str, ip: str) -> Iterator[Line]:
    """The address of a name and the name of the address."""
    yield Line(name, *_address(ip))
    yield Line(reverse(ip), "PTR", f"{name}.")


def _address(ip: str) -> tuple[str, str]:
    """Type and value. Raises InvalidInput for what is no address."""
    return "AAAA" if families.of(ip) is families.V6 else "A", families.plain(ip)


def _checked(name: str) -> str:
    """`name`, of labels of letters, digits, dashes and underscores. Raises InvalidInput: nothing of a manifest gets into a zone unread."""
    if len(name) > 253 or not name.isascii() or not name.replace(".", "").replace("-", "").replace("_", "").isalnum():
        raise InvalidInput(f"{name[:80]!r} is no name that DNS can serve")
    if not all(0 < len(label) < 64 for label in name.split(".")):
        raise InvalidInput(f"{name[:80]!r} is no name that DNS can serve")
    return name.lower()


def reverse(ip: str) -> str:
    """The name that is asked for an address's name."""
    raw = inet_pton(families.of(ip).number, families.plain(ip))
    return _reversed(raw.hex(), 32) if len(raw) > 4 else _reversed(raw, 4)


def _reversed(places: str | bytes, count: int) -> str:
    """The first `count` bytes of an IPv4 address, or hex digits of an IPv6 one, from the last to the first."""
    suffix = "in-addr.arpa" if isinstance(places, bytes) else "ip6.arpa"
    return ".".join([*map(str, reversed(places[:count])), suffix])


def reverse_zones(ranges: Iterable[str]) -> list[str]:
    """The zones that hold our addresses' names and no others': a /20 is sixteen zones. What is smaller than a /24 takes all of it."""
    found: list[str] = []
    for prefix in ranges:
        family = families.of(prefix)
        address, _, length = families.prefix(prefix).partition("/")
        base, unit = int.from_bytes(inet_pton(family.number, address), "big"), 4 if family is families.V6 else 8
        count = min(family.bits // unit - 1, max(1, -(-int(length) // unit)))
        shift = family.bits - count * unit
        for value in range(base >> shift, (base + (1 << family.bits - int(length)) - 1 >> shift) + 1):
            raw = (value << shift).to_bytes(family.bits // 8, "big")
            found.append(_reversed(raw.hex() if unit == 4 else raw, count))
    return list(dict.fromkeys(found))


def _zone_of(name: str, known: Mapping[str, object]) -> str:
    """The zone a reverse name lies in; "" for an address that is not ours to name."""
    while name:
        if name in known:
            return name
        name = name.partition(".")[2]
    return ""


def upstream(host: str, own: Sequence[str]) -> tuple[str, ...]:
    """The host's servers without ourselves, which would be a loop, and without what is no address, which glibc passes over too."""
    found = []
    for server in resolv.parse(host).servers:
        address, scoped, scope = server.partition("%")
        try:
            families.plain(address)
        except InvalidInput:
            continue
        if server not in own and scope.isalnum() == bool(scoped):
            found.append(server)
    return tuple(dict.fromkeys(found))


def config(directory: str, addresses: Sequence[str], served: Iterable[str], servers: Sequence[str], user: str = "nobody") -> str:
    """unbound.conf. `directory`: where the server sees its files; `served`: the zones that are ours; `user` "": it stays who it is.

    A stub beside each zone keeps the names in it from being forwarded (its address is never asked). Of 65536 ports to ask from 4096 are
    enough beside the number of the query, and shuffling them all is most of unbound's start (30 of 45 ms).
    """
    lines = [
        "server:", f'directory: "{directory}"', 'chroot: ""', f'username: "{user}"', 'pidfile: ""', "use-syslog: no", 'logfile: ""',
        "do-daemonize: no",
        *(f"interface: {address}" for address in addresses), "ip-freebind: yes",
        "access-control: 0.0.0.0/0 allow", "access-control: ::/0 allow",
        'module-config: "iterator"', "num-threads: 1", "msg-cache-size: 1m", "rrset-cache-size: 2m", "key-cache-size: 16k",
        "neg-cache-size: 16k", "infra-cache-numhosts: 256", "outgoing-range: 512", "num-queries-per-thread: 256",
        "outgoing-port-avoid: 0-65535", "outgoing-port-permit: 61000-65095", "incoming-num-tcp: 100",
        f"cache-max-ttl: {_CACHED}", f"cache-max-negative-ttl: {_CACHED}", "infra-host-ttl: 5", "infra-keep-probing: yes",
        "qname-minimisation: no", "harden-below-nxdomain: no", "aggressive-nsec: no", "unblock-lan-zones: yes", "insecure-lan-zones: yes",
        'local-zone: "test." nodefault', 'local-zone: "invalid." nodefault', "hide-identity: yes", "hide-version: yes",
        "do-not-query-localhost: no", *(f"do-not-query-address: {address}" for address in (*addresses, _NOWHERE)),
        "remote-control:", "control-enable: yes", f"control-interface: {directory}/control/socket", "control-use-cert: no",
    ]  # fmt: skip
    for zone in served:
        lines += ["auth-zone:", f'name: "{zone}."', f'zonefile: "{directory}/{zone}.zone"', "for-upstream: yes", "for-downstream: no",
                  "fallback-enabled: no", "stub-zone:", f'name: "{zone}."', f"stub-addr: {_NOWHERE}"]  # fmt: skip
    lines += ["forward-zone:", 'name: "."', *(f"forward-addr: {server}" for server in servers or (_NOWHERE,))]
    return "\n".join(lines) + "\n"


def nobody() -> str:
    """The user that the server becomes; "" where there is none: an ordinary user may have too few subordinate ids."""
    maps = who.maps()
    return "nobody" if maps.has_uid(_NOBODY) and maps.has_gid(_NOBODY) else ""


def pod_names(default: str, leases: Iterable[tuple[str, str, str]], pods: Iterable[tuple[str, str, str, str]]) -> tuple[PodName, ...]:
    """Pods' names from (uid, network, address) and (uid, namespace, name, plan) rows.

    In a network of its choice, other than the `default` one, a pod has its own name too; aliases it has where they were given.
    """
    held: dict[str, list[tuple[str, str]]] = {}
    for uid, network, ip in leases:
        held.setdefault(uid, []).append((network, ip))
    found = []
    for uid, namespace, name, plan in pods:
        places = held.get(uid, [])
        aliases = _aliases(plan, default) if '"aliases":["' in plan else {}
        others = [(name, ip) for network, ip in places if network != default]
        others += [(alias, ip) for network, ip in places for alias in aliases.get(network, ())]
        if places:
            found.append(PodName(namespace, tuple([ip for _, ip in places]), tuple(dict.fromkeys(others))))
    return tuple(found)


def _aliases(plan: str, default: str) -> dict[str, list[str]]:
    """Network -> the aliases that a pod's plan gives it there."""
    import json

    return {one["network"] or default: one["aliases"] for one in json.loads(plan)["sandbox"]["attachments"]}
