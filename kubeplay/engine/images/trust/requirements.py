"""The requirements a policy may make of an image, as records, strictly read. Pure: keys are read when they are needed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from kubeplay.engine.images.trust import identity, strict
from kubeplay.engine.images.trust.identity import Identity
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

ACCEPT, REJECT, SIGNED_BY, SIGSTORE = "insecureAcceptAnything", "reject", "signedBy", "sigstoreSigned"
_OTHER_KEYS = ("signedByGPGKeys", "X509Certificates", "signedByX509CAs")  # containers/image reads them and refuses every image


class Keys(Record):
    """Where keys are: files, or the bytes themselves."""

    paths: tuple[str, ...] = ()
    data: tuple[bytes, ...] = ()


class Fulcio(Record):
    """A certificate of a Fulcio CA for this e-mail address, vouched for by this identity provider."""

    ca: Keys
    oidc_issuer: str
    email: str


class Pki(Record):
    """A certificate of an own CA; `email` and `hostname`, where given, must be the certificate's."""

    roots: Keys
    intermediates: Keys = Keys()
    email: str = ""
    hostname: str = ""


class Requirement(Record):
    """One requirement; `kind` is the policy's own word. `keys` are GPG's or sigstore's, `rekor` those of transparency logs."""

    kind: str
    keys: Keys = Keys()
    fulcio: Fulcio | None = None
    pki: Pki | None = None
    rekor: Keys = Keys()
    identity: Identity = Identity()


def parse(value: Any, where: str) -> Requirement:
    """Read one requirement. Raises InvalidInput naming `where`."""
    kind = value.get("type") if isinstance(value, dict) else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise InvalidInput(f"{where}: type must be one of {', '.join(_READERS)}, not {str(kind)[:100]!r}")
    return reader(value, where)


def _plain(value: Mapping[str, Any], where: str) -> Requirement:
    return Requirement(strict.members(value, where, ("type",))["type"])


def _signed_by(value: Mapping[str, Any], where: str) -> Requirement:
    names = ("keyPath", "keyPaths", "keyData")
    strict.members(value, where, ("type", "keyType"), (*names, "signedIdentity"))
    if value["keyType"] != "GPGKeys":
        more = " (other tools refuse every image for it)" if value["keyType"] in _OTHER_KEYS else ""
        raise InvalidInput(f"{where}: keyType must be GPGKeys, not {str(value['keyType'])[:100]!r}{more}")
    return Requirement(SIGNED_BY, _keys(value, where, names), identity=_identity(value, where))


def _sigstore(value: Mapping[str, Any], where: str) -> Requirement:
    keys = ("keyPath", "keyPaths", "keyData", "keyDatas")
    rekor = ("rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas")
    strict.members(value, where, ("type",), (*keys, "fulcio", "pki", *rekor, "signedIdentity"))
    sources = [name for name in (*keys, "fulcio", "pki") if name in value]
    if len(sources) != 1:
        raise InvalidInput(f"{where}: exactly one of {', '.join((*keys, 'fulcio', 'pki'))} must be there, not {len(sources)}")
    logs = _keys(value, where, rekor, needed=False)
    if sources == ["fulcio"] and logs == Keys():
        raise InvalidInput(f"{where}: fulcio needs a rekorPublicKey: only the log says when a short-lived certificate was used")
    if sources == ["pki"] and logs != Keys():
        raise InvalidInput(f"{where}: rekorPublicKey cannot be used with pki")
    fulcio = _fulcio(value["fulcio"], f"{where}: fulcio") if "fulcio" in value else None
    pki = _pki(value["pki"], f"{where}: pki") if "pki" in value else None
    own = _keys(value, where, keys, needed=not (fulcio or pki))
    return Requirement(SIGSTORE, own, fulcio, pki, logs, _identity(value, where))


def _fulcio(value: Any, where: str) -> Fulcio:
    strict.members(value, where, ("oidcIssuer", "subjectEmail"), ("caPath", "caData"))
    issuer, email = [strict.string(value[name], f"{where}: {name}") for name in ("oidcIssuer", "subjectEmail")]
    return Fulcio(_keys(value, where, ("caPath", "caData")), issuer, email)


def _pki(value: Any, where: str) -> Pki:
    roots, middle = ("caRootsPath", "caRootsData"), ("caIntermediatesPath", "caIntermediatesData")
    subject = ("subjectEmail", "subjectHostname")
    strict.members(value, where, (), (*roots, *middle, *subject))
    email, hostname = [strict.string(value[name], f"{where}: {name}") if name in value else "" for name in subject]
    if not email and not hostname:
        raise InvalidInput(f"{where}: subjectEmail or subjectHostname must be there")
    return Pki(_keys(value, where, roots), _keys(value, where, middle, needed=False), email, hostname)


def _keys(value: Mapping[str, Any], where: str, names: tuple[str, ...], needed: bool = True) -> Keys:
    """The one of `names` that is there."""
    given = [name for name in names if name in value]
    if len(given) > 1 or (needed and not given):
        raise InvalidInput(f"{where}: exactly one of {', '.join(names)} must be there, not {len(given)}")
    if not given:
        return Keys()
    name, place = given[0], f"{where}: {given[0]}"
    found = strict.strings(value[name], place) if name.endswith("s") else (strict.string(value[name], place),)
    return Keys(paths=found) if "Path" in name else Keys(data=tuple([_decode(text, place) for text in found]))


def _decode(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidInput(f"{where} is not base64") from None


def _identity(value: Mapping[str, Any], where: str) -> Identity:
    return identity.parse(value["signedIdentity"], f"{where}: signedIdentity") if "signedIdentity" in value else Identity()


_READERS: dict[str, Callable[[Mapping[str, Any], str], Requirement]] = {
    ACCEPT: _plain, REJECT: _plain, SIGNED_BY: _signed_by, SIGSTORE: _sigstore,
}  # fmt: skip
