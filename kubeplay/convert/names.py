"""Names that Kubernetes takes, made of those that compose and docker take."""

from __future__ import annotations

import hashlib

LONGEST = 63


def label(text: str, longest: int = LONGEST) -> str:
    """A DNS label that resembles `text`, "" when nothing of it is left; one that is cut keeps a hash of the whole."""
    made = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower())
    while "--" in made:
        made = made.replace("--", "-")
    made = made.strip("-")
    if len(made) > longest:
        made = f"{made[: longest - 9].strip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return made


def service(text: str) -> str:
    """A name for a Service, which begins with a letter."""
    made = label(text)
    return label(f"s-{made}") if made and made[0].isdigit() else made


def key(text: str) -> str:
    """A key of a ConfigMap or Secret."""
    made = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-._") else "-" for letter in text)[:253]
    return "file" if made.strip(".") == "" else made


def literal(text: str) -> str:
    """`text` where `$(NAME)` would be filled in and `$$` would become one dollar sign (EN2)."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


class Unique:
    """Hands out names of one kind, each for one thing only."""

    def __init__(self) -> None:
        self._by_thing: dict[object, str] = {}
        self._taken: set[str] = set()

    def of(self, thing: object, wanted: str) -> str:
        """The name of a thing: the same each time, `wanted` or one near it."""
        if thing not in self._by_thing:
            name, number = wanted, 2
            while name in self._taken:
                name, number = f"{wanted[: LONGEST - 4]}-{number}", number + 1
            self._by_thing[thing] = name
            self._taken.add(name)
        return self._by_thing[thing]
