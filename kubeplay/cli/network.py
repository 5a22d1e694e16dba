"""network ls, inspect, exists, create and rm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import listing
from kubeplay.cli.declare import LISTING, argument, command, flag, many, text
from kubeplay.cli.listing import Column, Listing
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App

COLUMNS = (
    Column("NAME", "Name"), Column("DRIVER", "Driver"), Column("SUBNET", "Subnet"), Column("GATEWAY", "Gateway", True),
    Column("BRIDGE", "Interface", True),
    Column("PODS", "Pods", True),
)  # fmt: skip
LOOK = Listing(COLUMNS, "Name", {"name": listing.contains("Name"), "driver": listing.equals("Driver"), "label": listing.label})


@command("ls", "List networks.", LISTING)
def ls(app: App, **given: Any) -> None:
    listing.show(LOOK, [_record(app, row) for row in app.store.resources.networks()], listing.look(given))


def _record(app: App, row: NetworkRow) -> dict[str, Any]:
    from kubeplay.clock import rfc3339

    return {
        "Name": row.name, "Driver": "bridge", "Subnet": row.subnet, "Gateway": row.gateway, "Interface": row.bridge,
        "Created": rfc3339(row.created),
        "Labels": {}, "Pods": len(app.store.leases.held(f"ip:{row.name}")),
    }  # fmt: skip


def described(app: App, row: NetworkRow) -> dict[str, Any]:
    """A network in the form of `podman network inspect`, with the pods on it."""
    from kubeplay.clock import rfc3339

    pods = {one.uid: one for one in app.store.runtime.pods()}
    held = [lease for lease in app.store.leases.held(f"ip:{row.name}") if lease.holder in pods]
    return {
        "name": row.name, "driver": "bridge", "network_interface": row.bridge, "created": rfc3339(row.created),
        "subnets": [{"subnet": row.subnet, "gateway": row.gateway}], "ipv6_enabled": False, "internal": False, "dns_enabled": True,
        "options": dict(row.options),
        "pods": {f"{pods[one.holder].namespace}/{pods[one.holder].name}": one.key for one in held},
    }  # fmt: skip


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
    "Create a bridge network.",
    argument("NAME", "Name of the network."),
    text("--subnet", help="Its IPv4 subnet in CIDR form; a free one when it is not given.", metavar="CIDR"),
    text("--gateway", help="Address of the bridge; the subnet's first when it is not given.", metavar="IP"),
    text("-d", "--driver", help="Only `bridge`.", default="bridge"),
    many("-o", "--opt", help="An option, KEY=VALUE.", metavar="KEY=VALUE"),
    flag("--ignore", help="A network that is there already is no error."),
)
def create(app: App, *, name: str, subnet: str | None, gateway: str | None, driver: str, opt: tuple[str, ...], ignore: bool) -> None:
    from kubeplay.cli.volume import pairs

    if driver != "bridge":
        raise InvalidInput(f"network driver {driver!r} is not known", hint="the only driver is bridge")
    if not (ignore and app.store.resources.network(name)):
        app.engine.net.create(name, subnet or "", gateway or "", pairs("--opt", opt))
    print(name)


@command(
    "rm",
    "Remove networks that no pod uses.",
    argument("NETWORK", "Networks.", many=True, complete="network"),
    flag("-f", "--force", help="A network that is not there is no error."),
)
def rm(app: App, *, network: tuple[str, ...], force: bool) -> None:
    for name in network:
        try:
            app.engine.net.remove(name)
        except NotFound:
            if not force:
                raise
            continue
        print(name)
