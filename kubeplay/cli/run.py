"""run and create: a container by flags, in a pod of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import joining
from kubeplay.cli.declare import argument, command
from kubeplay.cli.run_options import ALL, FOREGROUND
from kubeplay.errors import AlreadyExists, InvalidInput, KubeplayError, NotSupported, PodError
from kubeplay.reconcile.model import UNSCHEDULED

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.stack import Stack
    from kubeplay.play.progress import ProgressEvent
    from kubeplay.play.up import PodResult

WORDS = argument("IMAGE", "The image, then the command and its arguments.", dest="words", rest=True, complete="image")

RUN_HELP = """Run a command in a new container.

The container is a pod of its own, under the same name, made by the same way as a manifest's: `generate kube NAME` writes the file.
The exit status is the container's; 125: we failed, 126: the command cannot be run, 127: it is not there."""

CREATE_HELP = """Make a new container, and do not start it; its id is printed.

It is a pod of its own, under the same name; `start NAME` starts it, `generate kube NAME` writes its file."""


@command("run", RUN_HELP, WORDS, ALL, FOREGROUND)
def run(app: App, *, words: tuple[str, ...], **given: Any) -> int:
    with app.supervised():
        from kubeplay.cli import attached

        joins = joining.pod_of(app, given)
        if not given["detach"]:
            return attached.run(app, joins, words, given)
        with attached.told_as_podman():
            if joins is None:
                identity = attached.brief(app, words, given) if given["rm"] else made(app, words, given, start=True).containers[0][1]
            else:
                if given["rm"]:
                    raise InvalidInput("--rm with --pod and --detach: nobody would remove it", hint="leave out one of the three")
                row = joining.made(app, joins, words, given, start=True)
                joining.start(app, row)
                identity = row.id
        note(given, identity)
        print(identity)
    return 0


@command("create", CREATE_HELP, WORDS, ALL)
def create(app: App, *, words: tuple[str, ...], **given: Any) -> None:
    if words[:1] == ("job",):
        from kubeplay.cli import jobmaking

        if jobmaking.meant(words):
            print(jobmaking.from_words(app, words), end="")
            return
    given["detach"] = not given["interactive"]
    with app.supervised():
        joins = joining.pod_of(app, given)
        if joins is None:
            identity = made(app, words, given, start=False).containers[0][1]
        else:
            identity = joining.made(app, joins, words, given, start=False).id
    note(given, identity)
    print(identity)


def note(given: dict[str, Any], identity: str) -> None:
    """--cidfile"""
    if given["cidfile"]:
        with open(given["cidfile"], "x", encoding="ascii") as file:
            file.write(identity)


def check_note(given: dict[str, Any]) -> None:
    """Before anything is made. Raises InvalidInput, in podman's words."""
    if given["cidfile"] and os.path.lexists(given["cidfile"]):
        raise InvalidInput(f"container ID file {given['cidfile']} exists", hint="remove it, or give another one")


def made(app: App, words: tuple[str, ...], given: dict[str, Any], *, start: bool) -> PodResult:
    """Make the pod, and start it if asked for. Raises what `up` raises; then nothing of it is left."""
    from kubeplay.cli.playing import registries
    from kubeplay.play.up import UpOptions, up

    check_note(given)
    name = container_name(words[0], given)
    pod = (given["pod"] or "").removeprefix(joining.NEW) or name
    if not given["replace"]:
        check_free(app, pod)
    with Reporter(given["quiet"]) as reporter:
        flags = registries(given)
        stack = _stack(app, (name, pod), words, given, start, lambda plain: image_facts(app, plain, flags, reporter))
        if given["replace"]:
            remove(app, pod)
        if given["rootfs"]:
            stack = rooted(stack, name, _root(words[0]))
        try:
            result = up(app.engine, stack, UpOptions(pull=flags), reporter)
        except KubeplayError as error:
            error.hint = error.hint.replace(KEEP_HINT, "")
            raise
    made_ = result.pods[0]
    if not made_.containers:  # it waits for room: in a file a wish, at a command line a failure
        why = app.store.runtime.backoffs(made_.uid).get(UNSCHEDULED)
        remove(app, pod)
        raise PodError("Unschedulable", f"there is no room for {name}: {why.message if why else 'it was not started'}")
    return made_


def container_name(image: str, given: dict[str, Any]) -> str:
    """The name that was given, or a drawn one after the image's."""
    from kubeplay.play.imperative import words

    if given["name"]:
        return words.name("--name", given["name"])
    image = "rootfs" if given["rootfs"] else image
    return drawn(words.label(image.rpartition("/")[2].partition("@")[0].partition(":")[0], 50) or "container")


def drawn(base: str) -> str:
    """A name with a random end, as a controller draws one."""
    from kubeplay.play.kinds.names import ALPHABET, SUFFIX

    return f"{base}-{''.join(ALPHABET[byte % len(ALPHABET)] for byte in os.urandom(SUFFIX))}"


KEEP_HINT = "--keep-on-failure keeps what was made"  # a flag of `play` only
NO_IMAGE = "rootfs"  # a Pod's container must name one


