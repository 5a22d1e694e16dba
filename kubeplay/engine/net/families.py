"""The two families of addresses as the rules write them. What came from a manifest never gets into a rule as text: `plain`, `prefix`."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from collections.abc import Sequence

from kubeplay.errors import InvalidInput
from kubeplay.record import Record


class Family(Record):
    """nft's words for one family: `word` matches its header, `suffix` tells its sets from the other's."""

    number: int
    bits: int
    name: str
    word: str
    proto: str
    kind: str
    suffix: str
    icmp: str
    multicast: str

    def within(self, ip: str, prefixes: Sequence[str]) -> bool:
        """Whether an address is in one of the prefixes, all of this family."""
        value = int.from_bytes(inet_pton(self.number, ip), "big")
        for one in prefixes:
            address, _, length = one.partition("/")
            shift = self.bits - int(length)
            if value >> shift == int.from_bytes(inet_pton(self.number, address), "big") >> shift:
                return True
        return False


V4 = Family(AF_INET, 32, "IPv4", "ip", "ipv4", "ipv4_addr", "", "icmp", "224.0.0.0/4")
V6 = Family(AF_INET6, 128, "IPv6", "ip6", "ipv6", "ipv6_addr", "6", "icmpv6", "ff00::/8")
FAMILIES = (V4, V6)


def of(text: str) -> Family:
    """The family of an address or prefix, by its look."""
    return V6 if ":" in text else V4


def plain(ip: str) -> str:
    """The address as we write it. Raises InvalidInput for anything but an address."""
    family = of(ip)
    try:
        return inet_ntop(family.number, inet_pton(family.number, ip))
    except (OSError, UnicodeError, ValueError):
        raise InvalidInput(f"{ip[:64]!r} is not an {family.name} address") from None


def prefix(cidr: str) -> str:
    """The prefix as we write it, host bits cleared. Raises InvalidInput."""
    address, slash, length = cidr.partition("/")
    family = of(address)
    if not slash or not length.isascii() or not length.isdigit() or int(length) > family.bits:
        raise InvalidInput(f"{cidr[:64]!r} is not a prefix", hint="write it as 10.89.0.0/24")
    shift = family.bits - int(length)
    value = int.from_bytes(inet_pton(family.number, plain(address)), "big") >> shift << shift
    return f"{inet_ntop(family.number, value.to_bytes(family.bits // 8, 'big'))}/{int(length)}"


def shifted(base: str, offset: int) -> str:
    """The address so far after another."""
    family = of(base)
    value = int.from_bytes(inet_pton(family.number, base), "big") + offset
    return inet_ntop(family.number, value.to_bytes(family.bits // 8, "big"))
