"""image import, load, ls, rm, inspect, tag and exists."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing
from kubeplay.cli.declare import LISTING, argument, command, flag, many, text
from kubeplay.cli.listing import Column, Fields, Listing
from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import Conflict, InvalidInput, KubeplayError, NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App

NONE = "<none>"
COLUMNS = (
    Column("REPOSITORY", "Repository"), Column("TAG", "Tag"), Column("IMAGE ID", "ID"), Column("CREATED", "CreatedSince"),
    Column("SIZE", "Size"),
    Column("DIGEST", "Digest", True),
)  # fmt: skip


def _json(record: Fields) -> Fields:
    return {
        "Id": record["_ID"].removeprefix("sha256:"), "Names": record["_Names"], "Digest": record["Digest"],
        "Created": int(record["_CreatedSince"]),
        "CreatedAt": record["CreatedAt"], "Size": record["_Size"], "Labels": record["Labels"], "Containers": record["_Containers"],
        "Repository": record["Repository"], "Tag": record["Tag"], "Dangling": not record["_Names"],
    }  # fmt: skip


def _reference(record: Fields, value: str) -> bool:
    from fnmatch import fnmatchcase

    names = record["_Names"]
    return any(fnmatchcase(name, value) or fnmatchcase(name, f"*/{value}") or fnmatchcase(name, f"*/{value}:*") for name in names)


LOOK = Listing(
    COLUMNS,
    "ID",
    {
        "id": lambda r, v: r["_ID"].removeprefix("sha256:").startswith(v.removeprefix("sha256:")), "reference": _reference,
        "label": listing.label,
        "dangling": lambda r, v: (not r["_Names"]) == (v.lower() in ("true", "1")), "digest": listing.prefix("Digest"),
    },
    _json,
)  # fmt: skip


@command(
    "ls",
    "List images.",
    argument("NAME", "Show images of this name only.", required=False, complete="image"),
    flag("-a", "--all", help="Accepted for podman's sake: there are no intermediate images."),
    flag("--digests", help="Show digests too."),
    LISTING,
)
def ls(app: App, *, name: str | None, all: bool, digests: bool, **given: Any) -> None:
    look = listing.look(given)
    records = _records(app, look.no_trunc)
    if name:
        records = [r for r in records if any(n == name or n.rpartition(":")[0] == name or _reference(r, name) for n in r["_Names"])]
    if look.quiet:
        records = list({r["_ID"]: r for r in records}.values())
    columns = tuple(c._replace(wide=c.wide and not digests) for c in COLUMNS)
    listing.show(LOOK._replace(columns=columns), records, look)


def _records(app: App, full: bool) -> list[Fields]:
    names: dict[str, list[str]] = {}
    for name, image_id in app.store.images.names():
        names.setdefault(image_id, []).append(name)
    used: dict[str, int] = {}
    for row in app.store.runtime.containers():
        used[row.image_id] = used.get(row.image_id, 0) + 1
    now = app.engine.clock.now()
    rows = app.store.images.list()
    return [_record(row, name, names.get(row.id, []), used.get(row.id, 0), now, full) for row in rows for name in names.get(row.id, [""])]


def _record(row: ImageRow, name: str, names: list[str], containers: int, now: float, full: bool) -> dict[str, Any]:
    import json

    from kubeplay.clock import rfc3339

    repository, tag = _split(name)
    config = json.loads(row.config).get("config") or {}
    return {
        "Repository": repository, "Tag": tag, "ID": row.id if full else human.short(row.id), "_ID": row.id,
        "CreatedSince": human.ago(row.created, now),
        "_CreatedSince": row.created, "Created": human.ago(row.created, now), "_Created": row.created, "CreatedAt": rfc3339(row.created),
        "Size": human.size(row.size), "_Size": row.size, "Digest": row.manifest_digest or NONE, "Labels": config.get("Labels") or {},
        "_Names": names,
        "_Containers": containers, "Names": names,
    }  # fmt: skip


def _split(name: str) -> tuple[str, str]:
    if not name:
        return NONE, NONE
    plain = name.partition("@")[0]
    repository, colon, tag = plain.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (plain, NONE)


def find(app: App, name: str) -> ImageRow:
    """The image of this name, id, or start of an id. Raises NotFound, Ambiguous."""
    return app.engine.images.get(name)


@command("exists", "Say by the exit status whether an image exists (0) or not (1).", argument("IMAGE", "Name or id.", complete="image"))
def exists(app: App, *, image: str) -> int:
    try:
        find(app, image)
    except NotFound:
        return 1
    return 0


@command(
    "import",
    "Make an image of one layer from a tar archive of a root file system.",
    argument("FILE", "The archive, also compressed; - reads standard input.", complete="file"),
    argument("REFERENCE", "Name of the image.", required=False),
    many(
        "-c",
        "--change",
        help="A Dockerfile instruction for the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR.",
    ),
    text("-m", "--message", help="Message of the layer's history entry."),
    flag("-q", "--quiet", help="Print no progress."),
)
def import_(app: App, *, file: str, reference: str | None, change: tuple[str, ...], message: str | None, quiet: bool) -> None:
    print(app.engine.images.import_tar(file, reference or "", change, message or ""))


@command(
    "load",
    "Load images from an archive (docker save, podman save, an OCI layout) or a directory.",
    argument("ARCHIVE", "The archive; standard input when it is not given.", required=False, complete="file"),
    text("-i", "--input", help="The archive.", complete="file"),
    flag("-q", "--quiet", help="Print names only."),
)
def load(app: App, *, archive: str | None, input: str | None, quiet: bool) -> None:
    path = input or archive or "-"
    if path == "-" and sys.stdin.isatty():
        raise InvalidInput("nothing to load", hint="give an archive: kubeplay load -i FILE")
    for loaded in app.engine.images.load(path):
        print("\n".join((loaded.names or (loaded.image_id,)) if quiet else loaded.lines()))


@command(
    "rm",
    "Remove images, or names of them.",
    argument("IMAGE", "Names or ids.", many=True, required=False, complete="image"),
    flag("-f", "--force", help="Also when containers use it, and whatever its names."),
    flag("-a", "--all", help="Every image."),
    flag("-i", "--ignore", help="An image that is not there is no error."),
)
def rm(app: App, *, image: tuple[str, ...], force: bool, all: bool, ignore: bool) -> int:
    if not image and not all:
        raise InvalidInput("no image is named", hint="give names or ids, or --all")
    wanted = [row.id for row in app.store.images.list()] if all else list(image)
    status = 0
    for name in wanted:
        try:
            print("\n".join(app.engine.images.remove(name, force).lines()))
        except NotFound as error:
            if not ignore:
                status = _report(error, 1)  # podman: 1 when an image did not exist
        except Conflict as error:
            status = _report(error, 2)  # podman: 2 when a container uses it
    return status


def _report(error: KubeplayError, status: int) -> int:
    from kubeplay.cli.failure import report

    report(error)
    return status


@command(
    "tag",
    "Give an image more names.",
    argument("IMAGE", "Name or id.", complete="image"),
    argument("TARGET", "New names.", many=True),
)
def tag(app: App, *, image: str, target: tuple[str, ...]) -> None:
    app.engine.images.tag(image, *target)


@command(
    "inspect",
    "Show everything about images, as JSON.",
    argument("IMAGE", "Names or ids.", many=True, complete="image"),
    text("-f", "--format", help="A Go template instead."),
)
def inspect(app: App, *, image: tuple[str, ...], format: str | None) -> None:
    from kubeplay.cli.inspection import show

    show([described(app, find(app, name)) for name in image], format)


def described(app: App, row: ImageRow) -> dict[str, Any]:
    """An image in the form of `podman image inspect`."""
    import json

    from kubeplay.clock import rfc3339

    config = json.loads(row.config)
    names = [name for name, _ in app.store.images.names(row.id)]
    digests = [f"{name.rpartition(':')[0]}@{row.manifest_digest}" for name in names if row.manifest_digest and "@" not in name]
    return {
        "Id": row.id.removeprefix("sha256:"), "Digest": row.manifest_digest, "RepoTags": names, "RepoDigests": digests, "Parent": "",
        "Comment": config.get("comment", ""), "Created": config.get("created") or rfc3339(row.created),
        "Config": config.get("config") or {},
        "Version": "", "Author": config.get("author", ""), "Architecture": config.get("architecture", ""), "Os": config.get("os", ""),
        "Variant": config.get("variant", ""), "Size": row.size, "VirtualSize": row.size,
        "RootFS": {"Type": "layers", "Layers": list(row.layers)},
        "Labels": (config.get("config") or {}).get("Labels") or {}, "User": (config.get("config") or {}).get("User") or "",
        "History": config.get("history") or [], "NamesHistory": names,
    }  # fmt: skip
