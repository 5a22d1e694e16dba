"""Plans as JSON and back."""

from __future__ import annotations

import json

import pytest

from kubeplay.errors import StoreError
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.env import EnvField, EnvKeyRef, EnvLiteral
from kubeplay.plan.pod import Attachment, PodPlan, SandboxPlan
from kubeplay.plan.volumes import EmptyDir, HostPath, Mount, Volume


def _plan() -> PodPlan:
    env = (EnvLiteral("A", "b$(C)"), EnvKeyRef("K", "Secret", "s", "key"), EnvField("IP", "status.podIP"))
    container = ContainerPlan("c", "busybox:1", env=env, mounts=(Mount("v", "/x"),), command=("sh",))
    volumes = (Volume("v", EmptyDir("Memory", 5)), Volume("h", HostPath("/tmp")))
    return PodPlan("default", "p", SandboxPlan("p", attachments=(Attachment("n"),)), (container,), volumes)


def test_round_trip() -> None:
    assert codec.loads(codec.dumps(_plan())) == _plan()


def test_records_of_different_kinds_differ_in_text() -> None:
    assert codec.dumps(EmptyDir("")) != codec.dumps(HostPath(""))


def test_text_is_canonical() -> None:
    text = codec.dumps(_plan())
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_unknown_record_is_refused_and_unknown_field_of_a_known_one_is_not() -> None:
    with pytest.raises(StoreError, match="Teleport"):
        codec.loads('{"!":"Teleport"}')
    assert codec.loads('{"!":"HostPath","path":"/x","later":1}') == HostPath("/x")
