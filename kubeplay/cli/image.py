"""image import, load, ls, rm, inspect, tag, untag and exists."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from os import environ
from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing
from kubeplay.cli.declare import LISTING, argument, command, flag, many, text
from kubeplay.cli.gotemplate import NIL, Struct
from kubeplay.cli.listing import Column, Fields, Listing
from kubeplay.engine.store.images import ImageRow
from kubeplay.errors import Conflict, InvalidInput, KubeplayError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kubeplay.cli.app import App

NONE = "<none>"
COLUMNS = (
    Column("REPOSITORY", "Repository"), Column("TAG", "Tag"), Column("DIGEST", "Digest", True), Column("IMAGE ID", "ID"),
    Column("CREATED", "CreatedSince"), Column("SIZE", "Size"), Column("HISTORY", "History", True),
)  # fmt: skip
SORTS = ("created", "id", "repository", "size", "tag")
_TRUE = ("true", "1", "t", "yes")


def _json(record: Fields) -> Fields:
    from kubeplay.clock import rfc3339

    return {
        "Id": record["_ID"].removeprefix("sha256:"), "ParentId": record["_Parent"](), "RepoTags": None,
        "RepoDigests": repo_digests(record["_Names"], record["Digest"]), "Names": record["_Names"], "Digest": record["Digest"],
        "Created": int(record["_CreatedSince"]),
        "CreatedAt": rfc3339(record["_Created"]), "Size": record["_Size"], "SharedSize": 0, "VirtualSize": record["_Size"],
        "Labels": record["Labels"], "Containers": record["_Containers"],
        "Repository": record["Repository"], "Tag": record["Tag"], "Dangling": not record["_Names"], "History": record["History"],
        "IsManifestList": record["_IsList"],
    }  # fmt: skip


def repo_digests(names: Sequence[str], digest: str) -> list[str]:
    """NAME@DIGEST for every repository of an image."""
    if not digest.startswith("sha256:"):
        return []
    return sorted({f"{split_name(name)[0]}@{digest}" for name in names})


def _reference(record: Fields, value: str) -> bool:
    from fnmatch import fnmatchcase

    names = record["_Names"]
    patterns = (value, f"*/{value}", f"*/{value}:*", f"{value}:*")
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _dangling(record: Fields, value: str) -> bool:
    """podman: nameless, and nothing was made from it."""
    return (not record["_Names"] and not record["_Intermediate"]()) == (value.lower() in _TRUE)


def _until(record: Fields, value: str) -> bool:
    return bool(record["_CreatedSince"] < moment(value, record["_Now"]))


def moment(value: str, now: float) -> float:
    """`until=`: a time (RFC 3339, a date, epoch seconds) or how long ago (10m, 1h30m), in epoch seconds. Raises InvalidInput."""
    from kubeplay.cli import moments

    return moments.moment(value, now)


def listing_of(app: App) -> Listing:
    """What `images` knows to filter by; `before` and `since` name other images."""

    def than(later: bool) -> Callable[[Fields, str], bool]:
        times: dict[str, float] = {}

        def match(record: Fields, value: str) -> bool:
            if value not in times:
                times[value] = find(app, value).created
            created = float(record["_CreatedSince"])
            return created > times[value] if later else created < times[value]

        return match

    def containers(record: Fields, value: str) -> bool:
        if value.lower() == "external":
            return False  # containers of other programs: there are none in this store
        return bool(record["_Containers"]) == (value.lower() in _TRUE)

    filters: dict[str, Callable[[Fields, str], bool]] = {
        "id": lambda r, v: str(r["_ID"])[7:].startswith(v.removeprefix("sha256:")), "reference": _reference,
        "label": listing.label, "dangling": _dangling, "digest": listing.prefix("Digest"), "before": than(False), "since": than(True),
        "after": than(True), "until": _until, "containers": containers,
        "intermediate": lambda r, v: bool(r["_Intermediate"]()) == (v.lower() in _TRUE),
        "readonly": lambda r, v: v.lower() not in _TRUE,  # no image here lies in a store that cannot be written
        "manifest": lambda r, v: bool(r["_IsList"]) == (v.lower() in _TRUE),
    }  # fmt: skip
    return Listing(COLUMNS, "ID", filters, _json)


@command(
    "ls",
    "List images and manifest lists.",
    argument("NAME", "Show images of this name only.", required=False, complete="image"),
    flag("-a", "--all", help="Also nameless images that others were made from."),
    flag("--digests", help="Show digests too."),
    flag("--history", help="Show every name that an image has had."),
    LISTING,
)
def ls(app: App, *, name: str | None, all: bool, digests: bool, history: bool, **given: Any) -> None:
    look = listing.look(given)
    records = _records(app, look.no_trunc)
    if name:
        records = [r for r in records if any(n == name or n.rpartition(":")[0] == name or _reference(r, name) for n in r["_Names"])]
    if not all and not any(one.startswith(("intermediate", "dangling")) for one in look.filters):
        records = [r for r in records if r["_Names"] or not r["_Intermediate"]()]
    kept = listing.filtered(listing_of(app), records, look.filters)
    kept = listing.ordered(kept, look.sort)
    if look.sort and look.sort.lower() == "created":
        kept.reverse()  # podman: the newest first
    if look.quiet:
        kept = list({r["_ID"]: r for r in kept}.values())
    wide = {"Digest": not digests, "History": not history}
    columns = tuple(c._replace(wide=wide.get(c.field, c.wide)) for c in COLUMNS)
    listing.show(listing_of(app)._replace(columns=columns), kept, look._replace(filters=(), sort=None))


def _records(app: App, full: bool) -> list[Fields]:
    names: dict[str, list[str]] = {}
    for name, image_id in app.store.images.names():
        names.setdefault(image_id, []).append(name)
    used: dict[str, int] = {}
    for row in app.store.runtime.containers():
        used[row.image_id] = used.get(row.image_id, 0) + 1
    now = app.engine.clock.now()
    rows = app.store.images.list()
    past = app.store.lists.all_names_history()
    found = [_record(row, name, names.get(row.id, []), used.get(row.id, 0), now, full, rows, past.get(row.id, []))
             for row in (*_lists(app), *rows) for name in rows_of(names.get(row.id, []))]  # fmt: skip
    return sorted(found, key=lambda record: -record["_CreatedSince"])


def rows_of(names: list[str]) -> list[str]:
    """The names that have a line of their own; "" for an image without any. One by digest has none beside a tag of its repository."""
    tagged = {split_name(name)[0] for name in names if "@" not in name}
    return [name for name in names if "@" not in name or split_name(name)[0] not in tagged] or [""]


def _lists(app: App) -> list[ImageRow]:
    """Manifest lists as rows of the listing; they have no layers of their own."""
    made = app.store.lists.all()
    if not made:
        return []
    from kubeplay.engine.images.descriptor import read
    from kubeplay.engine.images.lists import document

    rows = []
    for one in made:
        raw = document(one)
        rows.append(ImageRow(one.id, "", (), len(raw), read(raw).digest, one.created))
    return rows


def _record(
    row: ImageRow, name: str, names: list[str], containers: int, now: float, full: bool, rows: list[ImageRow], past: list[str]
) -> dict[str, Any]:
    import json

    repository, tag = split_name(name)
    config = json.loads(row.config).get("config") or {} if row.config else {}
    return {
        "Repository": repository, "Tag": tag, "ID": row.id if full else human.short(row.id), "_ID": row.id,
        "Id": row.id.removeprefix("sha256:"),
        "CreatedSince": human.ago(row.created, now),
        "_CreatedSince": row.created, "Created": human.ago(row.created, now), "_Created": row.created,
        "CreatedAt": human.moment(row.created),
        "Size": human.size(row.size), "_Size": row.size, "Digest": row.manifest_digest or NONE, "Labels": config.get("Labels") or {},
        "_Names": names, "_Now": now, "_IsList": not row.config,
        "_Containers": containers, "Names": names, "History": past, "Containers": containers, "Dangling": not names, "ReadOnly": False,
        "RepoTags": names, "RepoDigests": repo_digests(names, row.manifest_digest or ""), "VirtualSize": row.size, "SharedSize": 0,
        "IsManifestList": not row.config,
        "_Intermediate": lambda: bool(row.config) and not names and _has_children(row, rows),
        "_Parent": lambda: _parent(row, rows) if row.config else "",
    }  # fmt: skip


def _has_children(row: ImageRow, rows: list[ImageRow]) -> bool:
    from kubeplay.engine.images.family import children

    return bool(children(row, rows))


def _parent(row: ImageRow, rows: list[ImageRow]) -> str:
    from kubeplay.engine.images.family import parent

    found = parent(row, rows)
    return found.id.removeprefix("sha256:") if found else ""


def split_name(name: str) -> tuple[str, str]:
    """Repository and tag as a listing shows them."""
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
    from kubeplay.engine.images.lists import Lists

    return 0 if app.engine.images.exists(image) or Lists(app.store).find(image) else 1


@command(
    "import",
    "Make an image of one layer from a tar archive of a root file system.",
    argument("FILE", "The archive, also compressed, or its URL; - reads standard input.", complete="file"),
    argument("REFERENCE", "Name of the image.", required=False),
    many(
        "-c",
        "--change",
        help="A Dockerfile instruction for the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR.",
    ),
    text("-m", "--message", help="Message of the layer's history entry."),
    text("--os", help="Operating system of the image (linux).", metavar="OS"),
    text("--arch", help="Architecture of the image (this machine's).", metavar="ARCH"),
    text("--variant", help="Variant of the architecture.", metavar="VARIANT"),
    flag("-q", "--quiet", help="Accepted for podman's sake: no progress is printed."),
)
def import_(
    app: App, *, file: str, reference: str | None, change: tuple[str, ...], message: str | None, os: str | None, arch: str | None,
    variant: str | None, quiet: bool,
) -> None:  # fmt: skip
    platform = {"os": os, "architecture": arch, "variant": variant}
    given = {key: value for key, value in platform.items() if value}
    with _fetched(file) as path:
        made = app.engine.images.import_tar(path, reference or "", change, message or f"Imported from {file}", platform=given)
    tell_lacks(app, made)
    print(made)


def tell_lacks(app: App, image_id: str) -> None:
    """Say what of an image's layers could not be made here."""
    lacks = app.engine.images.layers.lacks(app.engine.images.get(image_id).layers)
    if lacks:
        print(f"WARNING: {lacks}", file=sys.stderr)


