"""The syntax of systemd's unit files (systemd.syntax(7)): sections, settings, continued lines, and words in quotes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubeplay.errors import Fault, InvalidInput
from kubeplay.record import Record

MAX_BYTES = 1024 * 1024  # systemd's own bound for one line (LONG_LINE_MAX of fileio.h); a whole file of ours has no reason to be longer
_TRUE, _FALSE = ("1", "yes", "y", "true", "t", "on"), ("0", "no", "n", "false", "f", "off")  # parse_boolean of systemd
# What stands for a character after a backslash, in what is read and in what is written.
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'", "s": " "}
_NUMBERED = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}  # digits that follow, and their base; \NNN has three of base 8


class Setting(Record):
    """`KEY=VALUE` and where it stands; the value as written, continued lines joined."""

    section: str
    key: str
    value: str
    source: str
    line: int

    def fault(self, message: str, hint: str = "") -> Fault:
        """What is wrong with it."""
        return Fault(f"[{self.section}] {self.key}", "FieldValueInvalid", message, hint, self.source, self.line, 1)


class UnitFile(Record):
    """The settings in the order of the file and of its drop-ins; `sections` in the order of their first appearance."""

    source: str
    sections: tuple[str, ...]
    settings: tuple[Setting, ...]

    def all(self, section: str, key: str) -> list[Setting]:
        """Every setting of a key; an empty value takes back those before it."""
        found: list[Setting] = []
        for one in self.settings:
            if (one.section, one.key) == (section, key):
                found = [*found, one] if one.value else []
        return found

    def last(self, section: str, key: str) -> Setting | None:
        """The one that counts of a key that has one value."""
        found = self.all(section, key)
        return found[-1] if found else None

    def keys(self, section: str) -> list[Setting]:
        """The settings of a section."""
        return [one for one in self.settings if one.section == section]

    def with_dropins(self, others: Iterable[UnitFile]) -> UnitFile:
        """This file with the settings of others after its own."""
        more = list(others)
        sections = dict.fromkeys([*self.sections, *(name for other in more for name in other.sections)])
        return UnitFile(self.source, tuple(sections), (*self.settings, *(one for other in more for one in other.settings)))


def parse(data: bytes, source: str) -> UnitFile:
    """The settings of a file. Raises InvalidInput with every line that is none."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{source}: larger than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{source}: 1 fault", [Fault("", "Syntax", "not UTF-8", "", source, at, 1)]) from None
    faults: list[Fault] = []
    sections: dict[str, None] = {}
    settings: list[Setting] = []
    current = ""
    for number, line in _logical(text):
        wrong = ""
        if any(not (c.isprintable() or c == "\t") for c in line):
            wrong = "control characters are not taken"
        elif line.startswith("["):
            current, wrong = _header(line)
            sections.setdefault(current)
        elif "=" not in line:
            wrong = f"missing '=': {line[:40]!r} is neither a setting nor a section"
        elif not current:
            wrong = "a setting before the first section"
        else:
            key, _, value = line.partition("=")
            settings.append(Setting(current, key.strip(), value.strip(), source, number))
            wrong = "" if key.strip() else "no key before the '='"
        if wrong:
            faults.append(Fault("", "Syntax", wrong, "", source, number, 1))
    if faults:
        raise InvalidInput(f"{source}: {len(faults)} fault{'s' if len(faults) > 1 else ''}", faults)
    return UnitFile(source, tuple(sections), tuple(settings))


def _header(line: str) -> tuple[str, str]:
    """The name of a section, or what is wrong with its line."""
    name = line[1:-1]
    if not line.endswith("]") or not name or any(c in "[]" for c in name):
        return name.strip("[]") or "?", f"{line[:40]!r} is no [Section]"
    return name, ""


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their number, comments left out; a backslash at the end is a space, and what follows is the same line."""
    held, began = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        if line.lstrip().startswith(("#", ";")) or (not line.strip() and not held):
            continue
        began = began or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield began, (held + line).strip()
        held, began = "", 0
    if held.strip():
        yield began, held.strip()


def boolean(setting: Setting | None, otherwise: bool) -> bool:
    """A yes or no. Raises InvalidInput."""
    if setting is None:
        return otherwise
    value = setting.value.lower()
    if value not in (*_TRUE, *_FALSE):
        raise refused(setting, f"{setting.value!r} is neither yes nor no", "yes, no, true, false, on, off, 1, 0")
    return value in _TRUE


def refused(setting: Setting, message: str, hint: str = "") -> InvalidInput:
    """The error for one setting."""
    return InvalidInput(f"{setting.source}: 1 fault", [setting.fault(message, hint)])


def words(settings: Sequence[Setting]) -> list[str]:
    """The words of the settings' values, quotes and escapes undone; specifiers and variables stay. Raises InvalidInput."""
    return [word for one in settings for word in _split(one)]


def _split(setting: Setting) -> Iterable[str]:
    text, at = setting.value, 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        word, quote = "", ""
        while at < len(text) and (quote or not text[at].isspace()):
            char = text[at]
            at += 1
            if char == "\\":
                piece, at = _unescaped(setting, text, at)
                word += piece
            elif quote:
                quote, word = ("", word) if char == quote else (quote, word + char)
            elif char in "\"'":
                quote = char
            else:
                word += char
        if quote:
            raise refused(setting, f"the quote {quote} is not closed")
        yield word


def _unescaped(setting: Setting, text: str, at: int) -> tuple[str, int]:
    """What a backslash before `at` stands for, and where the rest begins."""
    char = text[at] if at < len(text) else ""
    if char in _ESCAPES and char:
        return _ESCAPES[char], at + 1
    length, base = _NUMBERED.get(char, (3, 8))
    start = at + 1 if char in _NUMBERED else at
    digits = text[start : start + length]
    try:
        code = int(digits, base) if len(digits) == length and digits.isalnum() else -1
        if code <= 0 or (base == 8 and code > 255):
            raise ValueError
        return chr(code), start + length
    except (ValueError, OverflowError):
        raise refused(setting, f"\\{char or 'nothing'} is no escape of systemd's", "a backslash itself is \\\\") from None


def quoted(word: str) -> str:
    """A word of a command line as systemd reads it back; `%` specifiers and `$` variables keep their meaning."""
    if word and all(c.isalnum() or c in "/._-=:@%+$,{}~^[]*?!()&|<>" for c in word):
        return word
    return '"' + "".join(_escaped(char) for char in word) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 0x80 else f"\\U{ord(char):08x}"
