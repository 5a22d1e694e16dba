"""Splitting into words as a Dockerfile does: quotes and escapes join what they enclose, and stay until expansion takes them off."""

from __future__ import annotations

from kubeplay.engine.build.report import Wrong

_MAX_FLAGS = 500


class Unclosed(Wrong):
    """A quote that nothing closes."""


def raw_words(text: str, escape: str = "\\") -> list[str]:
    """Words at white space outside quotes; nothing is taken off. Raises Unclosed."""
    words = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start = at
        while at < len(text) and not text[at].isspace():
            at = _skip(text, at, escape)
        words.append(text[start:at])
    return words


def _skip(text: str, at: int, escape: str) -> int:
    """The place after the letter, escaped letter or quotation at `at`."""
    letter = text[at]
    if letter == escape:
        return min(at + 2, len(text))
    if letter not in "'\"":
        return at + 1
    end = at + 1
    while end < len(text) and text[end] != letter:
        end += 2 if text[end] == escape and letter == '"' else 1
    if end >= len(text):
        raise Unclosed(f"a {'single' if letter == chr(39) else 'double'} quote is not closed")
    return end + 1


def unquote(word: str, escape: str = "\\") -> str:
    """Quotes and escapes off, no variables. An unclosed quote stays."""
    result = []
    quote = ""
    at = 0
    while at < len(word):
        letter = word[at]
        if letter == escape and quote != "'":
            at += 1
            result.append(word[at : at + 1])
        elif letter == quote:
            quote = ""
        elif letter in "'\"" and not quote:
            quote = letter
        else:
            result.append(letter)
        at += 1
    return "".join(result)


def pairs(text: str, escape: str, name: str) -> tuple[tuple[str, str], ...]:
    """NAME=VALUE ..., or the old form NAME VALUE that takes the rest of the line; raw. Raises Wrong."""
    words = raw_words(text, escape)
    if not words:
        raise Wrong("needs at least one NAME=VALUE")
    if _equals(words[0]) < 0:
        value = text.strip()[len(words[0]) :].strip()
        if not value:
            raise Wrong(f"{words[0]!r} has no value", f"write {name} {words[0]}=VALUE")
        return ((words[0], value),)
    found = []
    for word in words:
        at = _equals(word)
        if at < 0:
            raise Wrong(f"{word!r} is no NAME=VALUE", "put a value with spaces in quotes")
        if unquote(word[:at], escape) == "":
            raise Wrong(f"{word!r} has no name before =")
        found.append((word[:at], word[at + 1 :]))
    return tuple(found)


def _equals(word: str) -> int:
    """The place of the = between name and value: a quoted name may hold one."""
    at = 0
    while at < len(word) and word[at] != "=":
        at = _skip(word, at, "\\")
    return at if at < len(word) else -1


def json_list(text: str) -> tuple[str, ...] | None:
    """The words of a JSON array; None when the text is none (`[ -f x ] && y` is a shell command). Raises Wrong for other than strings,
    and for text after the array: docker leaves that out without a word.
    """
    import json

    if not text.startswith("["):
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if text[end:].strip():
        raise Wrong(f"{text[end:].strip()[:50]!r} follows the JSON list", "a shell command must not begin with [")
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise Wrong("the JSON form is a list of strings", 'as in ["program", "argument"]')
    if any("\0" in word for word in value):
        raise Wrong("a word holds a NUL character")
    return tuple(value)


def flags(text: str, escape: str) -> tuple[list[tuple[str, str | None]], str]:
    """The --name[=value] words in front (quotes off), and the rest of the text."""
    found: list[tuple[str, str | None]] = []
    rest = text.lstrip()
    while rest.startswith("--"):
        at = 0
        while at < len(rest) and not rest[at].isspace():
            at = _skip(rest, at, escape)
        word, rest = unquote(rest[:at], escape), rest[at:].lstrip()
        if word == "--":
            break
        name, equals, value = word[2:].partition("=")
        found.append((name, value if equals else None))
        if len(found) > _MAX_FLAGS:
            raise Wrong(f"more than {_MAX_FLAGS} flags")
    return found, rest
