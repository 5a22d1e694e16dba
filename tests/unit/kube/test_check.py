"""The whole way in: order of the layers, all faults at once, lists, namespaces, kinds we do not have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.errors import InvalidInput
from kubeplay.kube import check
from kubeplay.kube.admission import Known

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: x}]}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def faults(text: str, **options: object) -> list[tuple[int, str, str]]:
    found = check.inspect(text.encode(), "f.yaml", **options).faults  # type: ignore[arg-type]
    return [(fault.line, fault.path, fault.reason) for fault in found]


def pod(spec: str, metadata: str = "name: p") -> str:
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{{metadata}}}\nspec:\n  containers: [{{name: a, image: x}}]\n  {spec}\n"


def test_manifests() -> None:
    manifests = check.read(POD.encode(), "f.yaml", namespace="ns")
    assert len(manifests) == 1
    manifest = manifests[0]
    assert (manifest.kind.kind, manifest.object["metadata"]) == ("Pod", {"name": "p", "namespace": "ns"})
    assert manifest.object["spec"]["restartPolicy"] == "Always"
    assert "restartPolicy" not in manifest.document.value["spec"], "the document is not changed"


def test_all_faults_of_all_documents() -> None:
    text = "---\n".join(
        [
            "a: [\n",
            CONFIG % "Not_OK" + "dat: {}\n",
            POD.replace("name: a", "nam: a"),
            "kind: Pod\n",
            "apiVersion: coordination.k8s.io/v1\nkind: Lease\n",
            CONFIG % "good",
        ]
    )
    assert faults(text) == [
        (2, "", "YAML"),
        (6, "dat", "FieldValueUnknown"),
        (11, "spec.containers[0].nam", "FieldValueUnknown"),
        (13, "apiVersion", "FieldValueRequired"),
        (16, "kind", "NotSupported"),
    ]
    with pytest.raises(InvalidInput) as caught:
        check.read(text.encode(), "f.yaml")
    assert str(caught.value).startswith("f.yaml: 5 faults\n") and "f.yaml:6:1: dat: unknown field" in str(caught.value)


@pytest.mark.parametrize("text", ["", "# c\n", "---\n---\n", "null\n", "apiVersion: v1\nkind: List\nitems: []\n"])
def test_nothing_to_do_is_an_error(text: str) -> None:
    assert faults(text) == [(1, "", "FieldValueRequired")]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kind: Pod\n", (1, "apiVersion", "FieldValueRequired")),
        ("apiVersion: v1\n", (1, "kind", "FieldValueRequired")),
        ("apiVersion: 1\nkind: Pod\n", (1, "apiVersion", "FieldValueTypeInvalid")),
        ("apiVersion: v1\nkind: [Pod]\n", (2, "kind", "FieldValueTypeInvalid")),
        ("apiVersion: v1\nkind: pod\n", (2, "kind", "FieldValueInvalid")),
        ("apiVersion: v1\nkind: Deployment\n", (1, "apiVersion", "FieldValueInvalid")),
        ("apiVersion: coordination.k8s.io/v1\nkind: Lease\n", (2, "kind", "NotSupported")),
        ("- apiVersion: v1\n  kind: Pod\n", (1, "", "FieldValueTypeInvalid")),
    ],
)
def test_kinds(text: str, fault: tuple[int, str, str]) -> None:
    assert faults(text) == [fault]


def test_a_file_of_later_kinds_says_not_supported() -> None:
    with pytest.raises(InvalidInput, match="not supported"):
        check.read(b"apiVersion: coordination.k8s.io/v1\nkind: Lease\n", "f.yaml")


def test_layers_hide_later_ones() -> None:
    # type > unknown > admission > validation
    assert faults(pod("priority: x\n  foo: 1\n  serviceAccountName: nosuch", "name: P_")) == [(6, "spec.priority", "FieldValueTypeInvalid")]
    assert faults(pod("foo: 1\n  serviceAccountName: nosuch", "name: P_")) == [(6, "spec.foo", "FieldValueUnknown")]
    assert faults(pod("serviceAccountName: nosuch", "name: P_")) == [(6, "spec.serviceAccountName", "Forbidden")]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("serviceAccountName: nosuch", "spec.serviceAccountName"),
        ("serviceAccount: nosuch", "spec.serviceAccount"),
        ("priorityClassName: nosuch", "spec.priorityClassName"),
        ("priority: 5", "spec.priority"),
        ("runtimeClassName: nosuch", "spec.runtimeClassName"),
        ("overhead: {cpu: 1}", "spec.overhead"),
    ],
)
def test_admission_of_pods(spec: str, path: str) -> None:
    assert [fault[1:] for fault in faults(pod(spec))] == [(path, "Forbidden")]


@pytest.mark.parametrize(
    "spec",
    ["priority: 0", "serviceAccountName: default", "priorityClassName: system-node-critical\n  priority: 2000001000", "overhead: {}"],
)
def test_admission_lets_pass(spec: str) -> None:
    assert faults(pod(spec)) == []


def test_admission_does_not_look_into_templates() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n"
    text += "    metadata: {labels: {a: b}}\n    spec: {serviceAccountName: nosuch, containers: [{name: a, image: x}]}\n"
    assert faults(text) == []


def test_namespaces() -> None:
    text = CONFIG % "a, namespace: other"
    assert faults(text) == [(3, "metadata.namespace", "NotFound")]
    assert faults(text, namespace="other") == []
    assert faults(text, known=Known(namespaces=frozenset(["other"]))) == []
    assert faults(text, known=Known(any_namespace=True)) == []
    assert faults(text + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n") == []
    assert faults(CONFIG % "a, namespace: kube-system") == []


def test_what_a_create_drops() -> None:
    text = CONFIG % "a, resourceVersion: '5', uid: x, creationTimestamp: 2024-01-31T10:00:00Z"
    text += "---\n" + POD + "status: {phase: Running}\n"
    config, running = check.read(text.encode(), "f")
    assert config.object["metadata"] == {"name": "a", "namespace": "default"}
    assert "status" not in running.object


def test_modes() -> None:
    text = CONFIG % "a" + "foo: 1\n"
    manifest = check.read(text.encode(), "f", mode="warn")[0]
    assert len(manifest.warnings) == 1 and "f:4:1: foo: unknown field" in manifest.warnings[0]
    assert check.read(text.encode(), "f", mode="ignore")[0].warnings == ()
    with pytest.raises(InvalidInput):
        check.read(text.encode(), "f", mode="loose")


def test_lists_keep_their_places() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n  foo: 1\n- 5\n"
    assert faults(text) == [(7, "foo", "FieldValueUnknown"), (8, "items[1]", "FieldValueTypeInvalid")]


_PIECES = st.sampled_from(
    ["apiVersion: v1\n", "kind: Pod\n", "kind: List\n", "items:\n", "metadata: {name: p}\n", "spec:\n", "---\n", "...\n", "%YAML 1.1\n"]
    + ["a: ", "- ", "{", "}", "[", "]", ",", ":", "<<: ", "&a ", "*a", "!!int ", "|\n", "\n  ", '"', "'", "? ", "~", "0x", ".inf"]
    + ["\ufeff", "\r\n", "\t", "\\/", "\x00"]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode())))
def test_hostile_text_only_gives_faults(data: bytes) -> None:
    found = check.inspect(data, "f").faults
    assert all(fault.line >= 1 and fault.column >= 1 and str(fault) for fault in found)


MANY = """
apiVersion: v1
kind: Pod
metadata: {name: Bad_Name}
spec:
  restartPolicy: Sometimes
  terminationGracePeriodSeconds: soon
  containers:
  - name: a
    image: busybox
    comand: [x]
    resources: {limits: {memory: 12Q}}
    ports: [{containerPort: 99999}]
"""


def test_everything_that_is_wrong_is_told_at_once_beyond_what_does_not_decode() -> None:
    """The server stops at the two values of the wrong type; a person wants to mend the file once."""
    first = {fault.path for fault in check.inspect(MANY.encode(), "f.yaml").faults}
    assert first == {"spec.terminationGracePeriodSeconds", "spec.containers[0].resources.limits.memory"}
    further = check.inspect(MANY.encode(), "f.yaml", further=True).faults
    added = {"spec.containers[0].comand", "metadata.name", "spec.restartPolicy", "spec.containers[0].ports[0].containerPort"}
    assert {fault.path.replace('"', "") for fault in further} == first | added
    assert all(fault.line > 1 for fault in further)


def test_what_follows_from_a_fault_is_no_further_fault() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  contaners: [{name: a, image: b}]\n"
    assert [fault.path for fault in check.inspect(text.encode(), "f", further=True).faults] == ["spec.contaners"]
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: 5, image: b}]}\n"
    assert [fault.path for fault in check.inspect(text.encode(), "f", further=True).faults] == ["spec.containers[0].name"]
