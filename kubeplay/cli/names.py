"""The names shell completion offers; a broken store offers none."""

from __future__ import annotations

import os
from typing import Any


def names(what: str, options: dict[str, Any]) -> list[str]:
    """Names of one sort: kind, pod, container, image, volume, network, namespace, secret, configmap."""
    if what == "kind":
        return sorted(set(_kinds()))
    from kubeplay.cli.app import App
    from kubeplay.cli.entry import enter

    try:
        enter("inside")
        known = ("root", "runroot", "namespace")
        app = App({k: v for k, v in options.items() if k in known})
        if not os.path.exists(f"{app.settings.root}/state.db"):
            return []
        return sorted(set(_names(app, what)))
    except Exception:  # completion must never print an error into the line being typed
        return []


def _kinds() -> list[str]:
    from kubeplay.kube.kinds import table

    return ["all", *(kind.plural for kind in table().values() if kind.support == "slice" or kind.kind == "Event")]


def _names(app: Any, what: str) -> list[str]:
    store = app.store
    if what in ("pod", "container"):
        from kubeplay.cli.resolve import container_name, plan

        pods = store.runtime.pods(app.namespace)
        found = [row.name for row in pods]
        if what == "container":
            found += [container_name(made, c.name) for made in map(plan, pods) for c in made.containers]
        return found
    if what == "image":
        return [name for name, _ in store.images.names()]
    if what == "volume":
        return [row.name for row in store.resources.volumes(app.namespace)]
    if what == "network":
        return [row.name for row in store.resources.networks()]
    if what == "namespace":
        return ["default", *(row.namespace for row in store.runtime.pods())]
    return [one.key.name for one in store.objects.list({"secret": "Secret", "configmap": "ConfigMap"}[what], app.namespace)]
