"""Ephemeral containers as objects."""

from __future__ import annotations

import json

import pytest

from kubeplay.errors import AlreadyExists, InvalidInput, KubeplayError, NotFound
from kubeplay.kube import ephemeral
from kubeplay.play.debug import PROFILES, Wish, check, container

SPEC = {"containers": [{"name": "main"}], "initContainers": [{"name": "first"}], "ephemeralContainers": [{"name": "old"}]}


def test_the_container_has_a_servers_defaults() -> None:
    made = container(Wish("d", "busybox", ("sh", "-c", "x"), tty=True, stdin=True, target="main", env=(("A", "1"),)))
    assert made["command"] == ["sh", "-c", "x"] and made["targetContainerName"] == "main" and made["imagePullPolicy"] == "Always"
    assert made["tty"] and made["stdin"] and made["stdinOnce"] and made["env"] == [{"name": "A", "value": "1"}]
    assert made["securityContext"] == {"capabilities": {"add": ["SYS_PTRACE"]}}
    plain = container(Wish("d", "busybox:1", ("x",), arguments_only=True, profile="legacy", pull_policy="Never"))
    assert plain["args"] == ["x"] and "command" not in plain and "securityContext" not in plain and plain["imagePullPolicy"] == "Never"


@pytest.mark.parametrize(("wish", "error"), [
    (Wish("main", "i"), AlreadyExists), (Wish("old", "i"), AlreadyExists), (Wish("A", "i"), InvalidInput), (Wish("a", " i"), InvalidInput),
    (Wish("a", ""), InvalidInput), (Wish("a", "i", target="none"), NotFound), (Wish("a", "i", profile="none"), InvalidInput),
])  # fmt: skip
def test_what_is_refused(wish: Wish, error: type[KubeplayError]) -> None:
    with pytest.raises(error):
        check(SPEC, wish)


def test_what_is_taken() -> None:
    for profile in PROFILES:
        check(SPEC, Wish("new", "busybox", target="main", profile=profile))


def test_a_body_without() -> None:
    played = json.dumps({"kind": "Pod", "spec": {"containers": []}}, sort_keys=True, separators=(",", ":"))
    looked = json.dumps({"kind": "Pod", "spec": {"containers": [], "ephemeralContainers": [{"name": "x"}]}})
    assert ephemeral.without(looked) == played and ephemeral.without(played) == played
    assert json.loads(ephemeral.kept(looked, played))["spec"]["ephemeralContainers"] == [{"name": "x"}]
    assert ephemeral.kept(played, played) == played
    data = '{"data":{"ephemeralContainers":"x"},"kind":"ConfigMap"}'
    assert ephemeral.without(data) == data