def _root(path: str) -> str:
    """The directory of --rootfs. Raises InvalidInput, NotSupported."""
    if path.endswith(":O"):
        raise NotSupported(f"--rootfs {path}: overlays of directories are not supported", hint="import it as an image: kubeplay import")
    full = os.path.realpath(path)
    if not os.path.isdir(full):
        raise InvalidInput(f"--rootfs {path}: {full} is not a directory")
    return full


def rooted(stack: Stack, name: str, path: str) -> Stack:
    """The container `name` on a directory of the host. The annotation says so to a reader: no manifest can ask for it."""
    import json

    from kubeplay.play.imperative import pods

    (plan,), planned = stack.pods, stack.objects[-1]
    body = json.loads(planned.body)
    body["metadata"].setdefault("annotations", {})[pods.ROOTFS + name] = path
    containers = tuple([one._replace(rootfs=path) if one.name == name else one for one in plan.containers])
    made = plan._replace(containers=containers, annotations=tuple(sorted(body["metadata"]["annotations"].items())))
    return stack._replace(objects=(*stack.objects[:-1], planned._replace(body=pods.text(body))), pods=(made,))


def check_free(app: App, name: str) -> None:
    """Raises AlreadyExists, in podman's words."""
    row = app.store.runtime.find_pod(app.namespace, name)
    if row is not None:
        hint = "give another name, remove it, or use --replace"
        raise AlreadyExists(f'the name "{name}" is already in use by pod {row.namespace}/{row.name} ({row.uid})', hint=hint)


def free(app: App, name: str, replace: bool) -> None:
    """See that the name is free, with --replace by removing what has it. Raises AlreadyExists."""
    if not replace:
        check_free(app, name)
        return
    with app.supervised():
        remove(app, name)


def warn(texts: tuple[str, ...]) -> None:
    for one in texts:
        print(f"Warning: {one}", file=sys.stderr)


def remove(app: App, name: str) -> None:
    """--replace"""
    from kubeplay.play import lifecycle

    row = app.store.runtime.find_pod(app.namespace, name)
    if row is not None:
        lifecycle.remove_pods(app.engine, [row.uid], force=True)


def _stack(app: App, names: tuple[str, str], words: tuple[str, ...], given: dict[str, Any], start: bool, image: Any) -> Stack:
    """Through the pure part and the door; what only the image knows (a user's number, its ports) is asked of `image` first."""
    from kubeplay.cli import run_machine
    from kubeplay.play.imperative import network, pod, security

    if given["rootfs"]:
        words = (NO_IMAGE, *words[1:])
        given = {**given, "pull": "never"}
    machine, (name, pod_name) = run_machine.machine(app), names
    told = dict(given)
    facts = None
    if (given["user"] and not security.is_number_user(given["user"])) or given["publish_all"]:
        plain = pod.build(name, app.namespace, words[0], (), {"pull": given["pull"]}, machine)
        facts = image(compiled(app, plain, {**given, "publish": ()}, start))
        if given["user"]:
            told["user"] = facts.user(given["user"])
    found = pod.build(name, app.namespace, words[0], words[1:], told, machine, pod_name)
    if facts is not None and given["publish_all"]:
        network.exposed(found.pod["spec"]["containers"][0], (*facts.ports, *given["expose"]), machine)
    warn(found.warnings)
    return compiled(app, found, {**told, "seccomp_profile_root": security.seccomp_root(told, machine)}, start)


def compiled(app: App, found: Any, given: dict[str, Any], start: bool) -> Stack:
    """The objects as a Stack, with the flags of `play kube` that a pod has too."""
    from kubeplay.cli.play import options
    from kubeplay.play.imperative.door import compiled
    from kubeplay.play.known import facts, known

    flags = {**_PLAY, **{key: given[key] for key in _SHARED if key in given}, "start": start}
    flags["seccomp_profile_root"] = given.get("seccomp_profile_root", "")
    stack, warnings = compiled(found.objects, app.namespace, known(facts(app.store)), options(app, flags))
    warn(warnings)
    return stack


# the flags of `play kube` that are not about a single pod, and those that are the same here
_PLAY: dict[str, Any] = {
    "network": (), "network_alias": (), "ip": (), "ip6": (), "mac_address": (), "publish": (), "publish_all": False,
    "no_pod_prefix": False, "log_driver": "", "log_opt": (), "annotation": (), "label": (), "userns": "",
}  # fmt: skip
_SHARED = ("network", "network_alias", "ip", "ip6", "mac_address", "log_driver", "log_opt", "userns")


def image_facts(app: App, stack: Stack, flags: Any, reporter: Any) -> Any:
    """What only the image knows, once it is here."""
    from kubeplay.cli import run_machine
    from kubeplay.play import images

    images.prepare(app.engine, stack, stack.pods, flags, False, reporter)
    return run_machine.ImageFacts(app, stack.pods[0].containers[0].image)


class Reporter:
    """Only pulls and warnings are told: what is made is the command's own output."""

    def __init__(self, quiet: bool) -> None:
        from kubeplay.cli.playing import Reporter as Whole

        self._whole = Whole(quiet)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._whole.__exit__()

    def __call__(self, event: ProgressEvent) -> None:
        if event.kind in ("image", "blob") or (event.kind == "warning" and event.action != "undo"):
            self._whole(event)
