"""Parse a well-formed command line from the rows, without click.

What this takes, it takes exactly as click would (a test compares the two); for anything else, `parse` gives None and
click parses again, to say what is wrong in its own words.
"""

from __future__ import annotations

from kubeplay.cli.declare import CHOICE, FLAG, GLOBAL, INTEGER, NUMBER, Command, Option
from kubeplay.cli.tree import TREE, Group, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    # a command, its values by keyword, and the global options that were given
    Parsed = tuple[Command, dict[str, Any], dict[str, Any]]

TRUE, FALSE = ("true", "1", "t", "yes"), ("false", "0", "f", "no")


class _Unclear(Exception):
    """Not for us: click says what is wrong."""


def parse(argv: Sequence[str]) -> Parsed | None:
    """The command line, or None when it has to be shown to click."""
    try:
        given: dict[str, Any] = {}
        rest, node = list(argv), TREE
        while True:
            taken = _options(rest, _table(GLOBAL), given, until=1)
            if not taken or taken[0] not in node or rest[:1] == ["--"]:
                return None
            found = node[taken[0]]
            rest = taken[1:]
            if isinstance(found, str):
                return _command(load(found), rest, given)
            node = found
    except _Unclear:
        return None


def _command(command: Command, argv: list[str], given: dict[str, Any]) -> Parsed:
    limit = len(command.arguments) if any(a.rest for a in command.arguments) else 0
    words = _options(argv, _table((*command.options, *GLOBAL)), given, until=limit)
    values = {option.dest: given.pop(option.dest, option.default) for option in command.options}
    values.update(_arguments(command, words))
    return command, values, given


def _arguments(command: Command, words: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for row in command.arguments:
        if row.many:  # always the last one
            values[row.dest], words = tuple(words), []
            if row.required and not values[row.dest]:
                raise _Unclear
        elif words:
            values[row.dest], words = words[0], words[1:]
        elif row.required:
            raise _Unclear
        else:
            values[row.dest] = None
    if words:
        raise _Unclear
    return values


def _table(options: Iterable[Option]) -> dict[str, Option]:
    return {name: option for option in options for name in option.flags}


def _options(argv: list[str], table: dict[str, Option], given: dict[str, Any], *, until: int) -> list[str]:
    """Take the options out of argv; the words are returned. With `until` n, all after the n-th word is left alone."""
    words: list[str] = []
    index = 0
    while index < len(argv):
        word = argv[index]
        index += 1
        if word == "--":
            return words + argv[index:]
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            index = _take(_known(table, name), value if equals else None, argv, index, given)
        elif word.startswith("-") and word != "-":
            index = _cluster(word[1:], argv, index, table, given)
        else:
            words.append(word)
            if until and len(words) >= until:
                return words + argv[index:]
    return words


def _known(table: dict[str, Option], name: str) -> Option:
    option = table.get(name)
    if option is None:
        raise _Unclear
    return option


def _cluster(letters: str, argv: list[str], index: int, table: dict[str, Option], given: dict[str, Any]) -> int:
    for position, letter in enumerate(letters):
        option = _known(table, f"-{letter}")
        if option.takes_value:
            return _take(option, letters[position + 1 :] or None, argv, index, given)
        given[option.dest] = True
    return index


def _take(option: Option, value: str | None, argv: list[str], index: int, given: dict[str, Any]) -> int:
    if option.kind == FLAG:
        given[option.dest] = boolean(value)
        return index
    value = option.bare or None if value is None else value
    if value is None:
        if index >= len(argv):
            raise _Unclear
        value, index = argv[index], index + 1
    if option.many:
        given[option.dest] = (*given.get(option.dest, ()), value)
    else:
        given[option.dest] = _convert(option, value)
    return index


def boolean(value: str | None) -> bool:
    """The value of `--flag` or `--flag=VALUE`."""
    if value is None or value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise _Unclear


def _convert(option: Option, value: str) -> Any:
    try:
        if option.kind == INTEGER:
            return int(value)
        if option.kind == NUMBER:
            from kubeplay.cli.human import seconds

            return seconds(value)
    except ValueError:
        raise _Unclear from None
    if option.kind == CHOICE and value not in option.choices:
        raise _Unclear
    return value


def group(words: Sequence[str]) -> Group | None:
    """The group that `words` name."""
    node: Group | str = TREE
    for word in words:
        if isinstance(node, str) or word not in node:
            return None
        node = node[word]
    return None if isinstance(node, str) else node
