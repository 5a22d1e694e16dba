"""manifest create, add, annotate, inspect, push, remove, rm and exists: lists that name an image for each platform."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import argument, choice, command, flag, many, text
from kubeplay.cli.transfer import QUIET, REGISTRY, SIGNING
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.images.lists import Entry, Lists
    from kubeplay.engine.images.registry.access import Access

LIST = argument("LIST", "The manifest list.", dest="name", complete="image")
_PLATFORM = (
    text("--os", help="Operating system of the image.", metavar="OS"),
    text("--arch", help="Architecture of the image.", metavar="ARCH"),
    text("--variant", help="Variant of the architecture.", metavar="VARIANT"),
    text("--os-version", help="Version of the operating system.", metavar="VERSION"),
    many("--features", help="CPU features the image needs (docker's form only).", metavar="FEATURE"),
    many("--os-features", help="Features of the operating system it needs.", metavar="FEATURE"),
    many("--annotation", help="KEY=VALUE to note with it.", metavar="KEY=VALUE"),
)


@command(
    "create",
    "Make a manifest list, and print its id.",
    LIST,
    argument("IMAGE", "Images to add.", many=True, required=False, complete="image"),
    flag("--all", help="Of an image that is a list: all of its members."),
    flag("-a", "--amend", help="Add to the list when there is one of that name."),
    many("--annotation", help="KEY=VALUE to note in the list.", metavar="KEY=VALUE"),
    REGISTRY,
)
def create(app: App, *, name: str, image: tuple[str, ...], all: bool, amend: bool, annotation: tuple[str, ...], **given: Any) -> None:
    from kubeplay.engine.images.members import find

    access = _access(given)
    found = [member for one in image for member in find(app.engine.images, app.store, one, access, every=all)]
    lists = _lists(app)
    with app.store.write():
        row = lists.create(name, amend=amend, annotations=_pairs(annotation))
        lists.add(row.id, found)
    print(row.id.removeprefix("sha256:"))


@command(
    "add",
    "Add images to a manifest list, and print its id.",
    LIST,
    argument("IMAGE", "Images of this machine or of a registry (docker://...).", many=True, complete="image"),
    flag("--all", help="Of an image that is a list: all of its members."),
    *_PLATFORM,
    REGISTRY,
)
def add(app: App, *, name: str, image: tuple[str, ...], all: bool, **given: Any) -> None:
    from kubeplay.engine.images import platforms
    from kubeplay.engine.images.members import find

    entry, lists = _entry(given), _lists(app)
    lists.get(name)  # told before any registry is asked
    platform = platforms.wanted("", entry.os, entry.arch, entry.variant) if entry.os or entry.arch else None
    access = _access(given)
    found = [member for one in image for member in find(app.engine.images, app.store, one, access, every=all, platform=platform)]
    print(lists.add(name, found, entry).id.removeprefix("sha256:"))


@command(
    "annotate",
    "Change what a manifest list says of a member, and print the list's id.",
    LIST,
    argument("IMAGE", "The member: its digest, or an image; not with --index.", required=False, complete="image"),
    flag("--index", help="Annotate the list itself."),
    *_PLATFORM,
)
def annotate(app: App, *, name: str, image: str | None, index: bool, **given: Any) -> None:
    lists, entry = _lists(app), _entry(given)
    if index == bool(image):
        raise InvalidInput("give either an image of the list or --index")
    if index and any(entry._replace(annotations=())):
        raise InvalidInput("--index takes --annotation only")
    print(lists.annotate(name, _digest(app, image) if image else "", entry).id.removeprefix("sha256:"))


@command("inspect", "Show a manifest list of this machine, or one in a registry, as JSON.", argument("NAME", "The list."), REGISTRY)
def inspect(app: App, *, name: str, **given: Any) -> None:
    import json

    from kubeplay.cli.listing import json_text
    from kubeplay.engine.images.lists import document
    from kubeplay.engine.images.members import raw

    row = _lists(app).find(name)
    data = document(row) if row else raw(app.engine.images, name, _access(given))
    sys.stdout.write(json_text(json.loads(data)) + "\n")


@command("exists", "Say by the exit status whether a manifest list exists (0) or not (1).", LIST)
def exists(app: App, *, name: str) -> int:
    return 0 if _lists(app).find(name) else 1


@command("remove", "Take a member out of a manifest list, and print the list's id.", LIST, argument("DIGEST", "The member's digest."))
def remove(app: App, *, name: str, digest: str) -> None:
    print(_lists(app).take(name, digest).id.removeprefix("sha256:"))


@command("rm", "Remove manifest lists; their images stay.", argument("LIST", "Names or ids.", dest="name", many=True, complete="image"),
         flag("-i", "--ignore", help="A list that is not there is no error."))  # fmt: skip
def rm(app: App, *, name: tuple[str, ...], ignore: bool) -> int:
    from kubeplay.cli.failure import report
    from kubeplay.errors import KubeplayError, NotFound

    status, lists = 0, _lists(app)
    for one in name:
        try:
            row = lists.get(one)
        except KubeplayError as error:
            if not (ignore and isinstance(error, NotFound)):
                report(error)
                status = 1
            continue
        for gone in lists.delete(row):
            print(f"Untagged: {gone}")
        print(f"Deleted: {row.id.removeprefix('sha256:')}")
    return status


@command(
    "push",
    "Push a manifest list and its members to a registry, or write them as an OCI layout.",
    LIST,
    argument("DESTINATION", "A name, or TRANSPORT:...; the list's own name when not given.", required=False),
    flag("--all", help="Push the members too.", default=True),
    choice("--compression-format", choices=("gzip", "zstd"), help="How layers are to be compressed."),
    text("--digestfile", help="Write the digest of what was pushed to this file.", metavar="FILE", complete="file"),
    choice("-f", "--format", choices=("oci", "v2s2"), help="Form of the list; what its members are when not given."),
    flag("--remove-signatures", help="Push no signatures that the images have."),
    flag("--rm", help="Remove the list when it has been pushed."),
    SIGNING,
    QUIET,
    REGISTRY,
)
def push(
    app: App, *, name: str, destination: str | None, digestfile: str | None, quiet: bool, all: bool, rm: bool, **given: Any
) -> None:  # fmt: skip
    from kubeplay.cli.bars import Bars
    from kubeplay.cli.transfer import push_options
    from kubeplay.engine.images import members
    from kubeplay.engine.images.copying import save as saving
    from kubeplay.engine.images.transports import location

    images, row, access = app.engine.images, _lists(app).get(name), _access(given)
    own = images.is_name_of(name, images.names(row.id))
    if not destination and not own:
        raise InvalidInput(f"{name}: is an id, so it does not say where to push to", hint="give a destination")
    place = location.parse(destination or f"docker://{own}")
    options = push_options({**given, "compression_level": None, "force_compression": None, "all": True})
    source = members.ListSource(images, row, access, given["format"] or "")
    with source, Bars(quiet) as bars, saving.sink(place, access, images) as sink:
        digest = members.push(images, source, sink, options, bars, every=all)
    if digestfile:
        with open(digestfile, "w", encoding="utf-8") as file:
            file.write(digest)
    if rm:
        _lists(app).delete(row)


def _lists(app: App) -> Lists:
    from kubeplay.engine.images.lists import Lists

    return Lists(app.store)


def _access(given: dict[str, Any]) -> Access:
    from kubeplay.cli.transfer import access_of

    return access_of(given)


def _digest(app: App, image: str) -> str:
    """The manifest digest of a member that is named by digest, NAME@DIGEST or as an image of this machine."""
    if image.startswith("sha256:"):
        return image
    if "@" in image:
        return image.rpartition("@")[2]
    return app.engine.images.get(image).manifest_digest


def _entry(given: dict[str, Any]) -> Entry:
    from kubeplay.engine.images.lists import Entry

    return Entry(
        given["os"] or "", given["arch"] or "", given["variant"] or "", given["os_version"] or "",
        _words(given["features"]), _words(given["os_features"]), _pairs(given["annotation"]),
    )  # fmt: skip


def _words(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for value in values for word in value.split(",") if word)


def _pairs(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    for value in values:
        if "=" not in value[1:]:
            raise InvalidInput(f"--annotation {value!r} is not KEY=VALUE")
    return tuple((key, text_) for key, _, text_ in (value.partition("=") for value in values))
