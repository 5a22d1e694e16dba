"""kube push-images: the images that only this machine has, to a registry, and the files that name them there."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import sourcing, transfer
from kubeplay.cli.declare import command, flag, text
from kubeplay.errors import AlreadyExists, InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.cluster.images import Push, Source
    from kubeplay.kube.document import Document

HELP = """Push images that only this machine has, and write files that name them in the registry.

    kubeplay kube push-images --to registry.example/team app.yaml > cluster.yaml
    kubeplay kube push-images --to registry.example/team app.yaml -f cluster.yaml --digests
    kubeplay generate kube deployment/web | kubeplay kube push-images --to registry.example/team -

localhost/web:1 becomes registry.example/team/web:1. The files are written as they were, comments and all, with these names changed."""


@command(
    "push-images",
    HELP,
    sourcing.FILES,
    sourcing.SOURCES,
    text("--to", help="Registry, and a path below it.", metavar="REGISTRY[/PATH]"),
    text("-f", "--filename", help="Write the files to this one, which must not exist.", metavar="FILE", complete="file"),
    flag("--all", help="Push images that came from registries too."),
    flag("--digests", help="Write names with the digest of what was pushed: nodes run that very image."),
    flag("--dry-run", help="Say what would be pushed, and write the files; push nothing."),
    transfer.QUIET,
    transfer.REGISTRY,
)
def push_images(
    app: App, *, files: tuple[str, ...], to: str | None, filename: str | None, all: bool, digests: bool, dry_run: bool, quiet: bool,
    **given: Any,
) -> None:  # fmt: skip
    if not to:
        raise InvalidInput("--to is needed: where the images go", hint="kubeplay kube push-images --to registry.example/team app.yaml")
    if digests and dry_run:
        raise InvalidInput("--digests and --dry-run exclude each other: what is not pushed has no digest")
    if filename and os.path.lexists(filename):
        raise AlreadyExists(f'cannot write to "{filename}"; file exists')
    from kubeplay.cluster import images as moving

    texts = sourcing.texts(files, given)
    documents = _documents(texts)
    found = list(moving.uses(documents))
    pushes, notes = moving.chosen(app.engine.images, found, to, all)
    for line in notes:
        _tell(f"Note: {line}", quiet)
    named = {push.image: push.target for push in pushes}
    moving.rewritten(texts, found, named)  # what cannot be written is not pushed
    for push in pushes:
        _tell(f"{'Would push' if dry_run else 'Pushing'} {push.image} to {push.target}", quiet)
        digest = "" if dry_run else _push(app, push, quiet, given)
        if digests:
            named[push.image] = f"{push.target}@{digest}"
    written, more = moving.rewritten(texts, found, named)
    if not moving.checked(documents, _documents(written), found, named):
        raise InvalidInput("the images cannot be replaced in these files without changing more", hint="write each `image:` on its own line")
    for line in more:
        _tell(f"Note: {line}", quiet)
    _write(written, filename)


def _documents(texts: Sequence[Source]) -> list[Document]:
    """Raises InvalidInput with every fault of every file."""
    from kubeplay.kube import check

    documents, faults = [], []
    for name, data in texts:
        found, wrong = check.objects_of(data, name)
        documents += found
        faults += wrong
    if faults:
        raise InvalidInput(f"invalid: {len(faults)} fault{'s' if len(faults) > 1 else ''}, nothing was pushed", faults)
    return documents


def _push(app: App, push: Push, quiet: bool, given: dict[str, Any]) -> str:
    """Push one image; its digest there."""
    from kubeplay.cli.bars import Bars
    from kubeplay.engine.images.copying import push as pushing
    from kubeplay.engine.images.copying import save as saving
    from kubeplay.engine.images.transports import location

    images = app.engine.images
    place = location.Location(location.DOCKER, "", push.target)
    with Bars(quiet) as bars, saving.sink(place, transfer.access_of(given), images) as sink:
        return pushing.push(images, push.id, sink, pushing.PushOptions(), bars)


def _write(written: Sequence[Source], filename: str | None) -> None:
    """All files as one: each ends in a line end, and is parted from the next."""
    parts = [data if data.endswith(b"\n") else data + b"\n" for _, data in written]
    whole = b"".join(part if not at or part.startswith(b"---") else b"---\n" + part for at, part in enumerate(parts))
    if not filename:
        sys.stdout.buffer.write(whole)
        return
    fd = os.open(filename, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with open(fd, "wb") as file:
        file.write(whole)


def _tell(line: str, quiet: bool) -> None:
    if not quiet:
        print(line, file=sys.stderr, flush=True)
