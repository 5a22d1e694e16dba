"""Pure texts: a pod's /etc/resolv.conf (DN1, DN2) and /etc/hosts (DN4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.plan.pod import Dns, HostAlias
from kubeplay.record import Record

DOMAIN = "cluster.local"
_MAX_SERVERS, _MAX_SEARCHES, _MAX_SEARCH_CHARS, _MAX_NAME = 3, 32, 2048, 253  # DN2
_ROUTED = "# Kubernetes-managed hosts file.\n"
_HOST = "# Kubernetes-managed hosts file (host network).\n"
_LOOPBACK = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
)


class Resolver(Record):
    """The content of a resolv.conf; an option's value is "" when it has none."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def parse(text: str) -> Resolver:
    """Read a resolv.conf as a kubelet does: the last `search` line counts, all `options` lines do, `domain` does not."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            if words[:1] == ["search"]:
                searches = ()
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] == "search":
            searches = tuple(word if word == "." else word.removesuffix(".") for word in words[1:])
        elif words[0] == "options":
            for word in words[1:]:
                name, _, value = word.partition(":")
                options[name] = value
    return Resolver(tuple(servers), searches, tuple(options.items()))


def resolv_conf(dns: Dns, host: str, namespace: str, cluster_dns: str, *, host_network: bool = False) -> str:
    """A pod's resolv.conf. `host` is the node's text; `cluster_dns` "" (no cluster DNS) makes ClusterFirst behave as Default."""
    base = _base(dns.policy, parse(host), namespace, cluster_dns, host_network)
    options = dict(base.options)
    options.update(dns.options)
    made = Resolver(
        _unique([*base.servers, *dns.nameservers])[:_MAX_SERVERS],
        _fitting(_unique([*base.searches, *dns.searches])),
        tuple(options.items()),
    )
    return text_of(made)


def _base(policy: str, node: Resolver, namespace: str, cluster_dns: str, host_network: bool) -> Resolver:
    if policy == "None":
        return Resolver()
    if policy == "Default" or not cluster_dns or (policy == "ClusterFirst" and host_network):
        return node
    searches = (f"{namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN, *node.searches)
    return Resolver((cluster_dns,), searches, (("ndots", "5"),))


def _fitting(searches: Sequence[str]) -> tuple[str, ...]:
    kept = [name for name in searches if len(name) <= _MAX_NAME][:_MAX_SEARCHES]
    while kept and len(" ".join(kept)) > _MAX_SEARCH_CHARS:
        kept.pop()
    return tuple(kept)


def text_of(resolver: Resolver) -> str:
    lines = []
    if resolver.searches:
        lines.append("search " + " ".join(resolver.searches))
    lines += [f"nameserver {server}" for server in resolver.servers]
    if resolver.options:
        lines.append("options " + " ".join(f"{name}:{value}" if value else name for name, value in resolver.options))
    return "".join(f"{line}\n" for line in lines)


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def hosts(ips: Sequence[str], hostname: str, domain: str = "", aliases: Sequence[HostAlias] = ()) -> str:
    """/etc/hosts of a pod with addresses of its own."""
    names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
    return _ROUTED + _LOOPBACK + "".join(f"{ip}\t{names}\n" for ip in ips) + _aliases(aliases)


def host_network_hosts(node: str, aliases: Sequence[HostAlias] = ()) -> str:
    """/etc/hosts of a pod on the host's network: the node's own file, then the aliases."""
    return _HOST + node + _aliases(aliases)


def _aliases(aliases: Sequence[HostAlias]) -> str:
    if not aliases:
        return ""
    return "\n# Entries added by HostAliases.\n" + "".join("\t".join([alias.ip, *alias.names]) + "\n" for alias in aliases)
