"""pod prune and container prune; init and rename."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import lifecycle as verbs
from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, command, flag, many
from kubeplay.engine.store.runtime import CREATE, RUNNING, STOP, PodRow
from kubeplay.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App

FORCE = flag("-f", "--force", help="Do not ask.")


@command("prune", "Remove pods that have ended or were stopped, and print their ids. Pods of a Deployment or another owner stay.", FORCE)
def pod_prune(app: App, *, force: bool) -> int:
    return _prune(app, "WARNING! This will remove all stopped/exited pods..", force, lambda row, status: True)


@command(
    "prune",
    "Remove containers that have ended, and print their ids.\n\nOnly those that are a pod of their own (`run`, `create`): others go with"
    " their pod, by `pod prune`.",
    FORCE,
    many("--filter", dest="filters", help="until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE].", metavar="KEY=VALUE"),
)
def container_prune(app: App, *, force: bool, filters: tuple[str, ...]) -> int:
    keep = _filtered(app, filters)
    return _prune(app, "WARNING! This will remove all non running containers.", force, lambda row, status: _alone(row) and keep(row), True)


def _prune(app: App, warning: str, force: bool, wanted: Any, containers: bool = False) -> int:
    from kubeplay.cli.imagefs import agreed
    from kubeplay.cli.podstatus import statuses
    from kubeplay.play import lifecycle

    if not force and not agreed(warning):
        return 1
    app.engine.refresh()
    rows = app.store.runtime.pods(app.namespace)
    known = statuses(app, rows)
    ended = [row for row in rows if _ended(app, row, known[row.uid], containers) and wanted(row, known[row.uid])]
    ids = {row.uid: [one.id for one in resolve.newest(app.store.runtime.containers(row.uid)).values()] for row in ended}
    with app.supervised():
        lifecycle.remove_pods(app.engine, [row.uid for row in ended], force=True, timeout=0)
    for row in ended:
        print("\n".join(ids[row.uid]) if containers else row.uid)
    return 0


def _ended(app: App, row: PodRow, status: dict[str, Any], created: bool) -> bool:
    """Nothing of it runs or will run by itself. podman's `container prune` takes those as well that were only created."""
    stored = app.store.objects.by_uid(row.uid)
    if stored is None or stored.owner_uid or stored.deleted is not None:
        return False
    if any(one.state == RUNNING for one in app.store.runtime.containers(row.uid)):
        return False
    return status.get("phase") in ("Succeeded", "Failed") or row.desired == STOP or (created and row.desired == CREATE)


def _alone(row: PodRow) -> bool:
    """`run` and `create` call the pod as its one container."""
    made = resolve.plan(row)
    return [one.name for one in made.containers] == [made.name] and not made.container_prefix


def _filtered(app: App, filters: Sequence[str]) -> Any:
    from kubeplay.cli.moments import moment

    tests: list[Any] = []
    now = app.engine.clock.now()
    for one in filters:
        key, equals, value = one.partition("=")
        if not equals or key not in ("until", "label", "label!"):
            raise InvalidInput(f"--filter {one!r} is not until=TIME, label=KEY[=VALUE] or label!=KEY[=VALUE]")
        tests.append(_older(app, moment(value, now)) if key == "until" else _labelled(value, key == "label"))
    return lambda row: all(test(row) for test in tests)


def _older(app: App, end: float) -> Any:
    return lambda row: _made(app, row) < end


def _labelled(value: str, wanted: bool) -> Any:
    from kubeplay.cli import listing

    return lambda row: listing.label({"Labels": dict(resolve.plan(row).labels)}, value) == wanted


def _made(app: App, row: PodRow) -> float:
    stored = app.store.objects.by_uid(row.uid)
    return stored.created if stored else 0.0


# init
@command("init", "Make containers that were stopped or have ended anew, and do not start them.", verbs.NAMES, verbs.ALL, verbs.LATEST)
def init(app: App, *, name: tuple[str, ...], all: bool, latest: bool) -> int:
    return verbs.each(app, verbs.targets(app, name, all, latest), _init)


def _init(app: App, target: verbs.Target) -> str:
    from kubeplay.play import reshape

    reshape.init(app.engine, target.uid if isinstance(target, PodRow) else target.pod.uid)
    return verbs.label(target)


# rename
@command(
    "rename",
    "Give a container another name, or a pod.\n\nOnly one that is a pod of its own; one of several has its name from the pod's file.",
    argument("CONTAINER", "Container or pod.", dest="old", complete="container"),
    argument("NAME", "The new name."),
)
def rename(app: App, *, old: str, name: str) -> None:
    from kubeplay.cli.podmaking import check_alone
    from kubeplay.cli.run import check_free
    from kubeplay.play import reshape
    from kubeplay.play.imperative import pods, words

    rows = resolve.find_pods(app, old)
    if not rows:
        found = resolve.container(app, old)
        check_alone(app, found)
    row = rows[0] if rows else found.pod
    new = words.name("NAME", name)
    check_free(app, new)
    stored = app.store.objects.by_uid(row.uid)
    if stored is None or stored.owner_uid:
        raise Conflict(f"pod {row.namespace}/{row.name} belongs to another object, which names it")
    whole = pods.renamed(json.loads(stored.body), new)
    plan = resolve.plan(row)
    inner = whole["spec"]["containers"][0]["name"] if len(plan.containers) == 1 else ""
    containers = tuple([one._replace(name=inner) if inner else one for one in plan.containers])
    marks = tuple(sorted((whole["metadata"].get("annotations") or {}).items()))
    made = plan._replace(name=new, containers=containers, annotations=marks, sandbox=_host_name(plan, whole, new))
    with app.supervised():
        reshape.rename(app.engine, row.uid, new, pods.text(whole), made)


def _host_name(plan: Any, whole: dict[str, Any], name: str) -> Any:
    """A pod that says no host name has its own; a container that runs keeps the one it has."""
    from kubeplay.play.compile import dns

    spec = whole["spec"]
    return plan.sandbox if spec.get("hostNetwork") else plan.sandbox._replace(hostname=dns.hostname(spec, name, plan.node_name))
