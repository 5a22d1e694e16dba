"""Where an image is, as people write it: `docker://NAME`, `oci:PATH[:REF]`, `dir:PATH` ..., or a bare name (pure).

The words are containers-transports(5)'s. As there, the first colon after `oci:` and its like ends the path.
"""

from __future__ import annotations

from kubeplay.engine.images import reference
from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.record import Record

DOCKER, OCI, OCI_ARCHIVE, DOCKER_ARCHIVE, DIR = "docker", "oci", "oci-archive", "docker-archive", "dir"
STORAGE, BARE = "containers-storage", ""
_WITH_NAME = (OCI, OCI_ARCHIVE, DOCKER_ARCHIVE)
_OTHERS = ("docker-daemon", "ostree", "sif", "tarball", "atomic", "static")


class Location(Record):
    """`path` of a file or directory (oci, oci-archive, docker-archive, dir); `name` of an image, "" when none is said.

    docker: `name` is a normalised reference; containers-storage and BARE: as written.
    """

    transport: str
    path: str = ""
    name: str = ""

    def __str__(self) -> str:
        if self.transport == DOCKER:
            return f"docker://{self.name}"
        parts = [part for part in (self.transport, self.path, self.name) if part]
        return ":".join(parts)


def parse(text: str) -> Location:
    """Raises InvalidInput (no such form) and NotSupported (a transport of podman's that is not here)."""
    transport, colon, rest = text.partition(":")
    if not colon or transport not in (DOCKER, DIR, STORAGE, *_WITH_NAME, *_OTHERS):
        return Location(BARE, "", text)
    if transport in _OTHERS:
        raise NotSupported(f"{text[:300]}: images cannot be read from or written to {transport}", hint="save it to an archive and use that")
    if transport == DOCKER:
        if not rest.startswith("//"):
            raise InvalidInput(f"{text[:300]}: a registry is written docker://NAME", hint="as in docker://quay.io/team/web:1.2")
        return Location(DOCKER, "", reference.normalise(rest[2:]))
    if transport == STORAGE:
        if rest.startswith("["):
            raise NotSupported(f"{text[:300]}: other stores cannot be named", hint="use `kubeplay --root DIR`")
        return Location(STORAGE, "", _present(rest, text))
    if transport == DIR:
        return Location(DIR, _present(rest, text))
    path, _, name = rest.partition(":")
    return Location(transport, _present(path, text), _named(transport, name))


def local_name(name: str) -> str:
    """The full name for an image out of an archive: a short one is local, as podman has it. Raises InvalidInput."""
    return str(reference.parse(name, "localhost" if reference.is_short(name) else reference.DEFAULT_DOMAIN))


def _named(transport: str, name: str) -> str:
    if transport == DOCKER_ARCHIVE and name and not name.startswith("@"):
        parsed = reference.parse(name)
        if parsed.digest:
            raise InvalidInput(f"{name[:300]}: an image in a docker-archive cannot be named by digest")
        return str(parsed)
    if len(name) > 500 or "\n" in name:
        raise InvalidInput(f"{name[:300]!r} is no name of an image in an archive")
    return name


def _present(text: str, whole: str) -> str:
    if not text or "\0" in text:
        raise InvalidInput(f"{whole[:300]}: nothing is named after the colon")
    return text
