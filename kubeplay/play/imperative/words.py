"""Words of the command line as values: sizes, shares of CPUs, lists, commands, names."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.errors import InvalidInput
from kubeplay.play.compile.numbers import is_number

_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_BINARY = (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))
LONGEST_NAME = 63  # a container's name and a host name are DNS labels


def size(flag: str, text: str) -> str:
    """`64m`, `1.5g`, `512kb`, bytes without a unit (docker's units, powers of 1024) as a quantity. Raises InvalidInput."""
    bare = text.strip().lower()
    for suffix in ("ib", "b", "i"):
        if bare.endswith(suffix) and bare[: -len(suffix)][-1:] in _UNITS and bare[-len(suffix) - 1 :] != "b":
            bare = bare.removesuffix(suffix)
            break
    digits, unit = (bare, "b") if bare[-1:].isdigit() else (bare[:-1], bare[-1:])
    whole, dot, part = digits.partition(".")
    if unit not in _UNITS or not is_number(whole) or (dot and not is_number(part)) or len(digits) > 20:
        raise InvalidInput(f"{flag} {text!r} is not a size", hint="as 512m or 2g")
    count = int(whole) * _UNITS[unit] + (int(part) * _UNITS[unit] // 10 ** len(part) if part else 0)
    return quantity(count)


def quantity(count: int) -> str:
    """Bytes as a person writes them in a manifest."""
    for suffix, factor in _BINARY:
        if count and count % factor == 0:
            return f"{count // factor}{suffix}"
    return str(count)


def cpus(flag: str, text: str) -> str:
    """`1.5` as `1500m`. Raises InvalidInput."""
    whole, dot, part = text.strip().partition(".")
    if not is_number(whole or "0") or (dot and not is_number(part or "0")) or not (whole or part) or len(text) > 20:
        raise InvalidInput(f"{flag} {text!r} is not a number of CPUs", hint="as 2 or 0.5")
    milli = int(whole or 0) * 1000 + int((part + "000")[:3])
    if part.strip("0")[3:] or not milli:
        raise InvalidInput(f"{flag} {text!r}: at least 0.001, and not finer than that")
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def seconds(flag: str, text: str) -> int:
    """`30s`, `1m30s`, `90` as whole seconds, as a probe counts them; a part of a second counts as one. Raises InvalidInput."""
    total, digits = 0.0, ""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    rest = text.strip().lower()
    try:
        if rest.endswith("ms"):
            total = float(rest[:-2]) / 1000
        elif rest and rest[-1].isdigit():
            total = float(rest)
        else:
            for letter in rest:
                if letter in units and digits:
                    total, digits = total + float(digits) * units[letter], ""
                else:
                    digits += letter
            if digits or not rest:
                raise ValueError
    except ValueError:
        raise InvalidInput(f"{flag} {text!r} is not a duration", hint="as 30s or 1m30s") from None
    if not 0 <= total <= 2**31:
        raise InvalidInput(f"{flag} {text!r} is out of range")
    return int(-(-total // 1))


def listed(given: Sequence[str]) -> list[str]:
    """The words of an option that may be repeated and holds several with commas."""
    return [word.strip() for text in given for word in text.split(",") if word.strip()]


def pair(flag: str, text: str, separator: str = "=") -> tuple[str, str]:
    """KEY=VALUE; a key alone has an empty value, as with podman. Raises InvalidInput."""
    key, _, value = text.partition(separator)
    if not key:
        raise InvalidInput(f"{flag} {text!r} has no name before {separator!r}")
    return key, value


def literal(text: str) -> str:
    """`text` in a manifest's command, argument or variable, where `$(NAME)` would be filled in and `$$` is a dollar sign (EN2)."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


def command(flag: str, text: str) -> list[str]:
    """A command: a JSON list of words, or one word. Raises InvalidInput."""
    if not text.lstrip().startswith("["):
        return [text] if text else []
    import json

    try:
        words = json.loads(text)
    except ValueError:
        return [text]  # podman's way: what is no JSON is a program's name
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidInput(f"{flag} {text!r} is not a list of words", hint='as ["sh", "-c", "date"]')
    return words


def name(flag: str, text: str) -> str:
    """A name that a pod and a container can both have. Raises InvalidInput."""
    from kubeplay.kube.names import dns_label

    if dns_label(text):
        usable = label(text)
        hint = f"{usable} would do" if usable else "as web-1"
        raise InvalidInput(f"{flag} {text!r}: a name has only a-z, 0-9 and -, and at most {LONGEST_NAME} characters", hint=hint)
    return text


def label(text: str, longest: int = LONGEST_NAME) -> str:
    """A DNS label that resembles `text`; "" when nothing of it is left."""
    made = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    while "--" in made:
        made = made.replace("--", "-")
    return made.strip("-")[:longest].strip("-")
