"""Objects as YAML text that every reader takes the same way: kubectl's look, by hand because importing PyYAML costs 25 ms.

Texts that YAML 1.1 or 1.2 would read as something else (`no`, `1e3`, `12:30`, `~`) are quoted; several lines become a block
scalar. What is written reads back as the very same object with PyYAML's safe loader and with our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Starts that no indicator, number or date has; then anything that cannot end or split a plain scalar in block context. Beside
# them amounts (500m, 64Mi) and addresses, which no YAML takes for numbers.
_PLAIN = re.compile(
    r"-{0,2}[A-Za-z_/$(][A-Za-z0-9 _./@+=%^,;$()~!?<>|&*:'\"\[\]{}#\\-]*|[0-9]+(?:[KMGTP]i|[mkMGTP])|[0-9]+(?:\.[0-9]+){3}(?:/[0-9]+)?"
)
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf", "infinity"))
# What a literal block or a double-quoted scalar cannot hold as it is (YAML 1.2, production 1, and its line breaks).
_ODD = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")


def document(obj: Mapping[str, Any]) -> str:
    """One object as a YAML document, keys in the order they have."""
    return "".join(_mapping(obj, ""))


def documents(objects: Iterable[Mapping[str, Any]]) -> str:
    """Several objects, `---` between them."""
    return "---\n".join(map(document, objects))


def _mapping(value: Mapping[str, Any], indent: str) -> Iterable[str]:
    for key, item in value.items():
        yield indent + scalar(str(key)) + ":"
        yield from _after_key(item, indent)


def _after_key(item: Any, indent: str) -> Iterable[str]:
    if isinstance(item, Mapping) and item:
        yield "\n"
        yield from _mapping(item, indent + "  ")
    elif isinstance(item, (list, tuple)) and item:
        yield "\n"
        yield from _sequence(item, indent)
    else:
        yield " " + _flat(item, indent + "  ") + "\n"


def _sequence(items: Iterable[Any], indent: str) -> Iterable[str]:
    """kubectl puts the dashes under the key, not further in."""
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = "".join(_mapping(item, indent + "  ")).split("\n", 1)
            yield f"{indent}- {first[len(indent) + 2 :]}\n" + "".join(rest)
        elif isinstance(item, (list, tuple)) and item:
            yield f"{indent}-\n"
            yield from _sequence(item, indent + "  ")
        else:
            yield f"{indent}- {_flat(item, indent + '  ')}\n"


def _flat(item: Any, indent: str) -> str:
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return _block(item, indent) if _fits_block(item) else scalar(item)
    if isinstance(item, Mapping):
        return "{}"
    if isinstance(item, (list, tuple)):
        return "[]"
    return repr(item)


def _fits_block(text: str) -> bool:
    return "\n" in text and bool(text.strip("\n")) and _ODD.search(text) is None


def _block(text: str, indent: str) -> str:
    """A literal block scalar. Its first line decides the indentation, unless that is said."""
    told = str(2) if text[0] in " \n\t" else ""
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    keep = "-" if ends == 0 else "" if ends == 1 else "+"
    lines = [indent + line if line else "" for line in body.split("\n")] + [""] * (ends - 1)
    return f"|{told}{keep}\n" + "\n".join(lines)


def scalar(text: str) -> str:
    """A text on one line, quoted where it must be."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not text.endswith((" ", ":")) and ": " not in text and " #" not in text:
        return text
    import json

    return _ODD.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
