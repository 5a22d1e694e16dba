"""`wait --for`: until objects meet a condition, as kubectl wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import things
from kubeplay.errors import InvalidInput, NotFound, Timeout
from kubeplay.kube.kinds import Kind
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
SECONDS = 30.0  # kubectl's --timeout
FORMS = "delete, create, condition=NAME[=VALUE], jsonpath={PATH}[=VALUE]"


class Goal(Record):
    """What is waited for: `word` delete, create, condition or jsonpath; `value` None = it is there at all."""

    word: str
    what: str = ""
    value: str | None = None


def parse(text: str) -> Goal:
    """A --for. Raises InvalidInput."""
    word, _, rest = text.partition("=")
    if text in ("delete", "create"):
        return Goal(text)
    if word == "condition" and rest:
        name, equals, value = rest.partition("=")
        return Goal(word, name, value if equals else "true")
    if word == "jsonpath" and rest:
        from kubeplay.kube import jsonpath

        if rest[:1] in ("'", '"'):  # quoted once more than the shell takes away
            rest = rest[1:].replace("}" + rest[0], "}", 1).removesuffix(rest[0])
        end = rest.rfind("}")
        path, after = (rest[: end + 1], rest[end + 1 :]) if end >= 0 else (rest.partition("=")[0], "".join(rest.partition("=")[1:]))
        if after and not after.startswith("="):
            raise InvalidInput(f"--for {text!r}: {after!r} after the path is not =VALUE")
        jsonpath.values(path, {})
        return Goal(word, path, after[1:] if after else None)
    raise InvalidInput(f"--for {text!r} is not known", hint=f"it may be {FORMS}")


def met(goal: Goal, body: Json | None) -> bool:
    """Whether an object (None = it is not there) meets the goal."""
    if goal.word in ("delete", "create"):
        return (body is None) == (goal.word == "delete")
    if body is None:
        return False
    if goal.word == "condition":
        found = (body.get("status") or {}).get("conditions") or []
        return any(c["type"].lower() == goal.what.lower() and c["status"].lower() == str(goal.value).lower() for c in found)
    from kubeplay.kube import jsonpath

    values = jsonpath.values(goal.what, body)
    if goal.value is None:
        return any(value not in ("", None, [], {}) for value in values)
    return any(jsonpath.shown(value) == goal.value for value in values)


def wait(
    app: App, words: Sequence[str], goal: Goal, *, selector: str | None, all_: bool, timeout: float | None, interval: float,
    told: Callable[[str], None],
) -> None:  # fmt: skip
    """Until every object meets the goal; `told` hears of each. Raises Timeout, NotFound, InvalidInput."""
    clock = app.engine.clock
    deadline = clock.monotonic() + (SECONDS if timeout is None else timeout) if timeout is None or timeout >= 0 else None
    pending = _meant(app, words, goal, selector, all_)
    while True:
        left = []
        for one, name, uid in pending:
            if met(goal, _now(app, one, name, uid)):
                told(f"{things.title(one, name.rpartition('/')[2])} condition met")
            else:
                left.append((one, name, uid))
        pending = left
        if not pending:
            return
        if deadline is not None and clock.monotonic() >= deadline:
            names = ", ".join(f"{one.plural}/{name.rpartition('/')[2]}" for one, name, _ in pending)
            raise Timeout(f"timed out waiting for the condition on {names}")
        clock.sleep(max(0.01, interval))


def _now(app: App, one: Kind, name: str, uid: str) -> Json | None:
    """The object as it is; another one that took its name is not it."""
    try:
        body = things.fetched(app, one, name)
    except NotFound:
        return None
    return body if not uid or body["metadata"].get("uid") == uid else None


def _meant(app: App, words: Sequence[str], goal: Goal, selector: str | None, all_: bool) -> list[tuple[Kind, str, str]]:
    """(kind, NS/NAME, uid) of what is waited for; a plain name is a pod's."""
    from kubeplay.cli.get import targets
    from kubeplay.kube import selector as selectors

    first = words[0].partition("/")[0].partition(",")[0]
    pairs = targets(words) if things.is_kind(first) else [(things.kind("pod"), word) for word in words]
    if selector or all_:
        fits = selectors.labels(selector or "")
        if any(name for _, name in pairs):
            raise InvalidInput("give either names, or a kind with --selector or --all", hint="kubeplay wait pods --all --for=...")
        bodies = [(one, body) for one, _ in pairs for body in things.listed(app, one, app.namespace)]
        found = [(one, body) for one, body in bodies if fits(body["metadata"].get("labels") or {})]
        if not found and goal.word != "delete":
            raise NotFound("no matching resources found")
    else:
        if not all(name for _, name in pairs):
            raise InvalidInput("nothing is named", hint="give names, --selector or --all")
        found = []
        for one, name in pairs:
            try:
                found.append((one, things.fetched(app, one, name)))
            except NotFound:
                if goal.word not in ("delete", "create"):
                    raise
                found.append((one, {"metadata": {"name": name.rpartition("/")[2], "namespace": name.rpartition("/")[0] or app.namespace}}))
    return [(one, _full(one, body["metadata"]), body["metadata"].get("uid", "") if goal.word == "delete" else "") for one, body in found]


def _full(one: Kind, meta: Json) -> str:
    return f"{meta.get('namespace') or 'default'}/{meta['name']}" if one.namespaced else str(meta["name"])
