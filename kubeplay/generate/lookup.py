"""From names to stored objects: the only part of generate that looks into the store.

A name is a pod, a workload, a container (`<pod>-<container>`, `pod/container` or an id), a claim or a volume; `KIND/NAME`
says which. `NS/NAME` is taken in that namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.errors import Ambiguous, InvalidInput, NotFound
from kubeplay.generate.documents import generate, loaded
from kubeplay.generate.options import GenerateOptions, Volume, Wanted
from kubeplay.generate.write import to_yaml
from kubeplay.kube import notes
from kubeplay.plan.stack import CLUSTER_WIDE, ObjectKey

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store

Object = dict[str, Any]
SHORTEST_ID = 3
# A pod and its Deployment may have one name; then the name alone is ambiguous.
_WHOLE = ("Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob")
_PARTS = ("PersistentVolumeClaim",)


def stored(store: Store) -> Callable[[ObjectKey], Object | None]:
    """What `generate` asks for the objects that pods refer to."""

    def get(key: ObjectKey) -> Object | None:
        found = store.objects.find(key)
        return loaded(found.body) if found else None

    return get


def find(store: Store, names: Sequence[str], namespace: str = "default") -> Wanted:
    """What the names stand for. Raises NotFound, Ambiguous, InvalidInput."""
    if not names:
        raise InvalidInput("nothing is named", hint="give pods, containers, volumes, or KIND/NAME such as deployment/web; or --all")
    wanted = Wanted()
    for name in names:
        wanted = _add(wanted, _one(store, name, namespace))
    return as_written(store, wanted)


def as_written(store: Store, wanted: Wanted) -> Wanted:
    """With what only the files can tell: whose notes and how many replicas are the author's."""
    from kubeplay.generate import autoscaled

    return autoscaled.written(store, noted(store, wanted))


def noted(store: Store, wanted: Wanted) -> Wanted:
    """With the pods whose own files have the notes that `run` makes: there they are the author's words."""
    from kubeplay.engine.store.applied import Applied

    found = set()
    for obj in wanted.objects:
        if obj["kind"] == "Pod" and any(note in (obj["metadata"].get("annotations") or {}) for note in notes.NOTES):
            key = ObjectKey("Pod", obj["metadata"].get("namespace") or "default", obj["metadata"]["name"])
            row = store.objects.find(key)
            if row is not None and any(note in Applied(store).given(row.uid) for note in notes.NOTES):
                found.add(key)
    return wanted._replace(noted=wanted.noted | found)


def text(store: Store, names: Sequence[str], namespace: str = "default", options: GenerateOptions = GenerateOptions()) -> str:  # noqa: B008
    """The YAML file of what is named: all that `generate kube` prints. Raises NotFound, Ambiguous, InvalidInput."""
    return to_yaml(generate(find(store, names, namespace), stored(store), options))


def _add(left: Wanted, right: Wanted) -> Wanted:
    return Wanted(left.objects + right.objects, left.containers + right.containers, left.volumes + right.volumes)


def _one(store: Store, name: str, namespace: str) -> Wanted:
    scope, _, last = name.rpartition("/")
    kind = _kind(scope)
    if kind:
        return _of_kind(store, kind, last, namespace)
    found = _named(store, last, scope or namespace)
    if scope and not found:  # pod/container
        found = _containers(store, scope, last, namespace)
    if not found and not scope:
        found = _by_id(store, name)
    if len(found) > 1:
        raise Ambiguous(f"{name!r} fits several things: " + ", ".join(label for label, _ in found), hint="say which: KIND/NAME")
    if not found:
        raise NotFound(f'name or ID "{name}" not found in namespace {scope or namespace}')
    return found[0][1]


def _kind(text: str) -> str:
    from kubeplay.kube import kinds

    kind = kinds.named(text) if text and "/" not in text else None
    return kind.kind if kind else "Volume" if text in ("volume", "vol") else ""


def _of_kind(store: Store, kind: str, name: str, namespace: str) -> Wanted:
    if kind == "Volume":
        found = _volumes(store, name, namespace)
        if found:
            return found[0][1]
        raise NotFound(f"no volume {name} in namespace {namespace}")
    key = ObjectKey(kind, "" if kind in CLUSTER_WIDE else namespace, name)
    row = store.objects.find(key)
    if row is None:
        raise NotFound(f"{key} not found")
    return Wanted(objects=(loaded(row.body),))


def _named(store: Store, name: str, namespace: str) -> list[tuple[str, Wanted]]:
    """Everything that goes by a plain name: whole objects first, then containers, then claims and volumes."""
    found = _objects(store, _WHOLE, name, namespace)
    found = found or _containers_by_name(store, name, namespace)
    found = found or _objects(store, _PARTS, name, namespace)
    return found or _volumes(store, name, namespace)


def _objects(store: Store, kinds: Sequence[str], name: str, namespace: str) -> list[tuple[str, Wanted]]:
    rows = [store.objects.find(ObjectKey(kind, namespace, name)) for kind in kinds]
    return [(f"{row.key.kind.lower()}/{name}", Wanted(objects=(loaded(row.body),))) for row in rows if row is not None]


def _volumes(store: Store, name: str, namespace: str) -> list[tuple[str, Wanted]]:
    row = store.resources.volume(namespace, name)
    if row is None:
        return []
    return [(f"volume/{name}", Wanted(volumes=(Volume(namespace, name, tuple(sorted(row.options))),)))]


def _pods(store: Store, namespace: str) -> list[Object]:
    return [loaded(row.body) for row in store.objects.list("Pod", namespace)]


def _containers_by_name(store: Store, name: str, namespace: str) -> list[tuple[str, Wanted]]:
    found = []
    for pod in _pods(store, namespace):
        own = pod["metadata"]["name"]
        if name.startswith(f"{own}-"):
            found += _container(pod, name[len(own) + 1 :])
        elif (pod["metadata"].get("annotations") or {}).get("kubeplay.io/container-prefix") == "false":
            found += _container(pod, name)
    return found


def _containers(store: Store, pod: str, container: str, namespace: str) -> list[tuple[str, Wanted]]:
    row = store.objects.find(ObjectKey("Pod", namespace, pod))
    return _container(loaded(row.body), container) if row else []


def _container(pod: Object, name: str) -> list[tuple[str, Wanted]]:
    spec = pod["spec"]
    if all(container["name"] != name for container in [*(spec.get("initContainers") or []), *spec["containers"]]):
        return []
    return [(f"{pod['metadata']['name']}/{name}", Wanted(containers=((pod, name),)))]


def _by_id(store: Store, start: str) -> list[tuple[str, Wanted]]:
    """Pods by uid and containers by id, from their beginning."""
    if len(start) < SHORTEST_ID or not set(start) <= set("0123456789abcdef-"):
        return []
    pods = {row.uid: loaded(row.body) for row in store.objects.list("Pod")}
    found = [(f"pod {uid}", Wanted(objects=(pod,))) for uid, pod in pods.items() if uid.startswith(start)]
    seen: dict[tuple[str, str], tuple[str, Wanted]] = {}
    for row in store.runtime.containers():
        if row.id.startswith(start) and row.pod_uid in pods:
            for one in _container(pods[row.pod_uid], row.name):
                seen[row.pod_uid, row.name] = one
    return found + list(seen.values())
