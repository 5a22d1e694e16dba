"""What NetworkPolicies come to: which pods' traffic is ruled, and what of it is let through (NP1). Addresses only, no selectors."""

from __future__ import annotations

from kubeplay.record import Record


class Block(Record):
    """A range of addresses but for parts of it."""

    cidr: str
    but: tuple[str, ...] = ()


class PortRange(Record):
    """Ports of one protocol; `first` 0 = all of them."""

    protocol: str
    first: int = 0
    last: int = 0


class Allowance(Record):
    """Traffic of the pods `own` that is let through: with `anyone`, else with the pods `peers` and the ranges `blocks`.

    `ports` are the server's; none = all of every protocol.
    """

    own: tuple[str, ...]
    anyone: bool = False
    peers: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    ports: tuple[PortRange, ...] = ()


class Direction(Record):
    """One direction: of the pods `isolated` only what an allowance names is let through; of others everything."""

    isolated: tuple[str, ...] = ()
    allowed: tuple[Allowance, ...] = ()


class Isolation(Record):
    """All policies of a root. `trusted` addresses may reach every pod, as the machine itself may."""

    ingress: Direction = Direction()
    egress: Direction = Direction()
    trusted: tuple[str, ...] = ()
