"""The same commands in click: help, completion, and what is wrong with a command line. The only importer of click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from kubeplay import __version__
from kubeplay.cli import quick
from kubeplay.cli.declare import CHOICE, FLAG, GLOBAL, INTEGER, NUMBER, Argument, Command, Option
from kubeplay.cli.human import seconds
from kubeplay.cli.tree import HIDDEN, TREE, Group, load


class Duration(click.ParamType[float]):
    """Seconds, or `1m30s`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


TYPES: dict[str, Any] = {INTEGER: click.INT, NUMBER: Duration()}
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class RowFlag(click.Option):
    """A flag; that it can be refused is shown only where it is on by default."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        negatives = self.secondary_opts
        self.secondary_opts = negatives if self.default else []
        try:
            return super().get_help_record(ctx)
        finally:
            self.secondary_opts = negatives


def _unwrapped(help: str) -> str:
    """Indented paragraphs are examples: click keeps the lines of what begins with this mark."""
    return "\n\n".join(f"\b\n{part}" if part.startswith("    ") else part for part in help.split("\n\n"))


class RowCommand(click.Command):
    """A command whose flags also take `=true` and `=false`, as podman's do."""

    def __init__(self, row: Command, name: str, run: Callable[..., Any]) -> None:
        parameters: list[click.Parameter] = [click_argument(a) for a in row.arguments]
        parameters += [click_option(o) for o in row.options]
        mine = {name for o in row.options for name in o.flags}
        # -n is shown everywhere, the other global options by `kubeplay --help` only
        parameters += [click_option(o, hidden=o.dest != "namespace") for o in GLOBAL if not mine & set(o.flags)]
        super().__init__(
            name, params=parameters, callback=run, help=_unwrapped(row.help), short_help=row.summary, context_settings=dict(CONTEXT),
            hidden=row.hidden,
        )  # fmt: skip
        self.row = row

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, rewritten(args, (*self.row.options, *GLOBAL), len(self.row.arguments) if _has_rest(self.row) else 0))


class RowGroup(click.Group):
    """A group that loads its commands when they are asked for."""

    def __init__(self, name: str, node: Group, run: Callable[[Command], Callable[..., Any]], options: list[click.Parameter]) -> None:
        super().__init__(name, params=options, help=node.help, context_settings=dict(CONTEXT), no_args_is_help=True)
        self.node, self._run = node, run

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, rewritten(args, GLOBAL, 1, group=True))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), cutoff=0.7)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(map(repr, near))}?", ctx) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for name in self.node if name not in HIDDEN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.node.get(cmd_name)
        if found is None:
            return None
        if isinstance(found, str):
            row = load(found)
            return RowCommand(row, cmd_name, self._run(row))
        return RowGroup(cmd_name, found, self._run, [click_option(o, hidden=True) for o in GLOBAL])


def build(run: Callable[[Command, dict[str, Any], dict[str, Any]], int]) -> RowGroup:
    """The whole command line; `run(command, values, global options)` carries a command out."""

    def runner(row: Command) -> Callable[..., Any]:
        def call(**values: Any) -> None:
            context: click.Context | None = click.get_current_context()
            given = {o.dest: values.pop(o.dest) for o in GLOBAL if o.dest in values and o.dest not in {x.dest for x in row.options}}
            while context is not None:
                given.update({k: v for k, v in context.params.items() if given.get(k) is None and k in given and v is not None})
                context = context.parent
            click.get_current_context().exit(run(row, values, {k: v for k, v in given.items() if v is not None}))

        return call

    options: list[click.Parameter] = [click_option(o) for o in GLOBAL]
    options.append(
        click.Option(["--version", "-v"], is_flag=True, is_eager=True, expose_value=False, help="Print the version.", callback=_version)
    )
    return RowGroup("kubeplay", TREE, runner, options)


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        print(f"kubeplay version {__version__}")
        context.exit()


def click_option(row: Option, hidden: bool = False) -> click.Option:
    names: list[str] = [*row.flags, row.dest]
    common: dict[str, Any] = {"help": row.help, "hidden": hidden or row.hidden, "default": row.default}
    if row.kind == FLAG:
        names[row.flags.index(max(row.flags, key=len))] += f"/{_negative(row)}"
        return RowFlag(names, is_flag=True, **common)
    if row.many:
        common["default"] = ()
    kind = click.Choice(row.choices) if row.kind == CHOICE else TYPES.get(row.kind, click.STRING)
    show = row.default is not None and row.kind != FLAG and not row.many
    common.update(type=kind, multiple=row.many, metavar=row.metavar or None, show_default=show, shell_complete=completer(row.complete))
    return click.Option(names, **common)


def click_argument(row: Argument) -> click.Argument:
    metavar = row.name + ("..." if row.many else "")
    shown = metavar if row.required else f"[{metavar}]"
    complete = completer(row.complete)
    return click.Argument([row.dest], nargs=-1 if row.many else 1, required=row.required, metavar=shown, shell_complete=complete)


def _has_rest(row: Command) -> bool:
    return any(a.rest for a in row.arguments)


def rewritten(args: list[str], options: tuple[Option, ...], until: int, *, group: bool = False) -> list[str]:
    """`args` in the form click understands: no `--flag=BOOL`; `--` before the word where options end, but in a group."""
    table = {name: option for option in options for name in option.flags}
    done: list[str] = []
    words = index = 0
    while index < len(args):
        word = args[index]
        index += 1
        if word == "--":
            return [*done, word, *args[index:]]
        name, equals, value = word.partition("=")
        option = table.get(name)
        if option and option.kind == FLAG and equals:
            done += _boolean(option, name, word, value)
            continue
        if option and option.bare and not equals:
            done.append(f"{name}={option.bare}")
            continue
        if not word.startswith("-") or word == "-":
            words += 1
            if until and words >= until:
                return [*done, *([] if group else ["--"]), word, *args[index:]]
        done.append(word)
        if _value_follows(word, table) and index < len(args):
            done.append(args[index])
            index += 1
    return done


def _boolean(option: Option, name: str, word: str, value: str) -> list[str]:
    try:
        wanted = quick.boolean(value)
    except Exception:  # not a boolean: click says so
        return [word]
    if wanted:
        return [name]
    return [_negative(option)]


def _negative(option: Option) -> str:
    """What says no to a flag in click's own form."""
    return f"--no-{max(option.flags, key=len)[2:]}"


def _value_follows(word: str, table: dict[str, Option]) -> bool:
    """Whether the next argument belongs to `word`, an option."""
    if word.startswith("--"):
        return "=" not in word and word in table and table[word].takes_value
    if not word.startswith("-") or word == "-":
        return False
    for position, letter in enumerate(word[1:], start=1):
        option = table.get(f"-{letter}")
        if option is None:
            return False
        if option.takes_value:
            return position == len(word) - 1
    return False


def completer(what: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]] | None:
    """Completion of names we have: pods, containers, images, ..."""
    if not what:
        return None

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if what == "file":
            return [CompletionItem(incomplete, type="file")]
        from kubeplay.cli.names import names

        given: dict[str, Any] = {}
        context: click.Context | None = ctx
        while context is not None:
            given.update({k: v for k, v in context.params.items() if v is not None and k not in given})
            context = context.parent
        return [CompletionItem(name) for name in names(what, given) if name.startswith(incomplete)]

    return complete
