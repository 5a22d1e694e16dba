"""IPv4 addresses and prefixes as integers: the `ipaddress` module costs 6 ms of import, these few lines none."""

from __future__ import annotations

from _socket import AF_INET, inet_pton

from kubeplay.errors import InvalidInput
from kubeplay.record import Record


class Subnet(Record):
    """A prefix: `base` has the host bits cleared."""

    base: int
    length: int

    @property
    def size(self) -> int:
        return 1 << (32 - self.length)

    @property
    def last(self) -> int:
        """The broadcast address."""
        return self.base + self.size - 1

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.base <= address <= self.last

    def overlaps(self, other: Subnet) -> bool:
        return self.base <= other.last and other.base <= self.last

    def __str__(self) -> str:
        return f"{text(self.base)}/{self.length}"


def number(address: str) -> int:
    """`10.244.0.1` as an integer. Raises InvalidInput for anything but four decimal numbers."""
    try:
        return int.from_bytes(inet_pton(AF_INET, address), "big")
    except (OSError, UnicodeError, ValueError):
        raise InvalidInput(f"{address[:64]!r} is not an IPv4 address") from None


def packed(address: str) -> bytes:
    """The four bytes of an address, as netlink wants them."""
    return number(address).to_bytes(4, "big")


def text(value: int) -> str:
    return f"{value >> 24 & 255}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def subnet(cidr: str) -> Subnet:
    """`10.244.0.0/24`. Raises InvalidInput; host bits that are set are refused as podman does, not cut off in silence."""
    address, slash, length = cidr.partition("/")
    if not slash or not length.isascii() or not length.isdigit() or not 0 <= int(length) <= 32:
        raise InvalidInput(f"{cidr[:64]!r} is not a subnet", hint="write it as 10.89.0.0/24")
    found = containing(number(address), int(length))
    if found.base != number(address):
        raise InvalidInput(f"{cidr!r} has host bits set", hint=f"the subnet is {found}")
    return found


def containing(address: int, length: int) -> Subnet:
    """The prefix of that length an address is in."""
    return Subnet(address >> (32 - length) << (32 - length), length)
