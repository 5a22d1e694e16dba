"""Sources of `play kube`: files, directories, URLs, standard input; every fault of all of them at once."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.errors import InvalidInput, NotFound
from kubeplay.play import read, sources

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n"


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        code, headers, data = {
            "/ok": (200, {}, CM.format("web").encode()),
            "/gone": (404, {}, b"a: b"),
            "/file": (302, {"Location": "file:///etc/passwd"}, b""),
            "/moved": (302, {"Location": "/ok"}, b""),
            "/loop": (302, {"Location": "/loop"}, b""),
            "/empty": (204, {}, b""),
            "/big": (200, {}, b"#" * 5000),
        }[self.path]
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def names(sources: list[str], **options: object) -> list[str]:
    return [m.object["metadata"]["name"] for m in read.read(sources, **options)]  # type: ignore[arg-type]


def test_files_directories_and_standard_input_in_order(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("b.yaml", "a.yml", "c.json", "skipped.txt", ".hidden.yaml"):
        (tmp_path / "d" / name).write_text(CM.format(name[0] if name[0] != "." else "h"))
    (tmp_path / "f.yaml").write_text(CM.format("f"))
    assert names([str(tmp_path / "f.yaml"), "-", str(tmp_path / "d")], stdin=io.BytesIO(CM.format("in").encode())) == ["f", "in", "a", "b", "c"]  # noqa: E501


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        read.read([str(tmp_path / "none.yaml")])
    with pytest.raises(InvalidInput, match=r"no \.yaml"):
        read.read([str(tmp_path)])
    with pytest.raises(InvalidInput, match="once"):
        read.read(["-", "-"], io.BytesIO(b""))


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: c\n    image: i\n    lifecycle: {preStop: {tcpSocket: {port: 1}}}\n")  # noqa: E501
    (tmp_path / "b.yaml").write_text(CM.format("b") + "bogus: 1\n---\nkind: Pod\n")
    with pytest.raises(InvalidInput) as caught:
        read.read([str(tmp_path)])
    found = [(Path(f.source).name, f.line, f.path, f.reason) for f in caught.value.faults]
    assert found[0] == ("a.yaml", 8, "spec.containers[0].lifecycle.preStop.tcpSocket", "NotSupported")
    assert {(name, path) for name, _, path, _ in found[1:]} == {("b.yaml", "bogus"), ("b.yaml", "apiVersion")}
    assert "3 faults in 2 files" in caught.value.message


def test_faults_of_later_steps_are_told_with_the_others() -> None:
    """A fault of one document hides neither a field that is not supported in it nor two objects of one name beside it."""
    wrong = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  resourceClaims: [{name: a, resourceClaimName: b}]\n"
    wrong += "  containers: [{name: c, tty: x, image: i}]\n"
    data = "---\n".join([wrong, CM.format("twice"), CM.format("twice")]).encode()
    with pytest.raises(InvalidInput) as caught:
        read.read(["-"], io.BytesIO(data))
    found = [(fault.path, fault.reason) for fault in caught.value.faults]
    assert found == [
        ("spec.resourceClaims", "NotSupported"), ("spec.containers[0].tty", "FieldValueTypeInvalid"),
        ("metadata.name", "FieldValueDuplicate"),
    ]  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        read.read(["-"], io.BytesIO(data), validate_mode="warn")
    assert [fault.path for fault in caught.value.faults] == [path for path, reason in found if reason != "NotSupported"]


def test_unsupported_fields_become_warnings_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {resourceClaims: [{name: a, resourceClaimName: b}], containers: [{name: c, image: i}]}\n")  # noqa: E501
    with pytest.raises(InvalidInput) as caught:
        read.read([str(tmp_path)])
    assert "--validate=warn" in caught.value.hint
    (manifest,) = read.read([str(tmp_path)], validate_mode="warn")
    assert any("spec.resourceClaims: not supported" in warning for warning in manifest.warnings)


def test_configmap_files_hold_only_config_maps(tmp_path: Path) -> None:
    (tmp_path / "cm.yaml").write_text(CM.format("a"))
    (tmp_path / "s.yaml").write_text(CM.format("b").replace("ConfigMap", "Secret"))
    assert names(["-"], stdin=io.BytesIO(CM.format("z").encode()), configmaps=[str(tmp_path / "cm.yaml")]) == ["z", "a"]
    with pytest.raises(InvalidInput, match="only ConfigMaps"):
        read.read(["-"], io.BytesIO(CM.format("z").encode()), configmaps=[str(tmp_path / "s.yaml")])


def test_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 1024)
    (tmp_path / "a.yaml").write_bytes(b"#" * 1025)
    with pytest.raises(InvalidInput, match="larger than"):
        read.read([str(tmp_path)])


def test_urls(url: str) -> None:
    assert names([url + "/ok"]) == ["web"]
    assert names([url + "/moved"]) == ["web"]


@pytest.mark.parametrize(("path", "message"), [("/gone", "status 404"), ("/file", "not allowed"), ("/loop", "302"), ("/empty", "status 204")])  # noqa: E501
def test_urls_that_do_not_give_a_manifest(url: str, path: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read.read([url + path])


def test_url_too_large_or_nobody_there(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 1024)
    with pytest.raises(InvalidInput, match="larger than"):
        read.read([url + "/big"])
    with pytest.raises(InvalidInput, match="refused"):
        read.read(["http://127.0.0.1:1/x"])
    with pytest.raises(NotFound):
        read.read(["ftp://127.0.0.1/x"])


def test_notices_and_warnings_name_their_place(tmp_path: Path) -> None:
    text = """apiVersion: v1
