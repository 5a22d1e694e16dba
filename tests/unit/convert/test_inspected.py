"""Inspected containers as Pods: one of podman's as it was printed, and docker's forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.convert import inspected
from kubeplay.convert.model import Converted, Options
from kubeplay.errors import InvalidInput
from kubeplay.kube import check, write
from tests.support.compose import Memory, notes, one

PODMAN = Path(__file__).with_name("podman-4.3.json").read_bytes()
ID = "a" * 64


def converted(*items: dict[str, Any], **options: Any) -> Converted:
    return inspected.convert([("f", json.dumps(list(items)).encode())], Options(**options), Memory({}, {}))


def docker(config: dict[str, Any] | None = None, host: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"Id": ID, "Name": "/web", "Image": "sha256:1", "Config": {"Image": "web:1", **(config or {})}, "HostConfig": host or {}, **more}


def test_a_container_of_podman_as_it_was_printed() -> None:
    made = inspected.convert([("f", PODMAN)], Options(), Memory({"/srv/": ""}, {}))
    pod = one(made, "Pod", "web-pod")
    assert pod["metadata"] == {"name": "web-pod", "labels": {"app": "web-pod"}, "annotations": {"l": "v"}}
    spec = pod["spec"]
    container = spec["containers"][0]
    assert (container["name"], container["image"]) == ("web", "localhost/tiny:1")
    assert (container["command"], container["args"], container["workingDir"]) == (["/bin/sh", "-c"], ["echo hi"], "/w")
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {"X": "1", "Y": "$$(z)"}
    assert {"containerPort": 80, "hostPort": 8080} in container["ports"]
    assert {"containerPort": 53, "protocol": "UDP", "hostPort": 53, "hostIP": "127.0.0.1"} in container["ports"]
    assert container["resources"] == {"limits": {"cpu": "500m", "memory": "512Mi"}}
    assert container["readinessProbe"]["periodSeconds"] == 10
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/anon", "/x", "/run", "/tmp", "/var/tmp"}
    assert (spec["restartPolicy"], spec["hostname"], spec["terminationGracePeriodSeconds"]) == ("OnFailure", "box", 30)
    assert one(made, "PersistentVolumeClaim", "data")
    assert "after 3 times gives up a Job" in notes(made)
    assert not check.inspect(write.documents(made.objects).encode(), "f").faults


@pytest.mark.parametrize(
    ("config", "host", "wanted"),
    [
        ({"Cmd": ["a"], "Entrypoint": None}, {}, {"args": ["a"]}),
        ({"Entrypoint": "sh -c", "Cmd": None}, {}, {"command": ["sh", "-c"]}),
        (
            {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=b=c", "HOSTNAME=x", "TERM=xterm"]},
            {},
            {"env": [{"name": "A", "value": "b=c"}]},
        ),
        ({"WorkingDir": "/"}, {}, {}),
        ({"User": "5"}, {}, {"securityContext": {"runAsUser": 5}}),
        (
            {},
            {"NanoCpus": 1500000000, "MemoryReservation": 1 << 20},
            {"resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "1Mi"}}},
        ),
        ({}, {"CpuQuota": 20000, "CpuPeriod": 100000}, {"resources": {"limits": {"cpu": "200m"}}}),
        (
            {},
            {"Privileged": True, "CapAdd": ["SYS_ADMIN"]},
            {"securityContext": {"privileged": True, "capabilities": {"add": ["SYS_ADMIN"]}}},
        ),
        ({"StopSignal": "SIGTERM"}, {}, {}),
        ({"StopSignal": 15}, {}, {}),
        ({"StopSignal": 1}, {}, {"lifecycle": {"stopSignal": "SIGHUP"}}),
        ({"Healthcheck": {"Test": ["NONE"]}}, {}, {}),
        (
            {},
            {"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None}},
            {"ports": [{"containerPort": 80, "hostPort": 8080}]},
        ),
    ],
)
def test_the_container(config: dict[str, Any], host: dict[str, Any], wanted: dict[str, Any]) -> None:
    found = one(converted(docker(config, host)), "Pod")["spec"]["containers"][0]
    assert found == {"name": "web", "image": "web:1", **wanted}


def test_what_the_image_sets_is_left_out() -> None:
    own = {"Cmd": ["serve"], "Entrypoint": ["/e"], "Env": ["A=1"], "WorkingDir": "/app", "User": "9", "Labels": {"a": "b"}}
    image = {"Id": "sha256:1", "RootFS": {}, "RepoTags": ["web:1"], "Config": own}
    found = one(converted(docker({**own, "Env": ["A=1", "B=2"], "Labels": {"a": "b", "c": "d"}}), image), "Pod")
    assert found["spec"]["containers"][0] == {"name": "web", "image": "web:1", "env": [{"name": "B", "value": "2"}]}
    assert found["metadata"]["annotations"] == {"c": "d"}


def test_mounts() -> None:
    mounts = [
        {"Type": "volume", "Name": "data", "Destination": "/d", "RW": True},
        {"Type": "volume", "Name": "f" * 64, "Destination": "/anonymous", "RW": True},
        {"Type": "bind", "Source": "/etc/x", "Destination": "/x", "RW": False, "Propagation": "rshared"},
        {"Type": "tmpfs", "Destination": "/t"},
    ]
    made = converted(docker({}, {"Tmpfs": {"/t": "", "/s": "size=1m"}}, Mounts=mounts))
    sources = [next(value for key, value in volume.items() if key != "name") for volume in one(made, "Pod")["spec"]["volumes"]]
    assert sources == [
        {"claimName": "data"},
        {},
        {"path": "/etc/x", "type": "DirectoryOrCreate"},
        {"medium": "Memory"},
        {"medium": "Memory", "sizeLimit": "1Mi"},
    ]


def test_containers_that_share_a_network_are_one_pod() -> None:
    other = {**docker({}, {"NetworkMode": f"container:{ID}"}), "Id": "b" * 64, "Name": "/side"}
    made = converted(docker(), other, {**docker(), "Id": "c" * 64, "Name": "/alone"})
    assert [one["name"] for one in one(made, "Pod", "web-pod")["spec"]["containers"]] == ["web", "side"]
    assert one(made, "Pod", "alone-pod")


def test_a_pod_of_podman_brings_its_ports_with_its_infra_container() -> None:
    ports = {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}
    infra = {**docker({}, ports), "Id": "d" * 64, "Name": "infra", "IsInfra": True, "Pod": "p"}
    pod = {"Id": "p", "Name": "shop", "InfraContainerID": "d" * 64}
    made = converted(infra, {**docker(), "Pod": "p"}, pod)
    spec = one(made, "Pod", "shop")["spec"]
    assert spec["containers"] == [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80, "hostPort": 8080}]}]


@pytest.mark.parametrize(
    ("name", "wanted"), [("no", "Never"), ("", "Never"), ("always", "Always"), ("unless-stopped", "Always"), ("on-failure", "OnFailure")]
)
def test_restart_policies(name: str, wanted: str) -> None:
    assert one(converted(docker({}, {"RestartPolicy": {"Name": name}})), "Pod")["spec"]["restartPolicy"] == wanted


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"AutoRemove": True}, "ttlSecondsAfterFinished"),
        ({"NetworkMode": "mine"}, "mine: every pod reaches every other"),
        ({"Devices": [{"PathOnHost": "/dev/x"}]}, "device plugin"),
        ({"PidsLimit": 5}, "web.pids_limit"),
        ({"Init": True}, "web.init"),
        ({"Ulimits": [{"Name": "core"}]}, "web.ulimits"),
        ({"CpusetCpus": "0"}, "web.cpuset"),
        ({"LogConfig": {"Type": "syslog"}}, "web.logging"),
        ({"Runtime": "kata"}, "web.runtime"),
    ],
)
def test_what_cannot_be_said_is_listed(host: dict[str, Any], said: str) -> None:
    made = converted(docker({}, host))
    assert said in notes(made)
    assert {note.about for note in made.notes} == {("Pod", "web-pod")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is not JSON"),
        (b"[]", "no containers"),
        (b"[1]", "each object has an Id"),
        (b"{}", "each object has an Id"),
        (b"[" * 100000, "is not JSON"),
        (b'[{"Id": "x", "Config": 3}]', "no containers"),
        (b'[{"Id": "x", "Config": {"Env": {"a": [1]}}}]', "must be a list"),
        (b'[{"Id":"x","Config":' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}]", "levels deep"),
        (b'[{"Id":"x","Config":{"Image":"i"},"HostConfig":{"PortBindings":{"x":[]}}}]', "is no port"),
    ],
)
def test_hostile_input(text: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspected.convert([("f", text)], Options(), Memory({}, {}))
    assert message in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
KEYS = st.sampled_from(
    ["Env", "Cmd", "Entrypoint", "Labels", "User", "Image", "Healthcheck", "StopSignal", "WorkingDir", "Hostname", "StopTimeout"]
)
HOST = st.sampled_from(
    ["PortBindings", "Dns", "Memory", "Tmpfs", "RestartPolicy", "ExtraHosts", "Ulimits", "NetworkMode", "CpuQuota", "Sysctls"]
)


@given(st.dictionaries(KEYS, JSON), st.dictionaries(HOST, JSON))
def test_any_values_are_converted_or_refused(config: dict[str, Any], host: dict[str, Any]) -> None:
    try:
        converted({"Id": ID, "Name": "/web", "Config": config, "HostConfig": host})
    except InvalidInput:
        pass
