"""A file of manifests as kubectl reads it (kubernetes-surprises.md, YAML section; VL10).

kubectl cuts a file at `---` lines before any YAML is parsed, replaces bad UTF-8, knows UTF-16 by its mark, and reads
a file that starts with `{` as a run of JSON objects until that fails. Here the same, but all faults of all documents
are collected, and what kubectl loses in silence is a fault (docs/decisions: departures).
"""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from kubeplay.errors import Fault, InvalidInput
from kubeplay.kube.document import Document, Positions
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.kube.compose import Words

# The API server takes no request above 3 MiB (its MaxRequestBodyBytes), so no single object is larger.
MAX_DOCUMENT = 3 * 1024 * 1024
# Deeper JSON is left to the YAML reader, which says where it is too deep.
MAX_JSON_DEPTH = 100
# A stack of a thousand documents is about 1 MB; this is a bound on memory and time, nothing more.
MAX_FILE = 64 * 1024 * 1024


class Chunk(Record):
    """A piece of text that holds one document; `line` is where it starts, `json` its value if it was read as JSON."""

    text: bytes
    line: int
    value: Any = None
    json: bool = False
    column: int = 1


class _Separator(Record):
    """A line that starts with `---` but goes on with something other than a comment."""

    line: int
    text: str


def load(data: bytes, source: str, words: Words | None = None) -> list[Document]:
    """All documents of a file; raises InvalidInput with every YAML fault of the file."""
    documents, faults = scan(data, source, words)
    if faults:
        raise InvalidInput(f"{source}: {len(faults)} fault{'s' if len(faults) > 1 else ''} in the YAML", faults)
    return documents


def scan(data: bytes, source: str, words: Words | None = None) -> tuple[list[Document], list[Fault]]:
    """The documents that could be read and the faults of those that could not.

    `words` says what plain scalars mean, where that is not what kubectl takes them for.
    """
    if len(data) > MAX_FILE:
        return [], [Fault("", "YAML", f"the file is larger than {MAX_FILE >> 20} MiB", "split it", source, 1, 1)]
    documents: list[Document] = []
    faults: list[Fault] = []
    for index, chunk in enumerate(_chunks(_utf8(data))):
        if isinstance(chunk, _Separator):
            message = f"`---{chunk.text}` is no document separator"
            faults.append(Fault("", "YAML", message, "a separator is `---` alone, a comment may follow", source, chunk.line, 1, index))
            continue
        value, text = (chunk.value, chunk.text) if chunk.json else _value(chunk, source, index, faults, words)
        if isinstance(value, dict):
            documents.append(Document(source, index, value, Positions(text, chunk.line, chunk.column)))
        elif value is not None:
            faults.append(_not_an_object(value, chunk, source, index))
    return documents, faults


def _not_an_object(value: object, chunk: Chunk, source: str, index: int) -> Fault:
    line, column = Positions(chunk.text, chunk.line, chunk.column).at(())
    what = "a list" if isinstance(value, list) else "a single value"
    message = f"a document must be a mapping with apiVersion and kind, this is {what}"
    hint = "put the objects into `items:` of a `kind: List`, or separate them by `---`" if isinstance(value, list) else ""
    return Fault("", "FieldValueTypeInvalid", message, hint, source, line, column, index)


def _utf8(data: bytes) -> bytes:
    """The text as UTF-8 without a mark: UTF-16 is known by its mark, bad bytes become U+FFFD."""
    if data.startswith(codecs.BOM_UTF8):
        data = data[3:]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        from kubeplay.kube.scalars import utf8

        return utf8(data).encode("utf-8")
    return data


def _chunks(data: bytes) -> Iterator[Chunk | _Separator]:
    line = 1
    if data.lstrip()[:1] == b"{":
        data, line = yield from _json(data)
        if not data.strip():
            return
    yield from _split(data, line)


def _json(data: bytes) -> Generator[Chunk, None, tuple[bytes, int]]:
    """JSON objects one after another; gives back what is left from the first thing that is not JSON, and its line."""
    import json

    text = data.decode("utf-8")
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_json_int, parse_float=_json_float)
    end, line = 0, 1
    while True:
        start = end
        while start < len(text) and text[start] in " \t\r\n":
            start += 1
        try:
            value, stop = decoder.raw_decode(text, start)
            usable = stop - start <= MAX_DOCUMENT and isinstance(value, dict) and _depth(value) <= MAX_JSON_DEPTH
        except (ValueError, RecursionError):
            usable = False
        if not usable:
            return text[end:].encode("utf-8"), line
        line += text.count("\n", end, start)
        source = text[start:stop]
        if "\\u" in source:
            value = _whole(value)
        yield Chunk(source.encode("utf-8"), line, value, True, start - text.rfind("\n", 0, start))
        line += source.count("\n")
        end = stop


