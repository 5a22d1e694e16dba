"""Trust: whether an image may be used (policy.json), and signatures for those who ask so of ours.

The doors are `load` and `check` before any layer is used, `sign` before a manifest is pushed. Nothing of weight is imported before a
policy asks for signatures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.images.transports.base import Document, ImageSource, Signature
    from kubeplay.engine.images.trust.judge import Accepted
    from kubeplay.engine.images.trust.policy import Policy


class Signers(Record):
    """With what to sign: a GPG key's name, a file of a cosign private key, or a file of sigstore parameters; "" is none.

    `passphrase_file` holds the passphrase of the key in its first line.
    """

    sign_by: str = ""
    sigstore_key: str = ""
    sigstore_params: str = ""
    passphrase_file: str = ""


def load(path: str = "") -> Policy:
    """The trust policy in force; `path` is --signature-policy's. Raises InvalidInput."""
    from kubeplay.engine.images.trust import policy

    return policy.load(path)


def check(policy: Policy, source: ImageSource, document: Document, member: Document | None = None) -> Accepted:
    """Ask before any layer is used: see judge.check. Raises TrustError."""
    from kubeplay.engine.images.trust import judge

    return judge.check(policy, source, document, member)


def allow(policy: Policy, transport: str, scope: str, name: str) -> None:
    """Ask for what has no manifest: see judge.allow. Raises TrustError."""
    from kubeplay.engine.images.trust import judge

    judge.allow(policy, transport, scope, name)


def sign(signers: Signers, name: str, digest: str) -> tuple[Signature, ...]:
    """Signatures that say: the manifest of `digest` is the image `name`. Raises TrustError, InvalidInput, NotSupported."""
    if not any(signers):
        return ()
    from kubeplay.engine.images.trust import signing

    return signing.sign(signers, name, digest)
