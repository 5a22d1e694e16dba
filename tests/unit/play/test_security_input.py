"""Hostile input on its way in: slow and endless servers, names that are paths, values of Secrets in what is said about them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.store.db import Store
from kubeplay.engine.volumes.named import NamedVolumes
from kubeplay.errors import InvalidInput
from kubeplay.play import sources
from tests.support.manifests import body, manifests, play

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats every connection in its own way."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, suppress(OSError):
                        answer(peer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x.yaml"


def drip(peer: socket.socket, start: bytes, piece: bytes) -> None:
    peer.recv(4096)
    peer.sendall(start)
    while True:
        peer.sendall(piece)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("start", "piece"),
    [(HEAD + b"\r\n", b"#"), (HEAD, b"X: y\r\n"), (HEAD + b"X: ", b"y"), (HEAD + b"Content-Length: 100000\r\n\r\n", b"#"), (b"", b"H")],
)
def test_slow_loris_ends_with_the_time_for_all_of_it(monkeypatch: pytest.MonkeyPatch, start: bytes, piece: bytes) -> None:
    monkeypatch.setattr(sources, "URL_SECONDS", 0.4)
    begin = time.monotonic()
    with server(lambda peer: drip(peer, start, piece)) as url, pytest.raises(InvalidInput):
        sources.fetch(url)
    assert time.monotonic() - begin < 60  # they would send for hours


def test_endless_body_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 1 << 20)

    def pour(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(HEAD + b"\r\n")
        while True:
            peer.sendall(b"#" * 65536)

    with server(pour) as url, pytest.raises(InvalidInput, match="larger than 1 MiB"):
        sources.fetch(url)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "//etc/passwd", "gopher://x/"])
def test_redirects_leave_http_never(target: str) -> None:
    def move(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + target.encode() + b"\r\nContent-Length: 0\r\n\r\n")

    with server(move) as url, pytest.raises(InvalidInput):
        sources.fetch(url)


BAD_NAMES = ["../x", "a/b", "..", ".", "/etc", "a\\nb", "a\\n", "a\\0b", "a b", "a\\u202eb", "-a", "A", "a_b", ""]
PLACES = [
    "apiVersion: v1\nkind: {kind}\nmetadata: {{name: \"{name}\"}}\n",
    "apiVersion: v1\nkind: {kind}\nmetadata: {{name: ok, namespace: \"{name}\"}}\n",
]
REST = {
    "ConfigMap": "data: {}\n",
    "Secret": "data: {}\n",
    "PersistentVolumeClaim": "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}\n",
    "Pod": "spec: {containers: [{name: c, image: i}]}\n",
    "Service": "spec: {ports: [{port: 80}]}\n",
}


@pytest.mark.parametrize("kind", REST)
@pytest.mark.parametrize("place", PLACES)
def test_names_are_names_and_no_paths(kind: str, place: str) -> None:
    for name in BAD_NAMES:
        if name == "" and place == PLACES[1]:
            continue  # no namespace is the default one
        with pytest.raises(InvalidInput):
            manifests(place.format(kind=kind, name=name) + REST[kind])


@pytest.mark.parametrize("key", ["../x", "a/b", "..", ".", "..data", "a\\nb", "a\\0b", "a\\n"])
def test_keys_and_item_paths_stay_in_their_volume(key: str) -> None:
    for kind in ("ConfigMap", "Secret"):
        with pytest.raises(InvalidInput):
            manifests(f'apiVersion: v1\nkind: {kind}\nmetadata: {{name: c}}\ndata: {{"{key}": ""}}\n')
    if key != "a/b" and "\\" not in key and key != ".":
        with pytest.raises(InvalidInput):
            manifests(
                'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}], '
                f'volumes: [{{name: v, configMap: {{name: c, items: [{{key: k, path: "{key}"}}]}}}}]}}\n'
            )


@pytest.mark.parametrize("field", ["subPath: ../x", "subPath: a/../../x", "subPath: /x", "mountPath: ''"])
def test_mounts_with_a_way_out_are_refused(field: str) -> None:
    rest = field if field.startswith("mountPath") else f"mountPath: /m, {field}"
    with pytest.raises(InvalidInput):
        manifests(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {volumes: [{name: v, emptyDir: {}}], "
            f"containers: [{{name: c, image: i, volumeMounts: [{{name: v, {rest}}}]}}]}}\n"
        )


@pytest.mark.parametrize(
    "name",
    ["kernel.core_pattern", "kernel.shm/../core_pattern", "kernel/shm_x/../core_pattern", "net..x", "vm.swappiness", "fs.mqueue/../x"],
)
def test_sysctls_of_the_host_do_not_get_in(name: str) -> None:
    """Either the manifest or the sandbox (test_sc8_a_sysctl_of_the_host_is_refused) says no: here, whichever of them sees it first."""
    from kubeplay.engine.net import netns
    from kubeplay.errors import SandboxError

    with pytest.raises((InvalidInput, SandboxError)):
        manifests(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}], "
            f"securityContext: {{sysctls: [{{name: {name}, value: '1'}}]}}}}\n"
        )
        netns._check_sysctls([(name, "1")], ["net", "ipc", "uts"])


SECRETS = [
    "data: {p: 'hunter2!no-base64'}",
    "stringData: {p: 4815162342}",
    "stringData: {p: [hunter2]}",
    "stringData: {p: {q: hunter2}}",
    "data: hunter2",
    "stringData: hunter2",
    "stringData: {p: true, q: hunter2}",
    'type: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: "hunter2 no JSON"}',
    'stringData: {p: "hunter2',
    "stringData:\n  p: hunter2\n  p: hunter2",
    "stringData:\n  p: hunter2\n bad: hunter2",
    "stringData: {p: !!binary hunter2!}",
    "type: kubernetes.io/tls\nstringData: {tls.crt: hunter2}",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_value_of_a_secret_in_an_error(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        manifests(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{text}\n")
    said = "\n".join(map(str, caught.value.faults)) + str(caught.value)
    assert "hunter2" not in said and "4815162342" not in said


def test_annotations_of_the_command_line_are_values_and_nothing_else() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"
    stack = play(text, annotations=(("a", "b\nlabels: {x: y}\n---\nkind: Secret"),))
    assert [o.key.kind for o in stack.objects] == ["Pod"]
    meta = body(stack.objects[0])["metadata"]
    assert meta["annotations"] == {"a": "b\nlabels: {x: y}\n---\nkind: Secret"} and "labels" not in meta


@pytest.mark.parametrize("key", ["bad key", "a\nb", "/x", "../../x", "kubeplay.io/unknown"])
def test_keys_of_the_command_line_are_those_of_a_manifest(key: str) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"
    for flag in ("annotations", "labels") if not key.startswith("kubeplay.io") else ("annotations",):
        with pytest.raises(InvalidInput):
            play(text, **{flag: ((key, "x"),)})


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("a_b", "c"), ("..", "c"), ("a/b", "c"), ("A", "c"), ("", "c"), ("a", "../c"), ("a", ".c"), ("a", "b\n"), ("a", ""), ("a", "b c")],
)
def test_volumes_of_two_namespaces_never_meet(tmp_path: Path, namespace: str, name: str) -> None:
    """a_b's volume c and a's volume b_c would be one directory."""
    paths = Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run")))
    with closing(Store(paths.database)) as store, pytest.raises(InvalidInput):
        NamedVolumes(store, paths).ensure(namespace, name, {})