def _whole(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair that stands alone, as Go reads it."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {_whole(key): _whole(item) for key, item in value.items()} if isinstance(value, dict) else value


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Read it as YAML then, which names the place.
        raise ValueError("duplicate key")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _json_int(text: str) -> int | float:
    from kubeplay.kube.scalars import json_number

    return json_number(int(text)) if len(text) < 400 else _json_float(text)


def _json_float(text: str) -> int | float:
    from kubeplay.kube.scalars import json_number

    return json_number(float(text))


def _split(data: bytes, line: int) -> Iterator[Chunk | _Separator]:
    """Cut at lines that start with `---`, before anything is parsed, so inside of block scalars too."""
    start, at = 0, _separator(data, 0)
    while at >= 0:
        end = data.find(b"\n", at) + 1 or len(data)
        rest = data[at + 3 : end].decode("utf-8")
        if at > start:
            yield Chunk(data[start:at], line)
            line += data.count(b"\n", start, at)
            start = end
            line += 1
        # One that follows nothing is left in the text, where YAML takes it for the start of the document.
        if rest.strip() and not rest.strip().startswith("#"):
            yield _Separator(line - (start == end), rest.rstrip())
            line += start != end
            start = end
        at = _separator(data, end)
    if start < len(data):
        yield Chunk(data[start:], line)


def _separator(data: bytes, start: int) -> int:
    """Where the next line that starts with `---` begins; -1 when there is none. `start` is the start of a line."""
    if data.startswith(b"---", start):
        return start
    return data.find(b"\n---", start) + 1 or -1


def _value(chunk: Chunk, source: str, index: int, faults: list[Fault], words: Words | None) -> tuple[Any, bytes]:
    """The value of a chunk and its text as it could be scanned, or None and a fault."""
    import yaml

    from kubeplay.kube.compose import BadYaml, compose

    if len(chunk.text) > MAX_DOCUMENT:
        message = f"the document is larger than {MAX_DOCUMENT >> 20} MiB, more than an API server takes"
        faults.append(Fault("", "YAML", message, "", source, chunk.line, chunk.column, index))
        return None, b""
    try:
        return compose(chunk.text, words) if words else compose(chunk.text)
    except BadYaml as error:
        line, column, message, hint = error.line, error.column, error.message, error.hint
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        message, hint = str(error.problem or error), _syntax_hint(str(error.problem))
    except yaml.YAMLError as error:
        line, column = _offset(chunk.text, getattr(error, "position", 0))
        message, hint = str(getattr(error, "reason", error)), ""
    faults.append(Fault("", "YAML", message, hint, source, chunk.line + line, column + (chunk.column if line == 0 else 1), index))
    return None, b""


def _offset(text: bytes, position: int) -> tuple[int, int]:
    before = text[: max(position or 0, 0)]
    return before.count(b"\n"), len(before) - (before.rfind(b"\n") + 1)


_HINTS = {
    "found character that cannot start any token": "quote the value if it starts with @, `, % or a tab",
    "did not find expected alphabetic or numeric character": "quote the value if it starts with * or &",
    "did not find expected key": "check the indentation of this line",
    "mapping values are not allowed in this context": "quote the value if it contains `: `, or check the indentation",
    "did not find expected <document start>": "kubectl refuses %YAML and other directives: remove them",
}


def _syntax_hint(problem: str) -> str:
    return _HINTS.get(problem, "")


def flatten(documents: list[Document]) -> list[Document]:
    """Documents with lists (`kind: List`, `ConfigMapList`, ...) replaced by their items; raises InvalidInput."""
    flat, faults = spread(documents)
    if faults:
        raise InvalidInput("a list cannot be read", faults)
    return flat


def spread(documents: list[Document]) -> tuple[list[Document], list[Fault]]:
    """As `flatten`, but giving back the faults beside what could be read."""
    flat: list[Document] = []
    faults: list[Fault] = []
    for document in documents:
        kind = document.value.get("kind")
        if isinstance(kind, str) and kind.endswith("List") and isinstance(document.value.get("apiVersion"), str):
            _items(document, kind, flat, faults)
        else:
            flat.append(document)
    return flat, faults


def _items(document: Document, kind: str, flat: list[Document], faults: list[Fault]) -> None:
    items = document.value.get("items")
    if not isinstance(items, list):
        faults.append(_list_fault(document, ("items",), f"a {kind} needs `items`, a list of objects"))
        return
    for number, item in enumerate(items):
        path = ("items", number)
        if not isinstance(item, dict):
            faults.append(_list_fault(document, path, "an item of a list must be an object"))
        elif isinstance(item.get("kind"), str) and item["kind"].endswith("List"):
            faults.append(_list_fault(document, path, "a list must not stand in a list"))
        else:
            if not item.get("kind") and not item.get("apiVersion"):
                # A typed list names the kind once for all its items.
                item = {"apiVersion": document.value["apiVersion"], "kind": kind[: -len("List")], **item}
            flat.append(Document(document.source, document.index, item, document.positions.under(path)))


def _list_fault(document: Document, path: tuple[str | int, ...], message: str) -> Fault:
    from kubeplay.kube.document import path_text

    line, column = document.positions.at(path)
    return Fault(path_text(path), "FieldValueTypeInvalid", message, "", document.source, line, column, document.index)
