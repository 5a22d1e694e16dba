"""Changing policy.json: one scope at a time, everything else in the file as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from kubeplay.engine.images.trust import policy, requirements, scopes
from kubeplay.engine.rootless import who
from kubeplay.errors import InvalidInput, StoreError

DEFAULT = "default"
TYPES = {
    "accept": requirements.ACCEPT, requirements.ACCEPT: requirements.ACCEPT, "reject": requirements.REJECT,
    "signedBy": requirements.SIGNED_BY, "sigstoreSigned": requirements.SIGSTORE,
}  # fmt: skip


def where(given: str = "") -> str:
    """The file that is changed: the one in force, or where there is none the machine's, or for others than root their own."""
    return policy.locate(given) or (policy.USER.replace("~", who.home(), 1) if who.rootless() else policy.SYSTEM)


def apply(path: str, scope: str, kind: str, key_files: Sequence[str]) -> None:
    """Ask `kind` (one of TYPES) of images from `scope` ("default" is the whole policy's default).

    Raises InvalidInput (also for a file that is no policy: it stays as it is) and StoreError when it cannot be written.
    """
    text = policy.read(path) if os.path.lexists(path) else policy.BUILT_IN_TEXT.encode()
    policy.parse(text, path)  # a broken file is not made into another one
    changed = json.dumps(edited(json.loads(text), scope, _entries(kind, key_files)), indent=4).encode()
    policy.parse(changed, path)
    _write(path, changed)


def edited(value: dict[str, Any], scope: str, entries: list[dict[str, str]]) -> dict[str, Any]:
    """The policy with other entries for a scope: of the transport that has it already, else of docker. Pure. Raises InvalidInput."""
    if scope == DEFAULT:
        return {**value, "default": entries}
    transports = value.get("transports", {})
    owner = next((name for name, there in sorted(transports.items()) if scope in there), "docker")
    scopes.check(owner, scope)
    if not scope:
        raise InvalidInput("the registry is missing", hint="default is the policy's own default")
    return {**value, "transports": {**transports, owner: {**transports.get(owner, {}), scope: entries}}}


def _entries(kind: str, key_files: Sequence[str]) -> list[dict[str, str]]:
    """Several keys are several requirements: an image needs a signature by each of them."""
    if kind not in TYPES:
        raise InvalidInput(f"unknown trust type {kind[:100]!r}", hint=f"types are {', '.join(TYPES)}")
    wanted = TYPES[kind]
    if wanted in (requirements.ACCEPT, requirements.REJECT):
        if key_files:
            raise InvalidInput(f"{len(key_files)} public keys unexpectedly provided for trust type {kind}")
        return [{"type": wanted}]
    if not key_files:
        raise InvalidInput(f"at least one public key must be defined for type {kind!r}", hint="name its file: --pubkeysfile FILE")
    more = {"keyType": "GPGKeys"} if wanted == requirements.SIGNED_BY else {}
    return [{"type": wanted, **more, "keyPath": _key(path)} for path in key_files]


def _key(path: str) -> str:
    """The absolute path of a key file that is there. A policy must not depend on where somebody stood."""
    found = os.path.abspath(path)
    if not os.path.isfile(found):
        raise InvalidInput(f"there is no public key {found}")
    return found


def _write(path: str, data: bytes) -> None:
    """In one piece, through a link to the file behind it."""
    import secrets

    target = os.path.realpath(path)
    new = f"{os.path.dirname(target)}/.policy-{secrets.token_hex(8)}.json"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(new, "xb") as file:
            os.fchmod(file.fileno(), 0o644)  # other users' programs read it
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, target)
    except OSError as error:
        try:
            os.unlink(new)
        except OSError:
            pass
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
