"""generate kube --from as a person has it: the example, standard input, split files, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeplay.kube import check
from kubeplay.play import fields
from tests.support.cli import ROOT, Kubeplay

EXAMPLE = ROOT / "examples/compose"
PODMAN = Path(__file__).with_name("podman-4.3.json")


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory) -> Kubeplay:
    return Kubeplay(tmp_path_factory.mktemp("converting"))


def taken(text: str) -> list[dict[str, object]]:
    """The objects of a text that a cluster takes and that every field of plays here."""
    found = check.inspect(text.encode(), "f")
    assert not found.faults
    for manifest in found.manifests:
        assert not fields.unsupported(manifest.document.value, manifest.kind.kind), manifest.object["metadata"]["name"]
    return [manifest.object for manifest in found.manifests]


def test_the_example(kp: Kubeplay) -> None:
    said = kp("generate", "kube", "--from", "compose", str(EXAMPLE), "--show-secrets")
    names = [f"{obj['kind']}/{obj['metadata']['name']}" for obj in taken(said.out)]  # type: ignore[index]
    assert names == [
        "PersistentVolumeClaim/data",
        "Service/web",
        "Service/web-published",
        "Service/cache",
        "ConfigMap/page-conf",
        "ConfigMap/cache-env",
        "Secret/password",
        "Deployment/web",
        "Deployment/cache",
    ]
    assert "compose.yaml:28: services.report: left out: it is in profile reports (--profile)" in said.err
    assert "# services.report: left out" in said.out
    assert not kp.root.exists()  # nothing of the engine's is needed


def test_a_profile_a_namespace_and_hidden_secrets(kp: Kubeplay) -> None:
    said = kp("-n", "shop", "generate", "kube", "--from", "compose", "--profile", "reports", str(EXAMPLE / "compose.yaml"))
    assert "kind: Job" in said.out
    assert "namespace: shop" in said.out
    assert "<hidden: generate again with --show-secrets>" in said.out
    assert "change me" not in said.out


def test_split_files_have_their_comments(kp: Kubeplay, tmp_path: Path) -> None:
    kp("generate", "kube", "--from", "compose", "--split", str(tmp_path / "out"), str(EXAMPLE))
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert "kustomization.yaml" in files and "deployment-web.yaml" in files
    assert "# services.web.volumes[0]: " in (tmp_path / "out/deployment-web.yaml").read_text()


def test_a_container_as_a_deployment_with_its_service(kp: Kubeplay) -> None:
    said = kp("generate", "kube", "--from", "container", "-t", "deployment", "-s", "-", stdin=PODMAN.read_text())
    kinds = [obj["kind"] for obj in taken(said.out)]
    assert sorted(map(str, kinds)) == ["Deployment", "PersistentVolumeClaim", "Service"]
    assert "hostPort" not in said.out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--from", "compose", "/nowhere"), "no such file"),
        (("--from", "compose", "--all"), "--from and --all cannot be mixed"),
        (("--from", "compose", "-t", "job", "-"), "not for --from compose"),
        (("--from", "container"), "name a file of inspected containers"),
        (("--from", "compose", "-", "-"), "can be given once"),
        (("--from", "compose", "/dev/null"), "is not a file"),
        (("--from", "compose"), "no compose.yaml"),
    ],
)
def test_refusals(kp: Kubeplay, argv: tuple[str, ...], message: str) -> None:
    assert message in kp("generate", "kube", *argv, status=125).err


def test_what_a_cluster_would_refuse_is_told_before_it_is_written(kp: Kubeplay) -> None:
    said = kp(
        "generate", "kube", "--from", "compose", "-", stdin="services: {a: {image: x, mem_limit: 1m, mem_reservation: 2m}}", status=125
    )
    assert "what comes of it would be refused" in said.err
    assert "Deployment a: spec.template.spec.containers[0].resources.requests" in said.err


def test_a_pipe_in_place_of_a_file_does_not_hang(kp: Kubeplay, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.env")
    (tmp_path / "compose.yaml").write_text("services: {web: {image: x, env_file: a.env}}\n")
    assert "is not a file" in kp("generate", "kube", "--from", "compose", str(tmp_path), status=125).err


@pytest.mark.parametrize("path", ["/proc/self/mem", "a\\0b", "/dev/zero", "/", "x" * 5000])
def test_files_that_cannot_be_read_are_faults(kp: Kubeplay, path: str) -> None:
    text = f'{{"services": {{"a": {{"image": "x", "configs": ["c"], "env_file": "{path}"}}}}, "configs": {{"c": {{"file": "{path}"}}}}}}'
    said = kp("generate", "kube", "--from", "compose", "-", stdin=text, status=125)
    assert "services.a.env_file" in said.err and "configs.c" in said.err


def test_a_terminals_letters_are_not_passed_on(kp: Kubeplay) -> None:
    said = kp("generate", "kube", "--from", "compose", "-", stdin='services: {web: {image: x, user: "a\\e[2J\\nkind: Secret"}}')
    assert "\x1b" not in said.out + said.err
    assert "\nkind: Secret" not in said.out
