"""The packet rules of an Isolation: chains and sets for our table (nft.py), from addresses alone. Pure.

Every packet between pods, and between a pod and elsewhere, is routed, so it comes through `forward`, after it has been
redirected to an endpoint: policies see pods, never Services. What this machine itself sends to a pod goes through
`output`, which is not ruled (NP1: the node may always), and so do probes. Pods ask the cluster DNS at an address of the
machine: that alone is ruled in `input`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.engine.net.families import FAMILIES, Family, of, plain, prefix
from kubeplay.engine.net.table import Chain, Set, elements
from kubeplay.plan.policy import Allowance, Block, Direction, Isolation, PortRange

IN, OUT = "policy_ingress", "policy_egress"
_HOOK = "type filter hook {} priority -1; policy accept;"
_GOES_ON = "ct state established,related accept"  # also backwards: replies need no rule
_PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


def rules(state: Isolation, dns: Sequence[str] = ()) -> tuple[list[Set], list[Chain]]:
    """Sets and chains, none where nobody is isolated. Raises InvalidInput for what is no address: no text gets in as it came."""
    if not state.ingress.isolated and not state.egress.isolated:
        return [], []
    sets = [one for family in FAMILIES for one in _sets(state, family)]
    chains = [_chain(OUT, state.egress, "saddr", "daddr"), _chain(IN, state.ingress, "daddr", "saddr")]
    forward = [rule for family in FAMILIES for rule in _forward(state, family)]
    chains.append(Chain("policing", _HOOK.format("forward"), (_GOES_ON, *forward)))
    names = [
        f"{of(one).word} daddr {plain(one)} {of(one).word} saddr @isolated_egress{of(one).suffix} jump {OUT}"
        for one in dns
        if _of(state.egress.isolated, of(one))
    ]
    if names:
        chains.append(Chain("policing_names", _HOOK.format("input"), (_GOES_ON, *names)))
    return sets, chains


def _sets(state: Isolation, family: Family) -> Iterable[Set]:
    for name, found in (("isolated_ingress", state.ingress.isolated), ("isolated_egress", state.egress.isolated)):
        listed = _of(found, family)
        if listed:
            yield Set(f"{name}{family.suffix}", family.kind, (), elements(listed))


def _forward(state: Isolation, family: Family) -> Iterable[str]:
    incoming, outgoing, word = _of(state.ingress.isolated, family), _of(state.egress.isolated, family), family.word
    if incoming or outgoing:  # a pod may always reach itself
        same = ", ".join(f"{address} . {address}" for address in sorted({*incoming, *outgoing}))
        yield f"{word} saddr . {word} daddr {{ {same} }} accept"
    if outgoing:
        yield f"{word} saddr @isolated_egress{family.suffix} jump {OUT}"
    if incoming:
        trusted = _of(state.trusted, family)
        if trusted:
            yield f"{word} saddr {_group(trusted)} accept"
        yield f"{word} daddr @isolated_ingress{family.suffix} jump {IN}"


def _chain(name: str, direction: Direction, own: str, other: str) -> Chain:
    """What is allowed returns to where it was asked, the rest ends here."""
    found = [line for allowance in direction.allowed for family in FAMILIES for line in _lines(allowance, family, own, other)]
    return Chain(name, "", (*dict.fromkeys(found), "drop"))


def _lines(allowance: Allowance, family: Family, own: str, other: str) -> Iterable[str]:
    mine = _of(allowance.own, family)
    if not mine:
        return
    for peer in _peers(allowance, family, other):
        for port in _ports(allowance.ports):
            yield " ".join(part for part in (f"{family.word} {own} {_group(mine)}", peer, port, "return") if part)


def _peers(allowance: Allowance, family: Family, other: str) -> Iterable[str]:
    """Matches, one of which must fit."""
    if allowance.anyone:
        yield ""
        return
    pods = _of(allowance.peers, family)
    if pods:
        yield f"{family.word} {other} {_group(pods)}"
    for block in allowance.blocks:
        if of(block.cidr) is family:
            yield _block(block, family, other)


def _block(block: Block, family: Family, other: str) -> str:
    whole = prefix(block.cidr)
    text = "" if whole.endswith("/0") else f"{family.word} {other} {whole}"  # of the family every packet is that meets the rest
    but = [prefix(one) for one in block.but if of(one) is family]
    outer = [one for one in dict.fromkeys(but) if not any(_inside(one, each, family) for each in but)]
    return f"{text} {family.word} {other} != {_group(outer)}".strip() if outer else text


def _inside(one: str, other: str, family: Family) -> bool:
    """Whether a prefix is a part of another one: nft takes no overlapping ranges in a set."""
    return one != other and int(one.partition("/")[2]) > int(other.partition("/")[2]) and family.within(one.partition("/")[0], (other,))


def _ports(ports: Sequence[PortRange]) -> Iterable[str]:
    """Matches, one of which must fit; those of one protocol together."""
    if not ports:
        yield ""
    for protocol in sorted({port.protocol for port in ports}):
        name, ranges = _PROTOCOLS[protocol], [(port.first, port.last) for port in ports if port.protocol == protocol]
        if any(not first for first, _ in ranges):
            yield f"meta l4proto {name}"
        else:
            yield f"{name} dport {_group(_text(*each) for each in _merged(ranges))}"


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _text(first: int, last: int) -> str:
    return f"{first:d}-{last:d}" if last > first else f"{first:d}"


def _group(found: Iterable[str]) -> str:
    return f"{{ {', '.join(found)} }}"


def _of(addresses: Iterable[str], family: Family) -> list[str]:
    return [plain(address) for address in addresses if of(address) is family]
