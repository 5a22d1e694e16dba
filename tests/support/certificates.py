"""A certificate authority of our own for tests: a CA, a server's certificate and a client's, as files of a `--cert-dir`."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = ("localhost", "127.0.0.1")


class Certificates(NamedTuple):
    """PEM files. `cert_dir` holds ca.crt; `client_dir` ca.crt, client.cert and client.key, which the same CA has signed."""

    ca: Path
    cert: Path
    key: Path
    cert_dir: Path
    client_dir: Path


def make(directory: Path, hosts: tuple[str, ...] = HOSTS) -> Certificates:
    """Write everything below `directory`; valid for a day."""
    cert_dir, client_dir = directory / "certs", directory / "client"
    cert_dir.mkdir(parents=True)
    client_dir.mkdir()
    authority = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("kubeplay tests' CA", authority.public_key(), authority, "kubeplay tests' CA", is_ca=True)
    for where in (cert_dir, client_dir):
        (where / "ca.crt").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    cert, key = directory / "server.crt", directory / "server.key"
    _issue(cert, key, "registry", authority, hosts)
    _issue(client_dir / "client.cert", client_dir / "client.key", "client", authority, ())
    return Certificates(cert_dir / "ca.crt", cert, key, cert_dir, client_dir)


def _issue(cert: Path, key: Path, name: str, authority: ec.EllipticCurvePrivateKey, hosts: tuple[str, ...]) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    cert.write_bytes(_certificate(name, own.public_key(), authority, "kubeplay tests' CA", hosts).public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key.write_bytes(own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def _certificate(
    name: str, key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey, issuer: str, hosts: tuple[str, ...] = (),
    is_ca: bool = False,
) -> x509.Certificate:  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if hosts:
        made = made.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    if is_ca:
        made = made.add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True)
    else:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return made.sign(signer, hashes.SHA256())


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
