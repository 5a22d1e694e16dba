"""The API server's double is taken for a server by kubectl itself, and kubectl and we get along with the same kubeconfigs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from kubeplay.cluster import access, kubeconfig
from kubeplay.cluster.connection import Connection
from kubeplay.errors import KubeplayError
from tests.support.apiserver import ApiServer, api_server

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}},
       "spec": {"containers": [{"name": "web", "image": "registry.example/web:1", "ports": [{"containerPort": 80}]}]}}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path, tokens={"secret": "jane"}, client_certificates=True) as made:
        yield made


def _kubectl(server: ApiServer, config: Path, *argv: str, stdin: Any = None, status: int | None = 0) -> str:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl not found")
    env = {"PATH": os.environ["PATH"], "HOME": str(server.directory), "KUBECONFIG": str(config)}
    text = json.dumps(stdin) if stdin else ""
    done = subprocess.run(["kubectl", *argv], env=env, input=text, capture_output=True, text=True, timeout=100)
    assert status is None or done.returncode == status, (argv, done.stdout, done.stderr)
    return done.stdout + done.stderr


def _raw(server: ApiServer, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    pool = urllib3.PoolManager(ca_certs=str(server.certs.ca)) if server.certs else urllib3.PoolManager()
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    answer = pool.request(method, server.url + path, json=body, headers=headers)
    pool.clear()
    return answer.status, answer.json()


def test_kubectl_takes_it_for_a_server(server: ApiServer) -> None:
    config = server.kubeconfig({"token": "secret"})
    applied = ("apply", "--server-side", "--validate=false", "-f", "-")
    assert "pod/web serverside-applied" in _kubectl(server, config, *applied, stdin=POD)
    assert json.loads(_kubectl(server, config, "get", "pods", "-l", "app=web", "-o", "json"))["items"][0]["metadata"]["name"] == "web"
    other = json.loads(json.dumps(POD).replace("web:1", "web:2"))
    said = _kubectl(server, config, *applied, "--field-manager=other", stdin=other, status=1)
    assert 'Apply failed with 1 conflict: conflict with "kubectl"' in said and '.spec.containers[name="web"].image' in said
    forced = ("--field-manager=other", "--force-conflicts", "--dry-run=server")
    assert "(server dry run)" in _kubectl(server, config, *applied, *forced, stdin=other)
    assert "(NotFound)" in _kubectl(server, config, "get", "pod", "nobody", status=1)
    bad = {**POD, "metadata": {"name": "bad"}, "spec": {"containers": [{"name": "UPPER", "image": "a"}]}}
    assert "is invalid: spec.containers[0].name" in _kubectl(server, config, *applied, stdin=bad, status=1)
    assert "deleted" in _kubectl(server, config, "delete", "pod", "web", "--wait=false")
    assert ("Pod", "default", "web") not in server.objects


def _users(server: ApiServer) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    assert server.certs is not None
    directory = server.directory
    (directory / "token").write_text("secret\n")
    plugin = directory / "plugin"
    answer = {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "secret"}}
    plugin.write_text(f"#!{sys.executable} -IS\nprint({json.dumps(json.dumps(answer))})\n")
    plugin.chmod(0o755)
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    cert, key = "tls/client/client.cert", "tls/client/client.key"
    return {
        "token": ({"token": "secret"}, {}),
        "a token's file wins": ({"tokenFile": "token", "token": "wrong"}, {}),
        "a wrong token": ({"token": "wrong"}, {}),
        "nobody": ({}, {}),
        "a certificate by relative paths": ({"client-certificate": cert, "client-key": key}, {}),
        "a plugin beside its kubeconfig": ({"exec": {**exec_, "command": "./plugin"}}, {}),
        "a plugin, and a token that wins": ({"exec": {**exec_, "command": "./plugin"}, "token": "wrong"}, {}),
        "a plugin that is not there": ({"exec": {**exec_, "command": "no-such-plugin"}}, {}),
        "insecure": ({"token": "secret"}, {"certificate-authority": "", "insecure-skip-tls-verify": True}),
        "insecure with an authority": ({"token": "secret"}, {"insecure-skip-tls-verify": True}),
        "another name": ({"token": "secret"}, {"tls-server-name": "localhost"}),
        "a wrong name": ({"token": "secret"}, {"tls-server-name": "kubernetes"}),
        "no authority": ({"token": "secret"}, {"certificate-authority": ""}),
        "no scheme, an authority": ({"token": "secret"}, {"server": server.url.removeprefix("https://")}),
        "no scheme, insecure": ({"token": "secret"}, {"server": server.url.removeprefix("https://"), "certificate-authority": "",
                                                      "insecure-skip-tls-verify": True}),
        "a slash at the end": ({"token": "secret"}, {"server": f"{server.url}/"}),
    }  # fmt: skip


def test_kubectl_and_we_get_in_with_the_same_kubeconfigs(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    path = "/api/v1/namespaces/default"
    for case, (user, cluster) in _users(server).items():
        config = server.kubeconfig(user, **cluster)
        theirs = '"kind":"Namespace"' in _kubectl(server, config, "get", "--raw", path, status=None).replace(" ", "")
        try:
            with Connection(access.choose(kubeconfig.read({}, str(config)))) as connected:
                ours = connected.get(path)["kind"] == "Namespace"
        except KubeplayError:
            ours = False
        assert ours == theirs, case


def test_create_replace_delete_and_watch(server: ApiServer) -> None:
    seen: list[tuple[str, str]] = []
    since = _raw(server, "GET", "/api/v1/namespaces/default/configmaps")[1]["metadata"]["resourceVersion"]

    def watch() -> None:
        pool = urllib3.PoolManager(ca_certs=str(server.certs.ca)) if server.certs else urllib3.PoolManager()
        path = f"/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=60&resourceVersion={since}"
        answer = pool.request("GET", server.url + path, headers={"Authorization": "Bearer secret"}, preload_content=False)
        left = b""
        while len(seen) < 3:
            *whole, left = (left + answer.read1(65536)).split(b"\n")
            seen.extend((event["type"], event["object"]["data"]["a"]) for event in map(json.loads, whole))
        answer.close()
        pool.clear()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    collection = "/api/v1/namespaces/default/configmaps"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}}
    assert _raw(server, "POST", collection, config)[0] == 201
    status, said = _raw(server, "POST", collection, config)
    assert (status, said["reason"], said["message"]) == (409, "AlreadyExists", 'configmaps "one" already exists')
    assert _raw(server, "PUT", f"{collection}/one", {**config, "data": {"a": "2"}})[0] == 200
    assert _raw(server, "DELETE", f"{collection}/one")[0] == 200
    thread.join(100)
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]
    assert _raw(server, "GET", f"{collection}/one")[1]["code"] == 404
    assert _raw(server, "GET", "/apis/nothing.example/v1")[0] == 404
