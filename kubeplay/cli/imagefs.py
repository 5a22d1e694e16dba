"""image history, tree, mount, unmount and prune; mount and unmount of containers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing
from kubeplay.cli.declare import LISTING, argument, command, flag, many, text
from kubeplay.cli.listing import Column, Listing, Look
from kubeplay.errors import Forbidden, InvalidInput, KubeplayError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubeplay.cli.app import App
    from kubeplay.engine.store.images import ImageRow



# history
HISTORY = (
    Column("ID", "ID"), Column("CREATED", "Created"), Column("CREATED BY", "CreatedBy"), Column("SIZE", "Size"),
    Column("COMMENT", "Comment"),
)  # fmt: skip
_WIDEST = 45  # letters of CREATED BY that podman shows


@command(
    "history",
    "Show the steps an image was made in, the newest first.",
    argument("IMAGE", "Name or id.", complete="image"),
    text("--format", help="table, json, or a Go template."),
    flag("-H", "--human", help="Sizes and times as people read them.", default=True),
    flag("--no-trunc", help="Print long values in full."),
    flag("-q", "--quiet", help="Print ids only."),
)
def history(app: App, *, image: str, format: str | None, human: bool, no_trunc: bool, quiet: bool) -> None:
    from kubeplay.cli.image import find

    steps = _steps(app, find(app, image))
    if format == "json":
        shown = [{"id": s["id"].removeprefix("sha256:"), "created": s["created"], "CreatedBy": s["by"], "size": s["size"],
                  "comment": s["comment"], "Created": s["created"]} for s in steps]  # fmt: skip
        sys.stdout.write(listing.json_text(shown) + "\n")
        return
    now = app.engine.clock.now()
    records = [_step(one, now, human, no_trunc) for one in steps]
    listing.show(listing.Listing(HISTORY, "ID", {}), records, listing.Look(format=format, quiet=quiet))


def _steps(app: App, row: ImageRow) -> list[dict[str, Any]]:
    """The history entries, newest first; those that made no layer have size 0. Only the newest has an id that is known."""
    from kubeplay.engine.images.family import history as entries_of

    sizes = [app.engine.images.layers.meta(layer).content for layer in row.layers]
    found: list[dict[str, Any]] = []
    for entry in entries_of(row):
        size = sizes.pop(0) if sizes and not entry.get("empty_layer") else 0
        texts = {key: entry.get(key) if isinstance(entry.get(key), str) else "" for key in ("created", "created_by", "comment")}
        found.append({"created": texts["created"], "by": texts["created_by"], "size": size, "comment": texts["comment"]})
    found += [{"created": "", "by": "", "size": size, "comment": ""} for size in sizes]  # layers no entry speaks of
    found = [{"id": "<missing>", "tags": [], **step} for step in reversed(found)]
    if found:
        found[0].update(id=row.id, tags=list(app.engine.images.names(row.id)))
    return found


def _step(step: dict[str, Any], now: float, readable: bool, full: bool) -> dict[str, Any]:
    from kubeplay.engine.images.config import seconds

    identity, by = step["id"].removeprefix("sha256:"), step["by"]
    if not full:
        identity = identity if identity == "<missing>" else human.short(identity)
        by = human.cut(by, _WIDEST)
    since = human.ago(seconds(step["created"]), now) if step["created"] else ""
    return {
        "ID": identity, "Created": since if readable else step["created"], "CreatedBy": by,
        "Size": human.size(step["size"]) if readable else step["size"], "Comment": step["comment"], "CreatedAt": step["created"],
        "CreatedSince": since, "Tags": step["tags"],
    }  # fmt: skip


# tree
@command(
    "tree",
    "Show the layers of an image, and which images end with them.",
    argument("IMAGE", "Name or id.", complete="image"),
    flag("--whatrequires", help="Show every image that is made of this one's layers and more."),
)
def tree(app: App, *, image: str, whatrequires: bool) -> None:
    from kubeplay.cli.disk import short
    from kubeplay.cli.image import find
    from kubeplay.cli.table import printable

    row = find(app, image)
    names = _tops(app)
    print(f"Image ID: {human.short(row.id)}")
    print(f"Tags:     [{' '.join(app.engine.images.names(row.id))}]")
    print(f"Size:     {short(row.size)}")
    print("Image Layers")
    branches = _above(app, row) if whatrequires else _line(row.layers)
    for head, layer in _drawn(branches, ""):
        top = names.get(layer[1], [])
        size = short(app.engine.images.layers.meta(layer[0]).content)
        print(printable(f"{head}ID: {human.short(layer[0])} Size: {size:>7}" + (f" Top Layer of: [{' '.join(top)}]" if top else "")))


Stack = tuple[str, ...]
Branch = dict[str, Any]  # a layer's diff id -> what lies on it


def _line(layers: Stack) -> Branch:
    found: Branch = {}
    for layer in reversed(layers):
        found = {layer: found}
    return found


def _above(app: App, row: ImageRow) -> Branch:
    """The layers of every image that begins with all of `row`'s, as one tree."""
    found: Branch = {}
    for other in app.store.images.list():
        if other.layers[: len(row.layers)] == row.layers:
            at = found
            for layer in other.layers:
                at = at.setdefault(layer, {})
    return found


