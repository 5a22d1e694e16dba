"""policy.json: what must be true of an image, by the transport and scope it comes from (containers-policy.json(5))."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kubeplay.engine.images.trust import requirements, scopes, strict
from kubeplay.engine.images.trust.requirements import Requirement
from kubeplay.engine.rootless import who
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

SYSTEM = "/etc/containers/policy.json"
USER = "~/.config/containers/policy.json"
BUILT_IN = ""  # the path of a policy that no file gave
BUILT_IN_TEXT = '{"default": [{"type": "insecureAcceptAnything"}]}'
_MAX_POLICY = 4 << 20  # bytes; key data is in it


class Policy(Record):
    """A policy read; `path` is its file, BUILT_IN without one. `transports` are (transport, ((scope, requirements), ...))."""

    path: str
    default: tuple[Requirement, ...]
    transports: tuple[tuple[str, tuple[tuple[str, tuple[Requirement, ...]], ...]], ...] = ()

    @property
    def where(self) -> str:
        return self.path or "the built-in policy"


class Rule(Record):
    """The entry of a policy that decides about an image; `name` says it as in the file: `docker "quay.io/team"`."""

    name: str
    requirements: tuple[Requirement, ...]


def locate(given: str = "", env: Mapping[str, str] | None = None) -> str:
    """The file to use: the one given, the user's, the machine's, or BUILT_IN when there is none.

    podman refuses to work without a file. We are installed alone, without the package that brings one, so absence means
    what that package's file says: accept anything (`image trust show` says so).
    """
    home = who.home() if env is None else env["HOME"]
    if given:
        return given
    own = USER.replace("~", home, 1)
    return next((path for path in (own, SYSTEM) if os.path.lexists(path)), BUILT_IN)


def load(given: str = "") -> Policy:
    """The policy in force. A file that is there and cannot be read or understood is an error, never "anything".

    Raises InvalidInput.
    """
    path = locate(given)
    if path == BUILT_IN:
        return parse(BUILT_IN_TEXT.encode(), BUILT_IN)
    return parse(read(path), path)


def read(path: str) -> bytes:
    """A policy's bytes. Raises InvalidInput."""
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_POLICY + 1)
    except OSError as error:
        raise InvalidInput(f"the trust policy {path} cannot be read: {error.strerror}") from error


def parse(data: bytes, path: str) -> Policy:
    """Read a policy strictly. Raises InvalidInput naming the file and the place in it."""
    top = strict.members(strict.loads(data, _MAX_POLICY, path), path, ("default",), ("transports",))
    default = _requirements(top["default"], f"{path}: default")
    return Policy(path, default, tuple(_transports(top.get("transports", {}), f"{path}: transports")))


def rule(policy: Policy, transport: str, scope: str) -> Rule:
    """The entry that decides: the narrowest scope of the transport, the transport's default, the policy's. Pure."""
    entries = dict(dict(policy.transports).get(transport, ()))
    for name in scopes.candidates(transport, scope):
        if name in entries:
            return Rule(f'{transport} "{name}"', entries[name])
    return Rule("default", policy.default)


def _transports(value: object, where: str) -> list[tuple[str, tuple[tuple[str, tuple[Requirement, ...]], ...]]]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be an object")
    found = []
    for transport, entries in value.items():
        if transport not in scopes.TRANSPORTS:
            raise InvalidInput(f"{where}: unknown transport {transport[:100]!r}", hint=f"known are {', '.join(sorted(scopes.TRANSPORTS))}")
        if not isinstance(entries, dict):
            raise InvalidInput(f"{where}.{transport} must be an object")
        found.append((transport, tuple([_entry(transport, scope, items, where) for scope, items in entries.items()])))
    return found


def _entry(transport: str, scope: str, items: object, where: str) -> tuple[str, tuple[Requirement, ...]]:
    place = f"{where}.{transport}[{scope[:300]!r}]"
    try:
        scopes.check(transport, scope)
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error.message}", hint=error.hint) from None
    return scope, _requirements(items, place)


def _requirements(value: object, where: str) -> tuple[Requirement, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{where} must be a list of at least one requirement")
    return tuple([requirements.parse(item, f"{where}[{index}]") for index, item in enumerate(value)])
