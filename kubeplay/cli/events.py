"""events: what happened to pods and other objects."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import listing
from kubeplay.cli.declare import ALL_NAMESPACES, argument, command, flag, many, text
from kubeplay.cli.listing import Column, Fields, Listing, Look
from kubeplay.engine.store.events import INFINITE, NORMAL, WARNING, Event
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App

POLL_SECONDS = 0.25  # how soon --follow shows a new event
COLUMNS = (
    Column("LAST SEEN", "LastSeen"), Column("TYPE", "Type"), Column("REASON", "Reason"), Column("OBJECT", "Object"),
    Column("COUNT", "Count", True),
    Column("NAMESPACE", "Namespace", True), Column("MESSAGE", "Message"),
)  # fmt: skip
LOOK = Listing(
    COLUMNS,
    "Object",
    {
        "type": listing.equals("Type"), "reason": listing.equals("Reason"), "event": listing.equals("Reason"),
        "namespace": listing.equals("Namespace"),
        "kind": listing.equals("Kind"), "name": listing.equals("Name"), "pod": lambda r,
        v: r["Kind"] == "Pod" and v in (r["Name"], r["UID"]),
    },
)  # fmt: skip


@command(
    "events",
    "Show events, oldest first.",
    argument("NAME", "Events of the pod or object of this name only.", required=False, complete="pod"),
    text("--for", help="Events of KIND/NAME only, as pod/web.", metavar="KIND/NAME", dest="of"),
    text("--types", help="Events of these types only: Normal,Warning.", metavar="TYPE"),
    text("--format", help="table, json (a line each), wide, or a Go template."),
    many(
        "-f",
        "--filter",
        dest="filters",
        help="Show what matches KEY=VALUE only: type, reason, kind, name, pod, namespace.",
        metavar="KEY=VALUE",
    ),
    flag("-q", "--quiet", help="Print the objects only, as pod/web."),
    flag("-w", "--follow", "--watch", help="Stay, and show new events as they come; a repeated one is shown again.", dest="follow"),
    text("--since", help="Events seen since then: 10m, or a time such as 2026-11-22T03:00:00Z.", metavar="TIME"),
    text("--until", help="Events seen until then; with --follow, stay until then.", metavar="TIME"),
    flag("--no-trunc", help="Accepted for podman's sake: messages are never cut."),
    flag("--noheading", "--no-headers", help="Leave the table's header out.", dest="noheading"),
    flag("--stream", help="--stream=false is podman's word for not following.", default=True),
    ALL_NAMESPACES,
)
def events(app: App, *, name: str | None, follow: bool, stream: bool, all_namespaces: bool, **given: Any) -> None:
    wish = _wish(app, name, "" if all_namespaces else app.namespace, given)
    look = Look(format=given["format"], quiet=given["quiet"], filters=given["filters"], noheading=given["noheading"])
    shown: dict[int, int] = {}
    after, again = 0, INFINITE
    while True:
        found = app.store.events.list(wish.namespace, after=after, again=again)
        new = [one for one in found if shown.get(one.id) != one.times]
        after = max([after, *(one.id for one in found)])
        again = max([one.last for one in found], default=again if again != INFINITE else 0.0)
        # what can come again with the same time, or count up in the same moment, is remembered; all else is older
        shown = {one.id: one.times for one in found if one.last >= again}
        now = app.engine.clock.now()
        _show([_record(one, now) for one in new if wish.fits(one)], look)
        if not (follow and stream) or now > wish.until:
            return
        look = look._replace(noheading=True)
        sys.stdout.flush()
        app.engine.clock.sleep(POLL_SECONDS)


class _Wish(Record):
    """Which events are shown; "" = all."""

    namespace: str
    kind: str
    name: str
    types: tuple[str, ...]
    since: float
    until: float

    def fits(self, one: Event) -> bool:
        if self.name and one.key.name != self.name or self.kind and one.key.kind != self.kind:
            return False
        return self.since <= one.last <= self.until and (not self.types or one.type in self.types)


def _wish(app: App, name: str | None, namespace: str, given: dict[str, Any]) -> _Wish:
    from kubeplay.cli.moments import moment
    from kubeplay.errors import InvalidInput

    now = app.engine.clock.now()
    since = moment(given["since"], now) if given["since"] else 0.0
    until = moment(given["until"], now) if given["until"] else INFINITE
    types = tuple(word.strip().capitalize() for word in (given["types"] or "").split(",") if word.strip())
    if set(types) - {NORMAL, WARNING}:
        raise InvalidInput(f"--types {given['types']!r} is not known", hint="types: Normal, Warning")
    scope, _, last = (name or "").rpartition("/")
    kind = ""
    if given["of"]:
        from kubeplay.cli import things

        word, slash, last = given["of"].partition("/")
        if not (slash and last):
            raise InvalidInput(f"--for {given['of']!r} is not KIND/NAME", hint="--for pod/web")
        kind = "Sync" if word.lower() == "sync" else things.kind(word).kind  # no object, but things happen to it
    return _Wish(scope or namespace, kind, last, types, since, until)


def _show(records: Sequence[Fields], look: Look) -> None:
    if look.format == "json":
        import json

        kept = listing.filtered(LOOK, records, look.filters)
        sys.stdout.write("".join(json.dumps(listing.public(r), ensure_ascii=False) + "\n" for r in kept))
    elif records or not look.noheading:
        listing.show(LOOK, records, look)


def _record(one: Event, now: float) -> dict[str, Any]:
    from kubeplay.clock import rfc3339
    from kubeplay.kube.columns import age

    return {
        "LastSeen": age(now - one.last), "_LastSeen": one.last, "Type": one.type, "Reason": one.reason,
        "Object": f"{one.key.kind.lower()}/{one.key.name}",
        "Kind": one.key.kind, "Name": one.key.name, "Namespace": one.key.namespace, "UID": one.uid, "Message": one.message,
        "Count": one.times,
        "FirstTimestamp": rfc3339(one.first), "LastTimestamp": rfc3339(one.last),
    }  # fmt: skip
