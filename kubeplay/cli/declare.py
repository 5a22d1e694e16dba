"""Commands as rows: what quick.py parses, clicks.py shows and docs/cli.md lists all come from here.

Nothing is imported, so that declaring a command costs nothing on the way of running it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Body = Callable[..., "int | None"]

TEXT, FLAG, INTEGER, NUMBER, CHOICE = "text", "flag", "integer", "number", "choice"


class Option:
    """An option; `dest` is the body's keyword. A FLAG takes `--x`, `--x=false` and, when its default is true, `--no-x`.

    With `bare`, `--x` alone means `--x=BARE`, and a value needs the `=`.

    Rows are plain classes: three NamedTuples would cost every command a millisecond and a half.
    """

    __slots__ = ("flags", "help", "dest", "kind", "default", "many", "choices", "metavar", "hidden", "complete", "bare")

    def __init__(
        self, flags: tuple[str, ...], help: str, dest: str, kind: str = TEXT, default: Any = None, many: bool = False,
        choices: tuple[str, ...] = (), metavar: str = "", hidden: bool = False, complete: str = "", bare: str = "",
    ) -> None:  # fmt: skip
        self.flags, self.help, self.dest, self.kind, self.default = flags, help, dest, kind, default
        self.many, self.choices, self.metavar, self.hidden, self.complete = many, choices, metavar, hidden, complete
        self.bare = bare

    @property
    def takes_value(self) -> bool:
        return self.kind != FLAG


class Argument:
    """A positional argument; `rest` = a command with its own options: from its first word on nothing is ours."""

    __slots__ = ("name", "help", "dest", "many", "required", "rest", "complete")

    def __init__(
        self, name: str, help: str, dest: str, many: bool = False, required: bool = True, rest: bool = False, complete: str = ""
    ) -> None:
        self.name, self.help, self.dest, self.many, self.required, self.rest, self.complete = (
            name,
            help,
            dest,
            many,
            required,
            rest,
            complete,
        )


INSIDE, EITHER, OUTSIDE = "inside", "either", "outside"


class Command:
    """A command: `help`'s first line is its summary; `run(app, **values)` returns the exit status (None = 0).

    `where` an ordinary user's command runs: inside the user's namespaces, there if they can be had, or outside of them.
    """

    __slots__ = ("name", "help", "run", "options", "arguments", "hidden", "where")

    def __init__(
        self, name: str, help: str, run: Body, options: tuple[Option, ...], arguments: tuple[Argument, ...], hidden: bool, where: str
    ) -> None:
        self.name, self.help, self.run, self.options, self.arguments, self.hidden = name, help, run, options, arguments, hidden
        self.where = where

    @property
    def summary(self) -> str:
        return self.help.split("\n", 1)[0]


def _dest(flags: tuple[str, ...]) -> str:
    longest = max(flags, key=len)
    return longest.lstrip("-").replace("-", "_")


def flag(*flags: str, help: str, default: bool = False, dest: str = "", hidden: bool = False) -> Option:
    return Option(flags, help, dest or _dest(flags), FLAG, default, hidden=hidden)


def text(
    *flags: str, help: str, default: str | None = None, dest: str = "", metavar: str = "", hidden: bool = False, complete: str = ""
) -> Option:
    return Option(flags, help, dest or _dest(flags), TEXT, default, metavar=metavar, hidden=hidden, complete=complete)


def many(*flags: str, help: str, dest: str = "", metavar: str = "", complete: str = "") -> Option:
    """An option that may be repeated; the body gets a tuple."""
    return Option(flags, help, dest or _dest(flags), TEXT, (), True, metavar=metavar, complete=complete)


def integer(*flags: str, help: str, default: int | None = None, dest: str = "", metavar: str = "N") -> Option:
    return Option(flags, help, dest or _dest(flags), INTEGER, default, metavar=metavar)


def number(*flags: str, help: str, default: float | None = None, dest: str = "", metavar: str = "SECONDS") -> Option:
    return Option(flags, help, dest or _dest(flags), NUMBER, default, metavar=metavar)


def choice(
    *flags: str, choices: tuple[str, ...], help: str, default: str | None = None, dest: str = "", hidden: bool = False, bare: str = ""
) -> Option:
    return Option(flags, help, dest or _dest(flags), CHOICE, default, choices=choices, hidden=hidden, bare=bare)


def argument(
    name: str, help: str, *, dest: str = "", many: bool = False, required: bool = True, rest: bool = False, complete: str = ""
) -> Argument:
    return Argument(name, help, dest or name.lower(), many or rest, required, rest, complete)


def command(
    name: str, help: str, *parameters: Option | Argument | tuple[Option, ...], hidden: bool = False, where: str = INSIDE
) -> Callable[[Body], Command]:
    """Make the decorated function a Command."""
    options: list[Option] = []
    arguments: list[Argument] = []
    for one in parameters:
        if isinstance(one, Option):
            options.append(one)
        elif isinstance(one, Argument):
            arguments.append(one)
        else:
            options.extend(one)
    return lambda body: Command(name, help, body, tuple(options), tuple(arguments), hidden, where)


GLOBAL: tuple[Option, ...] = (
    text("--root", metavar="DIR",
         help="Directory of everything that outlives a reboot (KUBEPLAY_ROOT; /var/lib/kubeplay, without root ~/.local/share/kubeplay)."),
    text("--runroot", metavar="DIR",
         help="Directory of everything that does not (KUBEPLAY_RUNROOT; /run/kubeplay, without root $XDG_RUNTIME_DIR/kubeplay)."),
    text("--runtime", help="OCI runtime, a name or a path; probed when not given.", metavar="PATH"),
    choice("--storage-driver", choices=("overlay", "fuse-overlayfs", "vfs"),
           help="How layers are stacked (KUBEPLAY_STORAGE_DRIVER); when not given, the first that works on this machine."),
    choice("--cgroup-manager", choices=("cgroupfs",), help="How cgroups are made: by us, as systemd is not needed; there is no other way."),
    choice("--log-level", choices=("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"),
           help="What is reported on stderr; debug shows tracebacks and the commands that are run."),
    choice("--log-format", choices=("text", "json"), help="Form of messages on stderr."),
    Option(("--seccomp-default",), "Containers without a seccomp profile get the runtime's own (true), or none (false).",
           "seccomp_default", FLAG, None),
    text("--cdi-spec-dir", help="Directories of device descriptions (CDI), separated by colons (KUBEPLAY_CDI_SPEC_DIR;"
         " /etc/cdi:/var/run/cdi).", metavar="DIRS"),
    text("-n", "--namespace", help="Namespace of what is named (default: default); images and networks are in none.", metavar="NAMESPACE",
         complete="namespace"),
)  # fmt: skip

# what every listing takes
LISTING: tuple[Option, ...] = (
    text("--format", help="table, json, wide, or a Go template such as '{{.Names}}' or 'table {{.Names}}\\t{{.Status}}'."),
    flag("-q", "--quiet", help="Print ids or names only."),
    many("-f", "--filter", dest="filters", help="Show what matches KEY=VALUE only (repeatable).", metavar="KEY=VALUE"),
    flag("--no-trunc", help="Print long values in full."),
    flag("--noheading", help="Leave the table's header out."),
    text("--sort", help="Sort by a column, as named in --format.", metavar="FIELD"),
)
ALL_NAMESPACES = flag("-A", "--all-namespaces", help="List every namespace.")
