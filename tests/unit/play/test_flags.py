"""Flags of `play kube`: each is written into the stored object, so that the object alone explains the plan."""

from __future__ import annotations

import json

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.plan.container import Port
from kubeplay.plan.pod import Attachment, LogPlan
from kubeplay.play import stack
from kubeplay.play.compile import logs, marks, network, ports
from tests.support.manifests import body, play

POD = """apiVersion: v1
kind: Pod
metadata: {name: %s}
spec: {containers: [{name: c, image: 'i:1', ports: [{containerPort: 80, name: web}]}, {name: d, image: 'i:1'}]}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: %d
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, image: 'i:1', ports: [{containerPort: 80}]}]}
"""

PUBLISH = [
    ("80", ports.Publish(80)),
    ("8080:80", ports.Publish(80, "TCP", 8080)),
    (":80/udp", ports.Publish(80, "UDP")),
    ("127.0.0.1:8080:80/tcp", ports.Publish(80, "TCP", 8080, "127.0.0.1")),
    ("127.0.0.1::80", ports.Publish(80, "TCP", 0, "127.0.0.1")),
    ("[::1]:8080:80", ports.Publish(80, "TCP", 8080, "::1")),
]


@pytest.mark.parametrize(("text", "made"), PUBLISH)
def test_publish_syntax(text: str, made: ports.Publish) -> None:
    assert ports.parse(text) == (made,)


def test_publish_of_ranges() -> None:
    """As podman's -p: the n-th port of the one to the n-th of the other."""
    assert ports.parse("127.0.0.1:8080-8081:80-81/udp") == (
        ports.Publish(80, "UDP", 8080, "127.0.0.1"), ports.Publish(81, "UDP", 8081, "127.0.0.1"),
    )  # fmt: skip
    assert ports.parse("80-82") == (ports.Publish(80), ports.Publish(81), ports.Publish(82))
    made = play(POD % "p", publish=("8080-8081:80-81",))
    assert made.pods[0].containers[0].ports == (Port(80, "TCP", "web", 8080), Port(81, "TCP", "", 8081))


WRONG = ["", "x", "0", "65536", "8080:", "1.2.3:80:80", "80/icmp", "80-90:80-91", "80-90:80", "90-80", "80-", "-1", "host:80:80", "٣"]


@pytest.mark.parametrize("text", WRONG)
def test_publish_refuses(text: str) -> None:
    with pytest.raises(InvalidInput):
        ports.parse(text)


def test_publish_replaces_the_manifests_entry_and_keeps_its_name() -> None:
    made = play(POD % "p", publish=("8080:80", "127.0.0.1:9090:80", "53/udp"))
    first, second = made.pods[0].containers
    assert first.ports == (Port(80, "TCP", "web", 8080), Port(80, "TCP", "", 9090, "127.0.0.1"), Port(53, "UDP", "", 53))
    assert second.ports == ()
    assert body(made.objects[0])["spec"]["containers"][0]["ports"][0]["hostPort"] == 8080


def test_publish_needs_to_know_which_pod() -> None:
    two = POD % "p" + "---\n" + POD % "q"
    with pytest.raises(InvalidInput, match="fits 2 pods: p, q"):
        play(two, publish=("8080:80",))
    made = play(two, publish=("8080:80", "8081:80"))
    assert [pod.containers[0].ports[0].host_port for pod in made.pods] == [8080, 8081]
    with pytest.raises(InvalidInput, match="fits 2 pods"):
        play(DEPLOYMENT % 2, publish=("8080:80",))


def test_publish_with_one_replica_is_kept_in_the_template() -> None:
    made = play(DEPLOYMENT % 1, publish=("8080:80",))
    deployment = body(made.objects[0])
    assert deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["hostPort"] == 8080
    assert made.pods[0].containers[0].ports == (Port(80, "TCP", "", 8080),)


