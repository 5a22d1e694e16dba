"""One nft table as data: sets, maps and chains; its text as a whole, and the text that makes one table from another.

What is compared is what we last wrote, so a change costs the kernel only what changed, and what a set has learned by itself (clients of
session affinity) outlives every change of the rest. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.record import Record


class Set(Record):
    """A set, or a map when `kind` ends in `: ...`. `options` are further lines (`flags interval`); sorted, distinct `elements`.

    An element of a map is written `KEY : VALUE`. `learns`: its elements are the kernel's own to add, and are never looked at.
    """

    name: str
    kind: str
    options: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    learns: bool = False

    @property
    def word(self) -> str:
        return "map" if " : " in self.kind else "set"


class Chain(Record):
    """A chain; `hook` is the text of a base chain's `type ... hook ...; policy ...;`."""

    name: str
    hook: str = ""
    rules: tuple[str, ...] = ()


class Table(Record):
    """Everything of ours in the kernel, in the order it is written."""

    sets: tuple[Set, ...] = ()
    chains: tuple[Chain, ...] = ()


NOTHING = Table()


def elements(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found)))


def mapping(found: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The elements of a map. Of several values of one key the first counts: two Services may ask for one external address."""
    known: dict[str, str] = {}
    for key, value in found:
        known.setdefault(key, value)
    return tuple(sorted([f"{key} : {value}" for key, value in known.items()]))


def removal(name: str) -> str:
    """The text after which the table is not there, whether it was or not."""
    return f"add table inet {name}\ndelete table inet {name}\n"


def whole(name: str, table: Table) -> str:
    """The text for `nft -f` that makes the table anew."""
    if table == NOTHING:
        return removal(name)
    parts = [*map(_set, table.sets), *map(_chain, table.chains)]
    return removal(name) + f"table inet {name} {{\n" + "\n".join(parts) + "}\n"


def _set(one: Set) -> str:
    body = "    elements = { " + ",\n        ".join(one.elements) + " }\n" if one.elements else ""
    return f"  {one.word} {one.name} {{\n    type {one.kind}\n{_lines(one.options)}{body}  }}\n"


def _chain(one: Chain) -> str:
    return f"  chain {one.name} {{\n{_lines([one.hook] if one.hook else [])}{_lines(one.rules)}  }}\n"


def _lines(found: Sequence[str]) -> str:
    return "".join(f"    {line}\n" for line in found)


def changes(name: str, old: Table, new: Table) -> str | None:
    """The text that makes `new` of `old` in one transaction, "" when they are equal; None: only the whole will do.

    The order matters: what is referred to comes before what refers to it, and goes after it.
    """
    if new == NOTHING or old == NOTHING:
        return "" if new == old else None
    before, after = {one.name: one for one in old.sets}, {one.name: one for one in new.sets}
    chains, wanted = {one.name: one for one in old.chains}, {one.name: one for one in new.chains}
    if any(before[key][:3] != one[:3] for key, one in after.items() if key in before):
        return None
    if any(chains[key].hook != one.hook for key, one in wanted.items() if key in chains):
        return None
    fresh = [key for key in wanted if key not in chains]
    changed = [key for key, one in wanted.items() if key not in chains or chains[key].rules != one.rules]
    gone = [key for key in chains if key not in wanted]
    new_sets = [one for key, one in after.items() if key not in before]
    lines = [f"add {one.word} inet {name} {one.name} {{ type {one.kind}; {_inline(one.options)}}}" for one in new_sets]
    lines += [f"add chain inet {name} {key}" + (f" {{ {wanted[key].hook} }}" if wanted[key].hook else "") for key in fresh]
    lines += [f"flush chain inet {name} {key}" for key in [*changed, *gone] if key in chains]
    for key, one in before.items():
        lines += _less(name, one, after.get(key))
    lines += [f"add rule inet {name} {key} {rule}" for key in changed for rule in wanted[key].rules]
    for key, one in after.items():
        lines += _more(name, one, before.get(key))
    lines += [f"delete chain inet {name} {key}" for key in gone]
    lines += [f"delete {one.word} inet {name} {key}" for key, one in before.items() if key not in after]
    return "".join(f"{line}\n" for line in lines)


def _inline(options: Sequence[str]) -> str:
    return "".join(f"{option.rstrip(';')}; " for option in options)


def _less(name: str, one: Set, wanted: Set | None) -> list[str]:
    """What an old set loses before the rules change. Intervals may overlap: those sets are emptied and filled again."""
    if wanted is None or wanted.elements == one.elements or not one.elements:
        return [] if wanted is not None or not one.elements else [f"flush {one.word} inet {name} {one.name}"]
    if _whole(one):
        return [f"flush {one.word} inet {name} {one.name}"]
    kept = frozenset(wanted.elements)
    return _some("delete", name, one, [element for element in one.elements if element not in kept])


def _more(name: str, one: Set, before: Set | None) -> list[str]:
    if before is not None and (before.elements == one.elements or _whole(one)):
        return [] if before.elements == one.elements else _some("add", name, one, one.elements)
    kept = frozenset(before.elements if before is not None else ())
    return _some("add", name, one, [element for element in one.elements if element not in kept])


def _whole(one: Set) -> bool:
    return any("interval" in option for option in one.options)


def _some(verb: str, name: str, one: Set, found: Sequence[str]) -> list[str]:
    return [f"{verb} element inet {name} {one.name} {{ {', '.join(found)} }}"] if found else []


def dumps(table: Table) -> str:
    import json

    return json.dumps([[list(one) for one in table.sets], [list(one) for one in table.chains]], separators=(",", ":"))


def loads(text: str) -> Table | None:
    """The table that `dumps` wrote, None for anything else."""
    import json

    try:
        sets, chains = json.loads(text)
        return Table(
            tuple([Set(name, kind, tuple(options), tuple(found), learns) for name, kind, options, found, learns in sets]),
            tuple([Chain(name, hook, tuple(rules)) for name, hook, rules in chains]),
        )
    except (ValueError, TypeError):
        return None
