"""describe: objects in words, as kubectl's describe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import things
from kubeplay.cli.declare import ALL_NAMESPACES, argument, command, flag, text
from kubeplay.kube.kinds import Kind

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]


@command(
    "describe",
    "Show objects in words: what they should be, how they are, and what happened to them.\n\n"
    "    kubeplay describe pod web\n    kubeplay describe pod/web svc/web\n    kubeplay describe pods -l app=web",
    argument("KIND", "Kinds and names, or KIND/NAME; a kind alone means every object of it.", dest="words", many=True, complete="kind"),
    text("-l", "--selector", help="Objects with these labels: app=web,tier!=db,'env in (a, b)'.", metavar="SELECTOR"),
    flag("--show-events", help="Show their events too.", default=True),
    ALL_NAMESPACES,
)
def describe(app: App, *, words: tuple[str, ...], selector: str | None, show_events: bool, all_namespaces: bool) -> None:
    from kubeplay.cli.get import targets
    from kubeplay.kube import selector as selectors

    fits = selectors.labels(selector or "")
    found: list[tuple[Kind, Json]] = []
    for one, name in targets(words):
        bodies = [things.fetched(app, one, name)] if name else things.listed(app, one, app.scope(all_namespaces))
        found += [(one, body) for body in bodies if fits(body["metadata"].get("labels") or {})]
    if not found:
        print(f"No resources found in {app.namespace} namespace." if not all_namespaces else "No resources found", file=sys.stderr)
    sys.stdout.write("\n\n".join(described(app, one, body, show_events) for one, body in found))


def described(app: App, one: Kind, body: Json, show_events: bool = True) -> str:
    """One object in words."""
    from kubeplay.kube.describe import others, pod

    now = app.engine.clock.now()
    events = _events(app, body) if show_events else []
    if one.kind == "Pod":
        return pod.pod(body, events, now)
    if one.kind == "Service":
        return others.service(body, _endpoints(app, body), events, now)
    if one.kind == "ConfigMap":
        return others.config_map(body, events, now)
    if one.kind == "Secret":
        return others.secret(body, events, now)
    return others.anything(body, one.namespaced, events, now)


def _events(app: App, body: Json) -> list[Json]:
    """The object's own, by uid: a pod of the same name that went before is another one."""
    uid = body["metadata"].get("uid")
    return [things.event(one) for one in app.store.events.list(uid=uid)] if uid else []


def _endpoints(app: App, body: Json) -> list[list[str]]:
    from kubeplay.reconcile import services

    meta = body["metadata"]
    for route in services.routes(app.engine):
        if (route.service.namespace, route.service.name) == (meta.get("namespace") or "default", meta["name"]):
            return [[f"{one.ip}:{one.port}" for one in port] for port in route.endpoints]
    return []
