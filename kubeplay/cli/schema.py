"""schema export: JSON Schemas for editors."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import OUTSIDE, argument, command, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App

ALL = "all.json"


@command(
    "export",
    "Write the JSON Schemas of the kinds that kubeplay takes, for editors and checkers.\n\n"
    "    kubeplay schema export > kubeplay.schema.json\n    kubeplay schema export deployment\n    kubeplay schema export -o schemas/\n\n"
    "Without KIND it is one schema for files of any kind. A file begins with\n"
    "`# yaml-language-server: $schema=kubeplay.schema.json` to be checked and completed while it is written.",
    argument("KIND", "Only of this kind, as deployment or hpa.", required=False, complete="kind"),
    text("-o", "--output", help="Write a file for each kind into this directory, and all.json for files of any kind.", metavar="DIR",
         complete="file"),
    text("--api-version", help="Version of the kind, where it is in several.", metavar="GROUP/VERSION"),
    where=OUTSIDE,
)  # fmt: skip
def export(app: App, *, kind: str | None, output: str | None, api_version: str | None) -> None:
    from kubeplay.kube import kinds, schema
    from kubeplay.kube.explain import jsonschema, lookup

    records = schema.types()
    taken = [entry for entry in kinds.table().values() if entry.support == "slice" and entry.schema]
    if kind:
        found = lookup.find(kind, api_version or "")
        if found.path:
            raise InvalidInput(f"{kind} is a field", hint=f"name the kind: {found.kind.singular}; kubeplay explain {kind} describes it")
        taken = [found.kind]
    elif api_version:
        raise InvalidInput("--api-version goes with a kind")
    if not output:
        _print(jsonschema.document(taken[0], records, explained=True) if kind else jsonschema.bundle(taken, records))
        return
    os.makedirs(output, exist_ok=True)
    for entry in taken:
        _write(os.path.join(output, jsonschema.file_name(entry)), jsonschema.document(entry, records, explained=True))
    if not kind:
        _write(os.path.join(output, ALL), jsonschema.bundle(taken, records))


def _print(made: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(made, indent=1) + "\n")


def _write(path: str, made: dict[str, Any]) -> None:
    """An earlier export is written over; a symbolic link is not followed."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(json.dumps(made, indent=1) + "\n")
    print(path)
