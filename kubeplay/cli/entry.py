"""`kubeplay`: the way from the command line to a command's body, and from an error to an exit status."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing: --version imports nothing
if TYPE_CHECKING:
    from typing import Any

    from kubeplay.cli.declare import Command


umask = 0o022  # the caller's


def main() -> None:
    """Run the command line of this process and exit."""
    argv = sys.argv[1:]
    if argv in (["--version"], ["-v"]):
        from kubeplay import __version__

        print(f"kubeplay version {__version__}")
        return
    from kubeplay.cli import light, preload

    preload.install()
    light.install()
    _leave(run(argv))


def _leave(status: int) -> None:
    """Exit without taking the interpreter apart (7 ms): a command holds nothing that the kernel does not clear away."""
    import os

    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        status = status or 1
    os._exit(status)


def run(argv: list[str]) -> int:
    """Carry out one command line; returns the exit status."""
    import gc
    import os

    gc.disable()  # a command lives for a moment; looking for cycles while modules load costs a tenth of it

    global umask
    umask = os.umask(0o022)  # a kubelet's: what we, conmon and the supervisor write is neither open to others nor shut to the containers
    if "_KUBEPLAY_COMPLETE" in os.environ:
        return _with_click(argv)
    from kubeplay.cli.quick import parse

    parsed = parse(argv)
    return _with_click(argv) if parsed is None else call(*parsed)


def call(command: Command, values: dict[str, Any], options: dict[str, Any]) -> int:
    """Run the body of a command, with errors reported."""
    level, form = options.get("log_level") or "", options.get("log_format") or ""
    app = None
    try:
        enter(command.where)
        from kubeplay.cli.app import App

        app = App(options)
        level, form = app.settings.log_level, app.settings.log_format
        if level in ("debug", "trace"):
            from kubeplay.cli.debugging import switch_on

            switch_on(level)
        status = command.run(app, **values) or 0
        sys.stdout.flush()
        return status
    except SystemExit:
        raise
    except BaseException as error:
        from kubeplay.cli.failure import report

        return report(error, level, form)
    finally:
        if app is not None:
            app.close()


def enter(where: str) -> None:
    """Take an ordinary user's command to where it runs: the user's own namespaces, as a rule. For root nothing is done or imported."""
    import os

    if where == "outside" or os.geteuid() == 0 and "_KUBEPLAY_USERNS" not in os.environ:
        return
    from kubeplay.engine.rootless.enter import attempt, enter

    if where == "inside":
        enter()
    else:
        attempt()


def _with_click(argv: list[str]) -> int:
    import click

    from kubeplay.cli.clicks import build
    from kubeplay.cli.failure import EXIT_FAILURE, EXIT_INTERRUPTED

    try:
        result = build(call).main(argv, prog_name="kubeplay", standalone_mode=False, complete_var="_KUBEPLAY_COMPLETE")
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_FAILURE
    except click.ClickException as error:
        print(f"Error: {error.format_message()}", file=sys.stderr)
        context = getattr(error, "ctx", None)
        if context is not None:
            print(f"See '{context.command_path} --help'", file=sys.stderr)
        return EXIT_FAILURE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError as error:
        from kubeplay.cli.failure import report

        return report(error)
