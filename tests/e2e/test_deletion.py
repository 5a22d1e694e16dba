"""Deletion of owners and namespaces with real pods (TE6): dependants follow, wait for each other, or stay."""

from __future__ import annotations

import pytest

from kubeplay import supervisor
from kubeplay.errors import Forbidden
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import deletion
from tests.support.root import Root

pytestmark = pytest.mark.root


def replica_set(name: str, namespace: str = "default") -> str:
    return f"""
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"]}}]
"""


def key(name: str, namespace: str = "default", kind: str = "ReplicaSet") -> ObjectKey:
    return ObjectKey(kind, namespace, name)


def _pods(root: Root, namespace: str = "default") -> list[str]:
    return [row.name for row in root.engine.store.runtime.pods(namespace)]


@pytest.mark.parametrize("cascade", [deletion.BACKGROUND, deletion.FOREGROUND])
def test_te6_nobody_has_to_wait(root: Root, cascade: str) -> None:
    root.play(replica_set("web"))
    root.wait(lambda: not root.supervisors())  # one that is still there may be done with everything before we look
    deletion.delete(root.engine, [key("web")], cascade=cascade, wait=False)
    gone_at_once = root.engine.store.objects.find(key("web")) is None
    assert gone_at_once == (cascade == deletion.BACKGROUND)
    supervisor.ensure(root.engine)
    root.wait(lambda: not _pods(root) and root.engine.store.objects.find(key("web")) is None)
    root.wait(lambda: not root.leaks())


def test_te6_orphans_stay(root: Root) -> None:
    root.play(replica_set("web"))
    before = _pods(root)
    deletion.delete(root.engine, [key("web")], cascade=deletion.ORPHAN)
    supervisor.ensure(root.engine)
    assert root.engine.store.objects.find(key("web")) is None and _pods(root) == before
    deletion.delete(root.engine, [key(name, kind="Pod") for name in before], grace=0)
    assert not _pods(root)


def test_a_namespace_goes_with_its_content(root: Root) -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: team}\ndata: {a: b}\n---\n"
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n---\n"
    root.play(namespace + config + replica_set("web", "team") + "---\n" + replica_set("web"))
    assert len(_pods(root, "team")) == len(_pods(root)) == 2, "the same names live side by side"
    deletion.delete(root.engine, [key("team", "", "Namespace")])
    assert not root.engine.store.objects.list(namespace="team") and not _pods(root, "team")
    assert root.engine.store.objects.find(key("team", "", "Namespace")) is None
    assert len(_pods(root)) == 2
    with pytest.raises(Forbidden, match="may not be deleted"):
        deletion.delete(root.engine, [key("default", "", "Namespace")])
    deletion.delete(root.engine, [key("web")])
    assert not root.leaks()
