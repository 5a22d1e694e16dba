"""A policy as a list for people: where from, what is asked, by whose keys, and where signatures are looked for."""

from __future__ import annotations

from kubeplay.engine.images.trust import keys, requirements
from kubeplay.engine.images.trust.policy import Policy
from kubeplay.engine.images.trust.registriesd import Registries, Section
from kubeplay.engine.images.trust.requirements import Requirement
from kubeplay.errors import KubeplayError
from kubeplay.record import Record

_TYPES = {requirements.ACCEPT: "accept", requirements.SIGNED_BY: "signed"}  # podman's words; the others are the policy's own


class Row(Record):
    """One requirement of one scope. `name` is the scope, `repo_name` how tables show it; `keys` are the key owners' addresses."""

    transport: str
    name: str
    repo_name: str
    type: str
    keys: str = ""
    store: str = ""


def rows(policy: Policy, registries: Registries) -> list[Row]:
    """The default first, then every transport's scopes by name."""
    found = [_row(one, "all", "* (default)", "default", registries.default) for one in policy.default]
    for transport, entries in sorted(policy.transports):
        shown = "repository" if transport == "docker" else transport
        for scope, asked in sorted(entries):
            section = _section(registries, scope) if transport == "docker" else Section()
            found += [_row(one, shown, scope, scope, section) for one in asked]
    return found


def addresses(users: list[str]) -> list[str]:
    """The addresses of user ids, or the ids where they have none. Pure."""
    return [user.rpartition("<")[2].rstrip(">") if user.endswith(">") and "<" in user else user for user in users if user]


def _row(one: Requirement, transport: str, name: str, repo_name: str, section: Section) -> Row:
    return Row(transport, name, repo_name, _TYPES.get(one.kind, one.kind), _keys(one), section.lookaside)


def _section(registries: Registries, scope: str) -> Section:
    """As podman shows it: the section of the scope or of a parent, whatever it says."""
    entries = dict(registries.scopes)
    while scope:
        if scope in entries:
            return entries[scope]
        scope = scope.rpartition("/")[0]
    return registries.default


def _keys(one: Requirement) -> str:
    if one.kind == requirements.SIGSTORE:
        return "N/A"
    if one.kind != requirements.SIGNED_BY:
        return ""
    from kubeplay.engine.images.trust.openpgp import Keyring

    try:
        with Keyring(keys.read(one.keys)) as ring:
            return ", ".join(addresses(ring.users()))
    except KubeplayError as error:  # a key that cannot be read must not hide the rest of the policy
        return error.message
