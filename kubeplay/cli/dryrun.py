"""play kube --dry-run: what would be created, and which references nothing satisfies."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli import table
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack

if TYPE_CHECKING:
    from kubeplay.cli.app import App


def show(app: App, stack: Stack, form: str) -> None:
    """Print the stack; missing references and images are warnings on stderr."""
    import json

    from kubeplay.cli.objects import redacted

    _warn(app, stack)
    bodies = [redacted(json.loads(one.body)) for one in stack.objects if one.owner is None]
    if form == "json":
        body = bodies[0] if len(bodies) == 1 else {"apiVersion": "v1", "kind": "List", "items": bodies}
        sys.stdout.write(json.dumps(body, indent=4, ensure_ascii=False) + "\n")
    elif form == "yaml":
        from kubeplay.kube import write

        sys.stdout.write(write.documents(bodies))
    else:
        sys.stdout.write(table.render(["KIND", "NAMESPACE", "NAME", "CHANGE"], [[*one.key, _change(app, one)] for one in stack.objects]))


def _change(app: App, one: PlannedObject) -> str:
    found = app.store.objects.find(one.key) if app.has_store else None
    if found is None:
        return "create"
    return "unchanged" if found.body == one.body else "differs"


def _warn(app: App, stack: Stack) -> None:
    from kubeplay.play import references

    there = _stored(app) if app.has_store else set[ObjectKey]()
    for reference in references.missing(stack, there):
        print(f"Warning: {reference} is neither in the files nor in the store", file=sys.stderr)
    for image in sorted({c.image for pod in stack.pods for c in pod.containers}):
        if not _has_image(app, image):
            print(f"Warning: image {image} is not in local storage", file=sys.stderr)


def _stored(app: App) -> set[ObjectKey]:
    claims = {ObjectKey("PersistentVolumeClaim", row.namespace, row.name) for row in app.store.resources.volumes()}
    return {one.key for one in app.store.objects.list()} | claims


def _has_image(app: App, image: str) -> bool:
    from kubeplay.errors import InvalidInput

    try:
        return app.has_store and app.engine.images.resolve(image) is not None
    except InvalidInput:  # refused when it is to be used, as on a kubelet
        return False
