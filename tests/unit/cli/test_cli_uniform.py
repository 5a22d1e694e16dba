"""Every listing of the command tree takes the same options (issue 2): --format, -q, --filter, --no-trunc."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from kubeplay.cli.clicks import RowCommand, RowGroup, build

WANTED = {"format", "quiet", "filters", "no_trunc"}
# Answers about one thing, or fixed tables: nothing to filter, no names of their own to print.
NO_LISTING = {"inspect", "history", "info", "version", "df", "check", "show", "diff"}
# Where --format is another thing: of the image that is made or sent.
OF_IMAGES = {"build", "commit", "push", "save"}


def _commands(group: RowGroup, path: str, context: click.Context) -> Iterator[tuple[str, RowCommand]]:
    for name in group.list_commands(context):
        child = group.get_command(context, name)
        if isinstance(child, RowGroup):
            yield from _commands(child, f"{path} {name}", context)
        elif isinstance(child, RowCommand):
            yield f"{path} {name}".strip(), child


def _tree() -> dict[str, RowCommand]:
    root = build(lambda command, values, options: 0)
    return dict(_commands(root, "", click.Context(root)))


TREE = _tree()
LISTINGS = [path for path, one in TREE.items() if "format" in {o.dest for o in one.row.options}
            and path.split()[-1] not in NO_LISTING | OF_IMAGES]  # fmt: skip


def test_the_walk_finds_them() -> None:
    assert {"ps", "pod ps", "images", "volume ls", "network ls", "secret ls", "configmap ls", "events", "search", "mount"} <= set(LISTINGS)
    named = [path for path in TREE if path.split()[-1] in ("ls", "ps", "list", "images", "events", "search")]
    assert set(named) <= set(LISTINGS), "a listing without --format"


@pytest.mark.parametrize("path", LISTINGS)
def test_a_listing_takes_them_all(path: str) -> None:
    options = TREE[path].row.options
    assert {option.dest for option in options} >= WANTED
    flags = {flag for option in options for flag in option.flags}
    assert {"-q", "--quiet", "-f", "--filter", "--no-trunc", "--format"} <= flags

