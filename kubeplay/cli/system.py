"""version, info, system check and system reset."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import EITHER, OUTSIDE, command, flag, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App

FORMAT = text("-f", "--format", help="json, yaml, or a Go template.")


@command("version", "Show the version of kubeplay and of what it runs on.", FORMAT, where=OUTSIDE)
def version(app: App, *, format: str | None) -> None:
    from kubeplay.cli.facts import versions

    found = versions()
    if format:
        from kubeplay.cli.inspection import show

        show([found], format) if format != "json" else _json(found)
        return
    print("".join(f"{key + ':':<13}{value}\n" for key, value in found["Client"].items()), end="")


def _json(value: Any) -> None:
    from kubeplay.cli.listing import json_text

    sys.stdout.write(json_text(value) + "\n")


@command("info", "Show this machine as kubeplay sees it: runtime, cgroups, network, store, and what it cannot give to containers.", FORMAT)
def info(app: App, *, format: str | None) -> None:
    from kubeplay.cli.facts import info as facts

    found = facts(app)
    if format == "json":
        _json(found)
    elif format and format != "yaml":
        from kubeplay.cli.listing import templated

        sys.stdout.write(templated(format, [found]))
    else:
        import yaml

        sys.stdout.write(yaml.safe_dump(found, sort_keys=False, allow_unicode=True))


@command(
    "check",
    "List what kubeplay needs of this machine, look the store over, and say what to do about what is missing or damaged.\n\n"
    "The exit status is 1 when a pod could not run or something of the store is damaged and was not mended.",
    text("-f", "--format", help="table, json, or a Go template."),
    flag("--quiet", help="Show only what is not as it should be."),
    flag("-r", "--repair", help="Mend the store: take away what is damaged, and say which images must be pulled again."),
    flag("-q", "--quick", help="Do not read the contents of layers and blobs."),
    text("-m", "--max", help="What nothing refers to counts when it is older than this.", default="24h", metavar="DURATION"),
    where=EITHER,
)
def check(app: App, *, format: str | None, quiet: bool, repair: bool, quick: bool, max: str | None) -> int:
    from kubeplay.cli import check as checks
    from kubeplay.cli import listing, storage, table

    age = storage.seconds(max or "24h")
    found = [*checks.run(app.settings), *([] if _outside() else storage.run(app, quick, age, repair))]
    shown = [one for one in found if not quiet or one.state != checks.OK]
    records = [{"Name": one.name, "State": one.state, "Found": one.found, "Remedy": one.remedy} for one in shown]
    if format == "json":
        _json(records)
    elif format and format != "table":
        sys.stdout.write(listing.templated(format, records))
    else:
        sys.stdout.write(table.render(["STATE", "WHAT", "FOUND"], [[one.state, one.name, one.found] for one in shown]))
        remedies = [one for one in shown if one.state != checks.OK and one.remedy]
        sys.stdout.write("".join(f"\n{one.name}:\n  {one.remedy}\n" for one in remedies))
    return 1 if any(one.state in (checks.MISSING, checks.DAMAGED) for one in found) else 0


def _outside() -> bool:
    """Whether this is an ordinary user's command that could not enter the namespaces, in which alone the store can be read."""
    from kubeplay.engine.host.userns import handed_on, rootless

    return rootless() and handed_on() is None


@command(
    "reset",
    "Remove everything of this root: pods, networks, rules, mounts, cgroups, volumes, images, files.",
    flag("-f", "--force", help="Do not ask."),
)
def reset(app: App, *, force: bool) -> int:
    from kubeplay.cli.reset import reset as wipe

    if not force:
        question = f"This removes every pod, volume and image of {app.settings.root}. Continue? [y/N] "
        if not sys.stdin.isatty():
            raise InvalidInput("system reset removes everything and asks on a terminal only", hint="use --force")
        if input(question).strip().lower() not in ("y", "yes"):
            return 1
    for line in wipe(app):
        print(line)
    return 0
