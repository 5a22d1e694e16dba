"""signedIdentity: which name a signature must carry for an image that is known by another name. Pure.

containers/image: signature/policy_reference_match.go, and policy.json(5), "signedIdentity".
"""

from __future__ import annotations

import re
from typing import Any

from kubeplay.engine.images import reference
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.trust import strict
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

_MEMBERS = {
    "matchExact": (), "matchRepoDigestOrExact": (), "matchRepository": (), "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",), "remapIdentity": ("prefix", "signedPrefix"),
}  # fmt: skip
_PREFIX = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.\[\]-]*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")


class Identity(Record):
    """How names are compared; `expected` is exactReference's or exactRepository's name, `prefix` and `signed_prefix` remapIdentity's."""

    kind: str = "matchRepoDigestOrExact"
    expected: str = ""
    prefix: str = ""
    signed_prefix: str = ""


def parse(value: Any, where: str) -> Identity:
    """Read the policy's member. Raises InvalidInput."""
    if not isinstance(value, dict) or value.get("type") not in _MEMBERS:
        raise InvalidInput(f"{where}: type must be one of {', '.join(_MEMBERS)}")
    kind: str = value["type"]
    given = strict.members(value, where, ("type", *_MEMBERS[kind]))
    texts = [strict.string(given[name], f"{where}: {name}") for name in _MEMBERS[kind]]
    if kind == "remapIdentity":
        for text in texts:
            if not _PREFIX.fullmatch(text):
                raise InvalidInput(f"{where}: {text[:200]!r} is no registry, namespace or repository in its full form")
        return Identity(kind, "", *texts)
    if kind == "exactReference" and not _is_full(texts[0]):
        raise InvalidInput(f"{where}: dockerReference must have a tag or a digest")
    for text in texts:
        _named(text, where)
    return Identity(kind, texts[0] if texts else "")


def why_not(identity: Identity, image: str, signed: str) -> str:
    """"" when a signature for the name `signed` is one for the image known as `image` ("" = it has no name), else the reason."""
    claim = _signed(signed)
    if claim is None:
        return f"the signature's docker-reference {signed[:200]!r} is no image name"
    if identity.kind == "exactReference":
        return _exact(reference.parse(identity.expected), claim, signed)
    if identity.kind == "exactRepository":
        return _repository(reference.parse(identity.expected), claim, signed)
    if not image:
        return f"{identity.kind} needs an image name, which this transport has none of; use exactReference or exactRepository"
    wanted = _image(image)
    if identity.kind == "matchRepository":
        return _repository(wanted, claim, signed)
    if identity.kind == "matchExact":
        return _exact(wanted, claim, signed)
    if identity.kind == "remapIdentity":
        found = _remap(identity, wanted)
        if found is None:
            return f"{identity.signed_prefix!r} in place of {identity.prefix!r} makes no image name out of {image!r}"
        wanted = found
    return _repository(wanted, claim, signed) if wanted.digest else _exact(wanted, claim, signed)


def _signed(text: str) -> Reference | None:
    """The name in a signature. One without tag and digest (cosign writes those) names the repository only."""
    try:
        found = reference.parse(text)
    except InvalidInput:
        return None
    return found if _is_full(text) else found._replace(tag="")


def _exact(wanted: Reference, claim: Reference, signed: str) -> str:
    """A claim without tag and digest never matches exactly."""
    if claim == wanted and (claim.tag or claim.digest):
        return ""
    return f"it is a signature for {signed[:200]!r}, not for {str(wanted)!r}"


def _repository(wanted: Reference, claim: Reference, signed: str) -> str:
    if claim.repository == wanted.repository:
        return ""
    return f"it is a signature for {signed[:200]!r}, not for the repository {wanted.repository!r}"


def _image(name: str) -> Reference:
    """An image's own name; one with tag and digest is known by its digest."""
    found = reference.parse(name)
    return found._replace(tag="") if found.digest else found


def _remap(identity: Identity, wanted: Reference) -> Reference | None:
    """The name as the signer knows it; None when the prefixes make nonsense of it."""
    name, prefix = wanted.repository, identity.prefix
    if name != prefix and not name.startswith(f"{prefix}/"):
        return wanted
    mapped = identity.signed_prefix + name[len(prefix) :]
    try:
        found = reference.parse(mapped)
    except InvalidInput:
        return None
    return found._replace(tag=wanted.tag, digest=wanted.digest) if found.repository == mapped else None


def _is_full(text: str) -> bool:
    """Whether a name has a tag or a digest of its own."""
    return "@" in text or ":" in text.rpartition("/")[2]


def _named(text: str, where: str) -> Reference:
    try:
        return reference.parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error.message}") from None
