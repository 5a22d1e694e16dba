"""system df and system prune: what the store takes, and making room."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing
from kubeplay.cli.declare import command, flag, many, text
from kubeplay.errors import Conflict, InvalidInput, KubeplayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubeplay.cli.app import App
    from kubeplay.engine.usage import Usage


@command(
    "df",
    "Show how much of the disk images, containers, volumes and builds take.\n\n"
    "A layer counts once, however many images have it; blobs are compressed layers kept from pulls, so that pushing need not pack again.",
    text("--format", help="json, or a Go template such as '{{.Type}} {{.Size}}'."),
    flag("-v", "--verbose", help="Show every image, container and volume."),
)
def df(app: App, *, format: str | None, verbose: bool) -> None:
    from kubeplay.cli.table import render
    from kubeplay.engine.usage import measure

    if format and verbose:
        raise InvalidInput("--format and --verbose do not go together")
    app.engine.refresh()
    usage = measure(app.engine)
    if verbose:
        print(_verbose(app, usage), end="")
        return
    rows = _summary(usage)
    if format == "json":
        sys.stdout.write(listing.json_text(rows) + "\n")
    elif format:
        sys.stdout.write(listing.templated(format, rows))
    else:
        header = ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
        print(render(header, [[r["Type"], str(r["Total"]), str(r["Active"]), r["Size"], r["Reclaimable"]] for r in rows]), end="")


def _summary(usage: Usage) -> list[dict[str, Any]]:
    from kubeplay.engine.usage import is_running

    ended = sum(one.size for one in usage.containers if not is_running(one.row))
    loose = sum(one.size for one in usage.volumes if not one.links)
    return [
        _row("Images", len(usage.images), sum(1 for one in usage.images if one.containers), usage.layers, usage.free_layers),
        _row("Containers", len(usage.containers), sum(1 for one in usage.containers if is_running(one.row)),
             sum(one.size for one in usage.containers), ended),
        _row("Local Volumes", len(usage.volumes), sum(1 for one in usage.volumes if one.links), sum(v.size for v in usage.volumes), loose),
        _row("Blobs", 0, 0, usage.blobs, 0),
        _row("Build Cache", 0, 0, usage.cache, usage.cache),
    ]  # fmt: skip


def _row(kind: str, total: int, active: int, size: int, free: int) -> dict[str, Any]:
    share = round(free * 100 / size) if size else 0
    return {
        "Type": kind, "Total": total, "TotalCount": total, "Active": active, "RawSize": size, "RawReclaimable": free,
        "Size": short(size), "Reclaimable": f"{short(free)} ({share}%)",
    }  # fmt: skip


def short(count: int) -> str:
    """podman: `6.404MB`, four digits and no space."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.4g}{units[0]}"


