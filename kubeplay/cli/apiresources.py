"""api-resources and api-versions: the kinds, and which of them kubeplay takes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import Option, choice, command, flag, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App

WIDE = "wide"


@command(
    "api-resources",
    "List the kinds of objects: their short names, versions and whether they are in namespaces.\n\nOnly kinds that kubeplay takes, unless"
    " --every is given.",
    text("-o", "--output", help="wide or name.", metavar="FORM", dest="output"),
    text("--api-group", help="Kinds of this group only; '' for the first one.", metavar="GROUP"),
    Option(("--namespaced",), "Only kinds that are in namespaces (true), or that are not (false).", "namespaced", "flag", None),
    flag("--no-headers", help="Leave the table's header out."),
    choice("--sort-by", choices=("name", "kind"), help="Sort by this column."),
    flag("--every", help="Every kind of Kubernetes, those too that are not taken yet."),
)
def api_resources(app: App, *, output: str | None, api_group: str | None, namespaced: bool | None, **given: Any) -> None:
    from kubeplay.cli.get import GAP, NARROWEST
    from kubeplay.cli.table import render
    from kubeplay.kube.kinds import table

    if output not in (None, "wide", "name"):
        raise InvalidInput(f"-o {output!r} is not known", hint="forms: wide, name")
    found = [one for one in table().values() if given["every"] or one.support == "slice"]
    found = [one for one in found if api_group in (None, one.group) and namespaced in (None, one.namespaced)]
    keys = {"name": lambda one: one.plural, "kind": lambda one: one.kind, None: lambda one: (one.group != "", one.api_version, one.plural)}
    found.sort(key=keys[given["sort_by"]])
    if output == "name":
        sys.stdout.write("".join(f"{one.plural}.{one.group}\n" if one.group else f"{one.plural}\n" for one in found))
        return
    wide = ("SUPPORT",) if output == WIDE else ()
    rows = [
        [one.plural, ",".join(one.short_names), one.api_version, str(one.namespaced).lower(), one.kind,
         *(["yes" if one.support == "slice" else "no"] if wide else [])] for one in found
    ]  # fmt: skip
    header = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", *wide]
    sys.stdout.write(render(None if given["no_headers"] else header, rows, GAP, NARROWEST))


@command("api-versions", "List the versions of the kinds that kubeplay takes, as GROUP/VERSION.")
def api_versions(app: App) -> None:
    from kubeplay.kube.kinds import table

    print("\n".join(sorted({one.api_version for one in table().values() if one.support == "slice"})))