kind: Pod
metadata:
  name: p
  annotations:
    io.podman.annotations.privileged/c: "true"
    mine/x: z
spec:
  nodeSelector: {a: b}
  containers: [{name: c, image: i}]
"""
    (manifest,) = read.read(["-"], io.BytesIO(text.encode()))
    (warning,) = manifest.warnings
    assert warning.startswith("stdin:6:") and "securityContext.privileged" in warning
    (notice,) = read.notices(manifest)
    assert notice.startswith("stdin:9:3: spec.nodeSelector: has no effect: there is one node")


def test_capability_names_that_mean_nothing_are_told(tmp_path: Path) -> None:
    text = """apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: c
    image: i
    securityContext: {capabilities: {add: [CAP_NET_ADMIN, sys_time], drop: [all, nonsense]}}
"""
    (manifest,) = read.read(["-"], io.BytesIO(text.encode()))
    assert [w.split(": ", 2)[2] for w in manifest.warnings] == [
        "CAP_NET_ADMIN has no effect: Kubernetes writes it without CAP_", "nonsense has no effect: no such capability",
    ]  # fmt: skip


CUSTOM = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.com}
---
apiVersion: example.com/v1
kind: Foo
metadata: {name: x}
"""
KEPT = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\n"


def test_kinds_that_nobody_runs_here_are_left_out_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CUSTOM + KEPT)
    with pytest.raises(InvalidInput) as caught:
        read.read([str(tmp_path)])
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [("kind", 3), ("kind", 7)]
    (manifest,) = read.read([str(tmp_path)], validate_mode="warn")
    assert manifest.kind.kind == "ConfigMap"
    assert len(manifest.warnings) == 2 and all("left out" in warning for warning in manifest.warnings)
    (manifest,) = read.read([str(tmp_path)], validate_mode="ignore")
    assert not manifest.warnings


def test_a_file_of_nothing_else_is_an_error_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CUSTOM)
    with pytest.raises(InvalidInput, match="2 faults"):
        read.read([str(tmp_path)], validate_mode="warn")


def test_a_kind_of_ours_in_a_version_that_is_gone_is_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: d}\n" + KEPT)
    with pytest.raises(InvalidInput) as caught:
        read.read([str(tmp_path)], validate_mode="warn")
    assert [fault.path for fault in caught.value.faults] == ["apiVersion"]
