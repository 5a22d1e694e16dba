"""cluster/kubeconfig and access: files merged as kubectl documents it, paths where their files are, hostile input refused by line."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeplay.cluster import access, kubeconfig
from kubeplay.errors import InvalidInput, KubeplayError, NotFound, NotSupported

PEM = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


def _config(*, server: str = "https://one.example:6443", user: dict[str, Any] | None = None, context: str = "one", **cluster: Any) -> str:
    value = {
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
    }  # fmt: skip
    return json.dumps(value, indent=1)


def _choose(tmp_path: Path, text: str, context: str = "") -> access.Access:
    path = tmp_path / "config"
    path.write_text(text)
    return access.choose(kubeconfig.read({}, str(path)), context)


def test_the_first_file_that_names_something_has_it_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(_config(server="https://a.example", user={"token": "from-a"}))
    (tmp_path / "b").write_text(_config(server="https://b.example", user={"username": "b"}, context="two"))
    found = kubeconfig.read({"KUBECONFIG": f"{tmp_path}/a::{tmp_path}/missing:{tmp_path}/b:{tmp_path}/a"})
    assert found.current == "one" and sorted(found.contexts) == ["one", "two"]
    assert found.files == (f"{tmp_path}/a", f"{tmp_path}/b")
    two = access.choose(found, "two")
    assert (two.server, two.token, two.basic, two.namespace) == ("https://a.example", "from-a", "", "shop")


def test_home_is_where_a_kubeconfig_is_by_default(tmp_path: Path) -> None:
    assert kubeconfig.places({"HOME": str(tmp_path)}) == (f"{tmp_path}/.kube/config",)
    assert kubeconfig.places({"HOME": "/x", "KUBECONFIG": "/a:/b"}, "/c") == ("/c",)
    with pytest.raises(NotFound, match="no kubeconfig: .*is not there"):
        kubeconfig.read({"HOME": str(tmp_path)})


def test_relative_paths_start_at_their_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(PEM)
    (tmp_path / "cert.pem").write_bytes(b"cert")
    (tmp_path / "key.pem").write_bytes(b"key")
    user = {"client-certificate": "cert.pem", "client-key": "key.pem", "tokenFile": "token"}
    found = _choose(tmp_path, _config(user=user, **{"certificate-authority": "ca.pem"}))
    assert (found.authorities, found.certificate, found.key) == (PEM, b"cert", b"key")
    assert found.token_file == f"{tmp_path}/token"


def test_data_comes_before_files(tmp_path: Path) -> None:
    data = base64.b64encode(b"inline").decode()
    found = _choose(tmp_path, _config(**{"certificate-authority-data": data, "certificate-authority": "/not/there"}))
    assert found.authorities == b"inline"


@pytest.mark.parametrize(
    ("server", "more", "expected"),
    [
        ("https://k.example/k8s/clusters/c-1/", {}, "https://k.example/k8s/clusters/c-1"),
        ("k.example:8080", {}, "http://k.example:8080"),
    ],
)
def test_servers(tmp_path: Path, server: str, more: dict[str, Any], expected: str) -> None:
    assert _choose(tmp_path, _config(server=server, **more)).server == expected


def test_a_plugin_is_for_who_has_no_other_way(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./get-token", "args": ["-v"], "interactiveMode": "Never",
              "env": [{"name": "A", "value": "b"}], "installHint": "brew it"}  # fmt: skip
    found = _choose(tmp_path, _config(user={"exec": plugin})).exec
    assert found is not None and found.command == f"{tmp_path}/get-token" and found.args == ("-v",) and found.env == (("A", "b"),)
    assert _choose(tmp_path, _config(user={"exec": plugin, "token": "t"})).exec is None


def test_impersonation(tmp_path: Path) -> None:
    user = {"as": "jane", "as-groups": ["dev", "ops"], "as-user-extra": {"why": ["tests"]}}
    groups = (("Impersonate-Group", "dev"), ("Impersonate-Group", "ops"))
    expected = (("Impersonate-User", "jane"), *groups, ("Impersonate-Extra-why", "tests"))
    assert _choose(tmp_path, _config(user=user)).headers == expected


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("[1, 2]", InvalidInput, "YAML"),
        ("a: [", InvalidInput, "config:2:1"),
        ("kind: Pod", InvalidInput, "no kubeconfig"),
        ("clusters: {a: b}", InvalidInput, "config:1:1: clusters: must be a list"),
        ("users:\n- name: 1", InvalidInput, "config:2:3: users[0]: must be a mapping with a name"),
        ("contexts:\n- name: x\n  context: nonsense", InvalidInput, "must be a mapping"),
        ("{}", InvalidInput, "no context is current"),
        ("current-context: gone", NotFound, 'context "gone" does not exist'),
        ("current-context: a\ncontexts: [{name: a, context: {cluster: b}}]", InvalidInput, 'its cluster "b" is not defined'),
        ("current-context: a\ncontexts: [{name: a, context: {}}]", InvalidInput, "it names no cluster"),
        (_config(user={"auth-provider": {"name": "oidc"}}), NotSupported, "exec plugin"),
        (_config(user={"client-certificate-data": "QQ=="}), InvalidInput, "client-certificate without its client-key"),
        (_config(user={"client-key-data": "!"}), InvalidInput, "client-key"),
        (_config(user={"token": 5}), InvalidInput, "token must be a text"),
        (_config(user={"token": "a", "username": "b"}), InvalidInput, "exclude each other"),
        (_config(user={"as": "a\r\nX: b"}), InvalidInput, "cannot stand in a header"),
        (_config(server="ftp://x"), InvalidInput, "is no URL"),
        (_config(server="https://x:99999"), InvalidInput, "is no URL"),
        (_config(server=""), InvalidInput, "has no server"),
        (_config(**{"proxy-url": "socks5://p:1"}), NotSupported, "SOCKS"),
        (_config(**{"insecure-skip-tls-verify": True, "certificate-authority-data": "QUJD"}), InvalidInput, "exclude each other"),
        (_config(**{"certificate-authority": "/not/there"}), InvalidInput, "No such file"),
        (_config(user={"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1alpha1"}}), NotSupported, "v1alpha1"),
        (_config(user={"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1"}}), InvalidInput, "interactiveMode"),
        (_config(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}), InvalidInput, "needs a command"),
        (_config(user={"exec": "rm -rf /"}), InvalidInput, "needs a command"),
    ],
)
def test_refused(tmp_path: Path, text: str, error: type[KubeplayError], said: str) -> None:
    with pytest.raises(error) as caught:
        _choose(tmp_path, text)
    assert said in str(caught.value)


def test_large_and_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig, "MAX_BYTES", 10)
    with pytest.raises(InvalidInput, match="is no kubeconfig"):
        _choose(tmp_path, _config())
    with pytest.raises(InvalidInput, match="Is a directory"):
        kubeconfig.read({}, str(tmp_path))


_WORDS = st.sampled_from([
    "server", "certificate-authority-data", "insecure-skip-tls-verify", "proxy-url", "tls-server-name", "extensions", "token",
    "tokenFile", "username", "password", "exec", "command", "args", "env", "apiVersion", "interactiveMode", "name", "value",
    "as", "as-groups", "as-user-extra", "auth-provider", "client-key-data", "namespace", "client.authentication.k8s.io/v1",
    "https://a.example", "Never", "c", "u",
])  # fmt: skip
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=8,
)


_SOME = st.dictionaries(_WORDS, _ANY, max_size=5)


@given(_SOME, _SOME, _SOME, _ANY)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_kubeconfig_is_read_or_refused(tmp_path: Path, cluster: Any, user: Any, context: Any, anything: Any) -> None:
    named = {"name": "c", "cluster": {"server": "https://a.example", **cluster}}
    chosen = {"name": "x", "context": {"cluster": "c", "user": "u", **context}}
    whole = {"current-context": "x", "clusters": [named, anything], "users": [{"name": "u", "user": user}], "contexts": [chosen]}
    for value in (whole, {**whole, "clusters": whole["clusters"][:1]}, anything):
        try:
            found = _choose(tmp_path, json.dumps(value))
        except KubeplayError:
            continue
        assert found.server.startswith("http")