@contextmanager
def _fetched(file: str) -> Iterator[str]:
    """What a URL names as a file, for as long as it is needed; other names are files."""
    if not file.startswith(("http://", "https://")):
        yield file
        return
    import tempfile

    from kubeplay.engine.build import fetch

    with tempfile.TemporaryDirectory(prefix="kubeplay-", dir=environ.get("TMPDIR", "/var/tmp")) as directory:
        yield fetch.download(file, directory, name="archive")


@command(
    "rm",
    "Remove images and manifest lists, or names of them.\n\nThe exit status is 1 when one was not there, 2 when one is in use.",
    argument("IMAGE", "Names or ids.", many=True, required=False, complete="image"),
    flag("-f", "--force", help="Also when it is mounted or has several names; one that is not there is no error. "
                                "One that containers use stays: remove their pods first."),
    flag("-a", "--all", help="Every image."),
    flag("-i", "--ignore", help="An image that is not there is no error."),
    flag("--no-prune", help="Keep nameless images it was made from."),
)
def rm(app: App, *, image: tuple[str, ...], force: bool, all: bool, ignore: bool, no_prune: bool) -> int:
    from kubeplay.engine.images.removal import Removal

    if not image and not all:
        raise InvalidInput("no image is named", hint="give names or ids, or --all")
    if image and all:
        raise InvalidInput("names and --all do not go together")
    every = [one.id for one in app.store.lists.all()] + [row.id for row in app.store.images.list()]
    wanted = every if all else list(image)
    removal = Removal(app.engine.images, app.store, app.engine.paths)
    status = 0
    for name in wanted:
        try:
            for line in removal.remove(name, force=force or all, prune=not no_prune).lines():
                print(line)
        except NotFound as error:
            if not ignore and not force and not all:  # with --all it went together with another one
                status = max(status, _report(error, 1))  # podman: 1 when an image did not exist
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
    "untag",
    "Take names from an image; all of them when none is given. The image stays.",
    argument("IMAGE", "Name or id.", complete="image"),
    argument("NAME", "Names to take away.", many=True, required=False, complete="image"),
)
def untag(app: App, *, image: str, name: tuple[str, ...]) -> None:
    app.engine.images.untag(image, *name)


