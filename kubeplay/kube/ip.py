"""IP addresses and ranges as the API server of 1.36 takes them: no leading zeros, in words of its own."""

from __future__ import annotations

IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")


def sloppy(text: str) -> bytes | None:
    """The packed address, leading zeros of IPv4 tolerated (they are refused by `ip`), else None."""
    if ":" not in text:
        return _v4(text)
    return _v6(text)


def ip(text: str) -> list[str]:
    """What is wrong with an address: strict, as for hostAliases, nameservers, clusterIPs."""
    packed = sloppy(text)
    if packed is None:
        return [IP_TEXT]
    if has_leading_zero(text):
        return ["must not have leading 0s"]
    return ["must not be an IPv4-mapped IPv6 address"] if _mapped(packed) else []


def legacy_ip(text: str) -> list[str]:
    """What is wrong with an address in a field with the old, lenient rule."""
    return [] if sloppy(text) is not None else [IP_TEXT]


def family(text: str) -> str:
    """`IPv4`, `IPv6` or nothing."""
    packed = sloppy(text)
    if packed is None:
        return ""
    return "IPv4" if len(packed) == 4 or _mapped(packed) else "IPv6"


def has_leading_zero(text: str) -> bool:
    """Whether a part of the IPv4 notation has a leading zero."""
    tail = text.rpartition(":")[2]
    return "." in tail and any(len(part) > 1 and part[0] == "0" for part in tail.split("."))


def cidr(text: str) -> tuple[bytes, int] | None:
    """(packed address, prefix length), or None."""
    address, slash, bits = text.partition("/")
    packed = sloppy(address)
    if packed is None or not slash or not bits or not set(bits) <= _DIGITS or len(bits) > 3:
        return None
    return None if int(bits) > len(packed) * 8 or (len(bits) > 1 and bits[0] == "0") else (packed, int(bits))


def host_bits(packed: bytes, bits: int) -> bool:
    """Whether bits after the prefix are set."""
    return bool(int.from_bytes(packed, "big") & ((1 << (len(packed) * 8 - bits)) - 1))


def special(text: str) -> list[str]:
    """Addresses that cannot be an endpoint or an external IP."""
    packed = sloppy(text)
    if packed is None:
        return [IP_TEXT]
    if not any(packed):
        return [f"may not be unspecified ({text})"]
    loopback = packed[0] == 127 if len(packed) == 4 else packed == b"\0" * 15 + b"\1"
    if loopback:
        return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
    if packed[:2] == b"\xa9\xfe" if len(packed) == 4 else (packed[0] == 0xFE and packed[1] & 0xC0 == 0x80):
        return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
    if packed[:3] == b"\xe0\0\0" if len(packed) == 4 else packed[:2] == b"\xff\x02":
        return ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]
    return []


def _mapped(packed: bytes) -> bool:
    return len(packed) == 16 and packed[:12] == b"\0" * 10 + b"\xff\xff"


def _v4(text: str) -> bytes | None:
    parts = text.split(".")
    if len(parts) != 4:
        return None
    values = [int(part) if part and len(part) < 32 and set(part) <= _DIGITS else 256 for part in parts]
    return bytes(values) if max(values) < 256 else None


def _v6(text: str) -> bytes | None:
    head, gap, tail = text.partition("::")
    if "::" in tail:
        return None
    left, right = _groups(head, not gap), _groups(tail, True)
    if left is None or right is None:
        return None
    missing = 16 - len(left) - len(right)
    return left + b"\0" * missing + right if (missing > 0 if gap else missing == 0) else None


def _groups(text: str, last: bool) -> bytes | None:
    """The bytes of `a:b:c`, the last part maybe in IPv4 notation."""
    if not text:
        return b""
    packed = b""
    parts = text.split(":")
    for position, part in enumerate(parts):
        if last and position == len(parts) - 1 and "." in part:
            tail = _v4(part)
            if tail is None:
                return None
            packed += tail
        elif 0 < len(part) <= 4 and set(part) <= _HEX:
            packed += int(part, 16).to_bytes(2, "big")
        else:
            return None
    return packed
