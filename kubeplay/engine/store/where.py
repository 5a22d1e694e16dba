"""Conditions of queries that may ask for everything."""

from __future__ import annotations


def only(**wanted: str) -> tuple[str, tuple[str, ...]]:
    """The WHERE clause that asks for these columns, and its values; empty values match all, and with nothing left there is no clause.

    (`?='' OR column=?` would say the same, and have SQLite look at every row: it then uses no index.)
    """
    given = {name: value for name, value in wanted.items() if value}
    return (" WHERE " + " AND ".join(f"{name}=?" for name in given) if given else ""), tuple(given.values())
