"""kube apply as a person has it, against the API server's double: what is printed, where, and the exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.apiserver import ApiServer, api_server
from tests.support.cli import Kubeplay

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast}\n"
LOCAL = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: 'localhost/web:dev'}]}\n"


class Desk(NamedTuple):
    kp: Kubeplay
    server: ApiServer
    config: str
    directory: Path

    def file(self, text: str) -> str:
        path = self.directory / "app.yaml"
        path.write_text(text)
        return str(path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("desk")
    with api_server(directory / "server", tokens={"secret": "jane"}) as server:
        kp = Kubeplay(directory)
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            kp.env.pop(name, None)
        path = server.kubeconfig({"token": "secret"}, namespace="team")
        kp.env["KUBECONFIG"] = str(path)
        server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        yield Desk(kp, server, str(path), directory)


def test_apply_to_the_contexts_namespace(desk: Desk) -> None:
    assert desk.kp("kube", "apply", "-f", desk.file(CONFIG)).out == "configmap/settings serverside-applied\n"
    assert desk.server.get("ConfigMap", "team", "settings")["data"] == {"mode": "fast"}
    said = desk.kp("kube", "apply", "-f", "-", "-n", "default", "-o", "json", stdin=CONFIG)
    assert said.json["metadata"]["namespace"] == "default" and "managedFields" not in said.json["metadata"]


def test_dry_runs(desk: Desk) -> None:
    pod = desk.file(LOCAL)
    said = desk.kp("kube", "apply", "-f", pod, "--dry-run=client", "--kubeconfig", "/not/there")  # nobody is asked
    assert said.out == "pod/web serverside-applied (dry run)\n"
    assert f"Warning: {pod}:1: Pod web: spec.containers[0].image: no registry has this image" in said.err
    assert desk.kp("kube", "apply", "-f", pod, "--dry-run=server").out == "pod/web serverside-applied (server dry run)\n"
    assert ("Pod", "team", "web") not in desk.server.objects
    bad = desk.file(LOCAL.replace("containers", "containerz"))
    assert f"{bad}:4:" in desk.kp("kube", "apply", "-f", bad, "--dry-run", status=125).err


def test_what_goes_wrong(desk: Desk) -> None:
    desk.server.put({**json.loads(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "data": {"mode": "slow"}})),
                     "metadata": {"name": "held", "namespace": "team"}}, manager="kubectl")  # fmt: skip
    held = desk.file(CONFIG.replace("settings", "held"))
    said = desk.kp("kube", "apply", "-f", held, status=125)
    assert f"Error: {held}:1: ConfigMap held: a field belongs to others in the cluster:\n  .data.mode is kubectl's\nhint: " in said.err
    desk.kp("kube", "apply", "-f", held, "--force-conflicts", "--wait")
    (desk.directory / "kustomization.yaml").write_text("resources: [app.yaml]\nnamePrefix: my-\n")
    desk.file(CONFIG)
    said = desk.kp("kube", "apply", "-k", str(desk.directory), "--dry-run=server")
    assert said.out == "configmap/my-settings serverside-applied (server dry run)\n"
    assert "with --local only" in desk.kp("kube", "apply", "-f", held, "--prune", status=125).err
    assert "exclude each other" in desk.kp("kube", "apply", "--local", "-f", held, "--context", "a", status=125).err
    assert "give either files" in desk.kp("kube", "apply", status=125).err
    held = desk.file(CONFIG.replace("settings", "held"))
    assert 'context "nowhere" does not exist' in desk.kp("kube", "apply", "-f", held, "--context", "nowhere", status=125).err
    said = desk.kp("kube", "apply", "-f", held, "--wait", "--dry-run=server", status=125)
    assert "exclude each other" in said.err


def test_a_servers_words_do_not_drive_the_terminal(desk: Desk) -> None:
    desk.server.warnings.append("\x1b[2Jgone")
    try:
        said = desk.kp("kube", "apply", "-f", desk.file(CONFIG))
    finally:
        desk.server.warnings.clear()
    assert "Warning: \\x1b[2Jgone\n" in said.err


def test_a_namespace_pulled_and_split(desk: Desk, tmp_path: Path) -> None:
    server = desk.server
    server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"},
             "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3",
                      "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
    server.put(claim)
    server.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "shop"}, "data": {"a": "Yg=="}})
    said = desk.kp("kube", "pull", "-n", "shop")
    assert said.out.startswith("# namespace shop of context double, written by kubeplay")
    assert "# taken away: spec.storageClassName: gp3\n" in said.out and said.out.count("storageClassName") == 1
    assert said.err == "Note: PersistentVolumeClaim data: taken away: spec.storageClassName: gp3\n"
    assert "<hidden" in said.out and "Yg==" in desk.kp("kube", "pull", "-n", "shop", "--show-secrets", "-q").out
    desk.kp("kube", "pull", "-n", "shop", "-q", "--split", str(tmp_path / "shop"))
    names = sorted(path.name for path in (tmp_path / "shop").iterdir())
    assert names == ["kustomization.yaml", "namespace-shop.yaml", "persistentvolumeclaim-data.yaml", "secret-login.yaml"]
    said = desk.kp("kube", "pull", "-n", "shop", "--split", str(tmp_path / "shop"), status=125)
    assert "file exists" in said.err
    desk.kp("kube", "pull", "-n", "shop", "-q", "--show-secrets", "-f", str(tmp_path / "shop.yaml"))
    assert (tmp_path / "shop.yaml").stat().st_mode & 0o777 == 0o600
    said = desk.kp("kube", "apply", "-f", str(tmp_path / "shop.yaml"), "--dry-run=client")
    assert said.lines[0] == "namespace/shop serverside-applied (dry run)"
    assert "nothing to pull" in desk.kp("kube", "pull", "-n", "nowhere", status=125).err