def test_publish_once_for_each_replica() -> None:
    made = play(DEPLOYMENT % 2, publish=("8080:80", "8081:80"))
    assert [pod.containers[0].ports for pod in made.pods] == [(Port(80, "TCP", "", 8080),), (Port(80, "TCP", "", 8081),)]


def test_publish_refuses_a_pod_on_the_hosts_network() -> None:
    with pytest.raises(InvalidInput, match="host's network"):
        play(POD % "p", publish=("8080:80",), networks=("host",))


def test_publish_all() -> None:
    assert play(POD % "p", publish_all=True).pods[0].containers[0].ports == (Port(80, "TCP", "web", 80),)


NETWORKS = [
    ((), network.Networks()),
    (("none",), network.Networks(())),
    (("host",), network.Networks((), True)),
    (("bridge:ip=10.0.0.5,mac=02-00-00-00-00-0A",), network.Networks((Attachment("", "10.0.0.5", "02:00:00:00:00:0a"),))),
    (("a:ip=10.0.0.5,ip6=FD00::0:5",), network.Networks((Attachment("a", "10.0.0.5", ip6="fd00::5"),))),
    (("front:alias=a,alias=b", "back"), network.Networks((Attachment("front", aliases=("a", "b")), Attachment("back")))),
]


@pytest.mark.parametrize(("texts", "made"), NETWORKS)
def test_network_syntax_and_back(texts: tuple[str, ...], made: network.Networks) -> None:
    assert network.parse(texts) == made
    assert network.parse(network.text(made).split(";")) == made


@pytest.mark.parametrize(
    "texts", [("none", "host"), ("a", "a"), ("a:ip=1",), ("a:mac=01:00:00:00:00:00",), ("a:mtu=1",), ("container:x",), ("../x",), ("a:ip=::g",), ("",  ":ip=1.2.3.4")]  # noqa: E501
)
def test_network_refuses(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        network.parse(texts)


def test_network_flag_is_kept_in_the_object() -> None:
    made = play(POD % "p", networks=("front:alias=x",))
    assert made.pods[0].sandbox.attachments == (Attachment("front", aliases=("x",)),)
    assert body(made.objects[0])["metadata"]["annotations"] == {marks.NETWORK: "front:alias=x"}
    assert play(POD % "p", networks=("none",)).pods[0].sandbox.attachments == ()
    host = play(POD % "p", networks=("host",))
    assert host.pods[0].sandbox.host_network
    assert body(host.objects[0])["spec"]["hostNetwork"] is True


def test_network_host_leaves_an_object_that_is_still_valid() -> None:
    made = play((POD % "p").replace("name: web", "hostPort: 8080"), networks=("host",))
    assert body(made.objects[0])["spec"]["containers"][0]["ports"][0]["hostPort"] == 80
    assert play(json.dumps(body(made.objects[0]))).pods == made.pods


def test_the_nth_address_goes_to_the_nth_pod() -> None:
    made = play(POD % "p" + "---\n" + POD % "q", ips=("10.0.0.5", "10.0.0.6"), macs=("02:00:00:00:00:01",))
    assert [pod.sandbox.attachments for pod in made.pods] == [
        (Attachment("", "10.0.0.5", "02:00:00:00:00:01"),), (Attachment("", "10.0.0.6"),),
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="there are 1 pods"):
        play(POD % "p", ips=("10.0.0.5", "10.0.0.6"))
    with pytest.raises(InvalidInput, match="exactly one network"):
        play(POD % "p", ips=("10.0.0.5",), networks=("none",))


def test_logs() -> None:
    made = play(POD % "p", log_driver="none", log_opts=("max-size=1m", "max-file=3"))
    assert made.pods[0].log == LogPlan("none", 1 << 20, 3)
    for wrong in ({"log_driver": "journald"}, {"log_opts": ("path=/x",)}, {"log_opts": ("max-size=0",)}, {"log_opts": ("max-file=0",)}):
        with pytest.raises(InvalidInput):
            play(POD % "p", **wrong)


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("1b", 1), ("2k", 2048), ("2KB", 2048), ("10m", 10 << 20), ("1g", 1 << 30)])
def test_log_sizes(text: str, size: int) -> None:
    assert logs.size(text) == size


