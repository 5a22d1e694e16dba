"""debug: an ephemeral container in a running pod, as kubectl debug."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, choice, command, flag, many, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.store.runtime import ContainerRow

PROFILES = ("general", "legacy", "baseline", "restricted", "netadmin", "sysadmin")  # play.debug.PROFILES
SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' letters of generated names


@command(
    "debug",
    "Start a further container in a running pod, to look at it from inside.\n\n"
    "    kubeplay debug web --image busybox -it -- sh\n    kubeplay debug web --image busybox --target app -- ps\n\n"
    "It shares the pod's network, and with --target that container's processes. It is never restarted, does not count for the pod's\n"
    "status, and goes with the pod.",
    argument("POD", "Pod.", complete="pod"),
    argument("COMMAND", "Command and arguments instead of the image's; put -- before them.", dest="words", many=True, required=False),
    text("--image", help="Image of the container.", metavar="IMAGE", complete="image"),
    text("-c", "--container", help="Name of the container (default: debugger- and five letters).", metavar="NAME"),
    text("--target", help="Container whose processes are to be seen.", metavar="NAME", complete="container"),
    flag("-i", "--stdin", "--interactive", help="Keep standard input open, and join it.", dest="stdin"),
    flag("-t", "--tty", help="Give it a terminal."),
    flag("--attach", help="Join it also without -i; --attach=false does not with it.", default=None),  # type: ignore[arg-type]
    many("-e", "--env", help="Set a variable; NAME alone passes ours on.", metavar="NAME[=VALUE]"),
    choice("--profile", choices=PROFILES, help="What it may do.", default="general"),
    choice("--image-pull-policy", choices=("Always", "IfNotPresent", "Never"), help="When to pull the image."),
    flag("--arguments-only", help="COMMAND is arguments for the image's entrypoint."),
    flag("-q", "--quiet", help="Print nothing but the container's name, or its output."),
)
def debug(app: App, *, pod: str, words: tuple[str, ...], image: str | None, attach: bool | None, quiet: bool, **given: Any) -> int:
    from kubeplay.cli.execution import variables
    from kubeplay.play import debug as debugging

    if not image:
        raise InvalidInput("no image is named", hint="kubeplay debug POD --image busybox -it -- sh")
    if given["tty"] and not given["stdin"]:
        raise InvalidInput("-t needs -i", hint="kubeplay debug -it ...")
    name = given["container"] or "debugger-" + "".join(SUFFIX[byte % len(SUFFIX)] for byte in os.urandom(5))
    if not given["container"] and not quiet:
        print(f"Defaulting debug container name to {name}.", file=sys.stderr)
    wish = debugging.Wish(
        name, image, words, given["arguments_only"], variables(given["env"], ()), given["tty"], given["stdin"], given["target"] or "",
        given["profile"], given["image_pull_policy"] or "",
    )  # fmt: skip
    with app.supervised():
        row = debugging.add(app.engine, resolve.pod(app, pod), wish)
    if attach if attach is not None else given["stdin"]:
        return _join(app, row, given["stdin"], given["tty"])
    print(name)
    return 0


def _join(app: App, row: ContainerRow, stdin: bool, tty: bool) -> int:
    """Show what it has said so far, and stay until it ends: its exit status."""
    from kubeplay.cli.attach import joined

    return joined(app, row, stdin=stdin, tty=tty, from_start=True) or 0
