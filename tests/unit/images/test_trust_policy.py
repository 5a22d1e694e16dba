"""policy.json read strictly, the rule that decides, and the names that signatures must carry."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.images.trust import identity, payload, policy, registriesd, scopes
from kubeplay.errors import InvalidInput

ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
KEY = base64.b64encode(b"key").decode()


def _policy(transports: dict[str, Any], default: Any = REJECT) -> policy.Policy:
    return policy.parse(json.dumps({"default": default, "transports": transports}).encode(), "p.json")


def _signed(**more: Any) -> dict[str, Any]:
    return {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k", **more}


def _sigstore(**more: Any) -> dict[str, Any]:
    return {"type": "sigstoreSigned", **more}


def test_scopes_go_from_the_name_to_the_host_and_its_domains() -> None:
    assert scopes.candidates("docker", "reg.example.com:5000/a/b:1") == (
        "reg.example.com:5000/a/b:1", "reg.example.com:5000/a/b", "reg.example.com:5000/a", "reg.example.com:5000",
        "*.example.com", "*.com", "",
    )  # fmt: skip
    digest = "sha256:" + "a" * 64
    assert scopes.candidates("docker", f"quay.io/x:1@{digest}")[:2] == (f"quay.io/x@{digest}", "quay.io/x")
    assert scopes.candidates("docker", "localhost/x:1") == ("localhost/x:1", "localhost/x", "localhost", "")


def test_scopes_of_paths_end_below_the_root() -> None:
    assert scopes.candidates("dir", "/a/b") == ("/a/b", "/a", "")
    assert scopes.candidates("oci", "/a/b:v1") == ("/a/b:v1", "/a/b", "/a", "")
    assert scopes.candidates("oci", "/a/b:quay.io/x/y:1") == ("/a/b:quay.io/x/y:1", "/a/b", "/a", "")
    assert scopes.candidates("dir", "/a/b:c") == ("/a/b:c", "/a", "")
    assert scopes.candidates("docker-archive", "/a/b.tar") == ("",)


@pytest.mark.parametrize(
    "transport, scope, name",
    [
        ("docker", "docker.io/library/busybox:1", 'docker "docker.io/library/busybox:1"'),
        ("docker", "docker.io/library/busybox:2", 'docker "docker.io/library/busybox"'),
        ("docker", "docker.io/library/busyboxes:2", 'docker "docker.io/library"'),
        ("docker", "docker.io/libraryish/x:2", 'docker "docker.io"'),
        ("docker", "a.b.example.com/x:1", 'docker "*.example.com"'),
        ("docker", "example.com/x:1", 'docker ""'),
        ("dir", "/srv/images/one", 'dir "/srv/images"'),
        ("dir", "/srv/imagesx/one", 'dir ""'),
        ("oci", "/srv/images/one:x", "default"),
    ],
)
def test_the_narrowest_scope_decides_alone(transport: str, scope: str, name: str) -> None:
    entries = ["docker.io/library/busybox:1", "docker.io/library/busybox", "docker.io/library", "docker.io", "*.example.com", ""]
    found = _policy({"docker": dict.fromkeys(entries, ACCEPT), "dir": {"/srv/images": ACCEPT, "": ACCEPT}})
    assert policy.rule(found, transport, scope).name == name


@pytest.mark.parametrize(
    "text, why",
    [
        ("{}", "lacks 'default'"),
        ('{"default": []}', "at least one requirement"),
        ('{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}', "twice"),
        ('{"default": [{"type": "reject", "type": "insecureAcceptAnything"}]}', "twice"),
        ('{"default": [{"type": "reject"}], "Transports": {}}', "did you mean 'transports'"),
        ('{"default": [{"type": "accept"}]}', "type must be one of"),
        ('{"default": [{"type": "reject", "x": 1}]}', "unknown member 'x'"),
        ('{"default": [{"type": "reject"}]} x', "not JSON"),
        ('{"default": [{"type": NaN}]}', "not JSON"),
        ("[" * 100000, "not JSON"),
        ('{"default": [{"type": ["reject"]}]}', "type must be one of"),
    ],
)
def test_a_file_that_is_not_exactly_a_policy_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        policy.parse(text.encode(), "p.json")
    assert "p.json" in str(caught.value) and why in str(caught.value)


@pytest.mark.parametrize(
    "transports, why",
    [
        ({"dokcer": {"": ACCEPT}}, "unknown transport"),
        ({"dir": {"relative": ACCEPT}}, "absolute"),
        ({"dir": {"/": ACCEPT}}, "not allowed"),
        ({"dir": {"/a/../b": ACCEPT}}, "clean path"),
        ({"docker-archive": {"/a.tar": ACCEPT}}, "no scopes"),
        ({"docker": {"Not A Name": ACCEPT}}, "no image name"),
        ({"docker": {"x": []}}, "at least one"),
        ({"docker": ACCEPT}, "object"),
    ],
)
def test_transports_and_scopes_are_checked(transports: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        _policy(transports)


@pytest.mark.parametrize(
    "requirement, why",
    [
        ({"type": "signedBy", "keyPath": "/k"}, "lacks 'keyType'"),
        ({"type": "signedBy", "keyType": "GPGKeys"}, "exactly one of keyPath"),
        (_signed(keyData=KEY), "exactly one of keyPath"),
        (_signed(keyType="X509Certificates"), "must be GPGKeys"),
        (_signed(keyPath=""), "not empty"),
        ({"type": "signedBy", "keyType": "GPGKeys", "keyData": "*"}, "not base64"),
        ({"type": "signedBy", "keyType": "GPGKeys", "keyPaths": []}, "not empty"),
        (_signed(signedIdentity={"type": "matchAll"}), "type must be one of"),
        (_signed(signedIdentity={"type": "matchExact", "x": 1}), "unknown member"),
        (_signed(signedIdentity={"type": "exactReference", "dockerReference": "quay.io/x"}), "tag or a digest"),
        (_signed(signedIdentity={"type": "remapIdentity", "prefix": "quay.io/x:1", "signedPrefix": "y"}), "full form"),
        (_sigstore(), "exactly one of"),
        (_sigstore(keyPath="/k", keyData=KEY), "exactly one of"),
        (_sigstore(keyPath="/k", rekorPublicKeyPath="/r", rekorPublicKeyData=KEY), "exactly one of"),
        (_sigstore(fulcio={"caPath": "/c", "oidcIssuer": "i", "subjectEmail": "e"}), "needs a rekorPublicKey"),
        (_sigstore(fulcio={"caPath": "/c", "oidcIssuer": "i"}, rekorPublicKeyPath="/r"), "lacks 'subjectEmail'"),
        (_sigstore(pki={"caRootsPath": "/c"}), "subjectEmail or subjectHostname"),
        (_sigstore(pki={"caRootsPath": "/c", "subjectEmail": "e"}, rekorPublicKeyPath="/r"), "cannot be used with pki"),
    ],
)
def test_requirements_are_checked(requirement: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        _policy({}, [requirement])


def test_every_requirement_that_podman_knows_is_read() -> None:
    rows: list[dict[str, Any]] = [
        _signed(), {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": ["/a", "/b"]}, _sigstore(keyDatas=[KEY, KEY]),
        _sigstore(keyPaths=["/a"], rekorPublicKeyPaths=["/r"], signedIdentity={"type": "matchRepository"}),
        _sigstore(fulcio={"caData": KEY, "oidcIssuer": "i", "subjectEmail": "e"}, rekorPublicKeyDatas=[KEY]),
        _sigstore(pki={"caRootsData": KEY, "caIntermediatesPath": "/i", "subjectHostname": "h"}),
    ]  # fmt: skip
    found = _policy({"docker": {"": rows}}).transports[0][1][0][1]
    assert [one.kind for one in found] == [row["type"] for row in rows]
    assert found[1].keys.paths == ("/a", "/b") and found[2].keys.data == (b"key", b"key")


def test_where_the_policy_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "SYSTEM", str(tmp_path / "none.json"))
    home = {"HOME": str(tmp_path)}
    assert policy.locate("/given", home) == "/given"
    assert policy.locate("", home) == policy.BUILT_IN
    own = tmp_path / ".config/containers/policy.json"
    own.parent.mkdir(parents=True)
    own.symlink_to("/nowhere")
    assert policy.locate("", home) == str(own), "a dangling link is a file that cannot be read, not an absent one"
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InvalidInput, match="cannot be read"):
        policy.load()
    own.unlink()
    assert policy.load().default[0].kind == "insecureAcceptAnything" and policy.load().where == "the built-in policy"


D1, D2 = "sha256:" + "1" * 64, "sha256:" + "2" * 64


REMAP = {"type": "remapIdentity", "prefix": "mirror:5000/v", "signedPrefix": "vendor.io"}


@pytest.mark.parametrize(
    "value, image, signed, fits",
    [
        ({"type": "matchExact"}, "quay.io/a/b:1", "quay.io/a/b:1", True),
        ({"type": "matchExact"}, "quay.io/a/b:1", "quay.io/a/b:2", False),
        ({"type": "matchExact"}, "quay.io/a/b:1", "quay.io/a/b", False),
        ({"type": "matchExact"}, "quay.io/a/b:latest", "quay.io/a/b", False),
        ({"type": "matchExact"}, "docker.io/library/b:1", "b:1", True),
        ({"type": "matchExact"}, f"quay.io/a/b@{D1}", "quay.io/a/b:1", False),
        ({"type": "matchExact"}, f"quay.io/a/b@{D1}", f"quay.io/a/b@{D1}", True),
        ({"type": "matchRepoDigestOrExact"}, f"quay.io/a/b@{D1}", "quay.io/a/b:1", True),
        ({"type": "matchRepoDigestOrExact"}, f"quay.io/a/b:7@{D1}", "quay.io/a/b:1", True),
        ({"type": "matchRepoDigestOrExact"}, f"quay.io/a/b@{D1}", "quay.io/a/c:1", False),
        ({"type": "matchRepoDigestOrExact"}, "quay.io/a/b:1", "quay.io/a/b:1", True),
        ({"type": "matchRepoDigestOrExact"}, "quay.io/a/b:1", "quay.io/a/b:2", False),
        ({"type": "matchRepoDigestOrExact"}, "quay.io/a/b:1", f"quay.io/a/b@{D1}", False),
        ({"type": "matchRepoDigestOrExact"}, "quay.io/a/b:1", "quay.io/a/b", False),
        ({"type": "matchRepository"}, "quay.io/a/b:1", "quay.io/a/b:9", True),
        ({"type": "matchRepository"}, "quay.io/a/b:1", "quay.io/a/b", True),
        ({"type": "matchRepository"}, "quay.io/a/b:1", "quay.io/a/bb:1", False),
        ({"type": "matchRepository"}, "", "quay.io/a/b:1", False),
        ({"type": "exactReference", "dockerReference": "quay.io/a/b:1"}, "", "quay.io/a/b:1", True),
        ({"type": "exactReference", "dockerReference": "quay.io/a/b:1"}, "quay.io/a/b:2", "quay.io/a/b:2", False),
        ({"type": "exactRepository", "dockerRepository": "quay.io/a/b"}, "", "quay.io/a/b:5", True),
        ({"type": "exactRepository", "dockerRepository": "quay.io/a/b"}, "x.io/y:1", "x.io/y:1", False),
        (REMAP, "mirror:5000/v/a:1", "vendor.io/a:1", True),
        (REMAP, "mirror:5000/v/a:1", "mirror:5000/v/a:1", False),
        (REMAP, "mirror:5000/vv/a:1", "mirror:5000/vv/a:1", True),
        (REMAP, "mirror:5000/vv/a:1", "vendor.io/a:1", False),
        ({"type": "remapIdentity", "prefix": "mirror:5000/v/a", "signedPrefix": "v.io/b"}, f"mirror:5000/v/a@{D2}", "v.io/b:1", True),
        ({"type": "matchExact"}, "quay.io/a/b:1", "not a name", False),
    ],
)
def test_identities(value: dict[str, str], image: str, signed: str, fits: bool) -> None:
    reason = identity.why_not(identity.parse(value, "x"), image, signed)
    assert (reason == "") is fits, reason


def _payload(**changes: Any) -> bytes:
    critical = {"type": payload.SIMPLE, "image": {"docker-manifest-digest": D1}, "identity": {"docker-reference": "quay.io/a:1"}}
    return json.dumps({"critical": {**critical, **changes}, "optional": {}}).encode()


def test_what_we_sign_is_what_we_read() -> None:
    claim = payload.read(payload.write("quay.io/a:1", D1, payload.COSIGN, 1.9), payload.COSIGN)
    assert claim == payload.Claim("quay.io/a:1", D1, "kubeplay", 1)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b"{}{}", b"\xff", _payload(type=payload.COSIGN), _payload(more=1), _payload(image={}), _payload(identity=None),
        _payload(image={"docker-manifest-digest": 5}), _payload(image={"docker-manifest-digest": D1, "x": 1}),
        _payload(identity={"docker-reference": ""}), _payload().replace(b'"optional"', b'"Optional"'),
        _payload().replace(b'"optional": {}', b'"optional": null'), _payload().replace(b'"optional": {}', b'"optional": {"creator": 1}'),
        _payload().replace(b'"optional": {}', b'"optional": {"timestamp": 1.5}'),
        _payload().replace(b'"optional": {}', b'"optional": {}, "more": 1'), _payload()[:-1] + b', "critical": {}}',
        _payload() + b" " * payload.MAX_PAYLOAD,
    ],
)  # fmt: skip
def test_malformed_payloads(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        payload.read(data, payload.SIMPLE)
    assert payload.read(_payload(), payload.SIMPLE).digest == D1


def test_registries_d_from_the_narrowest_scope_to_the_default() -> None:
    found = registriesd.join("d", [
        ("a.yaml", "default-docker: {lookaside: 'https://all', use-sigstore-attachments: true}\n"
                   "docker: {quay.io: {sigstore: 'https://old', sigstore-staging: 'file:///old'}}"),
        ("b.yaml", "docker:\n  quay.io/a/b: {use-sigstore-attachments: false}\n  quay.io/a: {lookaside: 'https://a', sigstore: 'https://no'}"),
    ])  # fmt: skip
    assert registriesd.lookaside(found, "quay.io/a/b:1") == "https://a"
    assert registriesd.lookaside(found, "quay.io/x:1") == "https://old"
    assert registriesd.lookaside(found, "quay.io/x:1", write=True) == "file:///old"
    assert registriesd.lookaside(found, "docker.io/library/x:1", write=True) == "https://all"
    assert registriesd.attachments(found, "quay.io/a:1") and not registriesd.attachments(found, "quay.io/a/b:1")
    assert not registriesd.attachments(registriesd.Registries("d"), "quay.io/a:1")


@pytest.mark.parametrize(
    "texts",
    [
        ["a: 1"], ["- 1"], ["docker: {x: {lookaside: 1}}"], ["docker: {x: {use-sigstore-attachments: 'yes'}}"], ["docker: {x: {more: a}}"],
        ["docker: {x: {}}", "docker: {x: {}}"], ["default-docker: {}", "default-docker: {}"], ["a: [" * 5000], ["docker: {1: {}}"],
    ],
)  # fmt: skip
def test_registries_d_is_read_strictly(texts: list[str]) -> None:
    with pytest.raises(InvalidInput):
        registriesd.join("d", [(f"{index}.yaml", text) for index, text in enumerate(texts)])
