"""A field as `kubectl explain` lays it out, each with one line: what it is, its default, and what becomes of it here. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeplay.kube import schema
from kubeplay.kube.explain import words
from kubeplay.kube.explain.lookup import Found, required, shown

# What a path of field names of the kind means here: "Works here." and the like.
Support = Callable[[tuple[str, ...]], str]


def text(found: Found, support: Support, *, recursive: bool = False) -> str:
    """The whole page of a kind or field."""
    kind = found.kind
    lines = [*([f"GROUP:      {kind.group}"] if kind.group else []), f"KIND:       {kind.kind}", f"VERSION:    {kind.version}", ""]
    if found.path:
        lines += [f"FIELD: {found.path[-1]} <{shown(found.type)}>{_must(found.owner, found.path[-1])}", "", ""]
    lines += ["DESCRIPTION:", f"    {sentence(found, support)}"]
    if found.path and found.record and (about := words.of(found.record).text):
        lines.append(f"    Each is: {about}." if found.type[0] in "[{" else f"    It is: {about}.")
    if found.record:
        lines += ["", "FIELDS:", *_fields(found, support, recursive)]
    return "\n".join([line.rstrip() for line in lines]) + "\n\n"


def sentence(found: Found, support: Support) -> str:
    """The one line of a field, or of a kind."""
    word = words.of(found.owner, found.path[-1]) if found.path else words.of(found.record)
    parts = [_capital(word.text) + "." if word.text else ""]
    if word.default:
        parts.append(f"Default: {word.default}.")
    parts.append(support(found.path))
    return " ".join(filter(None, parts)) or "<no description>"


def _fields(found: Found, support: Support, recursive: bool, depth: int = 1, above: tuple[str, ...] = ()) -> Iterator[str]:
    """The lines of the fields below; a record within itself is not gone into."""
    indent = "  " * depth
    for name, kind in sorted(schema.types()[found.record].items()):
        below = Found(found.kind, (*found.path, name), kind, found.record)
        yield f"{indent}{name}\t<{shown(kind)}>{_must(found.record, name)}"
        if not recursive:
            yield f"{indent}  {sentence(below, support)}"
            yield ""
        elif below.record and below.record not in above:
            yield from _fields(below, support, True, depth + 1, (*above, below.record))


def _must(record: str, field: str) -> str:
    return " -required-" if field in required().get(record, ()) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
