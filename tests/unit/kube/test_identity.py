"""Which objects a file names, whatever else is wrong with it: what `kube down` looks for."""

from __future__ import annotations

import pytest

from kubeplay.kube.identity import identify

HEAD = "apiVersion: v1\nkind: Pod\n"


def named(text: str, **options: str) -> list[tuple[str, str, str]]:
    found = identify([("f.yaml", text.encode())], **options)
    assert not found.faults, found.faults
    return [(one.kind, one.namespace, one.name or f"{one.prefix}*{one.at}") for one in found.found]


@pytest.mark.parametrize(
    "rest",
    [
        "spec: {containers: []}\n",
        "spec: {contaners: [], volumes: {}}\nbogus: [1]\n",
        "spec: 7\n",
        "",
        "spec: {containers: [{name: c, image: i, livenessProbe: {exec: {command: [a]}}}], activeDeadlineSeconds: -1}\n",
    ],
)
def test_an_invalid_object_has_its_identity_all_the_same(rest: str) -> None:
    assert named(f"{HEAD}metadata: {{name: web, labels: 7}}\n{rest}") == [("Pod", "default", "web")]


def test_namespaces_lists_and_drawn_names() -> None:
    text = f"{HEAD}metadata: {{name: a, namespace: other}}\n---\n{HEAD}metadata: {{generateName: b-}}\n---\n"
    text += "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, namespace: ignored}\n---\n"
    text += "apiVersion: v1\nkind: ConfigMapList\nitems: [{metadata: {name: m}}]\n"
    assert named(text, namespace="mine") == [
        ("Pod", "other", "a"), ("Pod", "mine", "b-*1"), ("Namespace", "", "ns"), ("ConfigMap", "mine", "m"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ("kind: Pod\nmetadata: {name: a}\n", "apiVersion"),
        ("apiVersion: v1\nkind: Podd\nmetadata: {name: a}\n", "kind"),
        (HEAD, "metadata"),
        (f"{HEAD}metadata: {{labels: {{}}}}\n", "metadata.name"),
        (f"{HEAD}metadata: {{name: 7}}\n", "metadata.name"),
        (f"{HEAD}metadata: {{name: ../../etc}}\n", "metadata.name"),
        (f"{HEAD}metadata: {{name: a, namespace: b/c}}\n", "metadata.namespace"),
        (f"{HEAD}metadata: {{name: a\n", ""),
    ],
)
def test_a_document_without_an_identity_hides_no_other(document: str, path: str) -> None:
    first, second = f"{HEAD}metadata: {{name: before}}\n---\n{document}", f"{HEAD}metadata: {{name: z}}"
    found = identify([("e.yaml", first.encode()), ("f.yaml", second.encode())])
    assert [one.name for one in found.found] == ["before", "z"]
    ((fault),) = found.faults
    assert (fault.path, fault.source) == (path, "e.yaml") and fault.line >= 4


def test_kinds_that_we_never_run_are_skipped_and_told() -> None:
    found = identify([("f", b"apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: a}\n")])
    assert not found.found and not found.faults
    assert [fault.path for fault in found.skipped] == ["kind"]
