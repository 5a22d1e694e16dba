"""play -> generate -> play gives an equal plan, and a cluster's schemas take what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from kubeplay.errors import InvalidInput
from kubeplay.generate import documents, write
from kubeplay.generate.options import GenerateOptions, Wanted
from kubeplay.kube import notes
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import Stack
from kubeplay.plan.volumes import Claim, Volume
from kubeplay.play import read, stack
from tests.support.manifests import play
from tests.support.pods import pods

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/manifests/*.yaml"))
VERSION = "1.36"


def written(made: Stack, **options: Any) -> str:
    """What generate writes of everything the author of a stack wrote."""
    stored = {one.key: json.loads(one.body) for one in made.objects}
    top = tuple(stored[one.key] for one in made.objects if one.owner is None and not one.keep)
    return write.to_yaml(documents.generate(Wanted(top), stored.get, GenerateOptions(show_secrets=True, **options)))


def check(text: str) -> None:
    for obj in yaml.safe_load_all(text):
        kubernetes_validate.validate(obj, VERSION, strict=True)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(pods())
def test_random_pods(pod: dict[str, Any]) -> None:
    first = play(json.dumps(pod))
    text = written(first)
    assert play(text) == first
    check(text)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(pods())
def test_random_pods_as_deployments(pod: dict[str, Any]) -> None:
    """The pods of `--type deployment` run what the pod runs."""
    pod["spec"].pop("restartPolicy", None)
    first = play(json.dumps(pod))
    text = written(first, type="deployment", replicas=2)
    check(text)
    (before,) = first.pods
    for after in play(text).pods:
        assert after.containers == before.containers and volumes(after) == volumes(before)
        assert after.sandbox._replace(hostname="") == before.sandbox._replace(hostname="")


def volumes(plan: PodPlan) -> list[Volume]:
    """A pod's volumes; the claims of ephemeral ones bear its name."""
    own = [f"{plan.name}-{volume.name}" for volume in plan.volumes]
    return [v._replace(source=Claim(v.name)) if v.source == Claim(claim) else v for v, claim in zip(plan.volumes, own)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    first = stack.build(read.read([str(path)]))
    text = written(first, podman_only=True)
    assert play(text) == first
    assert written(play(text), podman_only=True) == text
    check(text)
    for_a_cluster = written(first)
    assert for_a_cluster == text or notes.LISTED in path.read_text()
    check(for_a_cluster)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


VERDICTS = Path(__file__).parents[1] / "conformance" / "verdicts"
ACCEPTED = [
    line["file"]
    for line in map(json.loads, (VERDICTS / "verdicts.jsonl").read_text().splitlines())
    if line["accepted"] and all(document.get("kind") in stack.ORDER for document in line["documents"])
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_a_real_server_accepts(name: str) -> None:
    """Also the oddest manifests come back, or are refused because a later version brings a field, and no other way."""
    try:
        first = stack.build(read.read([str(VERDICTS / "manifests" / name)]))
    except InvalidInput as error:
        assert all(fault.reason in ("NotSupported", "YAML") for fault in error.faults)
        return
    text = written(first)
    again = play(text)
    assert again.pods == first.pods and again.services == first.services and again.claims == first.claims
    assert [one.key for one in again.objects] == [one.key for one in first.objects]
    check(text)
