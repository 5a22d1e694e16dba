"""cluster/connection and plugin: TLS, tokens, certificates, credential plugins and retries against the API server's double."""

from __future__ import annotations

import base64
import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.cluster import access, apply, connection, kubeconfig, plugin
from kubeplay.cluster.connection import Connection
from kubeplay.errors import ClusterError, CommandFailed, InvalidInput, KubeplayError, MissingPrerequisite, Timeout
from tests.support.apiserver import api_server

V1 = "client.authentication.k8s.io/v1"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def _open(path: Path, wait: Callable[[float], None] = lambda seconds: None) -> Connection:
    return Connection(access.choose(kubeconfig.read({}, str(path))), wait)


def _version(path: Path) -> Any:
    with _open(path) as connected:
        return connected.get("/version")["gitVersion"]


def _plugin(directory: Path, body: str, **more: Any) -> dict[str, Any]:
    program = directory / "plugin"
    program.write_text(f"#!{sys.executable} -IS\nimport json, os, sys\n{body}\n")
    program.chmod(0o755)
    return {"exec": {"apiVersion": V1, "command": "./plugin", "interactiveMode": "Never", **more}}


def _answer(**status: str) -> str:
    return f"print(json.dumps({{'kind': 'ExecCredential', 'apiVersion': '{V1}', 'status': {status!r}}}))"


