"""WWW-Authenticate: which ways of proving oneself a registry offers (RFC 9110 section 11.6.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubeplay.record import Record

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}|[^\s,"]+))\s*(?:,|$)')
_SCHEME = re.compile(rf"[\s,]*+({_TOKEN})(?:\s+|$|,)")  # possessive: a header of spaces is not tried in every way
_LONGEST = 16384  # characters of one header; a realm with many scopes has some hundred
_MOST = 32  # parameters of one challenge; bearer has four


class Challenge(Record):
    """`scheme` in lower case; `parameters` with lower-case names."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        return dict(self.parameters).get(name, "")


def parse(headers: Sequence[str]) -> tuple[Challenge, ...]:
    """Every challenge of every header, in order; what cannot be read ends its header."""
    return tuple([one for header in headers for one in _challenges(header[:_LONGEST])])


def _challenges(text: str) -> list[Challenge]:
    found, at = [], 0
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: list[tuple[str, str]] = []
        while len(parameters) < _MOST and (pair := _PARAMETER.match(text, at)):
            value = re.sub(r"\\(.)", r"\1", pair[2]) if pair[2] is not None else pair[3]
            parameters.append((pair[1].lower(), value))
            at = pair.end()
        found.append(Challenge(scheme[1].lower(), tuple(parameters)))
    return found


def choose(challenges: Sequence[Challenge]) -> Challenge | None:
    """The one we answer: a bearer token before a password with every request."""
    for scheme in ("bearer", "basic"):
        for one in challenges:
            if one.scheme == scheme:
                return one
    return None
