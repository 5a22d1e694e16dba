"""Lookaside: signatures in a directory or on a web server beside the registry, at URL/PATH@sha256=HEX/signature-N.

containers/image, docker/docker_image_src.go: N counts from 1, the first that is missing ends them. A server may never say so: both
their number and their bytes end somewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, urlsplit

from kubeplay.engine.host.paths import hex_digest
from kubeplay.engine.images.reference import Reference
from kubeplay.engine.images.transports.base import Signature
from kubeplay.engine.images.trust import blobs, registriesd
from kubeplay.engine.images.trust.registriesd import Registries
from kubeplay.errors import InvalidInput, NotSupported, TrustError

_MAX_ALL = 8 << 20  # bytes of one manifest's signatures
Get = Callable[[str, int], "bytes | None"]  # a document of at most so many bytes from an URL; None when it is not there


def base(config: Registries, name: Reference, write: bool = False, directory: str = "") -> str:
    """The URL of an image's signatures, without their digest; `directory` in place of what registries.d says."""
    url = f"file://{quote(directory)}" if directory else registriesd.lookaside(config, str(name), write)
    return f"{(url or f'file://{registriesd.default_directory()}').rstrip('/')}/{name.path}"


def find(url: str, digest: str, get: Get) -> tuple[Signature, ...]:
    """The signatures of a manifest. Raises InvalidInput, TrustError, RegistryError: a place that cannot be read is not an empty one."""
    read = _file if urlsplit(url).scheme == "file" else get
    found: list[Signature] = []
    left = _MAX_ALL
    for number in range(1, blobs.MAX_SIGNATURES + 1):
        place = f"{_of(url, digest)}/signature-{number}"
        data = read(place, blobs.MAX_SIGNATURE + 1)
        if data is None:
            return tuple(found)
        left -= len(data)
        if left < 0:
            raise InvalidInput(f"the signatures below {_of(url, digest)} are longer than {_MAX_ALL} bytes together")
        found.append(blobs.decode(data, place))
    if read(f"{_of(url, digest)}/signature-{blobs.MAX_SIGNATURES + 1}", blobs.MAX_SIGNATURE + 1) is not None:
        raise InvalidInput(f"there are more than {blobs.MAX_SIGNATURES} signatures below {_of(url, digest)}")
    return tuple(found)


def check_writable(url: str) -> None:
    """Raises NotSupported for an URL that is no directory's."""
    if urlsplit(url).scheme != "file":
        raise NotSupported(f"signatures cannot be written to {url}", hint="name a directory in registries.d: lookaside-staging: file:///DIR")


def store(url: str, digest: str, signatures: Sequence[Signature]) -> list[str]:
    """Add signatures to a directory; those that are there stay. Their files' paths. Raises NotSupported, TrustError (cannot be written)."""
    check_writable(url)
    return write(_path(_of(url, digest)), signatures)


def write(directory: str, signatures: Sequence[Signature]) -> list[str]:
    """Write signature-N files behind those that are there. Raises TrustError."""
    made = []
    try:
        os.makedirs(directory, exist_ok=True)
        for signature in signatures:
            data = blobs.encode(signature)
            made.append(_next(directory, data))
    except OSError as error:
        raise TrustError(f"the signature cannot be written below {directory}: {error.strerror}") from error
    return made


def _next(directory: str, data: bytes) -> str:
    """Write under the first free number, unless this very signature is there. It is complete before it has its name."""
    import secrets

    new = f"{directory}/.signature-{secrets.token_hex(8)}"
    with open(new, "xb") as file:
        file.write(data)
    try:
        for number in range(1, blobs.MAX_SIGNATURES + 1):
            place = f"{directory}/signature-{number}"
            try:
                os.link(new, place)
                return place
            except FileExistsError:
                if _file(f"file://{quote(place)}", len(data) + 1) == data:
                    return place
    finally:
        os.unlink(new)
    raise TrustError(f"{directory} holds {blobs.MAX_SIGNATURES} signatures already")


def _of(url: str, digest: str) -> str:
    return f"{url}@sha256={hex_digest(digest)}"


def _path(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInput(f"{url} is not on this machine")
    return unquote(parts.path)


def _file(url: str, limit: int) -> bytes | None:
    path = _path(url)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidInput(f"{path} is no file")
            return file.read(limit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TrustError(f"the signature {path} cannot be read: {error.strerror}") from error
