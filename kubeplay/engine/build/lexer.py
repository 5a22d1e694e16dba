"""Text to logical lines: parser directives, comments, continuation lines and the heredocs that follow a line.

The rules are the Dockerfile reference's. Line ends are \\n whatever the file has: a Containerfile saved with CRLF builds the same image.
"""

from __future__ import annotations

import re

from kubeplay.engine.build.model import Heredoc
from kubeplay.engine.build.report import Wrong
from kubeplay.engine.build.words import flags, json_list, raw_words, unquote
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

MAX_BYTES = 1 << 20  # what a person writes has kilobytes; heredocs may hold a file or two
DIRECTIVES = ("syntax", "escape", "check")
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$")
_HEREDOC = re.compile(r"(\d{0,3})<<(-?)([^<()]+)$")
_WITH_HEREDOCS = re.compile(r"(?:ONBUILD\s+)*(?:RUN|COPY|ADD)\s", re.IGNORECASE)


class Line(Record):
    """A logical line: `number` of its first line, `raw` as in the file, `problem` of its heredocs if any."""

    number: int
    text: str
    raw: str
    heredocs: tuple[Heredoc, ...] = ()
    problem: str = ""


class Lexed(Record):
    """`directives` are NAME, VALUE, line; `problems` of them are line, message."""

    lines: tuple[Line, ...]
    escape: str
    directives: tuple[tuple[str, str, int], ...] = ()
    problems: tuple[tuple[int, str], ...] = ()


def decode(data: str | bytes, file: str) -> str:
    """UTF-8 of bounded size, without a byte order mark. Raises InvalidInput."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{file} has {len(data)} bytes (the limit is {MAX_BYTES})")
    if isinstance(data, bytes):
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise InvalidInput(f"{file} is UTF-16", hint="save it as UTF-8")
        data = _utf8(data, file)
    if "\0" in data:
        raise InvalidInput(f"{file}:{data.count(chr(10), 0, data.index(chr(0))) + 1}: a NUL byte", hint="is this a text file?")
    return data.removeprefix("\ufeff")


def _utf8(data: bytes, file: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{file}:{line}: not UTF-8: {error.reason} at byte {error.start}") from None


def lex(text: str) -> Lexed:
    """Logical lines of decoded text; never raises."""
    rows = [row.removesuffix("\r") for row in text.split("\n")]
    directives, problems = _directives(rows)
    escape = next((value for name, value, _ in directives if name == "escape" and value in ("\\", "`")), "\\")
    lines: list[Line] = []
    at = 0
    while at < len(rows):
        if _is_blank(rows[at]) or _is_comment(rows[at]):
            at += 1
            continue
        line, at = _logical(rows, at, escape)
        if line.text:  # nothing is left of a lone continuation mark
            lines.append(line)
    return Lexed(tuple(lines), escape, directives, problems)


def _directives(rows: list[str]) -> tuple[tuple[tuple[str, str, int], ...], tuple[tuple[int, str], ...]]:
    found: list[tuple[str, str, int]] = []
    problems = []
    for number, row in enumerate(rows, 1):
        match = _DIRECTIVE.match(row.strip())
        if number == 1 and row.startswith("#!"):
            continue
        if not match or match[1].lower() not in DIRECTIVES:
            break  # the first line that is none ends them: what follows are comments
        name, value = match[1].lower(), match[2]
        if name in (known for known, _, _ in found):
            problems.append((number, f"a second # {name}= directive"))
        elif name == "escape" and value not in ("\\", "`"):
            problems.append((number, f"# escape={value[:20]}: the escape character is \\ or `"))
        found.append((name, value, number))
    return tuple(found), tuple(problems)


def _is_blank(row: str) -> bool:
    return not row or row.isspace()


def _is_comment(row: str) -> bool:
    return row.lstrip().startswith("#")


def _logical(rows: list[str], at: int, escape: str) -> tuple[Line, int]:
    """The line that begins at row `at`, and the row after it and its heredocs."""
    start, parts = at, []
    more = True
    while more and at < len(rows):
        row = rows[at]
        at += 1
        if at - 1 > start and (_is_blank(row) or _is_comment(row)):
            continue  # within a continued line both are left out
        part, more = _continued(row if at - 1 > start else row.lstrip(), escape)
        parts.append(part)
    text = "".join(parts).strip()
    heredocs: tuple[Heredoc, ...] = ()
    problem = ""
    if "<<" in text and _WITH_HEREDOCS.match(text):
        heredocs, at, problem = _heredocs(rows, at, text, escape)
    return Line(start + 1, text, "\n".join(rows[start:at]).rstrip(), heredocs, problem), at


def _continued(row: str, escape: str) -> tuple[str, bool]:
    """The row without its continuation mark, and whether it had one. A doubled mark is none: it stands for itself."""
    bare = row.rstrip(" \t")
    if bare.endswith(escape) and not bare.endswith(escape * 2):
        return bare[:-1], True
    return row, False


def _heredocs(rows: list[str], at: int, text: str, escape: str) -> tuple[tuple[Heredoc, ...], int, str]:
    found: list[Heredoc] = []
    for mark in marks(text, escape):
        content = []
        while True:
            if at >= len(rows):
                return tuple(found), at, f"the heredoc <<{mark.name} has no end: no line that is just {mark.name!r}"
            row = rows[at].lstrip("\t") if mark.strip else rows[at]
            at += 1
            if row == mark.name:
                break
            content.append(row + "\n")
        found.append(mark._replace(content="".join(content)))
    return tuple(found), at, ""


def marks(text: str, escape: str = "\\") -> list[Heredoc]:
    """The heredocs that the words of a line begin, without content yet."""
    try:
        words = raw_words(text, escape)
        match = _WITH_HEREDOCS.match(text)
        if match and json_list(flags(text[match.end() :], escape)[1]) is not None:
            return []
    except Wrong:
        return []
    return [mark for word in words if (mark := heredoc(word, escape))]


def heredoc(word: str, escape: str = "\\") -> Heredoc | None:
    """What `word` begins: [FD]<<[-]NAME, where a quoted NAME means that the content is not expanded."""
    match = _HEREDOC.match(word)
    if not match:
        return None
    name = unquote(match[3], escape)
    if not name or "/" in name or name in (".", ".."):
        return None
    return Heredoc(name, "", name == match[3], bool(match[2]), int(match[1] or 0))
