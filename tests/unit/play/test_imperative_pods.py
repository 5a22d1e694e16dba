"""pod create, and containers that join a pod and leave it: pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeplay.errors import Conflict, InvalidInput
from kubeplay.play.imperative import pod, pods
from kubeplay.play.imperative.draft import Draft
from tests.support.machines import built, machine, through


def made(**given: Any) -> dict[str, Any]:
    """The stored object of `pod create`."""
    found: dict[str, Any] = json.loads(pods.emptied(through(pods.build("p", "default", given, machine()))).objects[0].body)
    return found


def draft(name: str, **given: Any) -> Draft:
    return pod.container(Draft(name), "localhost/bb:1", (), given, machine())


def names(obj: dict[str, Any]) -> list[str]:
    return [one["name"] for one in obj["spec"]["containers"]]


def test_a_pod_by_flags_has_no_container_and_keeps_its_ports_for_the_first() -> None:
    stack = pods.emptied(through(pods.build("p", "default", {"publish": ("8080:80",), "share": "ipc,net,pid"}, machine())))
    assert stack.pods[0].containers == () and stack.pods[0].sandbox.share_pid
    empty = made(publish=("8080:80",))
    assert names(empty) == []
    first = pods.joined(empty, draft("a"), None)
    assert first["spec"]["containers"][0]["ports"][0]["hostPort"] == 8080 and pods.PORTS not in first["metadata"]["annotations"]
    second = pods.joined(first, draft("b"), None)
    assert names(second) == ["a", "b"] and "ports" not in second["spec"]["containers"][1]


def test_what_a_leaving_container_published_stays_the_pods() -> None:
    both = pods.joined(pods.joined(made(publish=("8080:80",)), draft("a", pids_limit=5), None), draft("b"), None)
    one = pods.left(both, "a")
    assert names(one) == ["b"] and one["spec"]["containers"][0]["ports"][0]["hostPort"] == 8080
    assert "io.podman.annotations.pids-limit/a" in both["metadata"]["annotations"]
    assert "io.podman.annotations.pids-limit/a" not in one["metadata"]["annotations"]
    none = pods.left(one, "b")
    assert names(none) == [] and names(pods.joined(none, draft("c"), None)) == ["c"]
    assert pods.joined(none, draft("c"), None)["spec"]["containers"][0]["ports"][0]["hostPort"] == 8080
    with pytest.raises(Conflict):
        pods.left(one, "a")


def test_volumes_come_and_go_with_their_containers() -> None:
    whole = pods.joined(pods.joined(made(), draft("a", volume=("data:/d",)), None), draft("b", tmpfs=("/t",)), None)
    assert [volume["name"] for volume in whole["spec"]["volumes"]] == ["data", "tmp-t"]
    assert [volume["name"] for volume in pods.left(whole, "a")["spec"]["volumes"]] == ["tmp-t"]


def test_a_policy_of_its_own_is_said_where_it_differs() -> None:
    whole = pods.joined(pods.joined(made(restart="always"), draft("a"), "Always"), draft("b"), "Never")
    assert ["restartPolicy" in one for one in whole["spec"]["containers"]] == [False, True]


def test_a_name_is_there_once() -> None:
    with pytest.raises(Conflict):
        pods.joined(pods.joined(made(), draft("a"), None), draft("a"), None)


@pytest.mark.parametrize("given", [{"publish": ("80",)}, {"hostname": "h"}, {"network": ("none",)}, {"label": ("a=b",)}, {"init": True}])
def test_what_is_the_pods_is_not_said_of_a_container(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="when the pod is created"):
        pods.check_joining(given)


def test_share_knows_its_words() -> None:
    with pytest.raises(InvalidInput, match="mnt"):
        made(share="ipc,mnt")


def test_another_name_goes_for_the_container_called_as_its_pod() -> None:
    obj = built(pids_limit=5).pod
    other = pods.renamed(obj, "new")
    assert (other["metadata"]["name"], names(other)) == ("new", ["new"])
    assert "io.podman.annotations.pids-limit/new" in other["metadata"]["annotations"]
    named = built(name="web").pod
    named["spec"]["containers"][0]["name"] = "app"
    assert names(pods.renamed(named, "new")) == ["app"]


def test_a_clone_belongs_to_nobody() -> None:
    obj = built().pod
    obj["metadata"] |= {"ownerReferences": [{}], "uid": "x", "labels": {"a": "b", "pod-template-hash": "c"}}
    assert set(pods.cloned(obj, "new")["metadata"]) == {"name", "namespace", "annotations", "labels"}
    assert pods.cloned(obj, "new")["metadata"]["labels"] == {"a": "b"}