def _drawn(branch: Branch, prefix: str, below: Stack = ()) -> list[tuple[str, tuple[str, Stack]]]:
    """Lines from the base up. A layer with one layer on it is drawn in one row with it, as podman does."""
    lines: list[tuple[str, tuple[str, Stack]]] = []
    for place, (layer, on_top) in enumerate(branch.items()):
        stack = (*below, layer)
        last = place == len(branch) - 1 and len(on_top) != 1
        lines.append((f"{prefix}{'└── ' if last else '├── '}", (layer, stack)))
        deeper = prefix if len(on_top) <= 1 else prefix + ("    " if last else "│   ")
        lines += _drawn(on_top, deeper, stack)
    return lines


def _tops(app: App) -> dict[Stack, list[str]]:
    """Names by the whole stack of layers: a layer may lie on others in another image."""
    found: dict[Stack, list[str]] = {}
    for row in app.store.images.list():
        found.setdefault(row.layers, []).extend(app.engine.images.names(row.id) or [human.short(row.id)])
    return found


# mount
def _needs_sight(what: str) -> None:
    """A mount that its caller cannot see is of no use (podman's rule, and its words). Raises Forbidden."""
    from kubeplay.engine.rootless import who

    if not who.sees_mounts():
        message = f"cannot run `{what}` as an ordinary user: what it mounts is seen inside the user namespace only"
        raise Forbidden(message, hint=f"run it there: kubeplay unshare, and then kubeplay {what}")


@command(
    "mount",
    "Mount images read-only and print where; without names, list what is mounted.",
    argument("IMAGE", "Names or ids.", many=True, required=False, complete="image"),
    flag("-a", "--all", help="Every image."),
    LISTING,
)
def image_mount(app: App, *, image: tuple[str, ...], all: bool, **given: Any) -> None:
    from kubeplay.cli.image import find
    from kubeplay.engine.images import mounts

    paths = app.engine.paths
    _needs_sight("image mount")
    if image or all:
        rows = [find(app, name) for name in image] if image else app.store.images.list()
        with app.engine.images.layers.reading():
            places = [(row, mounts.mount(paths, row)) for row in rows]
    else:
        found = [(image_id, app.store.images.get(image_id)) for image_id in mounts.mounted(paths)]
        places = [(row, mounts.path(paths, image_id)) for image_id, row in found if row is not None]
    look = listing.look(given)
    names = {row.id: app.engine.images.names(row.id) for row, _ in places}
    shown = [
        {"id": row.id.removeprefix("sha256:"), "Names": [row.manifest_digest], "Repositories": names[row.id], "mountpoint": path,
         "_Name": " ".join(names[row.id]) or _id(row.id.removeprefix("sha256:"), look)}
        for row, path in places
    ]  # fmt: skip
    _show_mounts(shown, look, only=len(image) == 1)


