"""explain and the schemas for editors: the layout, our words, and that they hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kubeplay.cli.explain import support
from kubeplay.errors import KubeplayError
from kubeplay.kube import defaults, kinds, load, schema
from kubeplay.kube.explain import jsonschema, lookup, render, words
from kubeplay.play import fields

ROOT = Path(__file__).resolve().parents[3]
TAKEN = [kind for kind in kinds.table().values() if kind.support == "slice" and kind.schema]
PROBE = """KIND:       Pod
VERSION:    v1

FIELD: tcpSocket <TCPSocketAction>


DESCRIPTION:
    Opens a connection. Works here.
    It is: a connection.

FIELDS:
  host\t<string>
    Whom to connect to. Default: the pod's address. Works here.

  port\t<IntOrString> -required-
    The port, or a container port's name. Works here.


"""


def page(text: str, api_version: str = "", **more: Any) -> str:
    found = lookup.find(text, api_version)
    return render.text(found, support(found.kind.kind), **more)


def test_the_layout_is_kubectls() -> None:
    assert page("pod.spec.containers.livenessProbe.tcpSocket") == PROBE
    assert page("po.spec.containers[].livenessProbe.tcpSocket") == PROBE
    assert page("deploy").startswith("GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n\nDESCRIPTION:\n    Pods that are")


def test_a_plain_field_has_no_fields() -> None:
    text = page("pod.spec.hostNetwork")
    assert text.endswith("DESCRIPTION:\n    Whether it has the node's network. Default: false. Works here.\n\n")
    assert "FIELDS" not in text


def test_recursive_is_names_and_types() -> None:
    lines = page("deploy.spec.selector", recursive=True).splitlines()
    start = lines.index("FIELDS:")
    assert lines[start + 1 : start + 6] == [
        "  matchExpressions\t<[]LabelSelectorRequirement>",
        "    key\t<string> -required-",
        "    operator\t<string> -required-",
        "    values\t<[]string>",
        "  matchLabels\t<map[string]string>",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pod.spec.affinity.nodeAffinity", "No effect here: there is one node."),
        ("pod.spec.runtimeClassName", "Not supported here: runtime classes are not available."),
        ("pod.spec.volumes.nfs", "Not supported here: mount it on the host and use hostPath."),
        ("hpa.spec.metrics.type", "Resource, ContainerResource only."),
        ("sts.spec.volumeClaimTemplates.spec.accessModes", "Works here"),
        ("cronjob.spec.jobTemplate.spec.template.spec.containers.env.valueFrom.fieldRef.apiVersion", "only v1 exists."),
        ("pod.spec.initContainers.ports", "Works here."),
        ("controllerrevision", "kubeplay takes no file of this kind."),
        ("hpa", "VERSION:    v2"),
    ],
)
def test_what_becomes_of_it_here(text: str, said: str) -> None:
    assert said in page(text)


def test_a_version_can_be_asked_for() -> None:
    assert "VERSION:    v1\n" in page("hpa.spec", "autoscaling/v1")
    assert "targetCPUUtilizationPercentage" in page("hpa.spec", "autoscaling/v1")


@pytest.mark.parametrize(
    ("text", "version", "said"),
    [
        ("pod.spec.contaners", "", 'field "contaners" does not exist\nhint: did you mean pod.spec.containers?'),
        ("pod.Spec", "", "did you mean pod.spec?"),
        ("pod.spec.hostname.x", "", "pod.spec.hostname is a plain value"),
        ("thing", "", 'the server doesn\'t have a resource type "thing"'),
        ("", "", 'resource type ""'),
        (".", "", 'resource type ""'),
        ("node", "", "the fields of Node are not known here"),
        ("pod", "v2", "Pod is not in v2"),
        ("pod..spec", "", 'field "" does not exist'),
    ],
)
def test_what_is_not_there(text: str, version: str, said: str) -> None:
    with pytest.raises(KubeplayError) as caught:
        page(text, version)
    assert said in str(caught.value)


def walk(found: lookup.Found, above: tuple[str, ...] = ()) -> Any:
    for name, kind in schema.types().get(found.record, {}).items():
        below = lookup.Found(found.kind, (*found.path, name), kind, found.record)
        yield below
        if below.record and below.record not in above:
            yield from walk(below, (*above, below.record))


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: f"{kind.api_version}-{kind.kind}")
def test_every_field_that_we_take_has_words_and_every_page_is_made(kind: kinds.Kind) -> None:
    silent = set()
    for found in walk(lookup.Found(kind, (), f"@{kind.schema}")):
        row = fields.find(kind.kind, found.path)
        if found.path[0] == "status" or row is None or row.support == fields.NOT_SUPPORTED or "status" in found.path:
            continue
        if not words.of(found.owner, found.path[-1]).text and not (row.support == fields.NO_EFFECT and "." in row.path):
            silent.add(f"{found.owner}.{found.path[-1]}")
    assert not silent
    assert render.text(lookup.Found(kind, (), f"@{kind.schema}"), support(kind.kind), recursive=True)


def test_words_are_about_fields_that_exist_and_fit_a_line() -> None:
    types = schema.types()
    for record, table in words.table().items():
        for field, word in table.items():
            assert record == "*" or record in types, record
            assert not field or record == "*" or field in types[record], f"{record}.{field}"
            assert word.text and len(word.text) <= 110 and not word.text.endswith("."), (record, field)


MINIMAL = """
apiVersion: {version}
kind: {kind}
metadata: {{name: x}}
spec: {spec}
"""
POD = "{containers: [{name: a, ports: [{containerPort: 1}], livenessProbe: {httpGet: {port: 1}}}], volumes: [{name: v, secret: {}}]}"
SPECS = {
    ("v1", "Pod"): POD,
    ("apps/v1", "Deployment"): "{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: " + POD + "}}",
    ("apps/v1", "StatefulSet"): "{selector: {}, template: {}, serviceName: x, updateStrategy: {rollingUpdate: {}}}",
    ("apps/v1", "DaemonSet"): "{selector: {}, template: {}}",
    ("batch/v1", "Job"): "{template: {}}",
    ("batch/v1", "CronJob"): "{jobTemplate: {spec: {template: {}}}, schedule: '@daily'}",
    ("v1", "Service"): "{ports: [{port: 1}], sessionAffinity: ClientIP}",
    ("v1", "PersistentVolumeClaim"): "{}",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "{maxReplicas: 1, scaleTargetRef: {}}",
}


@pytest.mark.parametrize(("version", "name"), SPECS, ids=lambda word: word.replace("/", "-"))
def test_defaults_are_those_that_are_filled_in(version: str, name: str) -> None:
    """What a default of ours says as a value is what the server's defaulting makes of an object without it."""
    kind = kinds.find(version, name)
    assert kind is not None
    text = MINIMAL.format(version=version, kind=name, spec=SPECS[version, name])
    made = defaults.apply(load.load(text.encode(), "f")[0].value, kind)
    compared = list(_compared(made, kind.schema))
    assert len(compared) > 2 or name in ("PersistentVolumeClaim", "HorizontalPodAutoscaler")
    assert not [one for one in compared if one[1] != one[2]]


