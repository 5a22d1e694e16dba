"""Env, command and subPath resolution (EN1-EN6)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kubeplay.errors import ContainerError
from kubeplay.kube import downward, environment
from kubeplay.plan.container import ContainerPlan, Resolved, Resources
from kubeplay.plan.env import EnvField, EnvFrom, EnvKeyRef, EnvLiteral, EnvResource
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.volumes import Mount

OBJECTS: dict[tuple[str, str], Mapping[str, str]] = {
    ("ConfigMap", "cm"): {"A": "from-cm", "REF": "$(B)", "x y": "spaced", "bad=": "no", "é": "no"},
    ("Secret", "s"): {"A": "from-secret", "P": "pw"},
}
SERVICES = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "A": "service"}
NODE = downward.NodeFacts(1000, 1, 1)


def resolve(container: ContainerPlan) -> Resolved:
    pod = PodPlan("ns", "p", SandboxPlan("p"), (container, ContainerPlan("other", "i", resources=Resources(cpu_limit=2000))))
    facts = environment.facts_of(pod, "uid-1", ("10.0.0.9",), ("192.0.2.2",), "node1")
    return environment.resolve(pod, container, facts, NODE, lambda kind, name: OBJECTS.get((kind, name)), SERVICES, lambda *_: ("", None))


def env_of(container: ContainerPlan) -> dict[str, str]:
    return dict(resolve(container).env)


def test_en1_order_env_from_then_env_then_services() -> None:
    made = env_of(
        ContainerPlan("c", "i", env_from=(EnvFrom("ConfigMap", "cm"), EnvFrom("Secret", "s", prefix="1-")), env=(EnvLiteral("A", "own"),))
    )
    assert made == {
        "A": "own", "REF": "$(B)", "x y": "spaced", "1-A": "from-secret", "1-P": "pw", "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    }  # fmt: skip


def test_en1_a_later_env_from_wins() -> None:
    assert env_of(ContainerPlan("c", "i", env_from=(EnvFrom("ConfigMap", "cm"), EnvFrom("Secret", "s"))))["A"] == "from-secret"


def test_en2_values_see_earlier_entries_env_from_and_services_only() -> None:
    made = env_of(
        ContainerPlan(
            "c",
            "i",
            env_from=(EnvFrom("Secret", "s"),),
            env=(
                EnvLiteral("EARLY", "$(LATE)|$(P)|$(A)|$(KUBERNETES_SERVICE_HOST)|$(PATH)|$(EARLY)"),
                EnvLiteral("LATE", "$(EARLY)"),
                EnvKeyRef("RAW", "ConfigMap", "cm", "REF"),
                EnvLiteral("B", "b"),
            ),
        )
    )
    assert made["EARLY"] == "$(LATE)|pw|from-secret|10.96.0.1|$(PATH)|$(EARLY)"
    assert made["LATE"] == made["EARLY"]
    assert made["RAW"] == "$(B)"  # valueFrom is never expanded


def test_en3_command_args_and_sub_path_see_everything() -> None:
    made = resolve(
        ContainerPlan(
            "c",
            "i",
            command=("$(NAME)", "$$"),
            args=("$(HOSTNAME)",),
            env=(EnvField("NAME", "metadata.name"),),
            mounts=(Mount("v", "/a", sub_path_expr="$(NAME)/x"), Mount("v", "/b", sub_path="$(NAME)")),
        )
    )
    assert (made.command, made.args) == (("p", "$"), ("$(HOSTNAME)",))
    assert made.sub_paths == ("p/x", "$(NAME)")


def test_da1_da3_values() -> None:
    made = env_of(
        ContainerPlan(
            "c",
            "i",
            env=(
                EnvField("IP", "status.podIP"),
                EnvField("UID", "metadata.uid"),
                EnvField("NODE", "spec.nodeName"),
                EnvResource("OWN", "limits.cpu"),
                EnvResource("OTHER", "limits.cpu", "other"),
            ),
        )
    )
    assert [made[k] for k in ("IP", "UID", "NODE", "OWN", "OTHER")] == ["10.0.0.9", "uid-1", "node1", "1", "2"]


MISSING = [
    (ContainerPlan("c", "i", env_from=(EnvFrom("ConfigMap", "x"),)), 'configmap "x" not found'),
    (ContainerPlan("c", "i", env=(EnvKeyRef("E", "Secret", "x", "k"),)), 'secret "x" not found'),
    (ContainerPlan("c", "i", env=(EnvKeyRef("E", "ConfigMap", "cm", "k"),)), "couldn't find key k in ConfigMap ns/cm"),
    (ContainerPlan("c", "i", mounts=(Mount("v", "/a", sub_path_expr="$(NOPE)/x"),)), "missing value for NOPE"),
    (ContainerPlan("c", "i", env=(EnvLiteral("E", "/e"),), mounts=(Mount("v", "/a", sub_path_expr="$(E)"),)), "absolute"),
    (ContainerPlan("c", "i", env=(EnvLiteral("E", ".."),), mounts=(Mount("v", "/a", sub_path_expr="a/$(E)/b"),)), "must not contain"),
    (ContainerPlan("c", "i", env=(EnvResource("E", "limits.cpu", "nobody"),)), "nobody not found"),
]


@pytest.mark.parametrize(("container", "message"), MISSING)
def test_en5_missing_is_a_config_error(container: ContainerPlan, message: str) -> None:
    with pytest.raises(ContainerError, match=message) as caught:
        resolve(container)
    assert caught.value.reason == "CreateContainerConfigError"


def test_en5_optional_is_skipped() -> None:
    made = env_of(
        ContainerPlan(
            "c",
            "i",
            env_from=(EnvFrom("Secret", "x", optional=True),),
            env=(EnvKeyRef("E", "ConfigMap", "cm", "k", optional=True), EnvKeyRef("F", "Secret", "x", "k", optional=True)),
        )
    )
    assert "E" not in made and "F" not in made