MOUNTS = Listing(
    (Column("ID", "id"), Column("NAMES", "_Name"), Column("MOUNTPOINT", "mountpoint")), "mountpoint",
    {"id": listing.prefix("id"), "name": listing.contains("_Name")},
)  # fmt: skip


def _show_mounts(records: Sequence[dict[str, Any]], look: Look, *, only: bool) -> None:
    """A line each as podman prints them; `only` one that was asked for is shown as its path."""
    if look.format or look.quiet:
        listing.show(MOUNTS, records, look)
        return
    for record in listing.ordered(listing.filtered(MOUNTS, records, look.filters), look.sort):
        print(record["mountpoint"] if only else f"{record['_Name']}  {record['mountpoint']}")


def _id(value: str, look: Look) -> str:
    return value if look.no_trunc else human.short(value)


@command(
    "unmount",
    "Unmount images.",
    argument("IMAGE", "Names or ids.", many=True, required=False, complete="image"),
    flag("-a", "--all", help="Every image that is mounted."),
    flag("-f", "--force", help="However often it was mounted."),
)
def image_unmount(app: App, *, image: tuple[str, ...], all: bool, force: bool) -> int:
    from kubeplay.cli.image import find
    from kubeplay.engine.images import mounts

    paths = app.engine.paths
    _needs_sight("image unmount")
    if not image and not all:
        raise InvalidInput("no image is named", hint="give names or ids, or --all")
    ids = [find(app, name).id for name in image] if image else mounts.mounted(paths)

    def one(image_id: str) -> None:
        try:
            mounts.unmount(paths, image_id, force)
        except NotFound:  # podman: what is not mounted is no error
            return
        print(image_id.removeprefix("sha256:"))

    return _each(ids, one)


@command(
    "mount",
    "Print where the root file systems of containers are mounted; without names, list every container's.\n\n"
    "A container's root file system is mounted from its start until it is removed; volumes are not mounted in it.",
    argument("CONTAINER", "Containers, or pods (with -c).", dest="name", many=True, required=False, complete="container"),
    flag("-a", "--all", help="Every container."),
    LISTING,
    text("-c", "--container", help="Container of the pod that is named.", metavar="NAME", complete="container"),
)
def mount(app: App, *, name: tuple[str, ...], all: bool, container: str | None, **given: Any) -> None:
    from kubeplay.cli.commit import made
    from kubeplay.engine.layers.overlay import is_mounted

    _needs_sight("mount")
    rows = [made(app, one, container)[0] for one in name] if name else app.store.runtime.containers()
    places = [(row, f"{app.engine.paths.bundle(row.id)}/rootfs") for row in rows]
    for row, path in places if name else ():
        if not is_mounted(path):
            raise NotFound(f"container {row.name} has no root file system (it never started, or the machine was started anew since)")
    look = listing.look(given)
    shown = [
        {"id": row.id, "Names": [row.name], "mountpoint": path, "_Name": _id(row.id, look)} for row, path in places if is_mounted(path)
    ]
    _show_mounts(shown, look, only=len(name) == 1 and not all)


@command(
    "unmount",
    "Accept that a container's mount is not needed any more.\n\n"
    "It has no effect on the mount: the root file system stays mounted until the container is removed.",
    argument("CONTAINER", "Containers, or pods (with -c).", dest="name", many=True, required=False, complete="container"),
    flag("-a", "--all", help="Every container."),
    flag("-f", "--force", help="Accepted for podman's sake; without effect for the same reason."),
    text("-c", "--container", help="Container of the pod that is named.", metavar="NAME", complete="container"),
)
def unmount(app: App, *, name: tuple[str, ...], all: bool, force: bool, container: str | None) -> None:
    from kubeplay.cli.commit import made

    if not name and not all:
        raise InvalidInput("no container is named", hint="give names or ids, or --all")
    rows = [made(app, one, container)[0] for one in name] if name else app.store.runtime.containers()
    for row in rows:
        print(row.id)


