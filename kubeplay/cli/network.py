"""network create, ls, inspect, exists and rm; networkpods.py has what touches pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import listing
from kubeplay.cli.declare import LISTING, argument, command, flag, integer, many, text
from kubeplay.cli.listing import Column, Listing
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import Conflict, NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App

COLUMNS = (
    Column("NETWORK ID", "ID"), Column("NAME", "Name"), Column("DRIVER", "Driver"), Column("SUBNET", "Subnet"),
    Column("GATEWAY", "Gateway", True), Column("BRIDGE", "Interface", True), Column("INTERNAL", "Internal", True),
    Column("PODS", "Pods", True),
)  # fmt: skip
FILTERS = {
    "name": listing.contains("Name"), "id": listing.prefix("_Id"), "driver": listing.equals("Driver"), "label": listing.label,
    "until": listing.older("_Created"), "dangling": lambda record, value: (value.lower() in ("true", "1")) == (not record["Pods"]),
}  # fmt: skip
LOOK = Listing(COLUMNS, "Name", FILTERS)
_SHORT_ID = 12


@command("ls", "List networks.", LISTING)
def ls(app: App, **given: Any) -> None:
    look = listing.look(given)
    listing.show(LOOK, [record(app, row, short=not look.no_trunc) for row in app.store.resources.networks()], look)


def record(app: App, row: NetworkRow, *, short: bool = True) -> dict[str, Any]:
    from kubeplay.clock import rfc3339

    full = _id(row.name)
    return {
        "ID": full[:_SHORT_ID] if short else full, "_Id": full, "Name": row.name, "Driver": row.driver, "Subnet": list(row.prefixes),
        "Gateway": [way for way in (row.gateway, row.gateway6) if way], "Interface": _device(row),
        "Created": rfc3339(row.created), "_Created": row.created, "Internal": str(row.internal).lower(),
        "Labels": dict(row.labels), "Pods": len(_addresses(app, row)),
    }  # fmt: skip


def _id(name: str) -> str:
    """As podman gives them: they follow from the name."""
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def _device(row: NetworkRow) -> str:
    return row.bridge or row.option("parent")


def _addresses(app: App, row: NetworkRow) -> dict[str, list[str]]:
    """Those of each pod on the network, by uid."""
    found: dict[str, list[str]] = {}
    for prefix in ("ip:", "ip6:"):  # engine.net.ipam's pools
        for lease in app.store.leases.held(f"{prefix}{row.name}"):
            found.setdefault(lease.holder, []).append(lease.key)
    return found


def described(app: App, row: NetworkRow) -> dict[str, Any]:
    """A network in the form of `podman network inspect`, with the pods on it."""
    from kubeplay.clock import rfc3339

    pods = {one.uid: one for one in app.store.runtime.pods()}
    held = {uid: addresses for uid, addresses in _addresses(app, row).items() if uid in pods}
    said: dict[str, Any] = {
        "name": row.name, "id": _id(row.name), "driver": row.driver, "network_interface": _device(row), "created": rfc3339(row.created),
        "subnets": [_subnet(row, prefix, way) for prefix, way in ((row.subnet, row.gateway), (row.subnet6, row.gateway6)) if prefix],
        "ipv6_enabled": bool(row.subnet6), "internal": row.internal, "dns_enabled": row.dns,
    }  # fmt: skip
    if row.labels:
        said["labels"] = dict(row.labels)
    return {
        **said,
        "options": {key: value for key, value in row.options if key != "auto"},
        "ipam_options": {"driver": "host-local"},
        "containers": _containers(app, row, held),
        "pods": {f"{pods[uid].namespace}/{pods[uid].name}": ",".join(addresses) for uid, addresses in held.items()},
    }


def _subnet(row: NetworkRow, prefix: str, gateway: str) -> dict[str, Any]:
    said: dict[str, Any] = {"subnet": prefix, "gateway": gateway}
    for one in row.ranges:
        if (":" in one) == (":" in prefix):
            first, _, last = one.partition("-")
            said["lease_range"] = {"start_ip": first, "end_ip": last}
    return said


def _containers(app: App, row: NetworkRow, held: dict[str, list[str]]) -> dict[str, Any]:
    """By the id of the sandbox, which is what podman's infra container is."""
    found = {}
    for sandbox in app.store.runtime.sandboxes():
        if sandbox.pod_uid in held:
            device, mac = _device_of(app, row, sandbox.pod_uid, held[sandbox.pod_uid])
            nets = [{"ipnet": f"{ip}/{_length(row, ip)}", "gateway": row.gateway6 if ":" in ip else row.gateway}
                    for ip in held[sandbox.pod_uid]]  # fmt: skip
            pod = app.store.runtime.pod(sandbox.pod_uid)
            found[sandbox.id] = {"name": pod.name, "interfaces": {device: {"subnets": nets, "mac_address": mac}}}
    return found


def _length(row: NetworkRow, ip: str) -> str:
    return next((prefix.partition("/")[2] for prefix in row.prefixes if (":" in prefix) == (":" in ip)), "")


def _device_of(app: App, row: NetworkRow, uid: str, held: list[str]) -> tuple[str, str]:
    """A pod's device on the network, and its hardware address."""
    from kubeplay.cli import resolve
    from kubeplay.engine.net import joining
    from kubeplay.engine.net.definitions import DEFAULT

    leases = app.store.leases.held(holder=uid)
    number = next((lease.value for lease in leases if lease.pool in (f"ip:{row.name}", f"ip6:{row.name}")), "")
    asked = [one.mac for one in resolve.plan(app.store.runtime.pod(uid)).sandbox.attachments if (one.network or DEFAULT) == row.name]
    return f"eth{number or 0}", joining.hardware(row, asked[0] if asked else "", uid, held[0]).hex(":")