def _compared(value: Any, record: str) -> Any:
    for field, kind in schema.types()[record].items():
        item = value.get(field) if isinstance(value, dict) else None
        if item is None:
            continue
        inner = kind.lstrip("[{")
        for one in item if isinstance(item, list) else [item]:
            if inner[0] == "@":
                yield from _compared(one, inner[1:])
        default = words.of(record, field).default
        if default in ("true", "false") or default.isdecimal() or (default.isalpha() and default[0].isupper()):
            shown = f"{item:04o}" if field == "defaultMode" else str(item).lower() if isinstance(item, bool) else str(item)
            if default not in ("OrderedReady",) and (record, field) not in _GIVEN:
                yield f"{record}.{field}", shown, default


_GIVEN = {("ServiceSpec", "sessionAffinity"), ("ObjectMeta", "namespace")}


@pytest.mark.parametrize("script", ["generate_explain.py"])
def test_what_must_be_there_is_up_to_date(script: str) -> None:
    done = subprocess.run([sys.executable, f"schemas/{script}", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", TAKEN, ids=lambda kind: f"{kind.api_version}-{kind.kind}")
def test_schemas_are_schemas(kind: kinds.Kind) -> None:
    made = jsonschema.document(kind, schema.types(), explained=True)
    Draft202012Validator.check_schema(made)
    assert made["description"]


def test_the_bundle_tells_faults_by_kind_and_takes_the_examples() -> None:
    bundle = Draft202012Validator(jsonschema.bundle(TAKEN, schema.types()))
    Draft202012Validator.check_schema(bundle.schema)
    for file in sorted((ROOT / "examples/manifests").glob("*.yaml")):
        for document in load.load(file.read_bytes(), file.name):
            assert not list(bundle.iter_errors(document.value)), file.name
    wrong = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": "2", "selector": {}, "template": {}, "replica": 1}}
    assert {".".join(map(str, error.path)) for error in bundle.iter_errors(wrong)} == {"spec", "spec.replicas"}
    assert list(bundle.iter_errors({"apiVersion": "v9", "kind": "Pod"}))
    assert list(bundle.iter_errors({"apiVersion": "v1", "kind": "Pod", "spec": {}}))


def test_files_are_named_as_tools_look_for_them() -> None:
    names = {jsonschema.file_name(kind) for kind in TAKEN}
    assert {"pod-v1.json", "deployment-apps-v1.json", "ingress-networking-v1.json", "horizontalpodautoscaler-autoscaling-v2.json"} <= names
    assert len(names) == len(TAKEN)


def test_the_commands(tmp_path: Path) -> None:
    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "kubeplay", *argv], cwd=ROOT, capture_output=True, text=True)

    assert run("explain", "pod.spec.containers.livenessProbe.tcpSocket").stdout == PROBE
    assert "forms: plaintext" in run("explain", "pod", "--output", "html").stderr
    assert json.loads(run("schema", "export").stdout)["allOf"]
    assert json.loads(run("schema", "export", "hpa").stdout)["title"] == "autoscaling/v2 HorizontalPodAutoscaler"
    assert "pod.spec is a field" in run("schema", "export", "pod.spec").stderr
    (tmp_path / "all.json").write_text("old")
    done = run("schema", "export", "-o", str(tmp_path))
    assert done.returncode == 0 and len(done.stdout.splitlines()) == len(TAKEN) + 1 == len(list(tmp_path.iterdir()))
    assert json.loads((tmp_path / "all.json").read_text())["title"]
    (tmp_path / "pod-v1.json").unlink()
    (tmp_path / "pod-v1.json").symlink_to("/etc/passwd")
    assert run("schema", "export", "pod", "-o", str(tmp_path)).returncode == 125
