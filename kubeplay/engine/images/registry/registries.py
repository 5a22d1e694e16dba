"""Where an image is looked for (containers-registries.conf(5)): aliases and search registries for short names, mirrors,
other locations, blocked and insecure registries.
"""

from __future__ import annotations

import sys

from kubeplay.engine.images import reference
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.registry import conf
from kubeplay.engine.images.registry.conf import Location, Registries, Registry
from kubeplay.errors import Ambiguous, InvalidInput, RegistryError
from kubeplay.record import Record


class Endpoint(Record):
    """One place to ask: `reference` is what is asked there."""

    reference: Reference
    insecure: bool


def load() -> Registries:
    """The configuration of this machine and user. Raises InvalidInput naming the file."""
    return conf.load(conf.files())


def resolve(name: str, config: Registries | None = None) -> tuple[Reference, ...]:
    """What a name given by a person or a manifest may mean, in the order to try; a full name means itself.

    A short name means its alias, else itself in every unqualified-search registry; without any it is docker.io's, as in a cluster.
    Raises InvalidInput for no name, Ambiguous in mode `enforcing` with several registries.
    """
    plain = reference.parse(name, "docker.io")
    if not reference.is_short(name):
        return (plain,)
    config = load() if config is None else config
    short = name.partition("@")[0]
    short = short.rpartition(":")[0] or short
    rest = name[len(short) :]
    alias = dict(config.aliases).get(short)
    if alias:
        return (reference.parse(alias + rest),)
    places = config.search or ("docker.io",)
    if len(places) > 1 and config.short_name_mode == "enforcing" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Ambiguous(
            f"{name!r} may be any of {', '.join(f'{place}/{name}' for place in places)}",
            hint="give the whole name, or an alias in registries.conf",
        )
    return tuple(dict.fromkeys(reference.parse(f"{place}/{name}") for place in places))


def endpoints(logical: Reference, config: Registries | None = None, pull: bool = True) -> tuple[Endpoint, ...]:
    """The places to ask for an image, in order: mirrors, then the registry itself; a push (`pull` False) goes to the latter only.

    Raises RegistryError when the registry is blocked, InvalidInput when the configuration makes no name of it.
    """
    config = load() if config is None else config
    name = str(logical)
    found = _choose(config, name)
    if found is None:
        return (Endpoint(logical, False),)
    registry, length = found
    if registry.blocked:
        raise RegistryError(f"{name}: {registry.prefix} is blocked in {registry.file}")
    if not pull:  # containers-registries.conf(5): redirection and mirrors are for reading
        return (Endpoint(logical, registry.insecure),)
    places = [mirror for mirror in registry.mirrors if _is_for(mirror, registry, logical)]
    places.append(Location(registry.location, registry.insecure))
    return tuple([Endpoint(_rewritten(place.location, name, length, registry.file), place.insecure) for place in places])


def _choose(config: Registries, name: str) -> tuple[Registry, int] | None:
    """The entry with the longest matching prefix, and how much of `name` it stands for."""
    fitting = [(one, length) for one in config.registries if (length := match(one.prefix, name))]
    return max(fitting, key=lambda pair: len(pair[0].prefix), default=None)


def match(prefix: str, name: str) -> int:
    """How many characters of `name` a prefix covers, 0 = it does not fit. `*.HOST` covers every host below."""
    if prefix.startswith("*."):
        host = name.partition("/")[0]
        plain = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
        covered = host if ":" in prefix else plain
        return len(covered) if covered.endswith(prefix[1:]) else 0
    return len(prefix) if name.startswith(prefix) and name[len(prefix) : len(prefix) + 1] in ("", "/", ":", "@") else 0


def _is_for(mirror: Location, registry: Registry, logical: Reference) -> bool:
    if registry.mirror_by_digest_only:
        return bool(logical.digest)
    return {"digest-only": bool(logical.digest), "tag-only": not logical.digest}.get(mirror.pull_from_mirror, True)


def _rewritten(location: str, name: str, length: int, file: str) -> Reference:
    try:
        return reference.parse(location + name[length:] if location else name)
    except InvalidInput as error:
        raise InvalidInput(f"{file}: location {location!r} makes no image name of {name}: {error.message}") from None
