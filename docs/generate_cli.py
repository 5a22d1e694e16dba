"""Write docs/cli.md from the commands themselves: `python docs/generate_cli.py`; with --check, only say whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "cli.md"
sys.path.insert(0, str(PAGE.parent.parent))

import click  # noqa: E402

from kubeplay.cli.clicks import RowCommand, RowGroup, build  # noqa: E402
from kubeplay.cli.declare import FLAG, GLOBAL, Option  # noqa: E402

INTRO = """# Commands

Written by `docs/generate_cli.py` from the commands themselves; do not edit.

Every command takes `-n NAMESPACE` (default `default`), and `NAMESPACE/NAME` wherever it takes a name. Pods go by their name,
their uid or the start of it; containers by `POD-CONTAINER`, `POD/CONTAINER`, by the pod's name with `-c`, by their id or the
start of it. A name that fits several things is an error.

Every listing takes `--format json`, `--format wide` and Go templates (`--format '{{.Names}}'`, `--format 'table
{{.ID}}\\t{{.Status}}'`) with field access, `json`, `range`, `if`, `with`, `index`, `len`, `join`, `split`, `printf`, `upper`,
`lower`, comparisons and variables.

Exit status: 0, or 125 when kubeplay itself failed (also for a wrong command line), 130 after an interrupt; `exec` gives the
command's own (126: it cannot be run, 127: it is not there); `exists` gives 1 for no; `image rm` 1 for an image that is not there
and 2 for one in use; `system check` 1 when something is missing.
"""


def page() -> str:
    """The text of docs/cli.md."""
    root = build(lambda command, values, options: 0)
    parts = [INTRO, "## Global options\n", "They may stand before or after the command.\n", _options(GLOBAL)]
    parts += _group(root, "kubeplay", click.Context(root, info_name="kubeplay"))
    return "\n".join(parts)


def _group(group: RowGroup, path: str, context: click.Context) -> list[str]:
    parts: list[str] = []
    for name in group.list_commands(context):
        child = group.get_command(context, name)
        if isinstance(child, RowGroup):
            parts += [f"## {path} {name}\n", f"{child.help}\n", *_group(child, f"{path} {name}", context)]
        elif isinstance(child, RowCommand):
            parts.append(_command(child, f"{path} {name}"))
    return parts


def _command(command: RowCommand, path: str) -> str:
    row = command.row
    words = [f"{a.name}..." if a.many else a.name for a in row.arguments]
    usage = " ".join([path, "[OPTIONS]", *(w if a.required else f"[{w}]" for w, a in zip(words, row.arguments))])
    text = [f"### {path}\n", f"{_prose(row.help)}\n", f"    {usage}\n"]
    if row.arguments:
        text.append("\n".join(f"- `{a.name}`: {a.help}" for a in row.arguments) + "\n")
    options = [o for o in row.options if not o.hidden]
    return "\n".join([*text, *([_options(options)] if options else [])])


def _prose(text: str) -> str:
    """A command's help; a paragraph that click is told not to wrap is code."""
    parts = [p.strip("\n") for p in text.split("\n\n")]
    return "\n\n".join("\n".join(f"    {line}" for line in p.splitlines()[1:]) if p.startswith("\b") else p for p in parts)


def _options(options: tuple[Option, ...] | list[Option]) -> str:
    return "| Option | |\n|---|---|\n" + "".join(f"| {_names(o)} | {_cell(o)} |\n" for o in options)


def _names(option: Option) -> str:
    value = "" if option.kind == FLAG else " " + (option.metavar or "\\|".join(option.choices) or option.dest.upper())
    return ", ".join(f"`{flag}`" for flag in option.flags) + value


def _cell(option: Option) -> str:
    shown = option.default not in (None, False, ()) and option.kind != FLAG
    more = f" Default: `{option.default}`." if shown else " On by default." if option.default is True else ""
    return option.help.replace("|", "\\|") + more


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print("docs/cli.md is current" if current else "docs/cli.md is not current: run docs/generate_cli.py")
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
