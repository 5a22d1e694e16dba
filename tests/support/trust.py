"""Keys and signatures for tests: gpg in a home of its own, sigstore's keys, and an image source that hands out what it is given."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubeplay.engine.images.transports.base import Document, ImageSource, Signature
from kubeplay.engine.images.trust import payload, policy, sigstore

NAME = "quay.io/team/web:1"
MANIFEST = b'{"schemaVersion": 2, "config": {}, "layers": []}'


def digest(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


class Gpg:
    """A gpg home with secret keys; `public(key)` is what a policy names."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)

    def run(self, *argv: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--yes", "--passphrase", "", "--pinentry-mode", "loopback"]
        done = subprocess.run([*command, *argv], input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self, user: str, expire: str = "never", algorithm: str = "ed25519", *options: str) -> str:
        """A new key; its fingerprint."""
        self.run(*options, "--quick-generate-key", user, algorithm, "sign", expire)
        rows = [line.split(":") for line in self.run("--with-colons", "--list-keys", user).decode().splitlines()]
        return next(row[9] for row in rows if row[0] == "fpr")

    def public(self, key: str, armor: bool = False) -> bytes:
        return self.run(*(["--armor"] if armor else []), "--export", key)

    def sign(self, key: str, text: bytes, *options: str) -> bytes:
        how = [] if {"--clear-sign", "--detach-sign"} & set(options) else ["--sign"]
        return self.run("--local-user", key, *options, *how, stdin=text)


@contextmanager
def gpg(home: Path) -> Iterator[Gpg]:
    """A gpg whose agent ends with the test."""
    made = Gpg(home)
    try:
        yield made
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


class Source(ImageSource):
    """An image with signatures by manifest digest; `asked` are the digests that signatures were asked for."""

    def __init__(
        self, signatures: Mapping[str, Sequence[Signature]], reference: str = NAME, transport: str = "docker", scope: str = ""
    ) -> None:
        self.transport, self.reference, self.scope = transport, reference, scope or reference
        self._signatures = {key: tuple(value) for key, value in signatures.items()}
        self.asked: list[str] = []

    def signatures(self, digest: str) -> tuple[Signature, ...]:
        self.asked.append(digest)
        return self._signatures.get(digest, ())


def simple(made: Gpg, key: str, name: str = NAME, raw: bytes = MANIFEST, *options: str) -> Signature:
    return Signature("simple", made.sign(key, payload.write(name, digest(raw), payload.SIMPLE, 0), *options))


def cosigned(key: Any, name: str = NAME, raw: bytes = MANIFEST, **notes: str) -> Signature:
    """A signature as cosign makes them."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
    from cryptography.hazmat.primitives.hashes import SHA256

    text = payload.write(name, digest(raw), payload.COSIGN, 0)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        made = key.sign(text, ec.ECDSA(SHA256()))
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        made = key.sign(text)
    else:
        made = key.sign(text, padding.PKCS1v15(), SHA256())
    return Signature("sigstore", text, ((sigstore.SIGNATURE, base64.b64encode(made).decode()), *notes.items()))


def rules(*requirements: Mapping[str, Any], transport: str = "docker", scope: str = "quay.io/team") -> policy.Policy:
    """A policy that refuses everything but this scope."""
    value = {"default": [{"type": "reject"}], "transports": {transport: {scope: list(requirements)}}}
    return policy.parse(json.dumps(value).encode(), "policy.json")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


DOCUMENT = Document(MANIFEST)
