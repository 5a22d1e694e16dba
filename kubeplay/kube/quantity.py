"""Kubernetes quantities (semantics VL4): `500m`, `1.5Gi`, `2e3`, exact whatever their size.

The server never keeps more than nano precision (it rounds away from zero to 1n while parsing), so a
quantity is here one integer of nanos plus the family of suffixes it was written in. No float is ever
involved: a YAML float reaches us as its text, or as a float whose shortest decimal text is taken.
"""

from __future__ import annotations

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

DECIMAL, BINARY, EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"
NANO = 10**9
# AM/api/resource/quantity.go: only the binary family is capped, at 2^63-1.
MAX_BINARY = (2**63 - 1) * NANO
# Ours: a text no one writes in earnest, and an exponent that would make a number of a million digits.
MAX_TEXT, MAX_EXPONENT = 512, 1000

FORMAT_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_MESSAGE = "unable to parse quantity's suffix"

_DECIMAL_EXPONENTS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL_EXPONENTS.items()}
_BINARY_POWERS = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BINARY_SUFFIXES = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
_SUFFIX_LETTERS = frozenset("eEinumkKMGTP")
_DIGITS = frozenset("0123456789")


class Quantity(Record):
    """An exact amount; compare by `nanos`, not by the tuple (1 and 1000m are equal amounts)."""

    nanos: int
    format: str = DECIMAL

    def milli(self) -> int:
        """Thousandths, rounded away from zero (1n of cpu is 1m)."""
        return _up(self.nanos, NANO // 1000)

    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return _up(self.nanos, NANO)

    def whole(self) -> bool:
        """Whether there is no fraction of a unit."""
        return self.nanos % NANO == 0

    def rounded_to_milli(self) -> Quantity:
        """What the server stores in a resource list (RS1): at least milli steps."""
        return Quantity(self.milli() * (NANO // 1000), self.format)

    def canonical(self) -> str:
        """The text as the server prints it: largest suffix of its family without losing anything."""
        if not self.nanos:
            return "0"
        if self.format == BINARY and abs(self.nanos) >= 1024 * NANO and self.whole():
            return _binary_text(self.nanos // NANO)
        return _decimal_text(self.nanos, exponent_form=self.format == EXPONENT)


def parse(text: str | int | float | None) -> Quantity:
    """The quantity written as `text`; null is zero, as for the server. Raises InvalidInput."""
    if text is None:
        return Quantity(0)
    if isinstance(text, bool):
        raise InvalidInput(FORMAT_MESSAGE)
    if isinstance(text, int):
        return Quantity(text * NANO)
    if isinstance(text, float):  # travels as a plain JSON number, whatever its notation was in YAML
        return _parse_text(str(text))._replace(format=DECIMAL)
    return _parse_text(text.strip())


def _parse_text(text: str) -> Quantity:
    if not text or len(text) > MAX_TEXT:
        raise InvalidInput(FORMAT_MESSAGE)
    negative = text[0] == "-"
    start = 1 if text[0] in "+-" else 0
    point = _skip_digits(text, start)
    end = _skip_digits(text, point + 1) if text[point : point + 1] == "." else point
    digits = text[start:point] + text[point + 1 : end]
    exponent, power, family = _suffix(text[end:])
    nanos = _scale(int(digits or "0") * 1024**power, exponent + 9 - max(end - point - 1, 0))
    if family == BINARY:
        nanos = min(nanos, MAX_BINARY)
        family = DECIMAL if 0 < nanos < NANO else family
    return Quantity(-nanos if negative else nanos, family)


def _skip_digits(text: str, position: int) -> int:
    while position < len(text) and text[position] in _DIGITS:
        position += 1
    return position


def _suffix(suffix: str) -> tuple[int, int, str]:
    """(power of ten, power of 1024, family) of a suffix."""
    exponent = _DECIMAL_EXPONENTS.get(suffix)
    if exponent is not None:
        return exponent, 0, DECIMAL
    power = _BINARY_POWERS.get(suffix)
    if power is not None:
        return 0, power, BINARY
    letters = 0
    while letters < len(suffix) and suffix[letters] in _SUFFIX_LETTERS:
        letters += 1
    sign = 1 if suffix[letters : letters + 1] in ("+", "-") else 0
    if _skip_digits(suffix, letters + sign) != len(suffix):
        raise InvalidInput(FORMAT_MESSAGE)
    if letters != 1 or suffix[0] not in "eE" or len(suffix) == letters + sign:
        raise InvalidInput(SUFFIX_MESSAGE)
    exponent = int(suffix[1:])
    if abs(exponent) > MAX_EXPONENT:
        raise InvalidInput(SUFFIX_MESSAGE, hint=f"an exponent of more than {MAX_EXPONENT} is not a quantity")
    return exponent, 0, EXPONENT


def _scale(number: int, exponent: int) -> int:
    """number * 10**exponent, rounded up."""
    if exponent >= 0:
        return int(number * 10**exponent)
    return _up(number, 10**-exponent)


def _up(number: int, unit: int) -> int:
    return -(-number // unit) if number >= 0 else number // unit


def _binary_text(number: int) -> str:
    power = 0
    while number % 1024 == 0 and power < len(_BINARY_SUFFIXES) - 1:
        number //= 1024
        power += 1
    return f"{number}{_BINARY_SUFFIXES[power]}"


def _decimal_text(nanos: int, *, exponent_form: bool) -> str:
    """Exponents in steps of three, as AsCanonicalBytes has them."""
    exponent = -9
    while nanos % 1000 == 0 and (exponent_form or exponent < 18):
        nanos //= 1000
        exponent += 3
    if not exponent_form:
        return f"{nanos}{_DECIMAL_SUFFIXES[exponent]}"
    return f"{nanos}e{exponent}" if exponent else f"{nanos}"
