"""The signed JSON of simple signing and of cosign: strictly read, and only after its signature was verified. Pure.

containers-signature(5): anything unknown below `critical` refuses the signature; `optional` may hold anything but a `creator` or
`timestamp` of another type.
"""

from __future__ import annotations

import json

from kubeplay.engine.images.trust import strict
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

SIMPLE, COSIGN = "atomic container signature", "cosign container image signature"
MAX_PAYLOAD = 64 << 10  # bytes; real ones have about 300, annotations of cosign are in `optional`
_CREATOR = "kubeplay"


class Claim(Record):
    """What a signer says: the image of this digest goes by this name. `created` is epoch seconds, 0 when unsaid."""

    name: str
    digest: str
    creator: str = ""
    created: int = 0


def read(data: bytes, kind: str) -> Claim:
    """Read a payload of `kind` (SIMPLE or COSIGN). Raises InvalidInput."""
    where = "the signed payload"
    top = strict.members(strict.loads(data, MAX_PAYLOAD, where), where, ("critical", "optional"))
    critical = strict.members(top["critical"], f"{where}: critical", ("type", "image", "identity"))
    if critical["type"] != kind:
        raise InvalidInput(f"{where} is of type {str(critical['type'])[:100]!r}, not {kind!r}")
    image = strict.members(critical["image"], f"{where}: critical.image", ("docker-manifest-digest",))
    identity = strict.members(critical["identity"], f"{where}: critical.identity", ("docker-reference",))
    digest = strict.string(image["docker-manifest-digest"], f"{where}: docker-manifest-digest")
    name = strict.string(identity["docker-reference"], f"{where}: docker-reference")
    return Claim(name, digest, *_optional(top["optional"], f"{where}: optional", kind))


def write(name: str, digest: str, kind: str, now: float) -> bytes:
    """The payload that says: the manifest of `digest` is the image `name`."""
    critical = {"identity": {"docker-reference": name}, "image": {"docker-manifest-digest": digest}, "type": kind}
    made = {"critical": critical, "optional": {"creator": _CREATOR, "timestamp": int(now)}}
    return json.dumps(made, separators=(",", ":")).encode()


def _optional(value: object, where: str, kind: str) -> tuple[str, int]:
    if value is None and kind == COSIGN:  # cosign writes null where there is nothing
        return "", 0
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be an object")
    creator, created = value.get("creator", ""), value.get("timestamp", 0)
    if not isinstance(creator, str):
        raise InvalidInput(f"{where}.creator must be a string")
    if type(created) is float and created.is_integer():
        created = int(created)  # Go writes large numbers so
    if type(created) is not int:
        raise InvalidInput(f"{where}.timestamp must be a whole number")
    return creator, created
