"""Certificates of Ingresses, out of Secrets (IG1). A Secret is hostile until its certificate and key are read and fit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.reconcile.objects import Contents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
    from cryptography.x509 import Certificate as X509

    from kubeplay.engine.store.db import Store
    from kubeplay.plan.proxy import Certificate

CERTIFICATE, KEY = "tls.crt", "tls.key"
OWN = "default.pem"
_DAYS = 3650
_MOST = 20  # certificates of one chain

Shown = dict[str, tuple[str, bytes]]


def gather(store: Store, wanted: Iterable[Certificate], own: bytes) -> tuple[Shown, dict[str, str]]:
    """What the proxy is given: (file name, PEM) by place, `own` for whoever has none; and why a place has none."""
    shown: Shown = {"": (OWN, own)}
    lacks: dict[str, str] = {}
    for index, one in enumerate(wanted):
        namespace, _, name = one.place.partition("/")
        found = Contents(store, namespace).get("Secret", name)
        if found is None:
            lacks[one.place] = f"Secret {name} is not there"
            continue
        try:
            shown[one.place] = (f"tls{index}.pem", pem(found.files.get(CERTIFICATE, b""), found.files.get(KEY, b"")))
        except ValueError as error:
            lacks[one.place] = f"Secret {name}: {error}"
    return shown, lacks


def pem(certificate: bytes, key: bytes) -> bytes:
    """Chain and key as we write them. Raises ValueError when they are none or do not fit; it never tells what is in them."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(certificate)[:_MOST]
    except ValueError:
        raise ValueError(f"{CERTIFICATE} is not a certificate in PEM") from None
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{KEY} is not a private key in PEM without a password") from None
    try:
        fits = _public(private.public_key()) == _public(chain[0].public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"the key of {CERTIFICATE} is of no kind that we know") from None
    if not fits:
        raise ValueError(f"{KEY} is not the key of {CERTIFICATE}")
    return _joined(chain, private)


def _public(key: PublicKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _joined(chain: Sequence[X509], key: PrivateKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    text = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    return text + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(when: float) -> bytes:
    """A certificate from `when` (epoch seconds) on that nobody trusts, for TLS clients who ask for a name that no Secret is for."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubeplay Ingress, no certificate")])
    now = datetime.fromtimestamp(when, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=_DAYS))
        .sign(key, SHA256())
    )  # fmt: skip
    return _joined([made], key)
