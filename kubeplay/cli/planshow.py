"""A plan as text for people and as JSON for tools: pure."""

from __future__ import annotations

import json
from typing import Any

from kubeplay.apply.model import ACTIONS, CREATE, LEAVE, REFUSE, REMOVE, REPLACE, UPDATE, Change, Effect, FieldChange, Planned
from kubeplay.cli.table import printable

Json = dict[str, Any]
_SIGNS = {CREATE: "+", UPDATE: "~", REPLACE: "-/+", REMOVE: "-", LEAVE: " ", REFUSE: "!"}
_WORDS = {CREATE: "created", UPDATE: "updated in place", REPLACE: "replaced", REMOVE: "removed", LEAVE: "unchanged",
          REFUSE: "refused: it cannot become so, and an apply would touch nothing"}  # fmt: skip
_COLORS = {CREATE: "32", UPDATE: "33", REPLACE: "35", REMOVE: "31", LEAVE: "2", REFUSE: "31"}  # SGR of ECMA-48: red, green, ...
_COUNTED = {LEAVE: "unchanged", REFUSE: "refused"}  # the others are still to be done
_PODS = {"create": "made", "replace": "made anew", "remove": "removed", "refresh": "see new files"}
_WIDEST = 100  # characters of a value that a line shows
_NAMED = 5  # pods that a line names


def as_text(planned: Planned, color: bool = False) -> str:
    """A paragraph for each object that changes or of which there is something to say, and a line that counts."""
    blocks = [_block(one, color) for one in planned.changes if one.action != LEAVE or one.why]
    return "\n".join([*blocks, _summary(planned)])


def _block(change: Change, color: bool) -> str:
    head = f"{_SIGNS[change.action]} {change.key} is {_WORDS[change.action]}".lstrip()
    lines = [_paint(printable(head), change.action, color)]
    lines += [f"    {printable(_field(field))}" for field in change.fields]
    lines += [f"    # {printable(sentence)}" for sentence in change.why]
    lines += [f"    > {printable(line)}" for line in _effects(change.effects)]
    return "".join(f"{line}\n" for line in lines)


def _paint(text: str, action: str, color: bool) -> str:
    return f"\x1b[{_COLORS[action]}m{text}\x1b[0m" if color else text


def _field(field: FieldChange) -> str:
    if field.secret:
        return f"{field.path}: {'(none)' if field.old is None else '***'} -> {'(none)' if field.new is None else '*** (changed)'}"
    return f"{field.path}: {_value(field.old)} -> {_value(field.new)}"


def _value(value: Any) -> str:
    text = "(none)" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."


def _effects(effects: tuple[Effect, ...]) -> list[str]:
    """`pods a, b are made anew`; a restart names its containers."""
    lines = [
        f"pod {one.pod.name}: {'container' if len(one.containers) == 1 else 'containers'} {', '.join(one.containers)} restart"
        + ("s" if len(one.containers) == 1 else "")
        for one in effects if one.action == "restart"
    ]  # fmt: skip
    for action, words in _PODS.items():
        names = [one.pod.name for one in effects if one.action == action]
        if names:
            shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
            verb = words if action == "refresh" else f"is {words}" if len(names) == 1 else f"are {words}"
            lines.append(f"{'pod' if len(names) == 1 else 'pods'} {shown} {verb}")
    return lines


def _summary(planned: Planned) -> str:
    if not planned.differs:
        count = len(planned.changes)
        return f"Nothing would change: {count} object{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} as the files have it.\n"
    counts = [(action, len(planned.of(action))) for action in ACTIONS]
    words = [f"{count} {_COUNTED.get(action, f'to {action}')}" for action, count in counts if count or action != REFUSE]
    return f"Plan: {', '.join(words)}.\n"


def as_json(planned: Planned) -> str:
    """Every object with its action, fields, reasons and pods, and how many there are of each action."""
    found = {
        "changes": [_entry(one) for one in planned.changes],
        "summary": {action: len(planned.of(action)) for action in ACTIONS},
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _entry(change: Change) -> Json:
    made: Json = {"apiVersion": change.api_version, "kind": change.key.kind}
    if change.key.namespace:
        made["namespace"] = change.key.namespace
    made |= {"name": change.key.name, "action": change.action}
    made["fields"] = [_entry_of_field(field) for field in change.fields]
    made["why"] = list(change.why)
    made["pods"] = [
        {"namespace": one.pod.namespace, "name": one.pod.name, "action": one.action}
        | ({"containers": list(one.containers)} if one.containers else {})
        for one in change.effects
    ]
    return made


def _entry_of_field(field: FieldChange) -> Json:
    if field.secret:
        return {"path": field.path, "secret": True}
    return {"path": field.path, "old": field.old, "new": field.new}
