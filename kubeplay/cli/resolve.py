"""From what a person types to a pod or a container; the one place that knows short names.

A name is taken in the namespace of -n, unless it says `NS/NAME` itself. A container goes by `<pod>-<container>` (podman's name for it), by
`pod/container`, by its pod's name together with -c, or by an id or the start of one; a pod by its name, its uid or the start of it.
Names beat ids; what fits several things is Ambiguous.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import ContainerRow, PodRow, SandboxRow
from kubeplay.errors import Ambiguous, InvalidInput, NotFound
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.pod import PodPlan

TYPES = ("pod", "pods", "po", "pod.v1")  # kubectl's TYPE/NAME
SHORTEST_ID = 3  # fewer digits than this are a slip of the finger, not an id


class Found(Record):
    """A container: its pod, its newest instance (None = not made yet), and its name in the plan."""

    pod: PodRow
    container: ContainerRow | None
    name: str


def pods(app: App, names: Sequence[str], *, all_: bool = False, latest: bool = False) -> list[PodRow]:
    """The pods that are named, or every one of the namespace that was given, or of all."""
    if all_ and app.namespace_given:
        return app.store.runtime.pods(app.namespace)
    if all_:
        from kubeplay.reconcile.system import NAME, NAMESPACE

        # the DNS server is ours: it comes and goes with the pods that need it
        return [row for row in app.store.runtime.pods() if (row.namespace, row.name) != (NAMESPACE, NAME)]
    if not names:
        raise InvalidInput("no pod is named", hint="give names or ids, or --all")
    return [pod(app, name) for name in names]


def pod(app: App, name: str) -> PodRow:
    """The pod called `name`. Raises NotFound, Ambiguous."""
    found = find_pods(app, name)
    if len(found) > 1:
        raise Ambiguous(f"{name!r} fits several pods: " + ", ".join(f"{row.namespace}/{row.name}" for row in found))
    if not found:
        raise NotFound(f"no pod {name!r} in namespace {app.namespace}", hint=_elsewhere(app, name))
    return found[0]


def find_pods(app: App, name: str) -> list[PodRow]:
    """Pods that `name` may mean: by name, else by id."""
    scope, _, last = name.rpartition("/")
    namespace = app.namespace if not scope or scope in TYPES else scope
    row = app.store.runtime.find_pod(namespace, last)
    if row is not None or scope:
        return [row] if row else []
    return _pods_by_id(app, name)


def _pods_by_id(app: App, start: str) -> list[PodRow]:
    if not _is_id(start):
        return []
    rows = [row for row in app.store.runtime.pods() if row.uid.startswith(start) or row.uid.replace("-", "").startswith(start)]
    return rows or [app.store.runtime.pod(s.pod_uid) for s in app.store.runtime.sandboxes() if s.id.startswith(start)][:1]


def _is_id(text: str) -> bool:
    return len(text) >= SHORTEST_ID and all(c in "0123456789abcdef-" for c in text)


def _elsewhere(app: App, name: str) -> str:
    """A pod of that name in another namespace."""
    there = [row.namespace for row in app.store.runtime.pods() if row.name == name]
    return f"there is one in namespace {there[0]}: use -n {there[0]} or {there[0]}/{name}" if there else ""


def plan(row: PodRow) -> PodPlan:
    """The plan of a stored pod."""
    from kubeplay.plan import codec

    made: PodPlan = codec.loads(row.plan)
    return made


def container_name(made: PodPlan, name: str) -> str:
    """The name a container goes by, `<pod>-<container>` unless --no-pod-prefix was given (podman-kube-facts 4.2)."""
    return f"{made.name}-{name}" if made.container_prefix else name


def newest(rows: Iterable[ContainerRow]) -> dict[tuple[str, str], ContainerRow]:
    """The last instance of each container, by (pod uid, name)."""
    found: dict[tuple[str, str], ContainerRow] = {}
    for row in rows:
        before = found.get((row.pod_uid, row.name))
        if before is None or row.attempt >= before.attempt:
            found[row.pod_uid, row.name] = row
    return found


def container(app: App, name: str, only: str | None = None, *, note: bool = True) -> Found:
    """The container called `name`, or the one called `only` (-c) of the pod `name`. Raises NotFound, Ambiguous."""
    if only:
        return _of_pod(app, pod(app, name), only)
    found = _candidates(app, name)
    places = {(one.pod.uid, one.name) for one in found}
    if len(places) > 1:
        raise Ambiguous(
            f"{name!r} fits several containers: " + ", ".join(f"{one.pod.namespace}/{one.pod.name}/{one.name}" for one in found)
        )
    if found:
        return found[0]
    if find_pods(app, name):
        return _default(app, pod(app, name), note)
    raise NotFound(f"no container or pod {name!r} in namespace {app.namespace}", hint=_elsewhere(app, name))


def _candidates(app: App, name: str) -> list[Found]:
    parts = name.split("/")
    if len(parts) > 3:
        raise InvalidInput(f"{name!r} is not [NAMESPACE/][POD/]CONTAINER")
    if len(parts) == 3:
        return _in_pod(app, parts[0], parts[1], parts[2])
    if len(parts) == 2:
        if parts[0] in TYPES:
            return []
        return _by_name(app, parts[0], parts[1]) + _in_pod(app, app.namespace, parts[0], parts[1])
    return _by_name(app, app.namespace, name) or ([] if app.store.runtime.find_pod(app.namespace, name) else _by_id(app, name))


def _by_name(app: App, namespace: str, name: str) -> list[Found]:
    """Containers whose full name is `name`, also those that have not been made yet."""
    found = []
    for row in app.store.runtime.pods(namespace):
        if not name.startswith(row.name) and '"container_prefix":false' not in row.plan:
            continue
        made = plan(row)
        found += [_found(app, row, c.name) for c in made.containers if container_name(made, c.name) == name]
    if any(one.pod.name != name for one in found) and app.store.runtime.find_pod(namespace, name):
        raise Ambiguous(f"{name!r} is a pod and a container", hint=f"use pod/{name}, or {found[0].pod.name}/{found[0].name}")
    return found


def _in_pod(app: App, namespace: str, pod_name: str, name: str) -> list[Found]:
    row = app.store.runtime.find_pod(namespace, pod_name)
    if row is None:
        return []
    return [_found(app, row, c.name) for c in plan(row).containers if c.name == name]


def _by_id(app: App, start: str) -> list[Found]:
    if not _is_id(start):
        return []
    rows = [row for row in app.store.runtime.containers() if row.id.startswith(start)]
    return [Found(app.store.runtime.pod(row.pod_uid), row, row.name) for row in rows]


def _of_pod(app: App, row: PodRow, name: str) -> Found:
    made = plan(row)
    names = [c.name for c in made.containers]
    if name not in names:
        raise NotFound(f"pod {row.name} has no container {name!r}", hint="containers: " + ", ".join(names))
    return _found(app, row, name)


def _default(app: App, row: PodRow, note: bool) -> Found:
    """The container a pod's name alone means: kubectl's rule (the annotation, else the first of the app containers)."""
    made = plan(row)
    names = [c.name for c in made.containers if c.kind == "app"]
    if not names:
        raise NotFound(f"pod {row.namespace}/{row.name} has no containers yet", hint=f"kubeplay run --pod {row.name} IMAGE makes one")
    chosen = dict(made.annotations).get("kubectl.kubernetes.io/default-container", names[0])
    if chosen not in names:
        chosen = names[0]
    if note and len(names) > 1:
        print(f"Defaulted container {chosen!r} out of: {', '.join(names)}", file=sys.stderr)
    return _found(app, row, chosen)


def _found(app: App, row: PodRow, name: str) -> Found:
    return Found(row, newest(app.store.runtime.containers(row.uid)).get((row.uid, name)), name)


def sandbox(app: App, row: PodRow) -> SandboxRow | None:
    """The newest sandbox of a pod."""
    rows = app.store.runtime.sandboxes(row.uid)
    return rows[-1] if rows else None
