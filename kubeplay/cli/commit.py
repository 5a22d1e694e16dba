"""commit, export and diff."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, choice, command, flag, many, text
from kubeplay.cli.execution import CONTAINER
from kubeplay.errors import InvalidInput, NotFound, NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.store.runtime import ContainerRow
    from kubeplay.plan.container import ContainerPlan


def made(app: App, name: str, container: str | None = None) -> tuple[ContainerRow, ContainerPlan]:
    """The newest instance of a container, running or ended, and its plan. Raises NotFound, Ambiguous, NotRunning (not made yet)."""
    app.engine.refresh()
    found = resolve.container(app, name, container)
    if found.container is None:
        raise NotRunning(f"container {found.pod.name}/{found.name} has not been made yet")
    return found.container, next(one for one in resolve.plan(found.pod).containers if one.name == found.name)


@command(
    "commit",
    "Make an image of a container's file system and settings, and print its id.\n\n"
    "Volumes are no part of it. Variables from Secrets, ConfigMaps and other variables stay out, and are told.",
    argument("CONTAINER", "Container, or pod (with --container).", dest="name", complete="container"),
    argument("IMAGE", "Name of the image.", required=False),
    text("-a", "--author", help="Author of the image."),
    many(
        "-c", "--change", help="A Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR."
    ),
    choice("-f", "--format", choices=("oci", "docker"), help="Form of the manifest.", default="oci"),
    text("--iidfile", help="Write the image's id to this file.", metavar="FILE", complete="file"),
    flag("--include-volumes", help="Declare the container's mounts as VOLUMEs of the image."),
    text("-m", "--message", help="Comment of the history entry."),
    flag("-p", "--pause", help="Let the container stand still meanwhile.", default=True),
    flag("-q", "--quiet", help="Print no progress (there is none)."),
    flag("-s", "--squash", help="Make one layer of the image and the changes."),
    text("--container", help="Container of the pod that is named.", metavar="NAME", complete="container"),
)
def commit(
    app: App, *, name: str, image: str | None, author: str | None, change: tuple[str, ...], format: str, iidfile: str | None,
    include_volumes: bool, message: str | None, pause: bool, quiet: bool, squash: bool, container: str | None,
) -> None:  # fmt: skip
    from kubeplay.engine import commit as commits
    from kubeplay.engine.images.commit import Wish, left_out

    row, plan = made(app, name, container)
    wish = Wish(author or "", message or "", change, format, squash, include_volumes)
    image_id = commits.commit(app.engine, row, plan, wish, image or "", pause=pause)
    kept = left_out(plan)
    if kept:
        print(f"commit: not in the image, as they come from elsewhere: {', '.join(kept)}", file=sys.stderr)
    if squash:
        _tell_lacks(app, row)
    if iidfile:
        with open(iidfile, "w", encoding="ascii") as file:
            file.write(image_id)
    print(image_id.removeprefix("sha256:"))


@command(
    "export",
    "Write a container's whole root file system as a tar archive.",
    argument("CONTAINER", "Container, or pod (with -c).", dest="name", complete="container"),
    text("-o", "--output", help="The file; standard output when it is not given.", metavar="FILE", complete="file"),
    CONTAINER,
)
def export(app: App, *, name: str, output: str | None, container: str | None) -> None:
    from kubeplay.engine import export as exports

    if output is None and sys.stdout.isatty():
        raise InvalidInput("refusing to write an archive to a terminal", hint="use -o FILE, or redirect standard output")
    row, _ = made(app, name, container)
    _tell_lacks(app, row)
    try:
        exports.export(app.engine, row, output or "")
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise InvalidInput(f"{output}: {error.strerror}") from error


def _tell_lacks(app: App, row: ContainerRow) -> None:
    """What a tree lacks of its layers is not in what is written anew from it (an ordinary user's layers have no device nodes)."""
    from kubeplay.cli.image import tell_lacks

    if row.image_id:
        tell_lacks(app, row.image_id)


DIFF = (choice("--format", choices=("json",), help="json, instead of lines."), flag("-q", "--quiet", help="Show paths only.", hidden=True))


@command(
    "diff",
    "List what a container changed in its image, or an image in the one below it: A added, C changed, D deleted.",
    argument("NAME", "Container or image.", complete="container"),
    argument("OTHER", "The image or container to compare with, in place of what is below.", required=False, complete="image"),
    *DIFF,
)
def diff(app: App, *, name: str, other: str | None, format: str | None, quiet: bool) -> None:
    _show(app, name, other, format, quiet, ("container", "image"))


@command(
    "diff",
    "List what a container changed in its image.",
    argument("CONTAINER", "Container.", dest="name", complete="container"),
    argument("OTHER", "The container or image to compare with.", required=False, complete="container"),
    *DIFF,
)
def container_diff(app: App, *, name: str, other: str | None, format: str | None, quiet: bool) -> None:
    _show(app, name, other, format, quiet, ("container",))


@command(
    "diff",
    "List what an image's topmost layer changed, or how one image differs from another.",
    argument("IMAGE", "Name or id.", dest="name", complete="image"),
    argument("OTHER", "The image to compare with.", required=False, complete="image"),
    *DIFF,
)
def image_diff(app: App, *, name: str, other: str | None, format: str | None, quiet: bool) -> None:
    _show(app, name, other, format, quiet, ("image",))


def _show(app: App, name: str, other: str | None, form: str | None, quiet: bool, kinds: tuple[str, ...]) -> None:
    from kubeplay.cli.listing import json_text
    from kubeplay.cli.table import printable

    changes = _changes(app, name, other, kinds)
    if form == "json":
        words = {"A": "added", "C": "changed", "D": "deleted"}
        value: dict[str, Any] = {}
        for one in changes:
            value.setdefault(words[one.kind], []).append(one.path)
        sys.stdout.write(json_text(value) + "\n")
        return
    sys.stdout.write("".join(f"{'' if quiet else one.kind + ' '}{printable(one.path)}\n" for one in changes))


def _changes(app: App, name: str, other: str | None, kinds: tuple[str, ...]) -> list[Any]:
    from contextlib import ExitStack

    from kubeplay.engine import difference, views

    with ExitStack() as stack:
        engine = app.engine
        if other is not None:
            trees = [stack.enter_context(_tree(app, one, ("container", "image"))) for one in (other, name)]
            return difference.between(*trees)
        kind, row, plan = _thing(app, name, kinds)
        if kind == "container":
            upper = stack.enter_context(views.upper(engine, row))
            lower = stack.enter_context(views.layers(engine, views.image_layers(engine, row)))
            return difference.of_upper(upper, lower, views.mount_points(plan))
        trees = [stack.enter_context(views.layers(engine, layers)) for layers in (row.layers[:-1], row.layers)]
        return difference.between(*trees)


def _tree(app: App, name: str, kinds: tuple[str, ...]) -> Any:
    from kubeplay.engine import views

    kind, row, _ = _thing(app, name, kinds)
    return views.root(app.engine, row) if kind == "container" else views.layers(app.engine, row.layers)


def _thing(app: App, name: str, kinds: tuple[str, ...]) -> tuple[str, Any, Any]:
    """("container", row, plan) or ("image", row, None)."""
    if "container" in kinds:
        try:
            return ("container", *made(app, name))
        except (NotFound, InvalidInput):
            if "image" not in kinds:
                raise
    from kubeplay.cli.image import find

    return "image", find(app, name), None