def _verbose(app: App, usage: Usage) -> str:
    from kubeplay.cli.image import NONE, split_name
    from kubeplay.cli.table import render

    now = app.engine.clock.now()
    names = {one.row.id: app.engine.images.names(one.row.id) or ("",) for one in usage.images}
    images = [
        [*split_name(name), human.short(one.row.id), human.ago(one.row.created, now), short(one.size), short(one.shared), short(one.unique),
         str(one.containers)]
        for one in usage.images for name in names[one.row.id]
    ]  # fmt: skip
    containers = [
        [human.short(one.row.id), one.row.image or NONE, short(one.size), human.ago(one.row.created, now), one.row.state, one.row.name]
        for one in usage.containers
    ]
    volumes = [[f"{one.row.namespace}/{one.row.name}", str(len(one.links)), short(one.size)] for one in usage.volumes]
    return "\n".join(
        (
            "Images space usage:\n",
            render(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"], images),
            "Containers space usage:\n",
            render(["CONTAINER ID", "IMAGE", "SIZE", "CREATED", "STATUS", "NAMES"], containers),
            "Local Volumes space usage:\n",
            render(["VOLUME NAME", "LINKS", "SIZE"], volumes),
        )
    )


@command(
    "prune",
    "Remove what nothing needs: pods that have ended for good, networks without pods, nameless images, what crashes left.\n\n"
    "Pods of a Deployment or another owner stay; so do volumes, unless --volumes is given.",
    flag("-a", "--all", help="Every image that no container uses, not just nameless ones."),
    flag("-f", "--force", help="Do not ask."),
    flag("--volumes", help="Also volumes that no pod uses, with what is in them."),
    flag("--build", help="Also what `RUN --mount=type=cache` keeps between builds, and begun downloads."),
    flag("--external", help="Accepted for podman's sake: no other program keeps containers here.", hidden=True),
    many("--filter", dest="filters", help="until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]; of images.", metavar="KEY=VALUE"),
)
def prune(app: App, *, all: bool, force: bool, volumes: bool, build: bool, external: bool, filters: tuple[str, ...]) -> int:
    from kubeplay.cli import imagefs
    from kubeplay.engine.usage import measure

    keep = imagefs.kept_by(app, filters)
    if not force and not imagefs.agreed(_warning(all, volumes, build)):
        return 1
    app.engine.refresh()
    before = measure(app.engine)
    if not filters:
        _show("Deleted Pods", _pods(app))
        _show("Deleted Networks", _networks(app))
        if volumes:
            _show("Deleted Volumes", _volumes(app))
    _show("Deleted Images", [one.removeprefix("sha256:") for one in imagefs.pruned_images(app, all, keep)])
    if build:
        imagefs.prune_build_cache(app)
    app.engine.collect()
    print(f"Total reclaimed space: {short(max(0, _total(before) - _total(measure(app.engine))))}")
    return 0


def _warning(every: bool, volumes: bool, build: bool) -> str:
    lines = ["pods that have ended", "networks without pods", "all images without a container" if every else "all dangling images"]
    lines += ["all volumes that no pod uses"] * volumes + ["all build caches and begun downloads"] * build
    return "WARNING! This command removes:\n" + "".join(f"        - {line}\n" for line in lines)


def _show(title: str, lines: Sequence[str]) -> None:
    if lines:
        print(title + "".join(f"\n{line}" for line in lines))


def _total(usage: Usage) -> int:
    sizes = (one.size for group in (usage.containers, usage.volumes) for one in group)
    return usage.layers + usage.blobs + usage.cache + sum(sizes)


def _pods(app: App) -> list[str]:
    """Pods that will never run again and that nobody owns; a Succeeded pod that is played again starts anew."""
    from kubeplay.cli.podstatus import statuses
    from kubeplay.plan.stack import ObjectKey
    from kubeplay.play.down import down

    rows = app.store.runtime.pods()
    phases = {uid: status.get("phase") for uid, status in statuses(app, rows).items()}
    ended = [row for row in rows if phases.get(row.uid) in ("Succeeded", "Failed") and not _owned(app, row.uid)]
    if ended:
        with app.supervised():
            down(app.engine, [ObjectKey("Pod", row.namespace, row.name) for row in ended], timeout=0)
    return [row.uid for row in ended]


def _owned(app: App, uid: str) -> bool:
    found = app.store.objects.by_uid(uid)
    return found is not None and bool(found.owner_uid)


def _networks(app: App) -> list[str]:
    def gone() -> Iterator[str]:
        for row in app.engine.net.list():
            if row.name in ("default", "podman"):
                continue
            try:
                app.engine.net.remove(row.name)
                yield row.name
            except Conflict:
                continue

    return list(gone())


def _volumes(app: App) -> list[str]:
    from kubeplay.cli.volume import users

    removed = []
    for row in app.store.resources.volumes():
        if users(app, row.namespace, row.name):
            continue
        try:
            app.engine.volumes.named.remove(row.namespace, row.name)
            removed.append(f"{row.namespace}/{row.name}")
        except KubeplayError as error:
            print(f"volume {row.namespace}/{row.name}: {error.message}", file=sys.stderr)
    return removed
