"""What every listing shares: columns, filters, order, and the forms of --format."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

Fields = Mapping[str, Any]


class Column(Record):
    """`header` of the table, `field` of the record; a `wide` column is shown with --format wide only."""

    header: str
    field: str
    wide: bool = False


class Look(Record):
    """The options of a listing, see declare.LISTING."""

    format: str | None = None
    quiet: bool = False
    filters: tuple[str, ...] = ()
    no_trunc: bool = False
    noheading: bool = False
    sort: str | None = None


class Listing(Record):
    """A kind of record: its columns, the field -q prints, what --filter knows (key -> match), its form in JSON.

    A record's fields whose names start with "_" are for sorting, filtering and JSON only.
    """

    columns: tuple[Column, ...]
    quiet: str
    filters: Mapping[str, Callable[[Fields, str], bool]]
    json: Callable[[Fields], Fields] | None = None


def look(given: dict[str, Any]) -> Look:
    """Take the options of a listing out of a body's keywords."""
    return Look(**{name: given.pop(name) for name in Look._fields})


def show(listing: Listing, records: Sequence[Fields], look: Look) -> None:
    """Filter, sort and print."""
    kept = ordered(filtered(listing, records, look.filters), look.sort)
    text = _text(listing, kept, look)
    sys.stdout.write(text)


def filtered(listing: Listing, records: Sequence[Fields], filters: Sequence[str]) -> list[Fields]:
    """Records that match: values of one key are alternatives, keys must all match (podman's rule)."""
    wanted: dict[str, list[str]] = {}
    for one in filters:
        key, equals, value = one.partition("=")
        if not equals:
            raise InvalidInput(f"--filter {one!r} is not KEY=VALUE")
        if key.rstrip("!") not in listing.filters:
            raise InvalidInput(f"--filter: unknown key {key!r}", hint="keys: " + ", ".join(listing.filters))
        wanted.setdefault(key, []).append(value)
    return [record for record in records if all(_matches(listing, record, key, values) for key, values in wanted.items())]


def _matches(listing: Listing, record: Fields, key: str, values: list[str]) -> bool:
    match = listing.filters[key.rstrip("!")]
    if key.endswith("!"):
        return not any(match(record, value) for value in values)
    if key == "label":  # podman: labels must all match
        return all(match(record, value) for value in values)
    return any(match(record, value) for value in values)


def ordered(records: list[Fields], by: str | None) -> list[Fields]:
    """Sorted by a field; numbers and times by value where the record keeps one as `_FIELD`."""
    if not by or not records:
        return records
    name = next((key for key in records[0] if key.lower() == by.lower()), None)
    if name is None:
        raise InvalidInput(f"--sort: unknown field {by!r}", hint="fields: " + ", ".join(k for k in records[0] if not k.startswith("_")))
    hidden = f"_{name}"
    key = hidden if hidden in records[0] else name

    def rank(record: Fields) -> tuple[bool, Any]:
        value = record[key]
        return value is None, value if isinstance(value, (int, float)) else str(value)

    return sorted(records, key=rank)


def _text(listing: Listing, records: Sequence[Fields], look: Look) -> str:
    form = look.format or "table"
    if look.quiet and not look.format:
        return "".join(f"{record[listing.quiet]}\n" for record in records)
    if form == "json":
        return json_text([(listing.json or public)(record) for record in records]) + "\n"
    if form in ("table", "wide"):
        return _table(listing.columns, records, look, wide=form == "wide")
    if form.startswith("table "):
        return _template_table(listing, records, form[6:], look)
    return templated(form, [public(record) for record in records])


def _table(columns: Sequence[Column], records: Sequence[Fields], look: Look, *, wide: bool) -> str:
    from kubeplay.cli.table import render

    shown = [column for column in columns if wide or not column.wide]
    header = None if look.noheading else [column.header for column in shown]
    return render(header, [[_cell(record[column.field]) for column in shown] for record in records])


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _template_table(listing: Listing, records: Sequence[Fields], template: str, look: Look) -> str:
    from kubeplay.cli import gotemplate
    from kubeplay.cli.table import render

    compiled = gotemplate.compile(template)
    rows = [compiled(public(record)).split("\t") for record in records]
    headers = {column.field.lower(): column.header for column in listing.columns}
    names = gotemplate.fields(template)
    header = [headers.get(name.lower(), name.upper()) for name in names]
    width = max([len(row) for row in rows] or [len(header)])
    header = (header + [""] * width)[:width]
    return render(None if look.noheading else header, [(row + [""] * width)[:width] for row in rows])


def templated(template: str, values: Sequence[Any]) -> str:
    """Each value through the template, a line each."""
    from kubeplay.cli import gotemplate

    compiled = gotemplate.compile(template)
    return "".join(line if line.endswith("\n") else line + "\n" for line in map(compiled, values))


def public(record: Fields) -> dict[str, Any]:
    return {key: value for key, value in record.items() if not key.startswith("_")}


def plain(value: Any) -> Any:
    """A value as its JSON reads: what of it is no plain dict or list is one then."""
    import json

    return json.loads(json.dumps(value, default=str))


def json_text(value: Any) -> str:
    import json

    return json.dumps(value, indent=4, ensure_ascii=False, default=str)


# matches that several listings use
def equals(field: str) -> Callable[[Fields, str], bool]:
    return lambda record, value: str(record[field]).lower() == value.lower()


def prefix(field: str) -> Callable[[Fields, str], bool]:
    return lambda record, value: str(record[field]).startswith(value)


def contains(field: str) -> Callable[[Fields, str], bool]:
    """A regular expression anywhere in the field, as podman's name filter."""

    def match(record: Fields, value: str) -> bool:
        import re

        try:
            return re.search(value, _cell(record[field])) is not None
        except re.error as error:
            raise InvalidInput(f"--filter: {value!r} is not a regular expression: {error}") from error

    return match


def older(field: str) -> Callable[[Fields, str], bool]:
    """Made before a time: 10m (ago), or 2026-11-22T03:00:00Z."""

    def match(record: Fields, value: str) -> bool:
        import time

        from kubeplay.cli.moments import moment

        return bool(record[field] < moment(value, time.time()))

    return match


def label(record: Fields, value: str) -> bool:
    key, given, wanted = value.partition("=")
    labels: Mapping[str, str] = record["Labels"]
    return key in labels and (not given or labels[key] == wanted)
