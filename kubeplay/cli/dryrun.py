"""play kube --dry-run: what would be created, and which references nothing satisfies."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli import table
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.play.change import Comparison


def show(app: App, stack: Stack, form: str) -> None:
    """Print the stack; missing references and images are warnings on stderr."""
    import json

    from kubeplay.cli.objects import redacted

    compared = _compare(app, stack)
    _warn(app, stack, compared)
    bodies = [redacted(json.loads(one.body)) for one in stack.objects if one.owner is None]
    if form == "json":
        body = bodies[0] if len(bodies) == 1 else {"apiVersion": "v1", "kind": "List", "items": bodies}
        sys.stdout.write(json.dumps(body, indent=4, ensure_ascii=False) + "\n")
    elif form == "yaml":
        from kubeplay.kube import write

        sys.stdout.write(write.documents(bodies))
    else:
        rows = [[*one.key, _change(one, compared)] for one in stack.objects]
        sys.stdout.write(table.render(["KIND", "NAMESPACE", "NAME", "CHANGE"], rows))


def _compare(app: App, stack: Stack) -> Comparison:
    """The files against the store; where there is none, everything is new."""
    from kubeplay.play import change

    return change.compare(app.engine, stack) if app.has_store else change.Comparison(stack.objects, frozenset(), ())


def _change(one: PlannedObject, compared: Comparison) -> str:
    if any(found.key == one.key for found in compared.different):
        return "differs"
    return "unchanged" if one.key in compared.same else "create"


def _warn(app: App, stack: Stack, compared: Comparison) -> None:
    for difference in compared.different:
        for line in difference.lines:
            print(f"{difference.key}: {line}", file=sys.stderr)
    new = {one.key for one in compared.new}
    for text in (*_addresses_in_use(app, stack, new), *_ports_in_use(app, stack, new)):
        print(f"Warning: {text}", file=sys.stderr)

    lacking(app, stack)


def lacking(app: App, stack: Stack) -> None:
    """Warn of what pods refer to and nothing provides, and of images that are not here."""
    from kubeplay.play import references

    there = _stored(app) if app.has_store and references.references(stack) else set[ObjectKey]()
    for reference in references.missing(stack, there):
        print(f"Warning: {reference} is neither in the files nor in the store", file=sys.stderr)
    for image in sorted({c.image for pod in stack.pods for c in pod.containers}):
        if not _has_image(app, image):
            print(f"Warning: image {image} is not in local storage", file=sys.stderr)


def _addresses_in_use(app: App, stack: Stack, new: set[ObjectKey]) -> list[str]:
    """Cluster IPs asked for that a play would be refused for; whether they are in the range was seen with the file."""
    from kubeplay.errors import KubeplayError
    from kubeplay.reconcile import services

    asking = [one for one in stack.services if one.cluster_ip and ObjectKey("Service", one.namespace, one.name) in new]
    try:
        if asking and app.has_store:
            services.check(app.engine, asking, ())
    except KubeplayError as error:
        return [error.message]
    return []


def _ports_in_use(app: App, stack: Stack, new: set[ObjectKey]) -> list[str]:
    """Host and node ports that a play would be refused for, as things stand now."""
    from kubeplay.engine.net import claims, ports
    from kubeplay.errors import KubeplayError

    wanted = [
        (f"Pod {pod.namespace}/{pod.name}", ports.key_of(port))
        for pod in stack.pods if ObjectKey("Pod", pod.namespace, pod.name) in new
        for container in pod.containers for port in container.ports if port.host_port
    ]  # fmt: skip
    wanted += [
        (f"Service {service.namespace}/{service.name}", ports.Key(ports.ANY, port.protocol, port.node_port))
        for service in stack.services if ObjectKey("Service", service.namespace, service.name) in new
        for port in service.ports if port.node_port
    ]  # fmt: skip
    found = []
    for who, key in wanted:
        try:
            if app.has_store:
                ports.check_free(app.store, claims.others(app.settings.bridge), key, ports.check_bindable)
            else:
                ports.check_bindable(key)
        except KubeplayError as error:
            found.append(f"{who}: {error.message}")
    return found


def _stored(app: App) -> set[ObjectKey]:
    claims = {ObjectKey("PersistentVolumeClaim", row.namespace, row.name) for row in app.store.resources.volumes()}
    return {one.key for one in app.store.objects.list()} | claims


def _has_image(app: App, image: str) -> bool:
    from kubeplay.errors import InvalidInput

    try:
        return app.has_store and app.engine.images.resolve(image) is not None
    except InvalidInput:  # refused when it is to be used, as on a kubelet
        return False
