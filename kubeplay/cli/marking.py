"""label and annotate: what is written on objects, with kubectl's words."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.cli.declare import Command, argument, command, flag, integer
from kubeplay.errors import Conflict, InvalidInput
from kubeplay.kube.kinds import Kind
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]


class Marks(Record):
    """What is to be written and what taken away."""

    put: tuple[tuple[str, str], ...]
    drop: tuple[str, ...]


def parse(words: Sequence[str], *, field: str) -> tuple[list[str], Marks]:
    """(names of objects, marks) of `pods web a=b c-`: objects come first. Raises InvalidInput."""
    first = next((at for at, word in enumerate(words) if "=" in word or word.endswith("-")), len(words))
    put: dict[str, str] = {}
    drop: list[str] = []
    for word in words[first:]:
        key, equals, value = word.partition("=")
        if equals:
            put[key] = value
        elif word.endswith("-"):
            drop.append(word[:-1])
        else:
            raise InvalidInput(f"{word!r} is neither KEY=VALUE nor KEY-", hint=f"objects come before {field}")
    both = [key for key in drop if key in put]
    if both:
        raise InvalidInput(f"can not both modify and remove a {field[:-1]} in the same command: {', '.join(both)}")
    return list(words[:first]), Marks(tuple(put.items()), tuple(drop))


def faults(marks: Marks, field: str) -> list[str]:
    """What is wrong with keys and values (VL2)."""
    from kubeplay.kube import labels

    found = []
    for key, value in [*marks.put, *((key, "") for key in marks.drop)]:
        wrong = labels.key(key) if field == "labels" else labels.annotation_key(key)
        wrong = wrong or (labels.value(value) if field == "labels" else [])
        found += [f"{key}={value}: {text}" if (key, value) in marks.put else f"{key}: {text}" for text in wrong]
    return found


def marked(now: Mapping[str, str], marks: Marks, overwrite: bool) -> dict[str, str]:
    """The labels afterwards. Raises Conflict for one that has another value already."""
    taken = [f"'{key}' already has a value ({now[key]})" for key, value in marks.put if not overwrite and now.get(key, value) != value]
    if taken:
        raise Conflict(f"{', '.join(taken)}, and --overwrite is false")
    kept = {key: value for key, value in now.items() if key not in marks.drop}
    return {**kept, **dict(marks.put)}


def _command(name: str, field: str, verbs: tuple[str, str, str]) -> Command:
    done, removed, same = verbs

    @command(
        name,
        f"Write {field} on objects, or take them away.\n\n    kubeplay {name} pod web tier=front\n"
        f"    kubeplay {name} deploy/web tier-\n    kubeplay {name} pods -l app=web tier=back --overwrite",
        argument("KIND", f"KIND NAME... or KIND/NAME..., then {field}: KEY=VALUE to write, KEY- to remove.", dest="words", many=True,
                 complete="kind"),
        choosing.OPTIONS,
        flag("--overwrite", help="Also where there is another value already."),
        flag("--list", help=f"Print the {field} of the objects.", dest="show"),
        integer("--resource-version", help="Only if the object has this version still."),
    )  # fmt: skip
    def body(app: App, *, words: tuple[str, ...], overwrite: bool, show: bool, resource_version: int | None, **given: Any) -> int:
        names, marks = parse(words, field=field)
        if not (marks.put or marks.drop or show):
            raise InvalidInput(f"at least one {field[:-1]} update is required", hint=f"kubeplay {name} pod web KEY=VALUE")
        wrong = faults(marks, field)
        if wrong:
            raise InvalidInput(f"invalid {field}:\n" + "\n".join(f"  {line}" for line in wrong))
        found = choosing.chosen(app, names, given)
        if resource_version is not None and len(found) != 1:
            raise InvalidInput("--resource-version may only be used with one object")

        def act(one: Kind, body: Json) -> str:
            if show and not (marks.put or marks.drop):
                return _listed(one, body, len(found) > 1)
            now = body["metadata"].get(field) or {}
            for key in marks.drop:
                if key not in now:
                    print(f'{field[:-1]} "{key}" not found.', file=sys.stderr)
            edited = choosing.edit(app, one, body, lambda new: _write(new, marks, overwrite), given, version=resource_version)
            verb = same if not edited.changed and field == "labels" else removed if marks.drop and not marks.put else done
            return choosing.said(one, edited.body, verb, given) + (_listed(one, edited.body, False) if show else "")

        return choosing.each(app, found, act)

    def _write(new: Json, marks: Marks, overwrite: bool) -> None:
        after = marked(new["metadata"].get(field) or {}, marks, overwrite)
        new["metadata"].pop(field, None)
        if after:
            new["metadata"][field] = after

    def _listed(one: Kind, body: Json, several: bool) -> str:
        lines = [f"{key}={value}" for key, value in sorted((body["metadata"].get(field) or {}).items())]
        head = [f"Listing {field} for {things.title(one, body['metadata']['name'])}:"] if several else []
        return "".join(f"{line}\n" for line in [*head, *[f" {line}" if several else line for line in lines]])

    return body


label = _command("label", "labels", ("labeled", "unlabeled", "not labeled"))
annotate = _command("annotate", "annotations", ("annotated", "annotated", "annotated"))
