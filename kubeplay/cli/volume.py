"""volume ls, inspect, rm, create, exists, prune, export and import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import listing
from kubeplay.cli.declare import ALL_NAMESPACES, LISTING, argument, command, flag, many, text
from kubeplay.cli.listing import Column, Listing
from kubeplay.engine.store.resources import VolumeRow
from kubeplay.errors import AlreadyExists, Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App

COLUMNS = (
    Column("DRIVER", "Driver"), Column("VOLUME NAME", "Name"), Column("MOUNTPOINT", "Mountpoint", True),
    Column("CREATED", "CreatedAt", True),
    Column("NAMESPACE", "Namespace", True),
)  # fmt: skip
LOOK = Listing(
    COLUMNS,
    "Name",
    {
        "name": listing.contains("Name"), "label": listing.label, "driver": listing.equals("Driver"),
        "namespace": listing.equals("Namespace"),
        "dangling": lambda r, v: (not r["UsedBy"]) == (v.lower() in ("true", "1")),
    },
)  # fmt: skip


@command("ls", "List volumes.", LISTING, ALL_NAMESPACES)
def ls(app: App, *, all_namespaces: bool, **given: Any) -> None:
    columns = ((Column("NAMESPACE", "Namespace"),) if all_namespaces else ()) + COLUMNS
    rows = app.store.resources.volumes(app.scope(all_namespaces))
    listing.show(LOOK._replace(columns=columns), [described(app, row) for row in rows], listing.look(given))


def described(app: App, row: VolumeRow) -> dict[str, Any]:
    """A volume in the form of `podman volume inspect`, with its namespace and who uses it."""
    from kubeplay.clock import rfc3339

    return {
        "Name": row.name, "Namespace": row.namespace, "Driver": row.driver,
        "Mountpoint": app.engine.volumes.named.path(row.namespace, row.name),
        "CreatedAt": rfc3339(row.created), "Labels": dict(row.labels), "Scope": "local", "Options": dict(row.options),
        "UsedBy": users(app, row.namespace, row.name),
    }  # fmt: skip


def users(app: App, namespace: str, name: str) -> list[str]:
    """Names of the pods that mount the volume."""
    from kubeplay.cli.resolve import plan
    from kubeplay.plan.volumes import Claim

    pods = [plan(row) for row in app.store.runtime.pods(namespace)]
    return [pod.name for pod in pods if any(isinstance(v.source, Claim) and v.source.claim_name == name for v in pod.volumes)]


def find(app: App, name: str) -> VolumeRow:
    namespace, _, last = name.rpartition("/")
    row = app.store.resources.volume(namespace or app.namespace, last)
    if row is None:
        raise NotFound(f"no volume {last!r} in namespace {namespace or app.namespace}")
    return row


@command(
    "inspect",
    "Show everything about volumes, as JSON.",
    argument("VOLUME", "Volumes.", many=True, required=False, complete="volume"),
    flag("-a", "--all", help="Every volume of the namespace."),
    text("-f", "--format", help="A Go template instead."),
)
def inspect(app: App, *, volume: tuple[str, ...], all: bool, format: str | None) -> None:
    from kubeplay.cli.inspection import show

    rows = app.store.resources.volumes(app.namespace) if all else [find(app, name) for name in volume]
    show([described(app, row) for row in rows], format)


@command("exists", "Say by the exit status whether a volume exists (0) or not (1).", argument("VOLUME", "Volume.", complete="volume"))
def exists(app: App, *, volume: str) -> int:
    try:
        find(app, volume)
    except NotFound:
        return 1
    return 0


@command(
    "create",
    "Create a volume.",
    argument("NAME", "Name of the volume, or NAMESPACE/NAME; 64 random digits when it is not given.", required=False),
    text("-d", "--driver", help="Only `local`.", default="local"),
    many("-l", "--label", help="A label, KEY=VALUE.", metavar="KEY=VALUE"),
    many("-o", "--opt", help="An option of the volume, KEY=VALUE: uid, gid.", metavar="KEY=VALUE"),
    flag("--ignore", help="A volume that is there already is no error."),
)
def create(app: App, *, name: str | None, driver: str, label: tuple[str, ...], opt: tuple[str, ...], ignore: bool) -> None:
    import secrets

    if driver != "local":
        raise InvalidInput(f"volume driver {driver!r} is not known", hint="the only driver is local")
    scope, _, last = (name or secrets.token_hex(32)).rpartition("/")
    name = f"{scope}/{last}" if scope else last
    try:
        app.engine.volumes.named.create(scope or app.namespace, last, dict(pairs("--opt", opt)), dict(pairs("--label", label)))
    except AlreadyExists:
        if not ignore:
            raise
    print(name)


def pairs(flag_: str, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """KEY=VALUE arguments."""
    found = []
    for one in given:
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise InvalidInput(f"{flag_} {one!r} is not KEY=VALUE")
        found.append((key, value))
    return tuple(found)


@command(
    "rm",
    "Remove volumes and what is in them.",
    argument("VOLUME", "Volumes.", many=True, required=False, complete="volume"),
    flag("-a", "--all", help="Every volume of the namespace that no pod uses."),
    flag("-f", "--force", help="A volume that is not there is no error."),
)
def rm(app: App, *, volume: tuple[str, ...], all: bool, force: bool) -> None:
    if not volume and not all:
        raise InvalidInput("no volume is named", hint="give names, or --all")
    rows: list[VolumeRow] = []
    if all:
        rows = [row for row in app.store.resources.volumes(app.namespace) if not users(app, row.namespace, row.name)]
    for name in volume:
        try:
            rows.append(find(app, name))
        except NotFound:
            if not force:
                raise
    for row in rows:
        _remove(app, row)
        print(row.name)


def _remove(app: App, row: VolumeRow) -> None:
    using = users(app, row.namespace, row.name)
    if using:
        raise Conflict(f"volume {row.namespace}/{row.name} is used by pod {', '.join(using)}", hint="remove the pod first")
    app.engine.volumes.named.remove(row.namespace, row.name)


@command(
    "prune",
    "Remove volumes that nobody uses, with what is in them.\n\nA volume of a claim is used as long as the claim is there.",
    flag("-f", "--force", help="Do not ask."),
    many("--filter", help="Only volumes with until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE].", metavar="KEY=VALUE", dest="filters"),
)
def prune(app: App, *, force: bool, filters: tuple[str, ...]) -> int:
    from kubeplay.cli.imagefs import agreed

    rows = [row for row in unused(app) if _chosen(app, row, filters)]
    if not force:
        names = "".join(f"        - {row.name}\n" for row in rows)
        if not agreed(f"WARNING! This command removes all volumes that nobody uses, with what is in them:\n{names}"):
            return 1
    for row in rows:
        if row not in unused(app):  # somebody has begun to use it while we asked
            continue
        app.engine.volumes.named.remove(row.namespace, row.name)
        print(row.name)
    return 0


def unused(app: App) -> list[VolumeRow]:
    """Volumes of the namespace that no pod mounts and no claim has."""
    from kubeplay.plan.stack import ObjectKey

    def free(row: VolumeRow) -> bool:
        claimed = app.store.objects.find(ObjectKey("PersistentVolumeClaim", row.namespace, row.name)) is not None
        return not claimed and not users(app, row.namespace, row.name)

    return [row for row in app.store.resources.volumes(app.namespace) if free(row)]


def _chosen(app: App, row: VolumeRow, filters: tuple[str, ...]) -> bool:
    """Whether all filters pick the volume. Raises InvalidInput."""
    from kubeplay.cli.image import moment

    record = {"Labels": dict(row.labels)}
    for one in filters:
        key, equals, value = one.partition("=")
        if key == "until" and equals:
            picked = row.created < moment(value, app.engine.clock.now())
        elif key in ("label", "label!") and equals:
            picked = listing.label(record, value) == (key == "label")
        else:
            raise InvalidInput(f"--filter {one!r} is not until=TIME, label=KEY[=VALUE] or label!=KEY[=VALUE]")
        if not picked:
            return False
    return True


@command(
    "export",
    "Write what is in a volume as a tar archive.",
    argument("VOLUME", "Volume.", complete="volume"),
    text("-o", "--output", help="The file; standard output when it is not given.", metavar="FILE", complete="file"),
)
def export(app: App, *, volume: str, output: str | None) -> None:
    import os
    import sys

    from kubeplay.engine import volume_archive

    row = find(app, volume)
    if output is None and sys.stdout.isatty():
        raise InvalidInput("refusing to write an archive to a terminal", hint="use -o FILE, or redirect standard output")
    path = app.engine.volumes.named.path(row.namespace, row.name)
    if output is None:
        volume_archive.export(path, sys.stdout.buffer)
        return
    try:
        with open(output, "wb", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC | os.O_NOCTTY, 0o600)) as file:
            volume_archive.export(path, file)
    except OSError as error:
        raise InvalidInput(f"{output}: {error.strerror}") from error


@command(
    "import",
    "Unpack a tar archive into a volume, over what is in it.",
    argument("VOLUME", "Volume.", complete="volume"),
    argument("SOURCE", "The archive, packed or plain; `-` or nothing is standard input.", required=False, complete="file"),
)
def import_(app: App, *, volume: str, source: str | None) -> None:
    import os
    import sys

    from kubeplay.engine import volume_archive

    row = find(app, volume)
    path = app.engine.volumes.named.path(row.namespace, row.name)
    if source in (None, "-"):
        if sys.stdin.isatty():
            raise InvalidInput("refusing to read an archive from a terminal", hint="name a file, or redirect standard input")
        volume_archive.unpack(sys.stdin.buffer, path, "the archive on standard input")
        return
    try:
        file = open(source, "rb", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC | os.O_NOCTTY))  # noqa: SIM115
    except OSError as error:
        raise InvalidInput(f"{source}: {error.strerror}") from error
    with file:
        volume_archive.unpack(file, path, source)
