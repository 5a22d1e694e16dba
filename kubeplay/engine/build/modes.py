"""--chmod: octal digits, or the symbolic form of chmod(1)."""

from __future__ import annotations

import re
from collections.abc import Callable

from kubeplay.errors import BuildError

Change = Callable[[int, bool], int]  # (mode, is a directory) -> mode
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}


def change(text: str) -> Change:
    """What `--chmod=text` does to a mode. Raises BuildError."""
    if re.fullmatch(r"[0-7]{1,5}", text) and int(text, 8) <= 0o7777:
        number = int(text, 8)
        return lambda mode, directory: number
    clauses = [_CLAUSE.fullmatch(part) for part in text.split(",")]
    if not text or any(found is None for found in clauses):
        raise BuildError(f"--chmod={text}: neither an octal number nor of the form u=rwx,go=rx")
    steps = [(found[1] or "a", action) for found in clauses if found for action in _ACTION.findall(found[2])]

    def apply(mode: int, directory: bool) -> int:
        for who, (sign, letters) in steps:
            mode = _apply(mode, directory, "ugo" if "a" in who else who, sign, letters)
        return mode

    return apply


def _apply(mode: int, directory: bool, who: str, sign: str, letters: str) -> int:
    bits = special = 0
    for letter in letters:
        if letter in _SHIFT:
            bits |= mode >> _SHIFT[letter] & 7
        elif letter == "X":
            bits |= 1 if directory or mode & 0o111 else 0
        elif letter == "s":
            special |= (0o4000 if "u" in who else 0) | (0o2000 if "g" in who else 0)
        elif letter == "t":
            special |= 0o1000
        else:
            bits |= {"r": 4, "w": 2, "x": 1}[letter]
    wanted = special
    whole = 0
    for name in who:
        wanted |= bits << _SHIFT[name]
        whole |= 7 << _SHIFT[name] | {"u": 0o4000, "g": 0o2000, "o": 0}[name]
    if sign == "+":
        return mode | wanted
    return mode & ~wanted if sign == "-" else mode & ~whole | wanted
