"""What is wrong with a kustomization is said with its place, and hostile ones are stopped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeplay.errors import KubeplayError
from kubeplay.kustomize import root
from kubeplay.kustomize.build import build
from tests.support.kustomizations import parts

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
K = "-- kustomization.yaml --\n"
A = f"resources: [a.yaml]\n-- a.yaml --\n{POD}"


def refused(tmp_path: Path, text: str) -> str:
    for name, content in parts(text).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(KubeplayError) as caught:
        build(str(tmp_path))
    return str(caught.value).replace(f"{tmp_path}/", "").replace(str(tmp_path), ".")


FAULTS = {
    "misspelt": (f"{K}resource: [a]\n", 'kustomization.yaml:1:1: resource: unknown field "resource" (did you mean resources?)'),
    "deep": (
        f"{K}images:\n- name: a\n  newtag: '1'\n",
        'kustomization.yaml:3:3: images[0].newtag: unknown field "newtag" (did you mean newTag?)',
    ),
    "type": (f"{K}namePrefix: 1\n", "kustomization.yaml:1:1: namePrefix: must be a string, is an integer (quote it)"),
    "no list": (f"{K}resources: a.yaml\n", "kustomization.yaml:1:1: resources: must be a list, is a string"),
    "kind": (f"{K}kind: Customization\n", "kind is 'Customization'"),
    "version": (f"{K}apiVersion: v1\n", "apiVersion for Kustomization should be kustomize.config.k8s.io/v1beta1"),
    "plugins": (f"{K}transformers: [a.yaml]\n", "kustomization.yaml:1:1: transformers: is not supported\nhint: plugins are not run"),
    "helm": (f"{K}helmCharts: [{{name: a}}]\n", "hint: run `helm template`"),
    "vars": (f"{K}vars: [{{name: a}}]\n", "write `replacements`"),
    "yaml": (f"{K}a: [\n", "kustomization.yaml:2:1: "),
    "empty": (f"{K}\n", "kustomization.yaml is empty"),
    "none": ("-- other.yaml --\n", "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '.'"),
    "two": (f"{K}namePrefix: a\n-- Kustomization --\n", "Found multiple kustomization files under: .: kustomization.yaml, Kustomization"),
    "gone": (f"{K}resources: [a.yaml]\n", "a.yaml: no such file"),
    "remote": (f"{K}resources: ['https://example.com/a.yaml']\n", "is remote: kustomizations are built from local directories only"),
    "remote git": (f"{K}resources: ['github.com/a/b//c?ref=v1']\n", "is remote"),
    "above": (f"{K}resources: [../../../../../../etc/hostname]\n", "hostname: is not in or below ."),
    "absolute": (f"{K}configMapGenerator: [{{name: a, files: [/etc/hostname]}}]\n", "/etc/hostname: is not in or below ."),
    "cycle": (f"{K}resources: [a]\n-- a/kustomization.yaml --\nresources: [..]\n", "cycle detected: candidate root"),
    "itself": (f"{K}resources: [.]\n", "cycle detected"),
    "twice": (
        f"{K}resources: [a.yaml, b.yaml]\n-- a.yaml --\n{POD}-- b.yaml --\n{POD}",
        "may not add resource with an already registered id: Pod.v1.[noGrp]/p.[noNs]: it is in a.yaml and in b.yaml",
    ),
    "nameless": (f"{K}resources: [a.yaml]\n-- a.yaml --\nkind: Pod\n", "a.yaml:1: missing metadata.name in object Pod"),
    "component": (
        f"{K}resources: [c]\n-- c/kustomization.yaml --\nkind: Component\n",
        "c: is a Component\nhint: name it under `components:`",
    ),
    "no component": (f"{K}components: [c]\n-- c/kustomization.yaml --\nnamePrefix: a\n", "c: is no Component but a Kustomization"),
    "no target": (
        f"{K}patches: [{{patch: '{{apiVersion: v1, kind: Pod, metadata: {{name: q}}}}'}}]\n{A}",
        "no matches for Id Pod.v1.[noGrp]/q.[noNs]; failed to find unique target for patch",
    ),
    "no patch": (f"{K}patches: [{{target: {{kind: Pod}}}}]\n", "patches[0]: must specify one of patch and path"),
    "json": (f"{K}patches: [{{target: {{kind: Pod}}, patch: '[{{op: del, path: /a}}]'}}]\n", "operation 0: `op` is none of"),
    "missing path": (
        f"{K}patches: [{{target: {{kind: Pod}}, patch: '[{{op: remove, path: /spec/a}}]'}}]\n{A}",
        "patches[0]: Pod.v1.[noGrp]/p.[noNs]: remove operation does not apply: doc is missing path: /spec/a",
    ),
    "pattern": (
        f"{K}patches: [{{target: {{name: '(a+)+$'}}, patch: '[{{op: remove, path: /a}}]'}}]\n{A}",
        "the pattern '(a+)+$' is too involved",
    ),
    "replicas": (
        f"{K}replicas: [{{name: a, count: 1}}]\n",
        "resource with name a does not match a config with the following kinds: Deployment",
    ),
    "merge nothing": (
        f"{K}configMapGenerator: [{{name: a, behavior: merge}}]\n",
        "id ConfigMap.v1.[noGrp]/a.[noNs] does not exist; cannot merge",
    ),
    "again": (f"{K}configMapGenerator: [{{name: a}}, {{name: a}}]\n", "exists; behavior must be merge or replace"),
    "literal": (f"{K}configMapGenerator: [{{name: a, literals: [b]}}]\n", "invalid literal source b, expected key=value"),
    "key": (f"{K}configMapGenerator: [{{name: a, literals: ['b c=d']}}]\n", "'b c' is not a valid key name"),
    "key twice": (
        f"{K}configMapGenerator: [{{name: a, literals: [b=c, b=d]}}]\n",
        "cannot add key b, another key by that name already exists",
    ),
    "environment": (f"{K}configMapGenerator: [{{name: a, envs: [e]}}]\n-- e --\nA=1\nHOME\n", "e:2: HOME has no value"),
    "source": (f"{K}replacements: [{{source: {{kind: Pod}}, targets: [{{select: {{kind: Pod}}}}]}}]\n", "nothing selected by kind Pod"),
    "field": (
        f"{K}replacements: [{{source: {{kind: Pod, fieldPath: spec.x}}, targets: [{{select: {{kind: Pod}}}}]}}]\n{A}",
        "fieldPath `spec.x` is missing for replacement source Pod.v1.[noGrp]/p.[noNs]",
    ),
    "no field": (
        f"{K}replacements: [{{source: {{kind: Pod}}, targets: [{{select: {{kind: Pod}}, fieldPaths: [spec.y]}}]}}]\n{A}",
        "unable to find field `spec.y` in replacement target Pod.v1.[noGrp]/p.[noNs]\nhint: options.create makes it",
    ),
    "order": (f"{K}sortOptions: {{order: random}}\n", "sortOptions.order: 'random' is neither legacy nor fifo"),
    "origin": (f"{K}buildMetadata: [originAnnotations]\n", "buildMetadata: is not supported"),
    "one of many": (
        f"{K}namespace: shop\n{A}---\n" + POD.replace("name: p", "name: p, namespace: x"),
        "namespace transformation produces ID conflict",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_said(name: str, tmp_path: Path) -> None:
    text, expected = FAULTS[name]
    assert expected in refused(tmp_path, text)


def test_symlinks_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a: b")
    inner = tmp_path / "in"
    inner.mkdir()
    (inner / "link").symlink_to("../secret")
    (inner / "kustomization.yaml").write_text("configMapGenerator: [{name: a, files: [link]}]")
    with pytest.raises(KubeplayError, match="link: is not in or below"):
        build(str(inner))


def test_what_comes_from_elsewhere_reads_nothing_outside(tmp_path: Path) -> None:
    for name in ("out", "repo/app"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "out/kustomization.yaml").write_text("namePrefix: a-")
    (tmp_path / "repo/app/kustomization.yaml").write_text("resources: [../../out]")
    assert build(str(tmp_path / "repo/app")).objects == ()
    with pytest.raises(KubeplayError, match="outside of the source"):
        build(str(tmp_path / "repo/app"), within=str(tmp_path / "repo"))


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "pipe.yaml: is no regular file" in refused(tmp_path, f"{K}resources: [pipe.yaml]\n")


def test_directories_that_double_themselves_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "MAX_DIRECTORIES", 50)
    for level in range(10):
        for side in "ab":
            below = [f"../{level + 1}{one}" for one in "ab"] if level < 9 else []
            (tmp_path / f"{level}{side}").mkdir()
            (tmp_path / f"{level}{side}" / "kustomization.yaml").write_text(f"resources: {below}\nnamePrefix: {side}\n".replace("'", ""))
    with pytest.raises(KubeplayError, match="more than 50 kustomizations"):
        build(str(tmp_path / "0a"))


def test_files_that_double_themselves_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "MAX_READS", 3)
    names = ", ".join(f"a{at}=x" for at in range(5))
    text = f"{K}configMapGenerator: [{{name: c, files: [{names}]}}]\n-- x --\nx\n"
    assert "reads more than 3 files" in refused(tmp_path, text)
