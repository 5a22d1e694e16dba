"""update: other resources for containers that run (RS8)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, command, integer, many, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App


@command(
    "update",
    "Change requests and limits of a container while it runs.\n\nThe container's resizePolicy says whether it is started anew for that."
    " What the machine has no room for is put off, and given when there is.",
    argument("CONTAINER", "Container, or a pod together with -c.", dest="name", complete="container"),
    text("-c", "--container", help="The container of the pod.", metavar="NAME", complete="container"),
    text("--cpus", help="CPU limit, as 1.5.", metavar="NUMBER"),
    text("-m", "--memory", help="Memory limit, as 512m.", metavar="SIZE"),
    integer("--cpu-shares", help="CPU request as a weight; 1024 is that of one CPU."),
    text("--memory-reservation", help="Memory request, as 256m.", metavar="SIZE"),
    text("--memory-swap", help="Accepted when it equals --memory: containers of pods get no swap.", metavar="SIZE"),
    many("--limits", help="Limits as in a manifest: cpu=500m,memory=64Mi.", metavar="NAME=QUANTITY"),
    many("--requests", help="Requests as in a manifest: cpu=250m,memory=32Mi.", metavar="NAME=QUANTITY"),
)
def update(app: App, *, name: str, container: str | None, limits: tuple[str, ...], requests: tuple[str, ...], **given: Any) -> None:
    from kubeplay.play import resize
    from kubeplay.play.imperative import resources

    wanted: dict[str, dict[str, str]] = resources.of(given)
    for field, words in (("limits", limits), ("requests", requests)):
        wanted.setdefault(field, {}).update(_amounts(field, words))
    if not any(wanted.values()):
        raise InvalidInput("nothing to change is given", hint="--cpus, --memory, --limits, --requests")
    found = resolve.container(app, name, container)
    with app.supervised():
        reason, message = resize.update(app.engine, found.pod.uid, found.name, wanted)
    if reason:
        print(f"Warning: the resize is {'tried again' if reason == 'Error' else reason.lower()}: {message}", file=sys.stderr)
    print(resolve.container_name(resolve.plan(found.pod), found.name))


def _amounts(field: str, words: tuple[str, ...]) -> dict[str, str]:
    made = {}
    for word in filter(None, ",".join(words).split(",")):
        key, equals, value = word.partition("=")
        if not equals or key not in ("cpu", "memory"):
            raise InvalidInput(f"--{field} {word!r} is not cpu=QUANTITY or memory=QUANTITY")
        made[key] = value
    return made
