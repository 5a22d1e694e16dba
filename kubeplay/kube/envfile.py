"""Files of variables for fileKeyRef (EN5): what a kubelet takes is a small part of a shell's syntax.

A line is empty, a comment, or `KEY='value'`: single quotes only, no spaces around `=`, everything up to the next quote literal, line ends
too; after the quote nothing but a comment. What is recorded of a real one is all there is to go by (record 173-181, 243-253).
"""

from __future__ import annotations

from kubeplay.errors import InvalidInput

MOST = 1 << 20  # bytes of a file: the same bound as a ConfigMap's


def value(data: bytes, key: str) -> str:
    """The variable `key` of a file, "" when it has none. Raises InvalidInput for what it cannot read before it has found that."""
    text = _text(data)
    at = 0
    while at < len(text):
        end = _end(text, at, "\n")
        line = text[at:end].strip(" \t\r")
        if not line or line.startswith("#"):
            at = end + 1
            continue
        name, equals, _ = text[at:end].partition("=")
        start = at + len(name) + 1
        if not equals or text[start : start + 1] != "'":
            raise InvalidInput("every line must be KEY='value'")
        close = text.find("'", start + 1)
        if close < 0:
            raise InvalidInput("a quote is not closed")
        if name.lstrip(" \t") == key:  # the first one counts
            return text[start + 1 : close]
        at = _after(text, close + 1)
    return ""


def _after(text: str, at: int) -> int:
    """The line after the one that a value ends in, which has nothing more to say. Raises InvalidInput."""
    end = _end(text, at, "\n")
    rest = text[at:end].strip(" \t\r")
    if rest and not rest.startswith("#"):
        raise InvalidInput("after a value there may be a comment only")
    return end + 1


def _end(text: str, at: int, what: str) -> int:
    found = text.find(what, at)
    return len(text) if found < 0 else found


def _text(data: bytes) -> str:
    if b"\0" in data or len(data) > MOST:
        raise InvalidInput("this is no text of variables")
    return data.decode("utf-8", "surrogateescape")