@command(
    "inspect",
    "Show everything about images, as JSON.",
    argument("IMAGE", "Names or ids.", many=True, complete="image"),
    text("-f", "--format", help="A Go template instead."),
)
def inspect(app: App, *, image: tuple[str, ...], format: str | None) -> int:
    from kubeplay.cli.inspection import shown

    return shown(lambda name: described(app, find(app, name)), image, format)


# What Go's types have where an image says nothing: scripts ask for {{.Config.WorkingDir}} and compare with "".
_CONFIG: Mapping[str, Any] = {
    "User": "", "WorkingDir": "", "StopSignal": "", "Env": (), "Cmd": (), "Entrypoint": (), "Shell": (), "OnBuild": (), "ExposedPorts": {},
    "Volumes": {}, "Labels": {}, "Healthcheck": NIL, "ArgsEscaped": False,
}  # fmt: skip


def described(app: App, row: ImageRow) -> dict[str, Any]:
    """An image in the form of `podman image inspect`."""
    import json

    from kubeplay.clock import rfc3339

    config = json.loads(row.config)
    inner = config.get("config") or {}
    names = [name for name, _ in app.store.images.names(row.id)]
    kind, annotations = _manifest(app, row)
    found = {
        "Id": row.id.removeprefix("sha256:"), "Digest": row.manifest_digest, "RepoTags": names,
        "RepoDigests": repo_digests(names, row.manifest_digest), "Parent": _parent(row, app.store.images.list()),
        "Comment": config.get("comment", ""), "Created": config.get("created") or rfc3339(row.created),
        "Config": Struct(inner, _CONFIG),
        "Version": config.get("docker_version", ""), "Author": config.get("author", ""), "Architecture": config.get("architecture", ""),
        "Os": config.get("os", ""),
        "Variant": config.get("variant", ""), "Size": row.size, "VirtualSize": row.size,
        "GraphDriver": {"Name": _driver(app), "Data": _directories(app, row)},
        "RootFS": {"Type": "layers", "Layers": list(row.layers)},
        "Labels": inner.get("Labels") or {}, "Annotations": annotations, "ManifestType": kind, "User": inner.get("User") or "",
        "History": config.get("history") or [], "NamesHistory": list(app.store.lists.names_history(row.id)),
    }  # fmt: skip
    if inner.get("Healthcheck"):
        found["Healthcheck"] = found["HealthCheck"] = inner["Healthcheck"]
    if lacking := [{"Layer": layer, **one._asdict()} for layer in row.layers if (one := app.engine.images.layers.lacking(layer))]:
        found["Lacking"] = lacking
    return Struct(found, {"HealthCheck": NIL})


def _manifest(app: App, row: ImageRow) -> tuple[str, dict[str, str]]:
    """Media type and annotations of an image's manifest; nothing when it is missing."""
    from kubeplay.engine.images.descriptor import read

    try:
        found = read(app.engine.images.manifest(row.id))
    except KubeplayError:
        return "", {}
    return found.media_type, dict(found.annotations)


def _driver(app: App) -> str:
    from kubeplay.engine.layers import snapshotter

    return snapshotter.choice(app.engine.paths).driver


def _directories(app: App, row: ImageRow) -> dict[str, str]:
    """The layers' directories in podman's words: the topmost one is `UpperDir`."""
    places = [f"{app.engine.paths.layer(layer)}/fs" for layer in reversed(row.layers)]
    found = {"UpperDir": places[0]} if places else {}
    return {**found, "LowerDir": ":".join(places[1:])} if len(places) > 1 else found
