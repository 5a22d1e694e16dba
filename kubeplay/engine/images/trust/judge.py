"""The decision: may this image, which came from there, be used? Asked before any of its layers is touched.

An image's own manifest must satisfy every requirement of the narrowest rule. Where the top document is an index, it is asked first:
a signature of the index vouches for its members, which it names by digest. Else the chosen member must be signed itself, which is what
containers/image asks for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from kubeplay.engine.images.transports.base import Document, ImageSource, Signature
from kubeplay.engine.images.trust import identity, payload, requirements
from kubeplay.engine.images.trust import policy as policies
from kubeplay.engine.images.trust.payload import Claim
from kubeplay.engine.images.trust.policy import Policy, Rule
from kubeplay.engine.images.trust.requirements import Requirement
from kubeplay.errors import InvalidInput, KubeplayError, TrustError
from kubeplay.record import Record

LOCAL = "containers-storage"  # images of the store passed when they came in; podman lets them pass too
_ALGORITHMS = ("sha256", "sha384", "sha512")
_MAX_REASONS = 5  # told of the signatures that do not fit


class Accepted(Record):
    """The policy's yes: by which rule, for the document of which digest, and with which signatures (verified or not)."""

    rule: str
    digest: str
    signers: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()


class Verified(Record):
    """What a signature says, and who made it, in words."""

    claim: Claim
    signer: str


class _Missing(TrustError):
    """There is no signature of the kind that is asked for."""


def check(policy: Policy, source: ImageSource, document: Document, member: Document | None = None) -> Accepted:
    """Ask the policy about `document`, or, where that is an index, about it or its chosen `member`.

    The digests are those of the bytes handed in: use these very bytes afterwards. Raises TrustError saying which rule of which file
    is not satisfied and why.
    """
    if source.transport == LOCAL:
        return Accepted("local image", _digest(document.raw, "sha256"))
    rule = policies.rule(policy, source.transport, source.scope)
    refusal: TrustError | None = None
    for one in (document, member):
        if one is None:
            continue
        try:
            return _one(rule, source, one)
        except TrustError as error:
            # an index without signatures is the usual case: then what its member lacks is what people want to read
            refusal = error if refusal is None or isinstance(refusal, _Missing) else refusal
    assert refusal is not None
    name = source.reference or f"{source.transport}:{source.scope}"
    raise TrustError(f"Source image rejected: {name}: {policy.where}, {rule.name}: {refusal.message}", hint=refusal.hint)


def allow(policy: Policy, transport: str, scope: str, name: str) -> None:
    """Ask for something that has no manifest and can have no signatures (a root file system's tar). Raises TrustError."""
    rule = policies.rule(policy, transport, scope)
    for one in rule.requirements:
        if one.kind != requirements.ACCEPT:
            why = "images from there are refused" if one.kind == requirements.REJECT else f"{one.kind}: there can be no signature of it"
            raise TrustError(f"Source image rejected: {name}: {policy.where}, {rule.name}: {why}")


def _one(rule: Rule, source: ImageSource, document: Document) -> Accepted:
    digest = _digest(document.raw, "sha256")
    kinds = [one.kind for one in rule.requirements]
    if requirements.REJECT in kinds:
        raise TrustError("images from there are refused")
    if all(kind == requirements.ACCEPT for kind in kinds):
        return Accepted(rule.name, digest)
    try:
        signatures = source.signatures(digest)
    except InvalidInput as error:
        raise TrustError(f"the signatures of {digest} cannot be read: {error.message}", hint=error.hint) from error
    signers = [_signed(one, source, document, signatures) for one in rule.requirements if one.kind != requirements.ACCEPT]
    return Accepted(rule.name, digest, tuple(signers), signatures)


def _signed(one: Requirement, source: ImageSource, document: Document, signatures: Sequence[Signature]) -> str:
    """The signer who satisfies the requirement. Raises TrustError."""
    kind = "simple" if one.kind == requirements.SIGNED_BY else "sigstore"
    mine = [signature for signature in signatures if signature.kind == kind]
    digest = _digest(document.raw, "sha256")
    if not mine:
        raise _Missing(f"{one.kind}: a signature was required, but none exists for {digest}", hint=_hint(one, source))
    reasons: list[str] = []
    with _verifier(one) as verify:
        for signature in mine:
            try:
                verified = verify(signature)
                _fits(one, source, document.raw, verified)
                return verified.signer
            except InvalidInput as error:
                reasons.append(error.message)
    many = f" (and {len(reasons) - _MAX_REASONS} more)" if len(reasons) > _MAX_REASONS else ""
    raise TrustError(f"{one.kind}: no signature of {digest} is accepted: {'; '.join(reasons[:_MAX_REASONS])}{many}")


def _fits(one: Requirement, source: ImageSource, raw: bytes, verified: Verified) -> None:
    """Whether what was signed is this image. Raises InvalidInput."""
    reason = identity.why_not(one.identity, source.reference, verified.claim.name)
    if reason:
        raise InvalidInput(f"{reason} (signed by {verified.signer})")
    claimed = verified.claim.digest
    algorithm = claimed.partition(":")[0]
    if algorithm not in _ALGORITHMS or claimed != _digest(raw, algorithm):
        raise InvalidInput(f"it is a signature of the digest {claimed[:200]!r}, not of {_digest(raw, 'sha256')!r}")


class _verifier:
    """A requirement's way of verifying one signature, with its keys read once."""

    def __init__(self, one: Requirement) -> None:
        self._one = one
        self._leave: Callable[[], None] = lambda: None

    def __enter__(self) -> Callable[[Signature], Verified]:
        from kubeplay.engine.images.trust import keys

        if self._one.kind == requirements.SIGSTORE:
            from kubeplay.engine.images.trust import sigstore

            trusted = sigstore.trust(self._one)
            return lambda signature: Verified(*sigstore.verify(trusted, signature))
        from kubeplay.engine.images.trust.openpgp import Keyring

        ring = Keyring(keys.read(self._one.keys))
        ring.__enter__()
        self._leave = lambda: ring.__exit__(None, None, None)
        if not ring.fingerprints:
            self._leave()
            raise TrustError(f"signedBy: there is no OpenPGP public key in {keys.names(self._one.keys)}")

        def verify(signature: Signature) -> Verified:
            signed = ring.verify(signature.payload)
            return Verified(payload.read(signed.text, payload.SIMPLE), f"key {signed.fingerprint}")

        return verify

    def __exit__(self, *_: object) -> None:
        self._leave()


def _hint(one: Requirement, source: ImageSource) -> str:
    """Where signatures were looked for."""
    if source.transport != "docker":
        return ""
    from kubeplay.engine.images.trust import registriesd

    try:
        return registriesd.explain(registriesd.load(), source.reference, one.kind == requirements.SIGSTORE)
    except KubeplayError:
        return ""


def _digest(raw: bytes, algorithm: str) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