def test_annotations_and_labels_on_everything_and_on_pods_of_a_deployment() -> None:
    made = play(DEPLOYMENT % 1, annotations=(("x/y", "1"),), labels=(("team", "a"),))
    for planned in made.objects:
        assert body(planned)["metadata"]["labels"]["team"] == "a"
        assert body(planned)["metadata"]["annotations"]["x/y"] == "1"


def test_no_pod_prefix() -> None:
    assert not play(POD % "p", container_prefix=False).pods[0].container_prefix
    assert play(POD % "p").pods[0].container_prefix


def test_flags_of_the_stored_object_give_the_same_plan_again() -> None:
    options = {"networks": ("front:ip=10.0.0.9",), "publish": ("8080:80",), "log_opts": ("max-size=1m",), "container_prefix": False}
    made = play(POD % "p", **options)
    assert play(json.dumps(body(made.objects[0]))).pods == made.pods


ANNOTATIONS = [
    ("kubeplay.io/log-driver: none", 0),
    ("kubeplay.io/netwrok: x", 1),
    ("kubeplay.io/network: 'a:ip=1'", 1),
    ("a.kubeplay.io/b: c", 1),
    ("kubeplay.io/container-prefix: maybe", 1),
    ("io.podman.annotations.pids-limit/c: many", 1),
    ("io.podman.annotations.cpuset/c: '0-1,x'", 1),
    ("io.podman.annotations.privileged/c: 'true'", 0),
    ("notkubeplay.io/x: z", 0),
]


@pytest.mark.parametrize(("text", "count"), ANNOTATIONS)
def test_our_annotations_are_a_closed_set(text: str, count: int) -> None:
    manifest = (POD % "p").replace("{name: p}", f"{{name: p, annotations: {{{text}}}}}")
    if not count:
        assert play(manifest).pods
        return
    with pytest.raises(InvalidInput) as caught:
        play(manifest)
    (fault,) = caught.value.faults
    assert fault.path.startswith("metadata.annotations[") and fault.line == 3


def test_annotations_that_would_choose_security_or_steer_the_runtime_get_a_notice() -> None:
    keys = ("io.podman.annotations.privileged/c", "run.oci.handler", "org.systemd.property.Exec", "io.podman.annotations.zzz", "cdi.k8s.io/x",  # noqa: E501
            "seccomp.security.alpha.kubernetes.io/pod", "bind-mount-options:/x")  # fmt: skip
    assert [key for key, _ in marks.notices(dict.fromkeys(keys, ""))] == list(keys)
    assert marks.notices({"io.podman.annotations.pids-limit/c": "1", "a/b": "c", "kubeplay.io/network": "none"}) == []


def test_stack_of_nothing_published_needs_no_copy() -> None:
    assert not stack._changes(stack.CompileOptions())


def test_aliases_and_ipv6_addresses_of_their_own_flags() -> None:
    made = play(POD % "p", networks=("front", "back:alias=x"), network_aliases=("web",)).pods[0].sandbox.attachments
    assert made == (Attachment("front", aliases=("web",)), Attachment("back", aliases=("x", "web")))
    made = play(POD % "p", ips6=("FD00::0:7",), ips=("10.0.0.7",)).pods[0].sandbox.attachments
    assert made == (Attachment("", "10.0.0.7", ip6="fd00::7"),)


@pytest.mark.parametrize(
    "flags", [{"ips6": ("10.0.0.7",)}, {"network_aliases": ("a b",)}, {"networks": ("none",), "network_aliases": ("a",)}]
)
def test_aliases_and_addresses_refused(flags: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InvalidInput):
        play(POD % "p", **flags)
