"""pod create and pod clone: pods by flags, and after another one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.cli.declare import Option, argument, command, flag, integer, text
from kubeplay.cli.run_options import POD_OPTIONS
from kubeplay.errors import InvalidInput
from kubeplay.kube import ephemeral

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.stack import Stack
    from kubeplay.play.up import PodResult

CREATE: tuple[Option, ...] = (
    text("--name", help="Its name; drawn when not given.", metavar="NAME"),
    flag("--replace", help="Remove the pod that has the name first."),
    text("--pod-id-file", help="Write the pod's id to this file.", metavar="FILE", complete="file"),
    text("--restart", help="What follows an end of its containers: no, on-failure, always, unless-stopped.", metavar="POLICY"),
    text("--share", help="Namespaces that containers share: pid as well, with ipc,net,uts,pid.", default="ipc,net,uts", metavar="LIST"),
    text("-m", "--memory", help="Memory limit of all containers together.", metavar="SIZE"),
    text("--cpus", help="Number of CPUs for all containers together.", metavar="NUMBER"),
    integer("-c", "--cpu-shares", help="Weight among other pods; 1024 is that of one CPU."),
    flag("--infra", help="Accepted for podman's sake: namespaces are kept without a container.", default=True),
    text("--infra-name", help="Accepted for podman's sake, no effect.", hidden=True),
    text("--infra-image", help="Accepted for podman's sake, no effect.", hidden=True),
)


@command(
    "create",
    "Make a pod without containers, and print its id.\n\n`run --pod POD IMAGE` puts containers into it; with the first one come its network"
    " and ports.",
    argument("NAME", "Its name.", dest="word", required=False),
    CREATE,
    POD_OPTIONS,
)
def create(app: App, *, word: str | None, **given: Any) -> None:
    from kubeplay.cli import run, run_machine
    from kubeplay.play.imperative import pods, words

    if word and given["name"]:
        raise InvalidInput("cannot specify --name and a name")
    named = word or given["name"]
    name = words.name("--name", named) if named else run.drawn("pod")
    if given["pod_id_file"] and os.path.lexists(given["pod_id_file"]):
        raise InvalidInput(f"pod ID file {given['pod_id_file']} exists", hint="remove it, or give another one")
    run.free(app, name, given["replace"])
    made = pods.build(name, app.namespace, given, run_machine.machine(app))
    run.warn(made.warnings)
    stack = pods.emptied(run.compiled(app, made, given, False))
    uid = _stored(app, stack).uid
    if given["pod_id_file"]:
        with open(given["pod_id_file"], "x", encoding="ascii") as file:
            file.write(uid)
    print(uid)


def _stored(app: App, stack: Stack) -> PodResult:
    from kubeplay.play.up import UpOptions, up

    with app.supervised():
        return up(app.engine, stack, UpOptions()).pods[0]


@command(
    "clone",
    "Make a pod like another one, and print its id; it is not started.",
    argument("POD", "The pod to copy.", complete="pod"),
    argument("NAME", "Name of the new pod; POD-clone when not given.", dest="word", required=False),
    text("--name", help="Name of the new pod.", metavar="NAME"),
    flag("--start", help="Start the new pod."),
    flag("--destroy", help="Remove the pod that is copied, before the new one is made."),
)
def clone(app: App, *, pod: str, word: str | None, name: str | None, start: bool, destroy: bool) -> None:
    row = resolve.pod(app, pod)
    print(cloned(app, row.uid, word or name, start=start, destroy=destroy).uid)


@command(
    "clone",
    "Make a container like another one, and print its id; it is not started. Only of containers that are a pod of their own.",
    argument("CONTAINER", "The container to copy.", dest="container", complete="container"),
    argument("NAME", "Name of the new one; CONTAINER-clone when not given.", dest="word", required=False),
    text("--name", help="Name of the new one.", metavar="NAME"),
    flag("--run", help="Start the new one."),
    flag("--destroy", help="Remove the one that is copied, before the new one is made."),
    flag("-f", "--force", help="With --destroy: also when it runs."),
)
def container_clone(app: App, *, container: str, word: str | None, name: str | None, run: bool, destroy: bool, force: bool) -> None:
    found = resolve.container(app, container)
    check_alone(app, found)
    made = cloned(app, found.pod.uid, word or name, start=run, destroy=destroy, force=force)
    print(made.containers[0][1])


def check_alone(app: App, found: resolve.Found) -> None:
    """Raises InvalidInput for a container of a pod with several, whose pod says what they are."""
    if len(resolve.plan(found.pod).containers) > 1:
        hint = f"kubeplay pod clone {found.pod.name} copies the pod"
        raise InvalidInput(f"container {found.name} is one of several of pod {found.pod.name}", hint=hint)


def cloned(app: App, uid: str, wanted: str | None, *, start: bool, destroy: bool, force: bool = True) -> PodResult:
    """The copy of a pod."""
    from kubeplay.cli import run
    from kubeplay.errors import NotFound
    from kubeplay.play import lifecycle
    from kubeplay.play.imperative import pod, pods, words
    from kubeplay.play.up import UpOptions, up

    stored = app.store.objects.by_uid(uid)
    if stored is None:
        raise NotFound("the pod is gone")
    obj = json.loads(ephemeral.without(stored.body))
    name = words.name("--name", wanted) if wanted else words.label(f"{obj['metadata']['name']}-clone")
    if not (destroy and name == obj["metadata"]["name"]):
        run.check_free(app, name)
    whole = pods.cloned(obj, name)
    empty = not whole["spec"]["containers"]
    with app.supervised():
        stack = pods.copied(whole, lambda full: run.compiled(app, pod.Made((full,)), {}, start)) if empty else run.compiled(
            app, pod.Made((whole,)), {}, start)  # fmt: skip
        if destroy:
            lifecycle.remove_pods(app.engine, [uid], force=force)
        return up(app.engine, stack, UpOptions()).pods[0]
