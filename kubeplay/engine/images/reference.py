"""Image names: [DOMAIN[:PORT]/]PATH[:TAG][@DIGEST], as the distribution project's reference grammar has them.

A name without a domain means docker.io, one without a slash docker.io/library, one without tag and digest
`:latest`. The first component is a domain when it holds a dot, a colon or a capital letter or is `localhost`.
"""

from __future__ import annotations

import re

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

DEFAULT_DOMAIN = "docker.io"
_MAX_NAME = 255  # distribution/reference: NameTotalLengthMax, domain and path together
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_LONGEST_TAG = 128
_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?:({_DOMAIN})/)?({_COMPONENT}(?:/{_COMPONENT})*)(?::({_TAG}))?(?:@({_DIGEST}))?")
_HEX = re.compile(r"[0-9a-f]{64}")


class Reference(Record):
    """A normalised name. `tag` is "" only when there is a digest."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(name: str, default_domain: str = DEFAULT_DOMAIN) -> Reference:
    """Raises InvalidInput `invalid reference format` (podman-kube-facts.md 4.3)."""
    domain, path, tag, digest = _plain(name) or _parts(name)
    if domain is not None and not _is_domain(domain):
        path, domain = f"{domain}/{path}", None
    domain = domain or default_domain
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    if len(domain) + 1 + len(path) > _MAX_NAME:
        raise InvalidInput(f"{name[:300]!r}: invalid reference format: the name is longer than {_MAX_NAME} characters")
    if digest and not re.fullmatch(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|sha384:[0-9a-f]{96}", digest):
        raise InvalidInput(f"{name[:300]!r}: invalid reference format: unsupported digest")
    return Reference(domain, path, tag or ("" if digest else "latest"), digest or "")


def _parts(name: str) -> tuple[str | None, str, str | None, str | None]:
    """(domain, path, tag, digest) by the grammar. Raises InvalidInput."""
    found = _REFERENCE.fullmatch(name) if len(name) < 2048 else None
    if found is None or _HEX.fullmatch(name):
        message = f"{name[:300]!r}: invalid reference format{_why(name)}"
        raise InvalidInput(message, hint="an image name is [REGISTRY/]PATH[:TAG], as quay.io/team/web:1.2")
    domain, path, tag, digest = found.groups()
    return domain, path, tag, digest


def _plain(name: str) -> tuple[str | None, str, str | None, None] | None:
    """The same of an ordinary DOMAIN/PATH:TAG; None leaves it to _parts. Importing re and compiling the grammar takes 10 ms."""
    domain, slash, rest = name.partition("/")
    path, colon, tag = rest.partition(":")
    if not (slash and colon and name.isascii() and _is_domain(domain)) or len(name) > _MAX_NAME or not 0 < len(tag) <= _LONGEST_TAG:
        return None
    host, colon, port = domain.partition(":")
    words = [*path.replace("/", ".").split("."), *host.split(".")]
    good = all(map(_is_word, words)) and (port.isdigit() or not colon) and tag[0] not in ".-"
    return (domain, path, tag, None) if good and _WORD.issuperset(tag.replace(".", "-").lower()) else None


def _is_word(text: str) -> bool:
    """Fit for a label of a domain and for a component of a path: both grammars at their narrowest."""
    return bool(text) and _WORD.issuperset(text) and text[0] != "-" != text[-1]


def normalise(name: str) -> str:
    """The full name: `busybox` becomes docker.io/library/busybox:latest."""
    return str(parse(name))


def familiar(name: str) -> str:
    """The shortest name that means the same: what docker.io/library/busybox:1 is called by people."""
    for prefix in (f"{DEFAULT_DOMAIN}/library/", f"{DEFAULT_DOMAIN}/"):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def is_short(name: str) -> bool:
    """Whether `name` names no registry."""
    first, slash, _ = name.partition("/")
    return not slash or not _is_domain(first)


def _is_domain(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _why(name: str) -> str:
    if not name:
        return ": the name is empty"
    if _HEX.fullmatch(name):
        return ": 64 hexadecimal digits are an id, not a name"
    if name != name.lower() and _REFERENCE.fullmatch(name.lower()):
        return ": the repository name must be lowercase"
    return ""
