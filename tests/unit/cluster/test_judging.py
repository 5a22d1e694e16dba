"""`kube check`: what is found, where, and how bad it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubeplay.cluster.judging import Judged, Question, judge
from kubeplay.kube.portable.model import Facts
from tests.support.cli import Kubeplay

TEXT = """\
apiVersion: v1
kind: Namespace
metadata:
  name: safe
  labels: {pod-security.kubernetes.io/enforce: baseline}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: safe}
spec:
  hostNetwork: true
  containers:
  - name: main
    image: localhost/web:1
    securityContext: {allowPrivilegeEscalation: false}
---
apiVersion: v1
kind: Pod
metadata: {name: other}
spec:
  hostPID: true
  containers: [{name: main, image: "nginx:1.27"}]
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
"""


def found(text: str, question: Question | None = None) -> list[Judged]:
    return list(judge([("app.yaml", text.encode())], question or Question()).judged)


def at(found: list[Judged], rule: str) -> list[tuple[int, str, str]]:
    return [(one.line, one.level, one.object) for one in found if one.rule == rule]


def test_each_thing_with_its_line() -> None:
    judged = found(TEXT)
    assert at(judged, "local-image") == [(14, "error", "Pod/web")]
    assert at(judged, "hostNetwork") == [(11, "warning", "Pod/web")]
    assert [one.line for one in judged] == sorted(one.line for one in judged)


def test_what_is_enforced_is_an_error() -> None:
    judged = found(TEXT)
    assert at(judged, "pss-baseline-host-namespaces") == [(11, "error", "Pod/web"), (21, "warning", "Pod/other")]
    assert {one.object for one in judged if one.rule.startswith("pss-restricted")} == {"Pod/other"}
    assert {one.level for one in judged if one.rule.startswith("pss-restricted")} == {"info"}
    enforced = found(TEXT, Question(standard="restricted"))
    assert {one.level for one in enforced if one.rule.startswith("pss-")} == {"error"}


def test_kinds_of_the_cluster_s_own_are_nobody_s_fault() -> None:
    assert not [one for one in found(TEXT) if one.object == "Widget/w"]
    here = found(TEXT, Question("local"))
    assert {one.level for one in here if one.object == "Widget/w"} == {"error"}


def test_what_an_api_server_refuses() -> None:
    judged = found("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [{name: a, image: x, imagee: y}]\n")
    (fault,) = [one for one in judged if one.rule == "invalid"]
    assert (fault.line, fault.level, fault.object) == (5, "error", "Pod/a") and "imagee" in fault.path


def test_images_that_are_nowhere_else() -> None:
    question = Question(facts=Facts(unpublished=frozenset(["nginx:1.27"])))
    assert at(found(TEXT, question), "local-image") == [(14, "error", "Pod/web"), (22, "warning", "Pod/other")]


def test_the_strictest_standard_that_is_met() -> None:
    def standard(text: str) -> str:
        return judge([("a", text.encode())], Question()).standard

    assert standard(TEXT) == "privileged" and standard("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n") == ""
    assert standard("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: x}]}\n") == "baseline"


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n", "kind: Pod\n", "apiVersion: v1\nkind: Pod\nspec: 7\n", "\0"])
def test_any_text_is_judged(text: str) -> None:
    assert any(one.level == "error" for one in found(text))
    found(text, Question("local"))


def test_the_command(tmp_path: Path) -> None:
    kp = Kubeplay(tmp_path)
    file = kp.file("app.yaml", TEXT)
    said = kp("kube", "check", file, status=1)
    assert f"{file}:14:5: error: spec.containers[0].image: no registry has this image" in said.out
    assert said.err.startswith("for a cluster: ") and said.err.rstrip().endswith("Pod Security Standard: privileged")
    assert kp("kube", "check", "--fail-on", "never", "-q", file).out.count(" info: ") == 0
    answer = json.loads(kp("kube", "check", "-o", "json", file, status=1).out)
    assert answer["podSecurityStandard"] == "privileged" and answer["summary"]["error"] == 2
    assert {"source", "line", "column", "object", "level", "path", "why", "remedy", "rule"} == set(answer["findings"][0])
    assert not kp.root.exists()
    fine = kp.file("fine.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    assert "nothing to say" in kp("kube", "check", fine).err
    assert "nothing to say" in kp("kube", "check", "--for", "local", fine).err
    kp("kube", "check", kp.file("no.yaml", "a: ["), status=125)


def test_what_shows_only_together_and_what_one_machine_makes_of_it() -> None:
    claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\n"
    claim += "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"
    web = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      tolerations: [{key: k}]
      containers: [{name: c, image: "r/i:1", volumeMounts: [{name: v, mountPath: /v}]}]
      volumes:
      - name: v
        persistentVolumeClaim:
          claimName: c
"""
    assert at(found(claim + web), "shared-claim") == [(20, "warning", "Deployment/web")]
    assert [(one.level, one.path) for one in found(claim + web, Question("local"))] == [("info", "spec.template.spec.tolerations")]
