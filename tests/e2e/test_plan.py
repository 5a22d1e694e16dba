"""kube plan and kube diff of the files in examples/changes, with real pods: they tell what an apply then does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root
EXAMPLES = Path(__file__).resolve().parents[2] / "examples/changes"
BEFORE, AFTER = str(EXAMPLES / "1-before.yaml"), str(EXAMPLES / "2-after.yaml")


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("plan"), image_archives) as machine:
        yield machine


def plan(kp: Machine, file: str) -> dict[str, Any]:
    """What becomes of each object, by its name."""
    found = kp("kube", "plan", "-o", "json", file).json
    return {one["name"]: one for one in found["changes"]}


def uids(kp: Machine, *names: str) -> dict[str, str]:
    return {name: kp.pod(name)["metadata"]["uid"] for name in names}


def test_a_plan_is_what_the_apply_does(kp: Machine) -> None:
    assert {one["action"] for one in plan(kp, BEFORE).values()} == {"create"}
    kp("play", "kube", "-q", BEFORE)
    assert {one["action"] for one in plan(kp, BEFORE).values()} == {"unchanged"}
    assert kp("kube", "diff", BEFORE, status=0).out == ""

    found = plan(kp, AFTER)
    assert {name: one["action"] for name, one in found.items()} == {
        "settings": "update", "shop": "update", "inventory": "create", "mailer": "replace"
    }  # fmt: skip
    assert [one["action"] for one in found["shop"]["pods"]] == ["replace", "replace"]
    shop = [one["name"] for one in found["shop"]["pods"]]
    before = uids(kp, "mailer", *shop)
    said = kp("kube", "diff", AFTER, status=1)
    assert "-  colour: blue\n" in said.out and "+          value: loud\n" in said.out and "Pod.default.mailer" in said.out
    assert uids(kp, "mailer", *shop) == before, "nothing is touched"

    kp("kube", "apply", "--local", "-q", AFTER)
    assert {one["action"] for one in plan(kp, AFTER).values()} == {"unchanged"}
    assert kp("kube", "diff", "-f", AFTER, status=0).out == ""
    assert uids(kp, "mailer") != {"mailer": before["mailer"]}

    kp("scale", "deployment", "shop", "--replicas=1")
    (left,) = [one for one in kp("kube", "plan", "-o", "json", AFTER).json["changes"] if one["why"]]
    assert left["action"] == "unchanged" and left["why"][0].startswith("spec.replicas: 1 stays")


def test_errors_and_programs_of_the_users_own(kp: Machine, tmp_path: Path) -> None:
    assert "no such file" in kp("kube", "diff", "/nosuch.yaml", status=2).err
    kp("kube", "plan", "/nosuch.yaml", status=125)
    lone = kp.written("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"
                      "spec: {containers: [{name: a, image: nosuch:1, envFrom: [{configMapRef: {name: gone}}]}]}\n")  # fmt: skip
    said = kp("kube", "plan", lone)
    assert "ConfigMap gone is neither in the files" in said.err and "image nosuch:1 is not in local storage" in said.err
    new = tmp_path / "new.yaml"
    new.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fresh}\ndata: {a: b}\n")
    kp.env["KUBECTL_EXTERNAL_DIFF"] = "ls -1"
    try:
        assert "v1.ConfigMap.default.fresh\n" in kp("kube", "diff", str(new), status=0).out
        kp.env["KUBECTL_EXTERNAL_DIFF"] = "/nosuch/program"
        assert "KUBECTL_EXTERNAL_DIFF" in kp("kube", "diff", str(new), status=2).err
    finally:
        del kp.env["KUBECTL_EXTERNAL_DIFF"]
    assert os.path.exists(new) and "fresh" not in kp("get", "configmaps", "-o", "name").out
