"""Whatever is in a policy, a signature or a configuration: it is read or refused, never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeplay.engine.images import trust
from kubeplay.engine.images.transports.base import Signature
from kubeplay.engine.images.trust import blobs, identity, payload, policy, registriesd, signing, sigstore
from kubeplay.errors import InvalidInput, KubeplayError, NotSupported, TrustError
from tests.support.trust import DOCUMENT, MANIFEST, NAME, Source, b64, cosigned, digest, rules

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
ODD = ["\ud800", "\0", "/a\0b", "default", "docker", "quay.io/x", "sha256:" + "1" * 64, "1e999"]
TEXT = st.text(max_size=20) | st.sampled_from(ODD)
LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
KEYS = TEXT | st.sampled_from([
    "type", "default", "transports", "docker", "keyType", "keyPath", "keyData", "keyPaths", "signedIdentity", "fulcio", "pki", "caData",
    "critical", "optional", "image", "identity", "docker-reference", "docker-manifest-digest", "creator", "timestamp", "mimeType",
    "payload", "annotations",
    "SignedEntryTimestamp", "Payload", "body", "integratedTime", "logIndex", "logID", "lookaside", "default-docker",
])  # fmt: skip
JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20)
NOTES = [sigstore.SIGNATURE, sigstore.CERTIFICATE, sigstore.CHAIN, sigstore.BUNDLE]
quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a loaded machine


def _bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


@quickly
@given(JSON)
def test_policies(value: Any) -> None:
    for made in (value, {"default": value}, {"default": [{"type": "reject"}], "transports": {"docker": {"quay.io": value}}}):
        try:
            found = policy.parse(_bytes(made), "p.json")
            trust.check(found, Source({}), DOCUMENT)
        except KubeplayError as error:
            assert isinstance(error, (InvalidInput, TrustError))


@quickly
@given(JSON, st.sampled_from(["signedBy", "sigstoreSigned"]), st.dictionaries(KEYS, TEXT | st.lists(TEXT), max_size=3))
def test_requirements(value: Any, kind: str, more: dict[str, Any]) -> None:
    asked = {"type": kind, **({"keyType": "GPGKeys"} if kind == "signedBy" else {}), **more, "signedIdentity": value}
    for one in (asked, {key: item for key, item in asked.items() if key != "signedIdentity"}):
        try:
            found = policy.parse(_bytes({"default": [one]}), "p.json")
            trust.check(found, Source({digest(MANIFEST): [Signature("sigstore", b"{}"), cosigned(KEY)]}), DOCUMENT)
        except KubeplayError as error:
            assert isinstance(error, (InvalidInput, TrustError))


@quickly
@given(JSON, st.binary(max_size=40))
def test_payloads_and_stored_signatures(value: Any, data: bytes) -> None:
    critical = {"type": payload.SIMPLE, "image": {"docker-manifest-digest": value}, "identity": {"docker-reference": value}}
    for raw in (data, _bytes(value), _bytes({"critical": value, "optional": {}}), _bytes({"critical": critical, "optional": value})):
        for kind in (payload.SIMPLE, payload.COSIGN):
            try:
                claim = payload.read(raw, kind)
            except InvalidInput:
                continue
            identity.why_not(identity.Identity(), NAME, claim.name)
        try:
            found = blobs.decode(b"\0sigstore-json\n" + raw)
        except InvalidInput:
            continue
        assert blobs.decode(blobs.encode(found)) == found


@quickly
@given(st.dictionaries(st.sampled_from(NOTES), TEXT | JSON.map(json.dumps)))
def test_annotations_of_signatures(notes: dict[str, str]) -> None:
    key, good = b64(PEM), cosigned(KEY)
    fulcio = {"caData": key, "oidcIssuer": "i", "subjectEmail": "e"}
    signature = good._replace(annotations=tuple({**dict(good.annotations), **notes}.items()))
    for asked in ({"keyData": key, "rekorPublicKeyData": key}, {"fulcio": fulcio, "rekorPublicKeyData": key}):
        with pytest.raises(TrustError):
            trust.check(rules({"type": "sigstoreSigned", **asked}), Source({digest(MANIFEST): [signature]}), DOCUMENT)


@quickly
@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_registries_d(text: str) -> None:
    for made in (text, f"docker: {text}", f"default-docker: {text}", f"docker: {{quay.io: {text}}}"):
        try:
            registriesd.lookaside(registriesd.join("d", [("a.yaml", made)]), NAME)
        except InvalidInput:
            pass


@quickly
@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_parameters_of_sigstore(text: str) -> None:
    try:
        signing.parameters(text, "p.yaml")
    except (InvalidInput, NotSupported):
        pass
