"""Rules between networks: who may reach whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.engine.net.addresses import is_v6
from kubeplay.engine.net.table import Chain
from kubeplay.record import Record

STRICT = "strict"
_REFUSE = "reject with icmpx admin-prohibited"  # a clear error at once; a drop would be a connection that hangs


class Reach(Record):
    """A network whose packets this machine routes. `internal`: to be reached from itself and from this machine only; `isolate` true: not
    from other isolated ones, strict: not from any other.
    """

    prefixes: tuple[str, ...]
    internal: bool = False
    isolate: str = ""


def chains(group: int, networks: Sequence[Reach]) -> Iterable[Chain]:
    """`group` is the device group of the pods' host ends."""
    if any(is_v6(prefix) for network in networks for prefix in network.prefixes):
        # what rp_filter is for IPv4: a pod sends as itself or not at all
        itself = f"iifgroup {group} meta nfproto ipv6 fib saddr . iif oif missing drop"
        yield Chain("martians6", "type filter hook prerouting priority raw; policy accept;", (itself,))
    rules = [f"{rule} {_REFUSE}" for network in networks for rule in _apart(network, networks)]
    if rules:
        yield Chain("apart", "type filter hook forward priority filter; policy accept;", tuple(dict.fromkeys(rules)))


def _apart(network: Reach, networks: Sequence[Reach]) -> Iterable[str]:
    for prefix in network.prefixes:
        family = "ip6" if is_v6(prefix) else "ip"
        if network.internal:
            yield f"{family} saddr {prefix} {family} daddr != {prefix}"
            yield f"{family} daddr {prefix} {family} saddr != {prefix}"
            continue
        if not network.isolate:
            continue
        others = _others(network, networks, is_v6(prefix))
        if others:
            yield f"{family} saddr {prefix} {family} daddr {others}"
            yield f"{family} daddr {prefix} {family} saddr {others}"


def _others(network: Reach, networks: Sequence[Reach], v6: bool) -> str:
    """Those that an isolated network is kept from."""
    found = [
        prefix
        for other in networks
        if other is not network and (network.isolate == STRICT or other.isolate)
        for prefix in other.prefixes
        if is_v6(prefix) == v6
    ]
    return f"{{ {', '.join(sorted(found))} }}" if found else ""
