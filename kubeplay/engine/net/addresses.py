"""Addresses and prefixes of both families as integers: the `ipaddress` module costs 6 ms of import, these few lines none."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

V4, V6 = 32, 128  # bits of an address: what tells the families apart


class Subnet(Record):
    """A prefix: `base` has the host bits cleared; `bits` V4 or V6."""

    base: int
    length: int
    bits: int = V4

    @property
    def size(self) -> int:
        return 1 << (self.bits - self.length)

    @property
    def last(self) -> int:
        """The last address: of IPv4 the broadcast address."""
        return self.base + self.size - 1

    def __contains__(self, address: object) -> bool:
        """Whether an address of this family, as an integer, is in it."""
        return isinstance(address, int) and self.base <= address <= self.last

    def holds(self, address: str) -> bool:
        """Whether an address of any family is in it. Raises InvalidInput."""
        value, bits = parse(address)
        return bits == self.bits and value in self

    def overlaps(self, other: Subnet) -> bool:
        return self.bits == other.bits and self.base <= other.last and other.base <= self.last

    def __str__(self) -> str:
        return f"{text(self.base, self.bits)}/{self.length}"


def number(address: str) -> int:
    """`10.244.0.1` as an integer. Raises InvalidInput for anything but four decimal numbers."""
    try:
        return int.from_bytes(inet_pton(AF_INET, address), "big")
    except (OSError, UnicodeError, ValueError):
        raise InvalidInput(f"{address[:64]!r} is not an IPv4 address") from None


def parse(address: str) -> tuple[int, int]:
    """The address as an integer, and its family: V4 or V6. Raises InvalidInput."""
    if ":" not in address:
        return number(address), V4
    try:
        return int.from_bytes(inet_pton(AF_INET6, address), "big"), V6
    except (OSError, UnicodeError, ValueError):
        raise InvalidInput(f"{address[:64]!r} is not an IP address") from None


def is_v6(address: str) -> bool:
    return ":" in address


def plain(address: str) -> str:
    """The address as we write it: what a person or a manifest wrote is never passed on as text. Raises InvalidInput."""
    return text(*parse(address))


def packed(address: str) -> bytes:
    """The bytes of an address, as netlink wants them."""
    value, bits = parse(address)
    return value.to_bytes(bits // 8, "big")


def text(value: int, bits: int = V4) -> str:
    if bits == V6:
        return inet_ntop(AF_INET6, value.to_bytes(16, "big"))
    return f"{value >> 24 & 255}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def unpacked(raw: bytes) -> str:
    """The text of an address that netlink gave."""
    return text(int.from_bytes(raw, "big"), len(raw) * 8)


def subnet(cidr: str) -> Subnet:
    """`10.244.0.0/24`, `fd00::/64`. Raises InvalidInput; host bits that are set are refused as podman does, not cut off in silence."""
    address, slash, length = cidr.partition("/")
    most = V6 if ":" in address else V4
    if not slash or not length.isascii() or not length.isdigit() or len(length) > 3 or not 0 <= int(length) <= most:
        raise InvalidInput(f"{cidr[:64]!r} is not a subnet", hint="write it as 10.89.0.0/24 or fd12:3456::/64")
    value, bits = parse(address)
    found = containing(value, int(length), bits)
    if found.base != value:
        raise InvalidInput(f"{cidr!r} has host bits set", hint=f"the subnet is {found}")
    return found


def containing(address: int, length: int, bits: int = V4) -> Subnet:
    """The prefix of that length an address is in."""
    return Subnet(address >> (bits - length) << (bits - length), length, bits)
