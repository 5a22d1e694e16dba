"""Certificates in place of lasting keys: Fulcio's (an e-mail address, vouched for by an identity provider) and those of an own CA.

The path is built by cryptography's verifier, with code signing as the purpose. Signed certificate timestamps are not asked for;
containers/image does not either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.images.trust import keys
from kubeplay.engine.images.trust.requirements import Fulcio, Keys, Pki, Requirement
from kubeplay.errors import InvalidInput, TrustError
from kubeplay.record import Record

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.x509.verification import Policy

_MAX_CHAIN = 8  # certificates; Fulcio's chain has 2
_MAX_PEM = 128 << 10
_ISSUER_1, _ISSUER_2 = "1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"  # Fulcio: the provider as raw text, and as a DER UTF8String


class Authority(Record):
    """A CA's certificates, and what the signer's must say."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    said: Fulcio | Pki


def authority(one: Requirement) -> Authority | None:
    """The CA a requirement names, None when it names keys. Raises TrustError."""
    if one.fulcio:
        return Authority(_own(one.fulcio.ca), (), one.fulcio)
    return Authority(_own(one.pki.roots), _own(one.pki.intermediates, False), one.pki) if one.pki else None


def verified(ca: Authority, pem: bytes, chain: bytes, seconds: int | None) -> tuple[PublicKeyTypes, str]:
    """The key of a certificate that the CA issued to whom the policy names, valid at `seconds` (None = now); and the signer in words.

    Raises InvalidInput.
    """
    from datetime import UTC, datetime

    leaf = _read(pem, "its certificate")
    if len(leaf) != 1:
        raise InvalidInput("it has not exactly one certificate")
    between = [*ca.intermediates, *(_read(chain, "its certificate chain") if chain else ())]
    when = datetime.now(UTC) if seconds is None else _moment(seconds)
    return _sound(ca, leaf[0], between, when)


def _sound(ca: Authority, leaf: x509.Certificate, between: list[x509.Certificate], when: datetime) -> tuple[PublicKeyTypes, str]:
    """The library reads parts of a certificate when they are asked for, and says in many ways that they cannot be read."""
    try:
        _path(ca, leaf, between, when)
        return leaf.public_key(), _subject(ca.said, leaf)
    except _unreadable() as error:
        raise InvalidInput(f"its certificate cannot be read: {str(error)[:200]}") from None


def _moment(seconds: int) -> datetime:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidInput("the log's time is none") from None


def _path(ca: Authority, leaf: x509.Certificate, between: list[x509.Certificate], when: datetime) -> None:
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

    signers = ExtensionPolicy.permit_all().require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _code_signing)
    signers = signers.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    issuers = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _issuer)
    issuers = issuers.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _code_signing)
    issuers = issuers.may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
    builder = PolicyBuilder().store(Store(list(ca.roots))).time(when).max_chain_depth(_MAX_CHAIN)
    try:
        builder.extension_policies(ca_policy=issuers, ee_policy=signers).build_client_verifier().verify(leaf, between)
    except VerificationError as error:
        raise InvalidInput(f"its certificate was not issued by the policy's CA, or was not valid then: {str(error)[:200]}") from None


def _code_signing(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    if usage is not None and not {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage):
        raise ValueError("a certificate is not for code signing")


def _issuer(_policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints | None) -> None:
    if constraints is None or not constraints.ca:
        raise ValueError("an issuer's certificate is not a CA's")


def _signs_certificates(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an issuer's key must not sign certificates")


def _subject(said: Fulcio | Pki, leaf: x509.Certificate) -> str:
    """Whether the certificate is for whom the policy names. Raises InvalidInput."""
    from cryptography import x509

    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    emails, hosts = names.get_values_for_type(x509.RFC822Name), names.get_values_for_type(x509.DNSName)
    if said.email and said.email not in emails:
        raise InvalidInput(f"its certificate is for {', '.join(emails)[:200] or 'no e-mail address'}, not for {said.email}")
    if isinstance(said, Pki):
        if said.hostname and said.hostname.lower() not in [host.lower() for host in hosts]:
            raise InvalidInput(f"its certificate is for {', '.join(hosts)[:200] or 'no host'}, not for {said.hostname}")
        return f"certificate of {said.email or said.hostname}"
    issuer = _oidc_issuer(leaf)
    if issuer != said.oidc_issuer:
        raise InvalidInput(f"its certificate was vouched for by {issuer[:200]!r}, not by {said.oidc_issuer!r}")
    return f"certificate of {said.email}, vouched for by {issuer}"


def _oidc_issuer(leaf: x509.Certificate) -> str:
    """Fulcio's two extensions; where both are, they must agree."""
    from cryptography import x509

    found = set()
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.UnrecognizedExtension) and value.oid.dotted_string in (_ISSUER_1, _ISSUER_2):
            raw = value.value if value.oid.dotted_string == _ISSUER_1 else _utf8_string(value.value)
            found.add(raw.decode("utf-8", "replace"))
    if len(found) != 1:
        raise InvalidInput("its certificate does not say which identity provider vouched for it")
    return found.pop()


def _utf8_string(der: bytes) -> bytes:
    """The text of a DER UTF8String (X.690: tag 0x0c, length in one byte, or 0x81 and one byte, or 0x82 and two)."""
    for head, size in ((2, der[1:2]), (3, der[2:3] if der[1:2] == b"\x81" else b""), (4, der[2:4] if der[1:2] == b"\x82" else b"")):
        if der[:1] == b"\x0c" and size and len(der) == head + int.from_bytes(size, "big") and (head > 2 or size < b"\x80"):
            return der[head:]
    raise InvalidInput("its certificate names the identity provider in no readable form")


def _own(source: Keys, needed: bool = True) -> tuple[x509.Certificate, ...]:
    where = keys.names(source)
    try:
        found = tuple([one for data in keys.read(source) for one in _read(data, where)])
    except InvalidInput as error:
        raise TrustError(error.message) from None
    if needed and not found:
        raise TrustError(f"there is no certificate in {where}")
    return found


def _read(pem: bytes, where: str) -> tuple[x509.Certificate, ...]:
    import warnings

    from cryptography import x509
    from cryptography.utils import CryptographyDeprecationWarning

    if not pem or len(pem) > _MAX_PEM:
        raise InvalidInput(f"{where} is missing or longer than {_MAX_PEM} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CryptographyDeprecationWarning)  # forms that RFC 5280 forbids are only warned of, for now
            return tuple(x509.load_pem_x509_certificates(pem))
    except _unreadable() as error:
        raise InvalidInput(f"{where} is no PEM certificate: {str(error)[:200]}") from None


def _unreadable() -> tuple[type[Exception], ...]:
    """What cryptography raises at a certificate that is broken, or of a form it does not know."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.utils import CryptographyDeprecationWarning

    odd = (x509.InvalidVersion, x509.DuplicateExtension, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType)
    return (ValueError, UnsupportedAlgorithm, CryptographyDeprecationWarning, *odd)
