"""Sigstore signatures as cosign makes them: a signed JSON payload, its signature and, without a lasting key, a certificate.

The order is containers/image's: the transparency log's word first (it says when), the key or certificate next, and only then is the
payload read.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from kubeplay.engine.images.transports.base import Signature
from kubeplay.engine.images.trust import keys, payload
from kubeplay.engine.images.trust.payload import Claim
from kubeplay.engine.images.trust.requirements import Requirement
from kubeplay.errors import InvalidInput, TrustError
from kubeplay.record import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE, CHAIN, BUNDLE = "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/chain", "dev.sigstore.cosign/bundle"
_MIN_RSA = 2048  # bits; NIST SP 800-131A forbids shorter ones


class Trust(Record):
    """A requirement with its keys read; `ca` is a certificates.Authority when certificates are asked for."""

    keys: tuple[PublicKeyTypes, ...]
    rekor: tuple[PublicKeyTypes, ...]
    ca: Any = None


def trust(one: Requirement) -> Trust:
    """Read a requirement's keys. Raises TrustError."""
    from kubeplay.engine.images.trust import certificates

    own = tuple([public_key(data, keys.names(one.keys)) for data in keys.read(one.keys)])
    logs = tuple([public_key(data, keys.names(one.rekor)) for data in keys.read(one.rekor)])
    return Trust(own, logs, certificates.authority(one))


def verify(trusted: Trust, signature: Signature) -> tuple[Claim, str]:
    """What the signature says and who made it. Raises InvalidInput saying what is wrong with it."""
    notes = dict(signature.annotations)
    made = _base64(notes.get(SIGNATURE, ""), f"the annotation {SIGNATURE}")
    if trusted.ca is not None:
        from kubeplay.engine.images.trust import certificates, rekor

        text = _bytes(notes.get(CERTIFICATE, ""))
        seconds = rekor.logged(trusted.rekor, notes.get(BUNDLE, ""), text, made, signature.payload) if trusted.rekor else None
        key, signer = certificates.verified(trusted.ca, text, _bytes(notes.get(CHAIN, "")), seconds)
        check(key, made, signature.payload)
        return payload.read(signature.payload, payload.COSIGN), signer
    for key in trusted.keys:
        if _holds(key, made, signature.payload):
            if trusted.rekor:
                from kubeplay.engine.images.trust import rekor

                rekor.logged(trusted.rekor, notes.get(BUNDLE, ""), pem(key), made, signature.payload)
            return payload.read(signature.payload, payload.COSIGN), f"sigstore key {fingerprint(key)}"
    raise InvalidInput("it was not made by the policy's key, or its content was changed")


def public_key(data: bytes, where: str) -> PublicKeyTypes:
    """A PEM public key of a kind that sigstore uses. Raises TrustError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{where} is no PEM public key: {str(error)[:200]}") from None
    if not isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)):
        raise TrustError(f"{where} is a key of a kind that sigstore does not use")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA:
        raise TrustError(f"{where} is an RSA key of {key.key_size} bits (at least {_MIN_RSA} are needed)")
    return key


def pem(key: PublicKeyTypes) -> bytes:
    """The key as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: PublicKeyTypes) -> str:
    """The start of the sha256 of the key's DER form: what people can compare."""
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def _holds(key: PublicKeyTypes, made: bytes, data: bytes) -> bool:
    try:
        check(key, made, data)
    except InvalidInput:
        return False
    return True


def check(key: PublicKeyTypes, made: bytes, data: bytes) -> None:
    """Raises InvalidInput when `made` is not `key`'s signature of `data`. SHA-256 as sigstore's signers have it; PKCS 1.5 for RSA."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(made, data, ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(made, data, padding.PKCS1v15(), SHA256())
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(made, data)
        else:
            raise InvalidInput("the key is of a kind that sigstore does not use")
    except InvalidSignature:
        raise InvalidInput("the signature does not fit its content") from None


def _bytes(text: str) -> bytes:
    """JSON may hold halves of characters, which have no bytes."""
    return text.encode("utf-8", "replace")


def _base64(text: str, where: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidInput(f"{where} is not base64") from None
    if not found:
        raise InvalidInput(f"{where} is missing")
    return found
