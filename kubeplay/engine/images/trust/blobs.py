"""Signatures as bytes: what lies in a lookaside, in `signature-N` files of `dir:` and beside an image of the store. Pure.

containers/image (internal/signature): simple signing is the OpenPGP message itself, whose first byte has its high bit set; anything
else is NUL, the name of a format, a newline and the content.
"""

from __future__ import annotations

import base64
import json

from kubeplay.engine.images.transports.base import Signature
from kubeplay.engine.images.trust import strict
from kubeplay.errors import InvalidInput

MAX_SIGNATURE = 1 << 20  # bytes; real ones have 300 to 10000. containers/image reads up to 4 MiB
MAX_SIGNATURES = 128  # of one manifest, as containers/image's lookaside limit
COSIGN_PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGSTORE = b"\0sigstore-json\n"


def encode(signature: Signature) -> bytes:
    """The bytes to store."""
    if signature.kind == "simple":
        return signature.payload
    value = {
        "mimeType": COSIGN_PAYLOAD, "payload": base64.b64encode(signature.payload).decode(), "annotations": dict(signature.annotations)
    }  # fmt: skip
    return _SIGSTORE + json.dumps(value, separators=(",", ":")).encode()


def decode(data: bytes, where: str = "the signature") -> Signature:
    """The signature that stored bytes are; nothing is verified. Raises InvalidInput."""
    if len(data) > MAX_SIGNATURE:
        raise InvalidInput(f"{where} is longer than {MAX_SIGNATURE} bytes")
    if data[:1] >= b"\x80":
        return Signature("simple", data)
    if not data.startswith(_SIGSTORE):
        raise InvalidInput(f"{where} is neither an OpenPGP message nor a sigstore signature")
    value = strict.members(strict.loads(data[len(_SIGSTORE) :], MAX_SIGNATURE, where), where, ("mimeType", "payload", "annotations"))
    if value["mimeType"] != COSIGN_PAYLOAD:
        raise InvalidInput(f"{where} is of the unknown kind {str(value['mimeType'])[:100]!r}")
    notes = value["annotations"]
    if not isinstance(notes, dict) or not all(isinstance(text, str) for text in notes.values()):
        raise InvalidInput(f"{where}: annotations must be strings")
    try:
        payload = base64.b64decode(strict.string(value["payload"], where), validate=True)
    except ValueError:
        raise InvalidInput(f"{where}: the payload is not base64") from None
    return Signature("sigstore", payload, tuple(sorted(notes.items())))
