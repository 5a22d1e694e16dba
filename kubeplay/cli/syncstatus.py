"""sync status and sync rm: what is known of the sources that are followed here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from kubeplay.errors import InvalidInput, KubeplayError, NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.sync.model import Spec, Status
    from kubeplay.sync.state import State

_SHORT = 8  # digits of a commit or digest in the table; git's own short form has 7 or more
HEADER = ("NAME", "NAMESPACE", "SOURCE", "REVISION", "READY", "DRIFT", "AGE", "MESSAGE")
WIDE = ("FOLLOWED", "INTERVAL", "PRUNE", "HEALED")


def status(app: App, names: Sequence[str], form: str) -> int:
    """Print every sync, or the named ones. Raises NotFound."""
    from kubeplay.sync import state

    found = state.every(app.engine.paths) if app.has_store else []
    missing = [name for name in names if name not in [one.name for one in found]]
    if missing:
        raise NotFound(f"there is no sync {missing[0]!r}", hint="`kubeplay sync status` lists them")
    shown = [record(app, one) for one in found if not names or one.name in names]
    if form in ("json", "yaml"):
        sys.stdout.write(_text(shown, form))
    elif not shown:
        print("No source is followed here.", file=sys.stderr)
    else:
        from kubeplay.cli import table

        header = [*HEADER[:-1], *(WIDE if form == "wide" else ()), HEADER[-1]]
        sys.stdout.write(table.render(header, [_row(app, one, form == "wide") for one in shown], gap=3, narrowest=0))
    return 0


def remove(app: App, names: Sequence[str], form: str) -> int:
    """Forget syncs; the objects that they brought stay. Raises NotFound, Conflict."""
    from kubeplay.sync.state import State

    if not names:
        raise InvalidInput("sync rm needs a name", hint="`kubeplay sync status` lists them")
    for name in names:
        State(app.engine.paths, name).forget()
        print(name)
    return 0


def record(app: App, state: State) -> dict[str, Any]:
    """One sync for tools; what drifts is looked at now."""
    from kubeplay.clock import rfc3339

    known = state.load()
    assert known is not None  # `every` lists those that have one
    spec, now = known
    drift = _drift(app, spec, now, state)
    error = now.error
    return {
        "name": spec.name, "namespace": spec.namespace, "kind": spec.kind, "source": spec.shown, "branch": spec.branch, "tag": spec.tag,
        "commit": spec.commit, "path": spec.path, "prune": spec.prune, "interval": spec.interval,
        "revision": now.seen, "appliedRevision": now.applied, "ready": bool(now.applied) and error is None and not drift,
        "drift": list(drift), "healed": now.healed, "objects": list(now.objects), "followedBy": state.follower or None,
        "lastLook": rfc3339(now.looked) if now.looked else None, "lastApply": rfc3339(now.since) if now.since else None,
        "lastError": error and {"stage": error.stage, "revision": error.revision, "message": error.message, "times": error.times,
                                "time": rfc3339(error.when)},
    }  # fmt: skip


def _drift(app: App, spec: Spec, now: Status, state: State) -> tuple[str, ...]:
    from kubeplay.play.progress import silent
    from kubeplay.sync.ground import Ground

    built = state.good()
    if built is None or built.revision != now.applied:
        return now.drift
    ground = Ground(app.engine, spec, nullcontext, silent)
    try:
        return ground.drift(ground.check(built))
    except KubeplayError as error:
        return (error.message,)


def _row(app: App, one: dict[str, Any], wide: bool) -> list[str]:
    from kubeplay.cli.moments import moment
    from kubeplay.kube.columns import age

    clock = app.engine.clock.now()
    since = age(clock - moment(one["lastApply"], clock)) if one["lastApply"] else "<never>"
    error = one["lastError"]
    message = error["message"].split("\n")[0] if error else "; ".join(one["drift"]) or f"Applied revision: {short(one['appliedRevision'])}"
    ready = str(one["ready"]) if one["appliedRevision"] or error else "Unknown"
    more = [str(one["followedBy"] or "<nobody>"), f"{one['interval']:g}s", str(one["prune"]), str(one["healed"])] if wide else []
    drift = str(len(one["drift"])) if one["drift"] else "-"
    return [one["name"], one["namespace"], one["source"], short(one["revision"]) or "<unknown>", ready, drift, since, *more, message]


def short(revision: str) -> str:
    """`main@sha1:0123abcd`: the digest's first digits."""
    head, colon, digits = revision.rpartition(":")
    return f"{head}{colon}{digits[:_SHORT]}"


def _text(shown: list[dict[str, Any]], form: str) -> str:
    import json

    if form == "json":
        return json.dumps(shown, indent=4, ensure_ascii=False) + "\n"
    from kubeplay.kube import write

    return write.documents(shown)
