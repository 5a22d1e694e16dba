"""Artifacts of a registry as Flux and ORAS push them; and what a registry cannot pass off."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.images.registry.access import Access
from kubeplay.errors import InvalidInput, KubeplayError, NotFound, NotSupported, TrustError
from kubeplay.sync.artifact import Artifact, credentials, is_artifact
from kubeplay.sync.model import OCI, Spec
from tests.support.registry import Registry, registry

FLUX = "application/vnd.cncf.flux.content.v1.tar+gzip"  # fluxcd/pkg oci: the media types of its artifacts
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TITLE = "org.opencontainers.image.title"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("hub")) as made:
        yield made


def _tar(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue())


def _put(hub: Registry, name: str, tag: str, layers: list[tuple[bytes, str, str]]) -> str:
    described: list[dict[str, Any]] = []
    for data, media, title in layers:
        one = hub.put_blob(name, data, media)
        described.append({**one, "annotations": {TITLE: title}} if title else one)
    config = hub.put_blob(name, b"{}", "application/vnd.cncf.flux.config.v1+json")
    return hub.put_manifest(name, tag, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described})


def _artifact(hub: Registry, name: str, **given: str) -> Artifact:
    source = f"oci://{hub.address}/{name}"
    return Artifact(Spec("s", OCI, source, source, **given), Access(tls_verify=False))  # type: ignore[arg-type]


def _files(artifact: Artifact, directory: Path, revision: str = "") -> dict[str, str]:
    directory.mkdir()
    artifact.files(revision or artifact.revision(), str(directory))
    return {str(path.relative_to(directory)): path.read_text() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_flux(hub: Registry, tmp_path: Path) -> None:
    digest = _put(hub, "team/shop", "1.0", [(_tar(app_yaml="a"), FLUX, "")])
    source = _artifact(hub, "team/shop:1.0")
    assert source.revision() == f"1.0@{digest}"
    assert _files(source, tmp_path / "a") == {"app.yaml": "a"}
    newer = _put(hub, "team/shop", "1.0", [(_tar(app_yaml="b"), FLUX, "")])
    assert source.revision() == f"1.0@{newer}" and _files(source, tmp_path / "b") == {"app.yaml": "b"}
    assert _files(source, tmp_path / "c", f"1.0@{digest}") == {"app.yaml": "a"}  # what was looked at is what comes
    pinned = _artifact(hub, f"team/shop@{digest}")
    assert pinned.revision() == digest and _files(pinned, tmp_path / "d") == {"app.yaml": "a"}
    assert _artifact(hub, "team/shop", tag="1.0").revision() == f"1.0@{newer}"


def test_oras(hub: Registry, tmp_path: Path) -> None:
    _put(hub, "oras", "1", [(b"a", "application/yaml", "app.yaml"), (b"b", "application/yaml", "base/b.yaml")])
    assert _files(_artifact(hub, "oras:1"), tmp_path / "a") == {"app.yaml": "a", "base/b.yaml": "b"}


@pytest.mark.parametrize(
    ("layers", "error"),
    [
        ([], InvalidInput), ([(b"x", "application/octet-stream", "")], NotSupported), ([(b"x", "application/yaml", "../a")], InvalidInput),
        ([(b"x", "application/yaml", "/etc/x")], InvalidInput), ([(b"not a tar", FLUX, "")], InvalidInput),
        ([(b"x", "a/b", "a"), (b"y", "a/b", "a")], InvalidInput),
    ],
)  # fmt: skip
def test_what_is_refused(hub: Registry, tmp_path: Path, layers: list[tuple[bytes, str, str]], error: type[KubeplayError]) -> None:
    _put(hub, "bad", "1", layers)
    with pytest.raises(error):
        _files(_artifact(hub, "bad:1"), tmp_path / "out")


def test_what_is_not_there(hub: Registry) -> None:
    with pytest.raises(NotFound):
        _artifact(hub, "nothing:1").revision()


def test_an_index_is_not_an_artifact(hub: Registry, tmp_path: Path) -> None:
    digest = _put(hub, "many", "one", [(_tar(a_yaml="a"), FLUX, "")])
    member = {"mediaType": MANIFEST, "digest": digest, "size": len(hub.manifest("many", "one"))}
    media = "application/vnd.oci.image.index.v1+json"
    hub.put_manifest("many", "1", {"schemaVersion": 2, "mediaType": media, "manifests": [member]})
    with pytest.raises(NotSupported, match="index"):
        _files(_artifact(hub, "many:1"), tmp_path / "out")


def test_a_blob_that_was_changed(hub: Registry, tmp_path: Path) -> None:
    for name, layer in (("tarred", (_tar(a_yaml="a"), FLUX, "")), ("titled", (b"a: 1\n", "application/yaml", "a.yaml"))):
        blob = hub.put_blob(name, layer[0], layer[1])
        _put(hub, name, "1", [layer])
        hub.blob_file(blob["digest"]).write_bytes(bytes([layer[0][0] ^ 1]) + layer[0][1:])
        with pytest.raises(KubeplayError):
            _files(_artifact(hub, f"{name}:1"), tmp_path / name)


def test_the_trust_policy_is_asked(hub: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubeplay.engine.images import trust

    _put(hub, "trusted", "1", [(_tar(a_yaml="a"), FLUX, "")])
    (tmp_path / "policy.json").write_text(json.dumps({"default": [{"type": "reject"}]}))
    policy = trust.load(str(tmp_path / "policy.json"))
    monkeypatch.setattr(trust, "load", lambda path="": policy)
    with pytest.raises(TrustError):
        _files(_artifact(hub, "trusted:1"), tmp_path / "out")


def test_words() -> None:
    assert is_artifact("oci://host/x") and not is_artifact("docker://host/x")
    with pytest.raises(NotFound, match="no such auth file"):
        credentials("/no/such/file", "", "", None)
    assert credentials("", "", "me:pw", False) == Access(tls_verify=False, creds="me:pw")
