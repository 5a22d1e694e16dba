"""The table of kinds, held against the official list, and the help for a wrong kind."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from kubeplay.kube import kinds


def _official() -> set[tuple[str, str]]:
    spec = find_spec("kubernetes_validate")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "kubernetes-json-schema" / "v1.36.0-local-strict" / "_definitions.json"
    found = set()
    for entry in json.loads(path.read_text())["$defs"].values():
        groups = entry.get("x-kubernetes-group-version-kind") or []
        # Options belong to many groups at once and are no objects.
        if len(groups) != 1 or "metadata" not in entry.get("properties", {}):
            continue
        group, version, kind = groups[0]["group"], groups[0]["version"], groups[0]["kind"]
        if kind in ("Status", "Scale", "TokenRequest"):
            # An answer and two subresources: nobody creates them from a file.
            continue
        if "alpha" not in version and "beta" not in version and not kind.endswith("List"):
            found.add((f"{group}/{version}" if group else version, kind))
    return found


def test_the_table_is_complete() -> None:
    assert set(kinds.table()) == _official()


def test_every_kind_that_is_taken_is_known_throughout() -> None:
    """It has its fields, a place in the order of storing, rows in the field table."""
    from kubeplay.play import fields, stack

    taken = [kind for kind in kinds.table().values() if kind.support == "slice"]
    assert all(kind.schema and kind.kind in stack.ORDER for kind in taken)
    assert {kind.kind for kind in taken} <= set(fields.KINDS)
    assert {"Pod", "Deployment", "ConfigMap", "Service"} <= {kind.kind for kind in taken}


def test_find() -> None:
    deployment = kinds.find("apps/v1", "Deployment")
    assert deployment is not None
    assert (deployment.group, deployment.version, deployment.plural, deployment.short_names) == ("apps", "v1", "deployments", ("deploy",))
    assert deployment.api_version == "apps/v1" and deployment.namespaced
    assert kinds.find("v1", "Deployment") is None and kinds.find("v1", "pod") is None
    namespace = kinds.find("v1", "Namespace")
    assert namespace is not None and not namespace.namespaced


@pytest.mark.parametrize(
    ("name", "kind"),
    [("deploy", "Deployment"), ("pods", "Pod"), ("Pod", "Pod"), ("pvc", "PersistentVolumeClaim"), ("ingress.networking.k8s.io", "Ingress")],
)
def test_named(name: str, kind: str) -> None:
    found = kinds.named(name)
    assert found is not None and found.kind == kind


@pytest.mark.parametrize(
    ("version", "kind", "hint"),
    [
        ("v1", "pod", "did you mean `kind: Pod`?"),
        ("v1", "Deployment", "Deployment is in `apiVersion: apps/v1`"),
        ("extensions/v1beta1", "Deployment", "no longer served"),
        ("apps/v1", "Deploymnet", "did you mean `kind: Deployment`?"),
        ("v1", "svc", "did you mean `kind: Service`?"),
        ("v1", "DaemonSets", "`kind: DaemonSet` with `apiVersion: apps/v1`"),
        ("example.com/v1", "Widget", "no custom resources"),
        ("v1", "Xyzzy", ""),
    ],
)
def test_hint(version: str, kind: str, hint: str) -> None:
    assert hint in kinds.hint(version, kind) and bool(hint) == bool(kinds.hint(version, kind))
