"""Signing what is pushed: simple signing with the caller's gpg, sigstore with a private key from a file."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.images import reference
from kubeplay.engine.images.transports.base import ImageSource, Signature
from kubeplay.engine.images.trust import Signers, payload, sigstore
from kubeplay.errors import InvalidInput, NotSupported, TrustError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_MAX_MEMBERS = 1000  # of an index, as descriptor.py reads
_MAX_FILE = 64 << 10  # bytes of a key, a passphrase or parameters
_SECONDS = 120.0  # a person may have to type a passphrase


def sign(signers: Signers, name: str, digest: str) -> tuple[Signature, ...]:
    """One signature of each signer: the manifest of `digest` is the image `name`, a docker reference.

    Raises TrustError (key, passphrase), InvalidInput (the name) and NotSupported (parameters of services).
    """
    full = _name(name)
    made = []
    if signers.sign_by:
        made.append(simple(full, digest, signers.sign_by, _passphrase(signers.passphrase_file)))
    if signers.sigstore_key:
        made.append(with_key(full, digest, signers.sigstore_key, _passphrase(signers.passphrase_file)))
    if signers.sigstore_params:
        path, passphrase_file = parameters(_file(signers.sigstore_params).decode(errors="replace"), signers.sigstore_params)
        made.append(with_key(full, digest, path, _passphrase(passphrase_file or signers.passphrase_file)))
    return tuple(made)


def digests(source: ImageSource, all: bool = False) -> list[str]:
    """What there is to sign of an image: its top document and, with `all`, every member below it. Raises what the source raises."""
    from kubeplay.engine.images import descriptor

    document = source.manifest()
    found, left = [], [descriptor.read(document.raw, document.media_type)]
    while left:
        one = left.pop()
        found.append(one.digest)
        for member in one.manifests if all and isinstance(one, descriptor.Index) else ():
            inner = source.manifest(member.digest)
            read = descriptor.read(inner.raw, inner.media_type)
            if read.digest != member.digest:
                raise InvalidInput(f"{member.digest} does not match its digest", hint="its source is broken or lies")
            if read.digest not in found:
                left.append(read)
        if len(found) > _MAX_MEMBERS:
            raise InvalidInput(f"the image has more than {_MAX_MEMBERS} members")
    return found


def simple(name: str, digest: str, key: str, passphrase: bytes | None = None, env: Mapping[str, str] | None = None) -> Signature:
    """A GPG signed message, by a key of the caller's own keyring. Raises TrustError."""
    import tempfile

    text = payload.write(name, digest, payload.SIMPLE, time.time())
    with tempfile.TemporaryDirectory(prefix="kubeplay-sign-") as directory:
        source, target = f"{directory}/payload", f"{directory}/signature"
        with open(source, "wb") as file:
            file.write(text)
        quiet = ["--batch", "--no-tty", "--yes", "--local-user", key, "--output", target]
        secret = [] if passphrase is None else ["--pinentry-mode", "loopback", "--passphrase-fd", "0"]
        argv = [processes.program("gpg"), *quiet, *secret, "--sign", source]
        feed = b"" if passphrase is None else passphrase + b"\n"
        done = processes.run(argv, stdin=feed, env=_environment(env), check=False, seconds=_SECONDS)
        if done.status != 0 or not os.path.exists(target):
            reason = done.stderr.decode(errors="replace").strip()[-500:]
            message = f"gpg did not sign {name} with the key {key!r}: {reason}"
            raise TrustError(message, hint="gpg --list-secret-keys shows the keys there are")
        with open(target, "rb") as file:
            return Signature("simple", file.read(1 << 20))


def with_key(name: str, digest: str, path: str, passphrase: bytes | None = None) -> Signature:
    """A sigstore signature by the private key in a file. Raises TrustError."""
    from kubeplay.engine.images.trust import cosignkeys

    key = cosignkeys.read(_file(path), passphrase, path)
    text = payload.write(name, digest, payload.COSIGN, time.time())
    made = base64.b64encode(_signature(key, text, path)).decode()
    return Signature("sigstore", text, ((sigstore.SIGNATURE, made),))


def parameters(text: str, where: str) -> tuple[str, str]:
    """The private key's file and its passphrase's file of containers-sigstore-signing-params.yaml(5).

    Raises InvalidInput, and NotSupported for fulcio and rekorURL, which would send things to a service.
    """
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"{where} is not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be a mapping")
    for name in value:
        if name in ("fulcio", "rekorURL"):
            raise NotSupported(f"{where}: {name} is not supported: kubeplay signs with a key from a file")
        if name not in ("privateKeyFile", "privateKeyPassphraseFile"):
            raise InvalidInput(f"{where}: unknown key {str(name)[:100]!r}")
    path, passphrase = value.get("privateKeyFile"), value.get("privateKeyPassphraseFile", "")
    if not isinstance(path, str) or not path or not isinstance(passphrase, str):
        raise InvalidInput(f"{where}: privateKeyFile must be there")
    return path, passphrase


def _signature(key: PrivateKeyTypes, text: bytes, where: str) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(text, ec.ECDSA(SHA256()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(text)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, padding.PKCS1v15(), SHA256())
    raise TrustError(f"{where} is a key of a kind that sigstore does not use")


def _name(name: str) -> str:
    """The name as a signature carries it: full, with a tag or a digest. Raises InvalidInput."""
    if not name:
        raise InvalidInput("only an image with a name can be signed", hint="push it to docker://NAME")
    return str(reference.parse(name))


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """gpg finds keyring and agent by these; nothing else of the caller's is handed on."""
    given = os.environ if env is None else env
    return {**processes.CLEAN_ENV, **{name: given[name] for name in ("HOME", "GNUPGHOME", "GPG_TTY", "XDG_RUNTIME_DIR") if name in given}}


def _passphrase(path: str) -> bytes | None:
    """The first line of a file."""
    return _file(path).split(b"\n", 1)[0].rstrip(b"\r") if path else None


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise TrustError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _MAX_FILE:
        raise TrustError(f"{path} is longer than {_MAX_FILE} bytes")
    return data
