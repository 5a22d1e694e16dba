"""Service account tokens: JWTs that this root signs for its own pods (VO6).

There is no API server that would take them; they are for who verifies tokens by the root's public key, which lies beside the private one as
`serviceaccount.jwks`. A token is a function of the key, the pod and the period it falls in, so writing it again changes nothing, and
nobody has to remember which one was given out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from kubeplay.errors import StoreError
from kubeplay.kube.downward import PodFacts
from kubeplay.record import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ISSUER = "https://kubernetes.default.svc.cluster.local"
RENEW_AFTER = 0.8  # of its life a kubelet renews a token, or after a day
DAY = 86400
BITS = 2048


class Period(Record):
    """A token's life: when it was issued, when the next one comes, when it is void. Epoch seconds."""

    issued: int
    renewed: int
    expires: int


def period(created: float, seconds: int, now: float) -> Period:
    """The period of a pod made at `created` that `now` falls in. Pure."""
    length = max(1, min(int(seconds * RENEW_AFTER), DAY))
    issued = int(created) + max(0, int((now - int(created)) // length)) * length
    return Period(issued, issued + length, issued + seconds)


def claims(pod: PodFacts, audience: str, life: Period) -> dict[str, Any]:
    """What the token says, as one of Kubernetes' own does. Pure."""
    account = f"{pod.namespace}:{pod.service_account}"
    return {
        "aud": [audience or ISSUER],
        "exp": life.expires,
        "iat": life.issued,
        "iss": ISSUER,
        "jti": drawn(f"{pod.uid} {audience} {life.issued}"),
        "kubernetes.io": {
            "namespace": pod.namespace,
            "node": {"name": pod.node_name, "uid": drawn(f"node {pod.node_name}")},
            "pod": {"name": pod.name, "uid": pod.uid},
            "serviceaccount": {"name": pod.service_account, "uid": drawn(f"account {account}")},
            "warnafter": life.renewed,
        },
        "nbf": life.issued,
        "sub": f"system:serviceaccount:{account}",
    }


def drawn(text: str) -> str:
    """A UUID (RFC 9562, version 8) that is always the same for the same text."""
    raw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    raw = raw & ~(0xF000 << 64) & ~(0xC000 << 48) | 8 << 76 | 2 << 62
    digits = f"{raw:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Signer:
    """The key of a root: made when the first token is asked for, 0600, never replaced."""

    def __init__(self, root: str) -> None:
        self._path = f"{root}/serviceaccount.key"
        self._public = f"{root}/serviceaccount.jwks"
        self._key: RSAPrivateKey | None = None
        self._id = ""

    def sign(self, content: dict[str, Any]) -> str:
        """A compact JWT, RS256 (RFC 7515, 7518). Raises StoreError."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        if self._key is None:
            self._key = self._load() or self._make()
            self._id = _key_id(self._key)
            if not os.path.exists(self._public):
                self._publish(self._key)
        header = {"alg": "RS256", "kid": self._id}
        text = f"{_encoded(_json(header))}.{_encoded(_json(content))}"
        return f"{text}.{_encoded(self._key.sign(text.encode(), PKCS1v15(), SHA256()))}"

    def _load(self) -> RSAPrivateKey | None:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            with open(self._path, "rb") as file:
                found = load_pem_private_key(file.read(), None)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, OSError) as error:
            raise StoreError(f"{self._path}: {error}", hint="remove the file: new tokens get a new key") from error
        if not isinstance(found, RSAPrivateKey):
            raise StoreError(f"{self._path} is no RSA key", hint="remove the file: new tokens get a new key")
        return found

    def _make(self) -> RSAPrivateKey:
        """Two processes may make one at once: the first to put it in its place wins."""
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        made = generate_private_key(65537, BITS)
        draft = f"{self._path}.{os.getpid()}.{os.urandom(4).hex()}"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, self._path)
            except FileExistsError:
                pass
        finally:
            os.unlink(draft)
        key = self._load()
        assert key is not None
        return key

    def _publish(self, key: RSAPrivateKey) -> None:
        """The public half, for who verifies (RFC 7517)."""
        numbers = key.public_key().public_numbers()
        found = {"alg": "RS256", "e": _number(numbers.e), "kid": _key_id(key), "kty": "RSA", "n": _number(numbers.n), "use": "sig"}
        draft = f"{self._public}.{os.getpid()}.{os.urandom(4).hex()}"
        with open(draft, "wb") as file:
            file.write(_json({"keys": [found]}))
        os.replace(draft, self._public)


def _key_id(key: RSAPrivateKey) -> str:
    """As Kubernetes' own: the digest of the public key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return _encoded(hashlib.sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest())


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