def joined(app: App, uid: str) -> dict[str, Any]:
    """A pod's networks in the form of `podman inspect`: NetworkSettings.Networks."""
    found = {}
    for row in app.store.resources.networks():
        held = _addresses(app, row).get(uid)
        if held:
            four, six = ([ip for ip in held if (":" in ip) == v6] or [""] for v6 in (False, True))
            found[row.name] = {
                "NetworkID": row.name, "DriverOpts": None, "MacAddress": _device_of(app, row, uid, held)[1],
                "IPAddress": four[0], "IPPrefixLen": int(_length(row, four[0])) if four[0] else 0, "Gateway": row.gateway,
                "GlobalIPv6Address": six[0], "GlobalIPv6PrefixLen": int(_length(row, six[0])) if six[0] else 0, "IPv6Gateway": row.gateway6,
            }  # fmt: skip
    return found


@command(
    "inspect",
    "Show everything about networks, as JSON.",
    argument("NETWORK", "Networks.", many=True, complete="network"),
    text("-f", "--format", help="A Go template instead."),
)
def inspect(app: App, *, network: tuple[str, ...], format: str | None) -> None:
    from kubeplay.cli.inspection import show

    show([described(app, app.engine.net.inspect(name)) for name in network], format)


@command("exists", "Say by the exit status whether a network exists (0) or not (1).", argument("NETWORK", "Network.", complete="network"))
def exists(app: App, *, network: str) -> int:
    return 0 if app.store.resources.network(network) else 1


@command(
    "create",
    "Create a network.",
    argument("NAME", "Name of the network; kubeplay1, kubeplay2... when it is not given.", required=False),
    many("--subnet", help="A subnet in CIDR form, one of each family; a free IPv4 one when none is given.", metavar="CIDR"),
    many("--gateway", help="Address of the bridge in its subnet; the first one when it is not given.", metavar="IP"),
    many("--ip-range", help="Give pods addresses from this part of the subnet only: CIDR, or FIRST-LAST.", metavar="RANGE"),
    flag("--ipv6", help="Dual stack: an IPv4 and an IPv6 subnet; what of them is not given is chosen."),
    flag("--internal", help="Reached from its own pods and from this machine only, and its pods reach nothing else."),
    flag("--disable-dns", help="Pods that are on such networks only do not ask the cluster's DNS."),
    text("-d", "--driver", help="bridge, macvlan or ipvlan.", default="bridge"),
    many("-o", "--opt", metavar="KEY=VALUE", help="An option: mtu; no_default_route; of bridge networks isolate (true: not reached from"
         " other isolated networks, strict: from no other); of macvlan and ipvlan parent (a device) and mode."),
    many("--label", help="A label.", metavar="KEY=VALUE"),
    flag("--ignore", help="A network that is there already is no error."),
)  # fmt: skip
def create(app: App, *, name: str | None, **given: Any) -> None:
    from kubeplay.cli.volume import pairs
    from kubeplay.engine.net.definition import Wanted

    called = name or _unused(app)
    if not (given["ignore"] and app.store.resources.network(called)):
        labels = tuple(tuple(one.partition("=")[::2]) for one in given["label"])
        app.engine.net.create(Wanted(
            called, given["subnet"], given["gateway"], given["ip_range"], given["driver"], pairs("--opt", given["opt"]), labels,
            given["ipv6"], given["internal"], not given["disable_dns"],
        ))  # fmt: skip
    print(called)


def _unused(app: App) -> str:
    taken = {row.name for row in app.store.resources.networks()}
    return next(name for number in range(1, len(taken) + 2) if (name := f"kubeplay{number}") not in taken)


@command(
    "rm",
    "Remove networks that no pod uses.",
    argument("NETWORK", "Networks.", many=True, complete="network"),
    flag("-f", "--force", help="Remove the pods on them first; a network that is not there is no error."),
    integer("-t", "--time", help="With --force: end pods after this many seconds instead of their own grace.", metavar="SECONDS"),
)
def rm(app: App, *, network: tuple[str, ...], force: bool, time: int | None) -> None:
    for name in network:
        try:
            app.engine.net.inspect(name)
            if force:
                _remove_pods(app, name, time)
            app.engine.net.remove(name)
        except NotFound:
            if not force:
                raise
            continue
        print(name)


def _remove_pods(app: App, name: str, seconds: int | None) -> None:
    from kubeplay.plan.stack import ObjectKey
    from kubeplay.play.down import down

    keys = [ObjectKey("Pod", row.namespace, row.name) for row in app.store.runtime.pods() if row.uid in app.engine.net.users(name)]
    if keys:
        with app.supervised():
            down(app.engine, keys, timeout=seconds)


@command(
    "prune",
    "Remove all networks that no pod uses, but the default one.",
    flag("-f", "--force", help="Do not ask."),
    many("--filter", dest="filters", help="Only those with label=KEY[=VALUE] (label!=... without), or made before until=TIME.",
         metavar="KEY=VALUE"),
)  # fmt: skip
def prune(app: App, *, force: bool, filters: tuple[str, ...]) -> None:
    from kubeplay.cli.imagefs import agreed
    from kubeplay.engine.net.definitions import DEFAULT

    kinds = Listing(COLUMNS, "Name", {key: FILTERS[key] for key in ("label", "until")})
    chosen = listing.filtered(kinds, [record(app, row) for row in app.store.resources.networks()], filters)
    if not force and not agreed("WARNING! This will remove all networks not used by at least one pod."):
        return
    for one in chosen:
        try:
            if one["Name"] != DEFAULT:
                app.engine.net.remove(one["Name"])
                print(one["Name"])
        except Conflict:  # a pod is on it
            continue
