"""Files of variables (.env, env_file) as docker compose reads them; pure.

`KEY=value`, `export KEY=value`, `KEY: value`; single quotes are literal, double quotes know escapes, both go over several lines;
what is not in single quotes has its variables filled in; ` #` ends an unquoted value. A key alone takes the value of the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubeplay.convert.interpolate import Text

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:([=:])[ \t]*|(?=[#\r\n]|\Z))")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "$": "$$", "f": "\f", "v": "\v", "b": "\b", "a": "\a"}
MAX_BYTES = 1 << 20  # what a ConfigMap may hold


def read(data: bytes, environ: Mapping[str, str], *, raw: bool = False) -> dict[str, str]:
    """The variables of a file, in its order. Raises ValueError with the line of what cannot be read."""
    if len(data) > MAX_BYTES:
        raise ValueError("line 1: the file is larger than 1 MiB, which no ConfigMap holds")
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    if "\0" in text:
        raise ValueError("line 1: this is no text")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].strip()
        if not line or line.startswith("#"):
            at = end + 1
            continue
        try:
            at = _raw(text, at, end, found) if raw else _entry(text, at, found, environ)
        except ValueError as error:
            number = text.count("\n", 0, at) + 1
            raise ValueError(f"line {number}: {error}") from None
    return found


def _raw(text: str, at: int, end: int, found: dict[str, str]) -> int:
    key, equals, value = text[at:end].partition("=")
    if not equals:
        raise ValueError("every line must be KEY=VALUE")
    found[key.strip()] = value
    return end + 1


def _entry(text: str, at: int, found: dict[str, str], environ: Mapping[str, str]) -> int:
    """One variable from `at` on; the start of the line after it."""
    match = _LINE.match(text, at)
    if match is None:
        raise ValueError("every line must be KEY=VALUE")
    key, separator = match.groups()
    if not separator:
        if key in environ:
            found[key] = environ[key]
        return _after(text, match.end())
    start = match.end()
    quote = text[start : start + 1]
    filler = Text({**found, **environ})
    if quote == "'":
        close = text.find("'", start + 1)
        if close < 0:
            raise ValueError("a quote is not closed")
        found[key] = text[start + 1 : close]
        return _after(text, close + 1)
    if quote == '"':
        value, close = _double(text, start + 1)
        found[key] = filler.fill(value)
        return _after(text, close)
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    value = text[start:end]
    comment = re.search(r"(?:^|[ \t])#", value)
    found[key] = filler.fill((value[: comment.start()] if comment else value).strip())
    return end + 1


def _double(text: str, at: int) -> tuple[str, int]:
    """The content of double quotes that begin before `at`, and where they end; an escaped dollar sign stays one after filling."""
    parts: list[str] = []
    while at < len(text):
        letter = text[at]
        if letter == '"':
            return "".join(parts), at + 1
        if letter == "\\" and at + 1 < len(text):
            parts.append(_ESCAPES.get(text[at + 1], "\\" + text[at + 1]))
            at += 2
            continue
        parts.append(letter)
        at += 1
    raise ValueError("a quote is not closed")


def _after(text: str, at: int) -> int:
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    rest = text[at:end].strip()
    if rest and not rest.startswith("#"):
        raise ValueError("after a quoted value there may be a comment only")
    return end + 1
