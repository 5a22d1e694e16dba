"""Our own words about fields, one line each, by record.

A line without indentation is `Record | what it is`; those below it are ` field | default | what it is`, the default in words where it is
not a value. A field of a record that says nothing about it has the words of `*`, if there are any.
"""

from __future__ import annotations

from functools import lru_cache

from kubeplay.record import Record


class Word(Record):
    """What a field is, and its value where nobody sets it ("" = none)."""

    text: str
    default: str = ""


@lru_cache(maxsize=1)
def table() -> dict[str, dict[str, Word]]:
    """Record -> field -> word; the record itself is the field ""."""
    from kubeplay.kube.explain import words_meta, words_networking, words_pods, words_volumes, words_workloads

    found: dict[str, dict[str, Word]] = {}
    record: dict[str, Word] = {}
    for part in (words_meta, words_pods, words_volumes, words_workloads, words_networking):
        for line in filter(None, part.WORDS.splitlines()):
            if line.startswith(" "):
                field, default, text = (one.strip() for one in line.split("|", 2))
                assert field not in record, line
                record[field] = Word(text, default)
            else:
                name, text = line.split(" | ", 1)
                assert name not in found, line
                record = found[name] = {"": Word(text)}
    return found


def of(record: str, field: str = "") -> Word:
    """The word of a record or of its field; an empty one where we have none."""
    words = table()
    common = words["*"] if field in _COMMON else {}
    return words.get(record, {}).get(field) or common.get(field) or Word("")


# Every kind has these; a record of another use has words of its own.
_COMMON = frozenset(("apiVersion", "kind", "metadata", "spec", "status"))