# prune
@command(
    "prune",
    "Remove images that nothing uses and that have no name; with --all also named ones.",
    flag("-a", "--all", help="Every image that no container uses."),
    flag("-f", "--force", help="Do not ask."),
    flag("--external", help="Accepted for podman's sake: no other program keeps containers here."),
    flag("--build-cache", help="Also what `RUN --mount=type=cache` keeps between builds."),
    many("--filter", dest="filters", help="until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE].", metavar="KEY=VALUE"),
)
def prune(app: App, *, all: bool, force: bool, external: bool, build_cache: bool, filters: tuple[str, ...]) -> int:
    what = "all images without at least one container associated to them" if all else "all dangling images"
    keep = kept_by(app, filters)
    if not force and not agreed(f"WARNING! This command removes {what}."):
        return 1
    for image_id in pruned_images(app, all, keep):
        print(image_id.removeprefix("sha256:"))
    if build_cache:
        prune_build_cache(app)
    return 0


def prune_build_cache(app: App) -> None:
    """Empty the cache mounts that no build uses just now, and give up downloads that nobody goes on with."""
    from kubeplay.engine.build.mounts import prune as empty

    empty(app.engine.paths)
    app.engine.images.blobs.drop_partial()


def pruned_images(app: App, every: bool, keep: Callable[[ImageRow], bool]) -> list[str]:
    from kubeplay.engine.images.removal import Removal

    removal = Removal(app.engine.images, app.store, app.engine.paths)
    app.store.builds.forget(unowned=True)
    gone: list[str] = []
    while found := [row for row in removal.prunable(every, keep) if row.id not in gone]:
        done = removal.prune(found)
        gone += done
        if not done:
            break
    if not gone:
        app.engine.images.collect()  # what crashes left
    return gone


def kept_by(app: App, filters: Sequence[str], known: Sequence[str] = ("until", "label")) -> Callable[[ImageRow], bool]:
    """What the filters let stay. Raises InvalidInput."""
    from kubeplay.cli.image import moment

    now = app.engine.clock.now()
    tests: list[Callable[[ImageRow], bool]] = []
    for one in filters:
        key, equals, value = one.partition("=")
        if not equals or key.rstrip("!") not in known or key == "until!":
            raise InvalidInput(f"--filter {one!r} is not until=TIME, label=KEY[=VALUE] or label!=KEY[=VALUE]")
        tests.append(_older(moment(value, now)) if key == "until" else _labelled(value, key == "label"))
    return lambda row: not all(test(row) for test in tests)


def _older(time: float) -> Callable[[ImageRow], bool]:
    return lambda row: row.created < time


def _labelled(value: str, wanted: bool) -> Callable[[ImageRow], bool]:
    import json

    def test(row: ImageRow) -> bool:
        labels = (json.loads(row.config).get("config") or {}).get("Labels") or {}
        return listing.label({"Labels": labels}, value) == wanted

    return test


def agreed(warning: str) -> bool:
    """Ask, and read the answer from standard input (`yes | kubeplay image prune`). Raises InvalidInput when there is none."""
    print(warning)
    print("Are you sure you want to continue? [y/N] ", end="", flush=True)
    answer = sys.stdin.readline(100)
    if not answer:
        print()
        raise InvalidInput("it asks before it removes, and neither a terminal nor standard input answers", hint="use --force")
    return answer.strip().lower() in ("y", "yes")


def _each(ids: Sequence[str], work: Callable[[str], object]) -> int:
    """Do it for all, tell every failure; the exit status."""
    from kubeplay.cli.failure import report

    status = 0
    for one in ids:
        try:
            work(one)
        except KubeplayError as error:
            report(error)
            status = error.exit_code
    return status
