"""Private keys that sigstore signatures are made with: cosign's encrypted PEM, and plain PEM (PKCS 8, SEC 1, PKCS 1).

cosign's form (github.com/secure-systems-lab/go-securesystemslib, encrypted): JSON of a scrypt salt with its costs and a NaCl secretbox,
around the PKCS 8 DER.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from kubeplay.engine.images.trust import strict
from kubeplay.errors import InvalidInput, MissingPrerequisite, TrustError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_BOX = re.compile(rb"\s*-----BEGIN ENCRYPTED (?:COSIGN|SIGSTORE) PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END ENCRYPTED", re.S)
_MAX_KEY = 64 << 10  # bytes
# scrypt takes 128 * N * r bytes: the library's own costs are 2^15 and, since 2023, 2^16 or 2^17 with r 8. A file must not eat all memory.
_MAX_SCRYPT = 512 << 20
_NEW_COSTS = (65536, 8, 1)
_KEY_BYTES, _NONCE_BYTES = 32, 24


def read(data: bytes, passphrase: bytes | None, where: str) -> PrivateKeyTypes:
    """The key of a file's bytes. Raises TrustError: not a key, no or a wrong passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

    if len(data) > _MAX_KEY:
        raise TrustError(f"{where} is longer than {_MAX_KEY} bytes")
    box = _BOX.match(data)
    hint = "give the passphrase's file: --sign-passphrase-file"
    if box and passphrase is None:
        raise TrustError(f"the private key {where} is encrypted", hint=hint)
    try:
        if box:
            return load_der_private_key(_open(base64.b64decode(box[1]), passphrase or b"", where), None)
        return load_pem_private_key(data, passphrase if b"ENCRYPTED" in data else None)
    except TypeError:
        raise TrustError(f"the private key {where} is encrypted", hint=hint) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{where} is no private key that can be read: {str(error)[:200]}") from None


def write(key: PrivateKeyTypes, passphrase: bytes) -> bytes:
    """The key in cosign's encrypted form."""
    import os

    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    salt, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES)
    n, r, p = _NEW_COSTS
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    sealed = _secretbox(_derive(passphrase, salt, n, r, p)).encrypt(der, nonce).ciphertext
    kdf = {"name": "scrypt", "params": {"N": n, "r": r, "p": p}, "salt": base64.b64encode(salt).decode()}
    value = {
        "kdf": kdf, "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(sealed).decode(),
    }  # fmt: skip
    body = base64.encodebytes(json.dumps(value).encode()).decode()
    return f"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{body}-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n".encode()


def _open(data: bytes, passphrase: bytes, where: str) -> bytes:
    try:
        top = strict.members(strict.loads(data, _MAX_KEY, where), where, ("kdf", "cipher", "ciphertext"))
        kdf = strict.members(top["kdf"], where, ("name", "params", "salt"))
        costs = strict.members(kdf["params"], where, ("N", "r", "p"))
        cipher = strict.members(top["cipher"], where, ("name", "nonce"))
    except InvalidInput as error:
        raise TrustError(f"{where} is no key of cosign: {error.message}") from None
    n, r, p = [costs[name] for name in "Nrp"]
    if (kdf["name"], cipher["name"]) != ("scrypt", "nacl/secretbox") or not all(type(cost) is int and cost > 0 for cost in (n, r, p)):
        raise TrustError(f"{where} is encrypted in an unknown way")
    if 128 * n * r > _MAX_SCRYPT or p > 16:
        raise TrustError(f"{where} asks for {128 * n * r} bytes of memory to be opened (the limit is {_MAX_SCRYPT})")
    key = _derive(passphrase, base64.b64decode(kdf["salt"]), n, r, p)
    nonce, sealed = base64.b64decode(cipher["nonce"]), base64.b64decode(top["ciphertext"])
    if len(nonce) != _NONCE_BYTES:
        raise TrustError(f"{where} is no key of cosign: the nonce has {len(nonce)} bytes")
    return _unseal(key, nonce, sealed, where)


def _unseal(key: bytes, nonce: bytes, sealed: bytes, where: str) -> bytes:
    box = _secretbox(key)
    from nacl.exceptions import CryptoError

    try:
        return bytes(box.decrypt(sealed, nonce))
    except CryptoError:
        raise TrustError(f"the passphrase of the private key {where} is wrong") from None


def _secretbox(key: bytes) -> Any:
    try:
        from nacl.secret import SecretBox
    except ImportError:
        raise MissingPrerequisite("cosign's encrypted keys need the Python package PyNaCl", hint="pip install PyNaCl") from None
    return SecretBox(key)


def _derive(passphrase: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, maxmem=_MAX_SCRYPT + (64 << 20), dklen=_KEY_BYTES)
