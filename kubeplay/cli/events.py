"""events: what happened to pods and other objects."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import listing
from kubeplay.cli.declare import ALL_NAMESPACES, argument, command, flag, many, text
from kubeplay.cli.listing import Column, Fields, Listing, Look
from kubeplay.engine.store.events import Event

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
    text("--format", help="table, json (a line each), wide, or a Go template."),
    many(
        "-f",
        "--filter",
        dest="filters",
        help="Show what matches KEY=VALUE only: type, reason, kind, name, pod, namespace.",
        metavar="KEY=VALUE",
    ),
    flag("-q", "--quiet", help="Print the objects only, as pod/web."),
    flag("-w", "--follow", "--watch", help="Stay, and show new events as they come.", dest="follow"),
    text("--since", help="Events seen since then: 10m, or a time such as 2026-11-22T03:00:00Z.", metavar="TIME"),
    flag("--no-trunc", help="Accepted for podman's sake: messages are never cut."),
    flag("--noheading", help="Leave the table's header out."),
    flag("--stream", help="--stream=false is podman's word for not following.", default=True),
    ALL_NAMESPACES,
)
def events(
    app: App,
    *,
    name: str | None,
    format: str | None,
    filters: tuple[str, ...],
    follow: bool,
    since: str | None,
    quiet: bool,
    no_trunc: bool,
    noheading: bool,
    stream: bool,
    all_namespaces: bool,
) -> None:
    from kubeplay.cli.moments import moment

    namespace, _, last = (name or "").rpartition("/")
    look = Look(format=format, quiet=quiet, filters=filters, noheading=noheading)
    start = moment(since, app.engine.clock.now()) if since else 0.0
    after = 0
    while True:
        found = app.store.events.list("" if all_namespaces else namespace or app.namespace, after=after)
        after = max([after, *(one.id for one in found)])
        now = app.engine.clock.now()
        records = [_record(one, now) for one in found if one.last >= start and (not name or one.key.name == last)]
        _show(records, look)
        if not (follow and stream):
            return
        look = look._replace(noheading=True)
        sys.stdout.flush()
        app.engine.clock.sleep(POLL_SECONDS)


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
