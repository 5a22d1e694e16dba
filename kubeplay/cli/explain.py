"""explain: what a kind's fields are, and what becomes of them here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli.declare import OUTSIDE, argument, command, flag, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.kube.explain.render import Support


@command(
    "explain",
    "Describe a kind, or one of its fields: type, default, and what becomes of it here.\n\n"
    "    kubeplay explain pod.spec.containers.livenessProbe\n    kubeplay explain deploy --recursive\n"
    "    kubeplay explain hpa.spec --api-version autoscaling/v1",
    argument("FIELD", "A kind, as pod, or a field of it, as pod.spec.containers.", complete="kind"),
    flag("--recursive", help="Only names and types, of all fields below it too."),
    text("--api-version", help="Version of the kind, where it is in several.", metavar="GROUP/VERSION"),
    text("--output", help="plaintext, the only form.", metavar="FORM"),
    where=OUTSIDE,
)
def explain(app: App, *, field: str, recursive: bool, api_version: str | None, output: str | None) -> None:
    from kubeplay.kube.explain import lookup, render

    if output not in (None, "plaintext"):
        raise InvalidInput(f"--output {output!r} is not known", hint="forms: plaintext")
    found = lookup.find(field, api_version or "")
    sys.stdout.write(render.text(found, support(found.kind.kind), recursive=recursive))


def support(kind: str) -> Support:
    """What the field table says of a path of a kind."""
    from kubeplay.play import fields

    def of(path: tuple[str, ...]) -> str:
        if kind not in fields.KINDS:
            return "" if path else "kubeplay takes no file of this kind."
        row = fields.find(kind, path) if path else None
        if row is None:
            return ""
        if row.support == fields.NOT_SUPPORTED:
            return f"Not supported here: {row.note}." if row.note else "Not supported here."
        if row.support == fields.NO_EFFECT:
            return f"No effect here: {row.note}." if row.note else "No effect here."
        only = f" Here: {', '.join(row.only)} only." if row.only else ""
        return f"Works here: {row.note}.{only}" if row.note and row.path.rstrip("[]{}").endswith(path[-1]) else f"Works here.{only}"

    return of
