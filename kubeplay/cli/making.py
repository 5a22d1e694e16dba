"""Objects that a command makes by itself (autoscale, expose): through the very door of `play`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.errors import AlreadyExists

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]


def make(app: App, made: Json, verb: str, given: dict[str, Any]) -> str:
    """Play one object; what is said of it. Raises InvalidInput, AlreadyExists."""
    from kubeplay.kube.admission import Known
    from kubeplay.play.compile import CompileOptions
    from kubeplay.play.imperative.door import compiled

    one = things.kind(made["kind"])
    namespaces = frozenset(each.key.name for each in app.store.objects.list("Namespace"))
    known = Known(namespaces, service_range=str(app.engine.net.expected_service_range()))
    stack, warnings = compiled([made], made["metadata"].get("namespace") or "default", known, CompileOptions())
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if app.store.objects.find(choosing.key_of(one, made)) is not None:
        raise AlreadyExists(f"{things.title(one, made['metadata']['name'])} already exists")
    if given.get("dry_run") in (None, "none"):
        from kubeplay.play.up import up

        up(app.engine, stack)
    return choosing.said(one, made, verb, given)
