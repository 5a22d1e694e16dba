"""What a person may ask of a network, and the row that follows: pure; free subnets are handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubeplay.engine.net.addresses import V4, V6, Subnet, is_v6, parse, plain, subnet, text
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.record import Record

BRIDGE, MACVLAN, IPVLAN = "bridge", "macvlan", "ipvlan"
AUTO = ("auto", "1")  # the subnet was ours to choose, and is so again when someone took it while we were down
MODES = {  # of linux/if_link.h: MACVLAN_MODE_*, IPVLAN_MODE_*
    MACVLAN: {"bridge": 4, "private": 1, "vepa": 2, "passthru": 8},
    IPVLAN: {"l2": 0, "l3": 1, "l3s": 2},
}
_KNOWN = {BRIDGE: ("mtu", "isolate", "no_default_route"), MACVLAN: ("mtu", "parent", "mode", "no_default_route")}
_KNOWN[IPVLAN] = _KNOWN[MACVLAN]
_DOCKERS = {"com.docker.network.driver.mtu": "mtu"}
_YES = {"true": "true", "1": "true", "false": "false", "0": "false"}
_MTU_V6 = 1280  # RFC 8200 5


class Wanted(Record):
    """`network create`: at most one subnet of each family; gateways and ranges belong to the subnet they lie in."""

    name: str
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    driver: str = BRIDGE
    options: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    ipv6: bool = False
    internal: bool = False
    dns: bool = True


def check(wanted: Wanted) -> Wanted:
    """The same with its options in their usual form. Raises InvalidInput, NotSupported."""
    name = wanted.name
    if not name or len(name) > 63 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in name) or not name[0].isalnum():
        raise InvalidInput(f"network name {name[:80]!r} is invalid", hint="letters, digits, '_', '.' and '-', at most 63")
    if wanted.driver not in _KNOWN:
        raise InvalidInput(f"network driver {wanted.driver[:64]!r} is not known", hint="drivers: " + ", ".join(_KNOWN))
    if wanted.driver != BRIDGE and not wanted.subnets:
        raise NotSupported(f"a {wanted.driver} network needs a --subnet: addresses by DHCP are not supported",
                           hint="give the subnet of the parent's network, with --ip-range those of it that are free")  # fmt: skip
    return wanted._replace(options=_options(wanted))


def _options(wanted: Wanted) -> tuple[tuple[str, str], ...]:
    made: dict[str, str] = {}
    for key, value in wanted.options:
        key = _DOCKERS.get(key, key)
        if key == "vlan":
            raise NotSupported("network option vlan: pods are routed, there is no bridge whose ports could be tagged",
                               hint="make the VLAN's device (ip link add link eth0 name eth0.5 type vlan id 5) and a macvlan network "
                                    "with -o parent=eth0.5; to keep networks apart: -o isolate=true")  # fmt: skip
        if key not in _KNOWN[wanted.driver]:
            raise InvalidInput(f"network option {key[:64]!r} is not known to driver {wanted.driver}",
                               hint="options: " + ", ".join(_KNOWN[wanted.driver]))  # fmt: skip
        made[key] = _option(wanted.driver, key, value)
    return tuple(sorted(made.items()))


def _option(driver: str, key: str, value: str) -> str:
    if key == "mtu":
        if not value.isascii() or not value.isdigit() or len(value) > 5 or not (value == "0" or 68 <= int(value) <= 65535):
            raise InvalidInput(f"mtu {value[:64]!r} is not a number from 68 to 65535")
        return value
    if key == "mode":
        if value not in MODES[driver]:
            raise InvalidInput(f"{driver} mode {value[:64]!r} is not known", hint="modes: " + ", ".join(MODES[driver]))
        return value
    if key == "parent":
        if not 0 < len(value) < 16 or not value.isprintable() or "/" in value or any(c.isspace() for c in value):
            raise InvalidInput(f"parent {value[:64]!r} is not the name of a device", hint="see: ip link")
        return value
    if key == "isolate" and value == "strict":
        return value
    if value not in _YES:
        raise InvalidInput(f"network option {key}={value[:64]!r} is not true or false" + (" or strict" if key == "isolate" else ""))
    return _YES[value]


class Free(Record):
    """Where subnets come from that nobody asked for."""

    v4: Callable[[], Subnet]
    v6: Callable[[], Subnet]


def row(wanted: Wanted, free: Free, bridge: str, created: float) -> NetworkRow:
    """The network. Raises InvalidInput for subnets, gateways and ranges that do not fit together."""
    given = [_sized(subnet(one)) for one in wanted.subnets]
    for one in given[1:]:
        if one.bits == given[0].bits or len(given) > 2:
            raise InvalidInput("a network has at most one subnet of each family", hint="make a second network; pods can join several")
    first = next((one for one in given if one.bits == V4), None)
    second = next((one for one in given if one.bits == V6), None)
    options = list(wanted.options)
    if first is None and (wanted.ipv6 or not given):
        first = free.v4()
        options.append(AUTO)
    if second is None and wanted.ipv6:
        second = free.v6()
    if second and 0 < int(dict(wanted.options).get("mtu", "0")) < _MTU_V6:
        raise InvalidInput(f"mtu {dict(wanted.options)['mtu']} is too small for IPv6", hint=f"at least {_MTU_V6}")
    chosen = [one for one in (first, second) if one]
    ways = _gateways(wanted.gateways, chosen)
    ranges = tuple(_range(one, chosen) for one in wanted.ranges)
    if len({is_v6(one) for one in ranges}) < len(ranges):
        raise InvalidInput("a subnet has at most one --ip-range")
    return NetworkRow(
        wanted.name, str(first or ""), ways.get(V4, ""), bridge, tuple(sorted(options)), created, wanted.driver,
        str(second or ""), ways.get(V6, ""), ranges, wanted.internal, wanted.dns, tuple(sorted(wanted.labels)),
    )  # fmt: skip


def _sized(one: Subnet) -> Subnet:
    if one.bits - one.length < 2:
        raise InvalidInput(f"subnet {one} is too small: network, gateway and broadcast address leave no room for pods")
    return one


def _gateways(given: Sequence[str], chosen: Sequence[Subnet]) -> dict[int, str]:
    found = {one.bits: text(one.base + 1, one.bits) for one in chosen}
    asked: set[int] = set()
    for way in given:
        value, bits = parse(way)
        mine = next((one for one in chosen if one.bits == bits), None)
        if mine is None or value not in mine or value == mine.base or (bits == V4 and value == mine.last):
            where = mine or " or ".join(map(str, chosen))
            raise InvalidInput(f"gateway {way} is not a host address of {where}")
        if bits in asked:
            raise InvalidInput("a subnet has one --gateway")
        asked.add(bits)
        found[bits] = plain(way)
    return found


def _range(given: str, chosen: Sequence[Subnet]) -> str:
    """`10.89.1.0/26` or `10.89.1.2-10.89.1.9` as the latter."""
    first, dash, last = given.partition("-")
    if dash:
        (low, bits), (high, others) = parse(first.strip()), parse(last.strip())
    else:
        within = subnet(given)
        low, high, bits, others = within.base, within.last, within.bits, within.bits
    mine = next((one for one in chosen if one.bits == bits), None)
    if bits != others or low > high or mine is None or low not in mine or high not in mine:
        where = mine or " or ".join(map(str, chosen))
        raise InvalidInput(f"--ip-range {given[:80]!r} is not a part of {where}", hint="write it as 10.89.1.0/26 or 10.89.1.2-10.89.1.9")
    return f"{text(low, bits)}-{text(high, bits)}"