def test_plain_http_carries_no_credentials(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        assert _version(server.kubeconfig({"token": "secret"})) == "v1.36.0"
        assert "Authorization" not in server.seen[0].headers


def test_tokens(tmp_path: Path) -> None:
    with api_server(tmp_path, tokens={"secret": "jane"}) as server:
        assert _version(server.kubeconfig({"token": "secret"})) == "v1.36.0"
        (tmp_path / "token").write_text("secret\n")
        assert _version(server.kubeconfig({"tokenFile": "token", "token": "old"})) == "v1.36.0"
        assert [one.user for one in server.seen] == ["jane", "jane"]
        with pytest.raises(ClusterError, match="does not know who we are") as caught:
            _version(server.kubeconfig({"token": "wrong"}))
        assert caught.value.status == 401 and 'context "double"' in caught.value.hint


def test_client_certificates_from_files_and_data(tmp_path: Path) -> None:
    with api_server(tmp_path, client_certificates=True) as server:
        assert server.certs is not None
        cert, key = server.certs.client_dir / "client.cert", server.certs.client_dir / "client.key"
        assert _version(server.kubeconfig({"client-certificate": str(cert), "client-key": str(key)})) == "v1.36.0"
        data = {"client-certificate-data": cert, "client-key-data": key}
        inline = {name: base64.b64encode(path.read_bytes()).decode() for name, path in data.items()}
        assert _version(server.kubeconfig(inline)) == "v1.36.0"
        assert {one.user for one in server.seen} == {"client"}
        with pytest.raises(ClusterError):
            _version(server.kubeconfig({}))


def test_who_is_believed(tmp_path: Path) -> None:
    with api_server(tmp_path, tls=True) as server:
        assert _version(server.kubeconfig()) == "v1.36.0"
        assert _version(server.kubeconfig(**{"certificate-authority": "", "insecure-skip-tls-verify": True})) == "v1.36.0"
        assert _version(server.kubeconfig(**{"tls-server-name": "localhost"})) == "v1.36.0"
        with pytest.raises(ClusterError, match="TLS failed.*kubernetes"):
            _version(server.kubeconfig(**{"tls-server-name": "kubernetes"}))
        with pytest.raises(ClusterError, match="TLS failed") as caught:
            _version(server.kubeconfig(**{"certificate-authority": ""}))
        assert "certificate-authority" in caught.value.hint


def test_a_plugin_gives_the_token(tmp_path: Path) -> None:
    with api_server(tmp_path, tokens={"secret": "jane"}) as server:
        body = "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\nopen(sys.argv[1], 'a').write(json.dumps(info) + '\\n')\n"
        log = tmp_path / "log"
        user = _plugin(tmp_path, body + _answer(token="secret"), args=[str(log)], provideClusterInfo=True)
        with _open(server.kubeconfig(user)) as connected:
            for _ in range(3):
                connected.get("/version")
        (info,) = [json.loads(line) for line in log.read_text().splitlines()]  # asked once
        assert info["kind"] == "ExecCredential" and info["apiVersion"] == V1 and info["spec"]["interactive"] is False
        assert info["spec"]["cluster"]["server"] == server.url and info["spec"]["cluster"]["certificate-authority-data"]


def test_a_plugin_is_asked_again_when_its_token_ends_or_is_refused(tmp_path: Path) -> None:
    with api_server(tmp_path, tokens={"one": "jane", "two": "jane"}) as server:
        body = f"path = {str(tmp_path / 'log')!r}\nopen(path, 'a').write('x')\ntoken = ['one', 'two', 'two'][len(open(path).read()) - 1]\n"
        print_it = f"print(json.dumps({{'kind': 'ExecCredential', 'apiVersion': '{V1}', 'status': {{'token': token%s}}}}))"
        with _open(server.kubeconfig(_plugin(tmp_path, body + print_it % ", 'expirationTimestamp': '2001-01-01T00:00:00Z'"))) as connected:
            connected.get("/version")
            connected.get("/version")
        assert (tmp_path / "log").read_text() == "xx"
        (tmp_path / "log").unlink()
        del server.tokens["one"]
        with _open(server.kubeconfig(_plugin(tmp_path, body + print_it % ""))) as connected:
            connected.get("/version")
        assert (tmp_path / "log").read_text() == "xx"


def test_a_plugin_gives_a_certificate(tmp_path: Path) -> None:
    with api_server(tmp_path, client_certificates=True) as server:
        assert server.certs is not None
        cert, key = [(server.certs.client_dir / name).read_text() for name in ("client.cert", "client.key")]
        assert _version(server.kubeconfig(_plugin(tmp_path, _answer(clientCertificateData=cert, clientKeyData=key)))) == "v1.36.0"


@pytest.mark.parametrize(
    ("body", "more", "error", "said"),
    [
        ("sys.exit(3)", {}, CommandFailed, "the credential plugin failed"),
        ("", {"command": "no-such-plugin", "installHint": "get it at example.com"}, MissingPrerequisite, "get it at example.com"),
        ("", {"command": "./not-there"}, MissingPrerequisite, "No such file"),
        ("", {"interactiveMode": "Always"}, InvalidInput, "wants a terminal"),
        ("print('nonsense')", {}, InvalidInput, "no ExecCredential"),
        ("print('[' * 100000)", {}, InvalidInput, "no ExecCredential"),
        ("print('x' * 2000000)", {}, InvalidInput, "prints more than 1 MiB"),
        ("print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'v2', 'status': {}}))", {}, InvalidInput, "not an ExecCredential of"),
        (_answer(), {}, InvalidInput, "neither a token"),
        (_answer(clientCertificateData="x"), {}, InvalidInput, "neither a token"),
        (_answer(token="a\r\nX: y"), {}, InvalidInput, "cannot stand in a header"),
        (_answer(token="a", expirationTimestamp="soon"), {}, InvalidInput, "is no time"),
    ],
)
def test_plugins_that_fail(tmp_path: Path, body: str, more: dict[str, Any], error: type[KubeplayError], said: str,
                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115
    user = _plugin(tmp_path, body, **more)
    with api_server(tmp_path, tls=True) as server, pytest.raises(error) as caught:
        _version(server.kubeconfig(user))
    assert said in str(caught.value)
    sys.stdin.close()


@pytest.mark.parametrize("body", ["time.sleep(60)", "os.close(1); time.sleep(60)"])
def test_a_plugin_that_does_not_end(tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "SECONDS", 0.5)
    script = tmp_path / "plugin"
    script.write_text(f"#!{sys.executable}\nimport os, time\n{body}\n")
    script.chmod(0o755)
    with pytest.raises(Timeout):
        plugin.run(access.Access("x", "https://a.example"), access.Exec(str(script), (), (), V1, "Never", "", False, "here"))


def test_a_plugin_is_not_looked_for_where_we_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f".:relative::{tmp_path}")
    found = plugin.Exec("plugin", (), (), V1, "Never", "", False, "here")
    with pytest.raises(MissingPrerequisite):
        plugin._program(found)
    (tmp_path / "plugin").write_text("")
    (tmp_path / "plugin").chmod(0o755)
    assert plugin._program(found) == f"{tmp_path}/plugin"


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    waited: list[float] = []
    with api_server(tmp_path) as server:
        server.failures += [(429, {"Retry-After": "7"}), (503, {}), (429, {"Retry-After": "9999"})]
        with _open(server.kubeconfig(), waited.append) as connected:
            connected.get("/version")
        assert waited == [7.0, 2.0, 30.0]
        server.failures += [(503, {})] * 10
        with _open(server.kubeconfig(), waited.append) as connected, pytest.raises(ClusterError, match="try again later"):
            connected.get("/version")


def test_warnings_of_the_server(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.warnings.append('v1 "Thing" is deprecated')
        with _open(server.kubeconfig()) as connected:
            assert connected.request("GET", "/version").warnings == ('v1 "Thing" is deprecated',)


def test_a_proxy_is_taken(tmp_path: Path) -> None:
    """proxy-url wins; what is asked of the proxy is the tunnel to the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        taken, _ = listener.accept()
        with taken:
            asked.append(taken.recv(4096))
            taken.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    with listener, api_server(tmp_path, tls=True) as server:
        proxy = f"http://me:pass@127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ClusterError, match="proxy"):
            with _open(server.kubeconfig(**{"proxy-url": proxy})) as connected:
                connected.request("PATCH", "/api/v1/namespaces/x", {}, {})
        thread.join()
        assert asked[0].startswith(b"CONNECT 127.0.0.1:") and b"proxy-authorization: basic bwu6cgfzcw==" in asked[0].lower()


RAW = {
    "not JSON": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "no answer of an API server"),
    "a list": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "no answer of an API server"),
    "deep": (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200000, "no answer of an API server"),
    "elsewhere": (b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n", "is not followed"),
    "short": (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello", "hello|read|closed|incomplete"),
    "too long": (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b" " * 5000, "longer than"),
    "bomb": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", "longer than"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"),
}


@pytest.mark.parametrize("case", RAW)
def test_hostile_servers(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    monkeypatch.setattr(connection, "MAX_BODY", 4000)
    if case == "deep":
        monkeypatch.setattr(connection, "MAX_BODY", 1 << 20)
    answer, said = RAW[case]
    if case == "bomb":
        packed = gzip.compress(b" " * 100_000)
        answer = answer % (len(packed), packed)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            with taken:
                taken.recv(4096)
                taken.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    found = access.Access("evil", f"http://127.0.0.1:{listener.getsockname()[1]}")
    with listener, Connection(found, lambda seconds: None) as connected, pytest.raises(ClusterError, match=said):
        connected.get("/version")
    listener.close()


def test_nobody_there(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        path = server.kubeconfig()
    with pytest.raises(ClusterError, match="refused") as caught:
        _version(path)
    assert caught.value.status == 0 and "reachable" in caught.value.hint


_WORDS = st.sampled_from([
    "kind", "Status", "message", "reason", "details", "causes", "field", "items", "metadata", "continue", "resources", "name",
    "FieldManagerConflict",
])  # fmt: skip
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(_WORDS, _ANY, max_size=6), st.sampled_from([400, 401, 403, 404, 409, 422, 500]))
@settings(max_examples=100, deadline=None)
def test_any_refusal_is_an_error_of_ours(status: dict[str, Any], code: int) -> None:
    found = Connection(access.Access("x", "https://a.example"))._refused(code, status)
    assert isinstance(found, ClusterError) and isinstance(str(found), str) and found.status == code
    assert isinstance(apply.conflicts(found), list)
