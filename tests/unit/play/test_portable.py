"""A cluster's manifests for this machine: rules and the field table together."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.portable.model import ERROR, INFO, Facts, text
from kubeplay.play import portable


def shown(obj: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one.level, text(one.path)) for one in portable.local(obj, Facts(node="here"))]


def test_the_worst_first_and_each_field_once() -> None:
    spec = {
        "containers": [{"name": "c", "image": "i", "volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}],
        "nodeName": "there",
        "runtimeClassName": "gvisor",
        "tolerations": [{"key": "a"}],
        "affinity": {},
        "volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}],
    }
    found = shown({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": spec, "status": {}})
    assert sorted(found[:4]) == [
        (ERROR, "spec.containers[0].volumeDevices"),
        (ERROR, "spec.nodeName"),
        (ERROR, "spec.runtimeClassName"),
        (ERROR, "spec.volumes[0].nfs"),
    ]
    assert found[4:] == [(INFO, "spec.tolerations")]


def test_what_is_allowed_is_told() -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {"volumeMode": "Block"}}
    (found,) = portable.local(claim)
    assert found.remedy == "supported: Filesystem" and found.rule == "not-supported"


def test_a_kind_that_is_not_played() -> None:
    assert shown({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}) == [(ERROR, "kind")]
