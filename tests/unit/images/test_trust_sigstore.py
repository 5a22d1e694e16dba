"""Sigstore signatures: keys of every kind, certificates of Fulcio and of an own CA, the transparency log's promise, cosign's keys."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeplay.engine.images import trust
from kubeplay.engine.images.transports.base import Document, Signature
from kubeplay.engine.images.trust import cosignkeys, payload, sigstore
from kubeplay.errors import InvalidInput, NotSupported, TrustError
from tests.support.trust import DOCUMENT, MANIFEST, NAME, Source, b64, cosigned, digest, rules

P256 = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
LOG = ec.generate_private_key(ec.SECP256R1())
WHEN = 1_600_000_000  # long past: a short-lived certificate is judged by the log's time
REPOSITORY = {"type": "matchRepository"}


def _pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def _private(key: Any, password: bytes = b"") -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))


def _requirement(key: Any = P256, **more: Any) -> dict[str, Any]:
    return {"type": "sigstoreSigned", "keyData": b64(_pem(key)), **more}


def _check(requirement: dict[str, Any], *signatures: Signature, document: Document = DOCUMENT, **more: Any) -> tuple[str, ...]:
    return trust.check(rules(requirement), Source({digest(document.raw): signatures}, **more), document).signers


def _refused(requirement: dict[str, Any], *signatures: Signature, **more: Any) -> str:
    with pytest.raises(TrustError) as caught:
        _check(requirement, *signatures, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    "key", [P256, ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)]
)
def test_keys_of_every_kind(key: Any) -> None:
    assert _check(_requirement(key), cosigned(key))[0].startswith("sigstore key ")
    assert "not made by the policy's key" in _refused(_requirement(OTHER), cosigned(key))


def test_one_of_several_keys() -> None:
    requirement = {"type": "sigstoreSigned", "keyDatas": [b64(_pem(OTHER)), b64(_pem(P256))]}
    assert _check(requirement, Signature("simple", b"\x80"), cosigned(P256))


def test_cosign_names_the_repository_only() -> None:
    signature = cosigned(P256, "quay.io/team/web")
    assert "not for 'quay.io/team/web:1'" in _refused(_requirement(), signature)
    assert _check(_requirement(signedIdentity=REPOSITORY), signature)
    message = _refused(_requirement(signedIdentity=REPOSITORY), signature, reference="quay.io/team/db:1")
    assert "not for the repository 'quay.io/team/db'" in message


def test_another_manifest_and_another_tag() -> None:
    assert "a signature of the digest" in _refused(_requirement(), cosigned(P256), document=Document(MANIFEST + b" "))
    assert "not for 'quay.io/team/web:2'" in _refused(_requirement(), cosigned(P256), reference="quay.io/team/web:2")
    assert "none exists" in _refused(_requirement())


def test_what_is_changed_is_refused() -> None:
    good = cosigned(P256)
    made = dict(good.annotations)[sigstore.SIGNATURE]
    flipped = b64(base64.b64decode(made)[:-1] + b"\x00")
    for changed in (
        good._replace(payload=good.payload.replace(b"web:1", b"web:2")), good._replace(annotations=()), good._replace(payload=b""),
        good._replace(annotations=((sigstore.SIGNATURE, flipped),)), good._replace(annotations=((sigstore.SIGNATURE, "*"),)),
        good._replace(annotations=((sigstore.SIGNATURE, made + "AAAA"),)),
    ):  # fmt: skip
        assert "no signature of" in _refused(_requirement(), changed)


def test_a_simple_signing_payload_is_not_cosigns() -> None:
    text = payload.write(NAME, digest(MANIFEST), payload.SIMPLE, 0)
    made = b64(P256.sign(text, ec.ECDSA(SHA256())))
    assert "is of type" in _refused(_requirement(), Signature("sigstore", text, ((sigstore.SIGNATURE, made),)))


def test_keys_that_are_none(tmp_path: Path) -> None:
    weak = dsa.generate_private_key(1024)
    for data in (b"", b"junk", _pem(weak), _private(P256)):
        path = tmp_path / "key"
        path.write_bytes(data)
        assert str(path) in _refused({"type": "sigstoreSigned", "keyPath": str(path)}, cosigned(P256))


# The transparency log


def _bundle(signature: Signature, key: bytes, log: Any = LOG, when: int = WHEN, **changes: Any) -> str:
    """An entry as Rekor promises it; `changes` are made before it is signed."""
    made = dict(signature.annotations)[sigstore.SIGNATURE]
    sum_ = {"algorithm": "sha256", "value": hashlib.sha256(signature.payload).hexdigest()}
    spec = {"data": {"hash": sum_}, "signature": {"content": made, "publicKey": {"content": b64(key)}}}
    body = {"apiVersion": "0.0.1", "kind": changes.pop("kind", "hashedrekord"), "spec": spec}
    entry = {"body": b64(json.dumps(body).encode()), "integratedTime": when, "logIndex": 7, "logID": "c0ff"}
    promise = b64(log.sign(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode(), ec.ECDSA(SHA256())))
    entry.update(changes)
    return json.dumps({"SignedEntryTimestamp": promise, "Payload": entry})


def _with(signature: Signature, **notes: str) -> Signature:
    names = {"bundle": sigstore.BUNDLE, "certificate": sigstore.CERTIFICATE, "chain": sigstore.CHAIN}
    return signature._replace(annotations=(*signature.annotations, *[(names[key], value) for key, value in notes.items()]))


def test_the_logs_promise() -> None:
    wanted = _requirement(rekorPublicKeyData=b64(_pem(LOG)))
    good = cosigned(P256)
    assert _check(wanted, _with(good, bundle=_bundle(good, _pem(P256))))
    bad = {
        "was not logged": "", "is not JSON": "{", "was not made by the policy's log": _bundle(good, _pem(P256), OTHER),
        "of another key": _bundle(good, _pem(OTHER)), "of another signature": _bundle(cosigned(P256), _pem(P256)),
        "not hashedrekord": _bundle(good, _pem(P256), kind="intoto"), "by the policy's log": _bundle(good, _pem(P256), integratedTime=5),
        "whole number": _bundle(good, _pem(P256), logIndex="7"),
    }  # fmt: skip
    for reason, bundle in bad.items():
        assert reason in _refused(wanted, _with(good, bundle=bundle)), reason


# Certificates


class Ca:
    """A root, one intermediate below it, and leaves of a few minutes."""

    def __init__(self, start: int = WHEN - 100, **root: Any) -> None:
        self.start = datetime.datetime.fromtimestamp(start, datetime.UTC)
        self.root_key, self.key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
        self.root = self._make("root", self.root_key, "root", self.root_key, ca=2, days=3000)
        self.middle = self._make("middle", self.key, "root", self.root_key, ca=root.get("length", 0), days=3000, usages=root.get("usages"))

    def leaf(self, key: Any, email: str = "me@team.example", issuer: str = "https://login.example", **how: Any) -> x509.Certificate:
        return self._make("", key, "middle", how.pop("by", self.key), email=email, issuer=issuer, **how)

    def _make(self, name: str, key: Any, issuer_name: str, by: Any, *, ca: int | None = None, email: str = "", issuer: str = "",
              days: float = 0.01, usages: Any = None, hosts: tuple[str, ...] = (), critical: bool = False) -> x509.Certificate:  # fmt: skip
        made = x509.CertificateBuilder(_dn(issuer_name), _dn(name), key.public_key(), x509.random_serial_number(), self.start,
                                       self.start + datetime.timedelta(days=days))  # fmt: skip
        made = made.add_extension(x509.BasicConstraints(ca is not None, ca), critical=True)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if ca is None:
            usages = usages or [ExtendedKeyUsageOID.CODE_SIGNING]
            names: list[x509.GeneralName] = [x509.RFC822Name(email)] if email else []
            made = made.add_extension(x509.SubjectAlternativeName([*names, *map(x509.DNSName, hosts)]), critical=True)
        if usages:
            made = made.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if issuer:
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
            made = made.add_extension(x509.UnrecognizedExtension(oid, issuer.encode()), critical=critical)
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
            made = made.add_extension(x509.UnrecognizedExtension(oid, b"\x0c" + bytes([len(issuer)]) + issuer.encode()), critical=False)
        return made.sign(by, SHA256())


def _dn(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def _text(*certificates: x509.Certificate) -> str:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates).decode()


CA = Ca()


def _fulcio(**more: Any) -> dict[str, Any]:
    fulcio = {"caData": b64(_text(CA.root).encode()), "oidcIssuer": "https://login.example", "subjectEmail": "me@team.example", **more}
    return {"type": "sigstoreSigned", "fulcio": fulcio, "rekorPublicKeyData": b64(_pem(LOG))}


def _keyless(leaf: x509.Certificate, key: Any = P256, chain: tuple[x509.Certificate, ...] = (), when: int = WHEN) -> Signature:
    good, text = cosigned(key), _text(leaf)
    return _with(good, certificate=text, chain=_text(*(chain or (CA.middle,))), bundle=_bundle(good, text.encode(), when=when))


def test_a_certificate_of_fulcio() -> None:
    assert _check(_fulcio(), _keyless(CA.leaf(P256)))[0] == "certificate of me@team.example, vouched for by https://login.example"


def test_certificates_that_are_refused() -> None:
    stranger = Ca()
    server = [ExtendedKeyUsageOID.SERVER_AUTH]
    rows = {
        "not for me@team": _keyless(CA.leaf(P256, "you@team.example")),
        "vouched for by": _keyless(CA.leaf(P256, issuer="https://evil.example")),
        "does not say which identity provider": _keyless(CA.leaf(P256, issuer="")),
        "fit its content": _keyless(CA.leaf(OTHER)),
        "not issued by": _keyless(stranger.leaf(P256), chain=(stranger.middle,)),
        "issued by the policy's CA": _keyless(CA.leaf(P256), when=WHEN + 5000),
        "was not valid then": _keyless(CA.leaf(P256, usages=server)),
        "no e-mail address": _keyless(CA.leaf(P256, "", hosts=("x.example",))),
        "or was not valid": _keyless(CA.leaf(P256), chain=(stranger.middle,)),
        "unaccounted-for critical": _keyless(CA.leaf(P256, critical=True)),
        "was not logged": _with(cosigned(P256), certificate=_text(CA.leaf(P256)), chain=_text(CA.middle)),
        "is missing": _with(cosigned(P256), bundle=_bundle(cosigned(P256), _pem(P256))),
    }  # fmt: skip
    for reason, signature in rows.items():
        message = _refused(_fulcio(), signature)
        assert reason in message or reason == "is missing", (reason, message)


def test_a_leaf_is_no_issuer() -> None:
    """A signer must not make certificates for others with his own."""
    mine = CA.leaf(P256)
    forged = CA.leaf(OTHER, by=P256)
    assert "not issued by" in _refused(_fulcio(), _keyless(forged, OTHER, (mine, CA.middle)))


def test_a_chain_that_is_too_long() -> None:
    """The intermediate may issue signers' certificates, but no further CA's."""
    key = ec.generate_private_key(ec.SECP256R1())
    for length, fits in ((0, False), (1, True)):
        ca = Ca(length=length)
        further = ca._make("further", key, "middle", ca.key, ca=0, days=3000)
        leaf = ca._make("", P256, "further", key, email="me@team.example", issuer="https://login.example")
        wanted, signature = _fulcio(caData=b64(_text(ca.root).encode())), _keyless(leaf, P256, (further, ca.middle))
        assert _check(wanted, signature) if fits else "not issued by" in _refused(wanted, signature)
    ca = Ca(length=0, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    wanted = _fulcio(caData=b64(_text(ca.root).encode()))
    assert "not issued by" in _refused(wanted, _keyless(ca.leaf(P256), P256, (ca.middle,)))


def test_a_certificate_of_an_own_ca() -> None:
    ca = Ca(int(datetime.datetime.now(datetime.UTC).timestamp()) - 100)
    pki = {"caRootsData": b64(_text(ca.root).encode()), "caIntermediatesData": b64(_text(ca.middle).encode())}

    def wanted(**who: str) -> dict[str, Any]:
        return {"type": "sigstoreSigned", "pki": {**pki, **who}}

    signature = _with(cosigned(P256), certificate=_text(ca.leaf(P256, hosts=("build.example",))))
    assert _check(wanted(subjectEmail="me@team.example", subjectHostname="build.example"), signature)
    assert "not for other.example" in _refused(wanted(subjectHostname="other.example"), signature)
    assert "not for x@y" in _refused(wanted(subjectEmail="x@y"), signature)
    old = _with(cosigned(P256), certificate=_text(CA.leaf(P256)), chain=_text(CA.middle))
    pki["caRootsData"] = b64(_text(CA.root).encode())
    assert "not valid then" in _refused(wanted(subjectEmail="me@team.example"), old), "without a log a certificate must be valid now"


def test_certificates_with_a_changed_byte() -> None:
    """Every byte of a short certificate, changed in one way: refused, whatever part of it is read when."""
    ca = Ca(int(datetime.datetime.now(datetime.UTC).timestamp()) - 100)
    wanted = {"type": "sigstoreSigned", "pki": {"caRootsData": b64(_text(ca.root).encode()), "subjectEmail": "me@team.example"}}
    leaf = ca.leaf(P256)
    der = leaf.public_bytes(serialization.Encoding.DER)
    changed = []
    for place in range(0, len(der), 3):
        if place == len(der) - len(leaf.signature) - 1:
            continue  # how many bits of the signature's last byte do not count: another number says the same where those are zero
        broken = der[:place] + bytes([der[place] ^ (1 << place % 8)]) + der[place + 1 :]
        text = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(broken).decode()}-----END CERTIFICATE-----\n"
        changed.append(_with(cosigned(P256), certificate=text, chain=_text(ca.middle)))
    assert "no signature of" in _refused(wanted, *changed)
    assert _check(wanted, *changed, _with(cosigned(P256), certificate=_text(ca.leaf(P256)), chain=_text(ca.middle)))


# Signing


def test_signing_with_keys_of_every_form(tmp_path: Path) -> None:
    passphrase = tmp_path / "pass"
    passphrase.write_text("secret\nmore\n")
    sec1 = P256.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    forms = [_private(P256), _private(P256, b"secret"), sec1, cosignkeys.write(P256, b"secret")]
    for number, data in enumerate(forms):
        path = tmp_path / f"{number}.key"
        path.write_bytes(data)
        signers = trust.Signers(sigstore_key=str(path), passphrase_file=str(passphrase))
        assert _check(_requirement(), *trust.sign(signers, NAME, digest(MANIFEST)))


def test_keys_that_do_not_open(tmp_path: Path) -> None:
    wrong, path = tmp_path / "pass", tmp_path / "key"
    wrong.write_text("wrong")
    path.write_bytes(cosignkeys.write(P256, b"secret"))
    for reason, file in (("passphrase of the private key", str(wrong)), ("--sign-passphrase-file", ""), ("cannot be read", "/nowhere")):
        with pytest.raises(TrustError, match=reason):
            trust.sign(trust.Signers(sigstore_key=str(path), passphrase_file=file), NAME, digest(MANIFEST))
    box = json.loads(base64.b64decode(b"".join(path.read_bytes().splitlines()[1:-1])))
    box["kdf"]["params"]["N"] = 1 << 30
    body = base64.encodebytes(json.dumps(box).encode())
    with pytest.raises(TrustError, match="bytes of memory"):
        cosignkeys.read(b"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n" + body + b"-----END ENCRYPTED", b"x", "k")
    for data in (b"", b"junk", os.urandom(300)):
        with pytest.raises(TrustError):
            cosignkeys.read(data, None, "k")


def test_parameters_of_sigstore(tmp_path: Path) -> None:
    key, file = tmp_path / "key", tmp_path / "p.yaml"
    key.write_bytes(_private(P256))
    file.write_text(f"privateKeyFile: {key}\n")
    assert _check(_requirement(), *trust.sign(trust.Signers(sigstore_params=str(file)), NAME, digest(MANIFEST)))
    for text, kind in (("rekorURL: x", NotSupported), ("a: 1", InvalidInput), ("[", InvalidInput), ("{}", InvalidInput)):
        file.write_text(text)
        with pytest.raises(kind):
            trust.sign(trust.Signers(sigstore_params=str(file)), NAME, digest(MANIFEST))
