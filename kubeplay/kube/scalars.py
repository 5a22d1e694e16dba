"""What a plain YAML scalar means to Kubernetes.

kubectl reads YAML 1.1 with its own changes (kubernetes-surprises.md, YAML section; VL5, VL10): `y`, `no` and `on` are
booleans, `0644` and `0o17` are octal, `1_000` is a number, while `12:30` and `2024-01-31` stay strings. What it then hands on is
JSON, so an integral float becomes an integer and an infinite one cannot be said at all.
"""

from __future__ import annotations

import re

_TAG = "tag:yaml.org,2002:"
STR, BOOL, INT, FLOAT, NULL, TIMESTAMP, BINARY = (_TAG + name for name in ("str", "bool", "int", "float", "null", "timestamp", "binary"))
_RESOLVED = frozenset((BOOL, INT, FLOAT, NULL, TIMESTAMP))

# Only these first characters can start anything but a string; the empty scalar is null.
HINTS = frozenset("+-.0123456789yYnNtTfFoO~")

_WORDS: dict[str, object] = {"": None}
for _value, _words in ((True, "y yes true on"), (False, "n no false off"), (None, "null")):
    for _word in _words.split():
        _WORDS.update({_word: _value, _word.capitalize(): _value, _word.upper(): _value})
_WORDS["~"] = None
for _word in ("nan", "NaN", "NAN"):
    _WORDS["." + _word] = float("nan")
for _word in ("inf", "Inf", "INF"):
    _WORDS["." + _word] = _WORDS["+." + _word] = float("inf")
    _WORDS["-." + _word] = float("-inf")

_INT = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
# Rare ones are compiled when met, not on every start of the program.
_DOTTED = r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?\Z"
_ODD_BINARY = r"0b[-+][01]{1,63}\Z"
_TIMESTAMP = (
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]| +)[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?(?:Z|[-+][0-9:]{2,5})?)?\Z"
)
_INT64 = 1 << 63


class BadScalar(ValueError):
    """A scalar that its tag, or JSON, cannot hold."""


def utf8(data: bytes) -> str:
    """The text of the bytes, with U+FFFD for each byte that is not UTF-8 (Go's way; Python's groups them)."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return re.sub("[\udc80-\udcff]", "\ufffd", data.decode("utf-8", "surrogateescape"))


def resolve(text: str) -> object:
    """The value of a plain scalar without a tag."""
    if text in _WORDS:
        return _WORDS[text]
    if not text or text[0] not in "+-.0123456789":
        return text
    if text[0] == ".":
        return _float(text.replace("_", ""), text) if re.match(_DOTTED, text) else text
    plain = text.replace("_", "") if "_" in text else text
    found = _INT.match(plain)
    if found:
        number = _int(found)
        # A signed number has 63 bits, an unsigned one 64; what is longer is read as a float.
        if -_INT64 <= number < (_INT64 << (0 if found.group(1) else 1)):
            return number
    if plain.startswith("0b") and re.match(_ODD_BINARY, plain):
        return int(plain[2:], 2)
    return _float(plain, text) if _FLOAT.match(plain) else text


def _int(found: re.Match[str]) -> int:
    sign, hexadecimal, binary, octal, decimal = found.groups()
    for digits, base in ((decimal, 10), (octal, 8), (hexadecimal, 16), (binary, 2)):
        # Longer than any 64-bit number: do not let int() work on megabytes of digits.
        if digits is not None:
            number = int(digits, base) if len(digits) <= 80 else 1 << 80
    return -number if sign == "-" else number


def _float(plain: str, text: str = "") -> object:
    value = float(plain)
    # 1e400 is out of range, and then kubectl keeps the text.
    return (text or plain) if value in (float("inf"), float("-inf")) else value


def resolve_tagged(tag: str, text: str) -> object:
    """The value of a scalar with an explicit tag, as `!!str 1`; an unknown tag makes a string of it."""
    if tag == BINARY:
        from base64 import b64decode

        try:
            return utf8(b64decode(text.replace("\n", "").replace("\r", ""), validate=True))
        except ValueError:
            raise BadScalar("the value of !!binary is not base64") from None
    if tag not in _RESOLVED:
        return text
    value = resolve(text)
    if tag == FLOAT and type(value) is int and value < _INT64:
        return float(value)
    kinds = {BOOL: bool, INT: int, FLOAT: float, NULL: type(None)}
    if tag in kinds and type(value) is not kinds[tag]:
        raise BadScalar(f"{text[:60]!r} cannot be read as !!{tag[len(_TAG):]}")
    if tag == TIMESTAMP and not (isinstance(value, str) and re.match(_TIMESTAMP, value)):
        raise BadScalar(f"{text[:60]!r} cannot be read as !!timestamp")
    return value


def json_number(value: int | float) -> int | float:
    """The number as it survives the way through JSON: int where integral and 64 bits hold it, else float."""
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else float(value)
    if value != value or value in (float("inf"), float("-inf")):
        raise BadScalar("infinity and not-a-number cannot be written in JSON")
    if not value.is_integer() or abs(value) >= 1e21:
        return value
    whole = int(value)
    if abs(whole) >= 1 << 53:
        # JSON has the shortest digits that give this float back, filled up with zeros.
        from decimal import Decimal

        whole = int(Decimal(repr(value)))
    return whole if -_INT64 <= whole < _INT64 else value


def number_text(value: int | float) -> str:
    """A number as JSON writes it: `0.1`, `1e-07` as `1e-7`, `1e+21`; this is the text of an unquoted quantity."""
    if type(value) is int:
        return str(value)
    size = abs(value)
    if size and (size < 1e-6 or size >= 1e21):
        mantissa, _, exponent = f"{value!r}".partition("e")
        if not exponent:
            mantissa, _, exponent = _scientific(value)
        return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
    from decimal import Decimal

    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").removesuffix(".") if "." in text else text


def _scientific(value: float) -> tuple[str, str, str]:
    from decimal import Decimal

    mantissa, mark, exponent = f"{Decimal(repr(value)):e}".partition("e")
    return mantissa, mark, exponent


def key_text(value: object) -> str:
    """The JSON key for a YAML key; raises BadScalar for what cannot be one."""
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int:
        if value >= _INT64:
            raise BadScalar(f"{value} is too large for a key")
        return str(value)
    if type(value) is float:
        return _float32_text(value)
    if value is None:
        raise BadScalar("a key must not be empty or null")
    return str(value)


def _float32_text(value: float) -> str:
    """Shortest digits that give the same 32-bit float: how kubectl writes a float key (1.5 -> 1.5, 1e6 -> 1e+06)."""
    if value != value:
        return ".nan"
    from struct import pack, unpack

    try:
        single = unpack("<f", pack("<f", value))[0]
    except OverflowError:
        single = float("inf") if value > 0 else float("-inf")
    if single in (float("inf"), float("-inf")):
        return ".inf" if single > 0 else "-.inf"
    for digits in range(1, 10):
        mantissa, _, exponent = f"{single:.{digits - 1}e}".partition("e")
        if abs(float(f"{mantissa}e{exponent}")) < 3.5e38 and unpack("<f", pack("<f", float(f"{mantissa}e{exponent}")))[0] == single:
            break
    power = int(exponent)
    # From a million on, and below 0.0001, the exponent is written.
    if -4 <= power < 6:
        from decimal import Decimal

        return format(Decimal(f"{mantissa}e{exponent}"), "f")
    return f"{mantissa}e{exponent}"
