"""kustomize: what a kustomization builds, as text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli.declare import OUTSIDE, argument, command, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.kustomize.build import Built

HELP = """Build the kustomization in a directory, and print its objects.

What is printed is what `kubectl kustomize` prints, in its order. Plugins and remote bases are refused, and files outside of the directories
that are named are not read. `play kube -k DIR` plays the same."""


@command(
    "kustomize",
    HELP,
    argument("DIR", "The directory (default: this one).", dest="directory", required=False, complete="file"),
    text("-o", "--output", help="Write to this file, or into this directory, a file for each object.", metavar="PATH", complete="file"),
    where=OUTSIDE,
)
def kustomize(app: App, *, directory: str | None, output: str | None) -> None:
    import os

    from kubeplay.kustomize.build import build

    built = build(directory or ".")
    if not output:
        sys.stdout.write(built.text())
    elif os.path.isdir(output):
        _split(built, output)
    else:
        _write(output, built.text())


def _split(built: Built, directory: str) -> None:
    """A file for each object, named as kustomize names them: GROUP_VERSION_KIND_NAME.yaml."""
    import os

    from kubeplay.kustomize import text as texts
    from kubeplay.kustomize.model import id_of

    for one in built.objects:
        id = id_of(one.value)
        group = f"{id.group}_" if id.group else ""
        name = f"{id.namespace}_" if id.namespace else ""
        file = f"{name}{group}{id.version}_{id.kind}_{id.name}.yaml".lower()
        if "/" in file or "\0" in file:
            raise InvalidInput(f"{id}: has a name that no file can have")
        _write(os.path.join(directory, file), texts.one(one.value))


def _write(path: str, content: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
