"""A transparency log's promise (signed entry timestamp): this signature, by this key, of this content, was logged at that time.

Verified offline, with the log's public key from the policy (containers/image: signature/internal/rekor_set.go).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from kubeplay.engine.images.trust import strict
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_MAX_BUNDLE = 256 << 10  # bytes; real ones have 2000


def logged(logs: tuple[PublicKeyTypes, ...], bundle: str, pem: bytes, signature: bytes, content: bytes) -> int:
    """When the log took the entry in, epoch seconds. Raises InvalidInput when it does not speak of exactly this signature."""
    if not bundle:
        raise InvalidInput("it was not logged (there is no dev.sigstore.cosign/bundle), and the policy asks for a log")
    where = "the log's entry"
    top = strict.members(strict.loads(bundle.encode("utf-8", "replace"), _MAX_BUNDLE, where), where, ("SignedEntryTimestamp", "Payload"))
    entry = strict.members(top["Payload"], where, ("body", "integratedTime", "logIndex", "logID"))
    when = entry["integratedTime"]
    if isinstance(when, bool) or not isinstance(when, int):
        raise InvalidInput(f"{where}: integratedTime must be a whole number")
    _promised(logs, _base64(top["SignedEntryTimestamp"], where), entry)
    _body(_base64(entry["body"], where), pem, signature, content)
    return when


def _promised(logs: tuple[PublicKeyTypes, ...], promise: bytes, entry: dict[str, Any]) -> None:
    """The promise signs the entry's canonical JSON (RFC 8785): of these members, sorted and without spaces is all there is to it."""
    from kubeplay.engine.images.trust import sigstore

    for name in ("body", "logID"):
        strict.string(entry[name], f"the log's entry: {name}")
    if isinstance(entry["logIndex"], bool) or not isinstance(entry["logIndex"], int):
        raise InvalidInput("the log's entry: logIndex must be a whole number")
    said = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    for log in logs:
        try:
            return sigstore.check(log, promise, said)
        except InvalidInput:
            continue
    raise InvalidInput("the log's promise was not made by the policy's log (rekorPublicKey)")


def _body(body: bytes, pem: bytes, signature: bytes, content: bytes) -> None:
    where = "the logged entry"
    value = strict.members(strict.loads(body, _MAX_BUNDLE, where), where, ("apiVersion", "kind", "spec"))
    if value["kind"] != "hashedrekord" or value["apiVersion"] != "0.0.1":
        raise InvalidInput(f"{where} is of the kind {str(value['kind'])[:50]!r} {str(value['apiVersion'])[:20]!r}, not hashedrekord 0.0.1")
    spec = strict.members(value["spec"], where, ("data", "signature"))
    signed = strict.members(spec["signature"], where, ("content", "publicKey"))
    key = strict.members(signed["publicKey"], where, ("content",))
    sum_ = strict.members(strict.members(spec["data"], where, ("hash",))["hash"], where, ("algorithm", "value"))
    if _base64(signed["content"], where) != signature:
        raise InvalidInput(f"{where} is of another signature")
    if _der(_base64(key["content"], where)) != _der(pem):
        raise InvalidInput(f"{where} is of another key or certificate")
    if sum_["algorithm"] != "sha256" or sum_["value"] != hashlib.sha256(content).hexdigest():
        raise InvalidInput(f"{where} is of another payload")


def _der(pem: bytes) -> bytes:
    """The content of one PEM block: line lengths and line ends are not what is compared."""
    lines = pem.strip().splitlines()
    if len(lines) < 3 or not lines[0].startswith(b"-----BEGIN ") or not lines[-1].startswith(b"-----END "):
        raise InvalidInput("the logged entry's key is not one PEM block")
    return lines[0] + _base64(b"".join(lines[1:-1]).decode("latin-1"), "the logged entry's key")


def _base64(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(strict.string(value, where), validate=True)
    except ValueError:
        raise InvalidInput(f"{where} is not base64") from None
