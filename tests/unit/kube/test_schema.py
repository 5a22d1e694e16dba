"""Decoding: types, null, unknown fields, in the server's order."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.errors import Fault
from kubeplay.kube import kinds, schema
from kubeplay.kube.load import load

POD = kinds.find("v1", "Pod")
assert POD is not None


def pod(text: str, mode: str = "strict", kind: str = "Pod", version: str = "v1") -> schema.Decoded:
    found = kinds.find(version, kind)
    assert found is not None
    document = load(f"apiVersion: {version}\nkind: {kind}\n{text}\n".encode(), "f.yaml")[0]
    return schema.decode(document, found, mode)


def container(text: str) -> schema.Decoded:
    return pod(f"spec: {{containers: [{{{text}}}]}}")


def first(decoded: schema.Decoded) -> Any:
    assert not decoded.faults, decoded.faults
    return decoded.object["spec"]["containers"][0]


def only(decoded: schema.Decoded) -> Fault:
    assert len(decoded.faults) == 1, decoded.faults
    return decoded.faults[0]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("image: 1", "image"),
        ("image: yes", "image"),
        ("args: [a, 1]", "args[1]"),
        ("args: x", "args"),
        ("args: {a: b}", "args"),
        ("command: a", "command"),
        ("env: [{name: A, value: 1.0}]", "env[0].value"),
        ("env: [{name: A, value: {}}]", "env[0].value"),
        ("env: [x]", "env[0]"),
        ("ports: [{containerPort: '80'}]", "ports[0].containerPort"),
        ("ports: [{containerPort: 80.5}]", "ports[0].containerPort"),
        ("ports: [{containerPort: 2147483648}]", "ports[0].containerPort"),
        ("ports: [80]", "ports[0]"),
        ("stdin: 1", "stdin"),
        ("stdin: 'true'", "stdin"),
        ("securityContext: {runAsUser: '0'}", "securityContext.runAsUser"),
        ("securityContext: {runAsUser: 9223372036854775808}", "securityContext.runAsUser"),
        ("resources: {limits: {cpu: 1g}}", "resources.limits.cpu"),
        ("resources: {limits: {cpu: 1K}}", "resources.limits.cpu"),
        ("resources: {limits: {cpu: ''}}", "resources.limits.cpu"),
        ("resources: {limits: {cpu: true}}", "resources.limits.cpu"),
        ("resources: {limits: {cpu: '1,5'}}", "resources.limits.cpu"),
        ("resources: {limits: [cpu]}", "resources.limits"),
        ("livenessProbe: {httpGet: {port: 80.5}}", "livenessProbe.httpGet.port"),
        ("livenessProbe: {httpGet: {port: true}}", "livenessProbe.httpGet.port"),
        ("livenessProbe: {httpGet: {port: 4294967376}}", "livenessProbe.httpGet.port"),
        ("volumeMounts: {a: b}", "volumeMounts"),
    ],
)
def test_vl5_type_faults(text: str, path: str) -> None:
    found = only(container(text))
    assert found.path == f"spec.containers[0].{path}"
    assert (found.source, found.line) == ("f.yaml", 3) and found.column > 1


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("ports: [{containerPort: 80.0}]", {"ports": [{"containerPort": 80}]}),
        ("ports: [{containerPort: 8e1}]", {"ports": [{"containerPort": 80}]}),
        ("args: [~, a]", {"args": ["", "a"]}),
        ("args: []", {"args": []}),
        ("env: ~", {}),
        ("env: [~]", {"env": [{}]}),
        ("image: ~", {}),
        ("securityContext: {runAsUser: 3000000000}", {"securityContext": {"runAsUser": 3000000000}}),
        ("resources: {limits: {cpu: ~}}", {"resources": {"limits": {"cpu": "0"}}}),
        ("resources: {limits: {cpu: 0.10}}", {"resources": {"limits": {"cpu": "0.1"}}}),
        ("resources: {limits: {cpu: 1e3}}", {"resources": {"limits": {"cpu": "1000"}}}),
        ("resources: {limits: {cpu: 1e-7}}", {"resources": {"limits": {"cpu": "1e-7"}}}),
        ("resources: {limits: {cpu: ' 1 '}}", {"resources": {"limits": {"cpu": "1"}}}),
        ("resources: {limits: {memory: 1.5Gi}}", {"resources": {"limits": {"memory": "1.5Gi"}}}),
        ("livenessProbe: {httpGet: {port: http}}", {"livenessProbe": {"httpGet": {"port": "http"}}}),
    ],
)
def test_vl5_decoded(text: str, want: dict[str, Any]) -> None:
    assert first(container(text)) == want


@pytest.mark.parametrize(
    ("value", "right"),
    [("YQ==", True), ("'Y\n\n  Q=='", True), ("''", True), ("~", True), ("YQ", False), ("Y-_=", False), ("YQ==YQ==", False)],
)
def test_base64(value: str, right: bool) -> None:
    decoded = pod(f"data: {{a: {value}}}", kind="Secret")
    assert (not decoded.faults) is right, decoded.faults
    assert right or "stringData" in decoded.faults[0].hint


@pytest.mark.parametrize(
    ("time", "right"),
    [
        ("2024-01-31T10:00:00Z", True),
        ("2024-02-29T10:00:00.5+01:00", True),
        ("2023-02-29T10:00:00Z", False),
        ("2024-01-31", False),
        ("yesterday", False),
        ("''", False),
        ("~", True),
    ],
)
def test_times(time: str, right: bool) -> None:
    assert (not pod(f"metadata: {{creationTimestamp: {time}}}").faults) is right


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("extra: 1", "extra", ""),
        ("extra: ~", "extra", ""),
        ("spec: {hostnetwork: true}", "spec.hostnetwork", "did you mean `hostNetwork`?"),
        ("spec: {containers: [{imge: a}]}", "spec.containers[0].imge", "did you mean `image`?"),
        ("spec: {containers: [{Env: []}]}", "spec.containers[0].Env", "did you mean `env`?"),
        ("spec: {securityContext: {capabilities: {}}}", "spec.securityContext.capabilities", "`capabilities` belongs to"),
        ("spec: {volumes: [{emptyDir: {size: 1}}]}", "spec.volumes[0].emptyDir.size", "did you mean"),
        ("spec: {containers: [{image\u200b: a}]}", "spec.containers[0].image\\u200b", "did you mean `image`?"),
    ],
)
def test_vl7_unknown_fields(text: str, path: str, hint: str) -> None:
    found = only(pod(text))
    assert (found.path, found.reason) == (path, "FieldValueUnknown") and hint in found.hint


def test_vl7_all_unknown_fields_at_once() -> None:
    assert [fault.path for fault in pod("spec: {bar: 1, containers: [{foo: 2}]}").faults] == ["spec.bar", "spec.containers[0].foo"]


def test_type_faults_hide_unknown_fields() -> None:
    assert [fault.path for fault in pod("foo: 1\nspec: {hostPID: 1, hostIPC: x}").faults] == ["spec.hostPID", "spec.hostIPC"]


def test_vl7_modes() -> None:
    text = "spec: {foo: 1, hostname: a}"
    assert [fault.path for fault in pod(text, "warn").warnings] == ["spec.foo"]
    for mode in ("warn", "ignore"):
        decoded = pod(text, mode)
        assert not decoded.faults and decoded.object["spec"] == {"hostname": "a"}
    assert not pod(text, "ignore").warnings
    assert pod("spec: {foo: 1, hostPID: x}", "ignore").faults


def test_check_is_the_faults_alone() -> None:
    document = load(b"apiVersion: v1\nkind: Pod\nfoo: 1\n", "f")[0]
    assert POD is not None and [fault.line for fault in schema.check(document, POD)] == [3]
