"""run and create with --pod: a container more for a pod that is there; rm of one of several."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.errors import InvalidInput, KubeplayError, NotRunning, NotSupported, PodError
from kubeplay.kube import ephemeral

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.store.runtime import ContainerRow, PodRow

NEW = "new:"


def pod_of(app: App, given: dict[str, Any]) -> PodRow | None:
    """The pod that --pod or --pod-id-file names; None for a container with a pod of its own. Raises NotFound, InvalidInput."""
    name = given.get("pod") or ""
    if given.get("pod_id_file"):
        if name:
            raise InvalidInput("cannot specify both --pod and --pod-id-file")
        with open(given["pod_id_file"], encoding="ascii", errors="replace") as file:
            name = file.read(4096).strip()
    if not name or name.startswith(NEW):
        return None
    row = resolve.pod(app, name)
    stored = app.store.objects.by_uid(row.uid)
    if stored is not None and stored.owner_uid:
        raise InvalidInput(f"pod {row.namespace}/{row.name} belongs to another object, which says what is in it")
    return row


def made(app: App, row: PodRow, words: tuple[str, ...], given: dict[str, Any], *, start: bool) -> ContainerRow:
    """Make a container in the pod, and run it unless the caller wants to. Raises what makes it fail; then the pod is as it was."""
    from kubeplay.cli import run
    from kubeplay.play import reshape
    from kubeplay.play.imperative import pods

    stored = app.store.objects.by_uid(row.uid)
    if stored is None:
        raise NotRunning(f"pod {row.namespace}/{row.name} is going")
    pods.check_joining(given)
    if given["rootfs"]:
        raise NotSupported("--rootfs with --pod is not supported", hint="make the container in a pod of its own")
    with run.Reporter(given["quiet"]) as reporter:
        name, stack = _stack(app, json.loads(ephemeral.without(stored.body)), row, words, given, reporter)
    body = ephemeral.kept(stored.body, next(planned.body for planned in stack.objects if planned.key.kind == "Pod"))
    _claims(app, stack)
    plan = reshape.compiled(stack.pods, resolve.plan(row), name)
    container = reshape.join(app.engine, row.uid, name, body, plan, stored.body, start=start)
    if container is None:
        raise NotRunning(f"container {row.name}/{name} was not made", hint=f"kubeplay events {row.name} says why")
    return container


def _stack(app: App, obj: dict[str, Any], row: PodRow, words: tuple[str, ...], given: dict[str, Any], reporter: Any) -> tuple[str, Any]:
    """The container's name, and the whole pod through the door; its images are here then."""
    from kubeplay.cli import run, run_machine
    from kubeplay.cli.playing import registries
    from kubeplay.play import images
    from kubeplay.play.imperative import pod, pods, security
    from kubeplay.play.imperative.draft import Draft

    machine, flags = run_machine.machine(app), registries(given)
    name = run.container_name(words[0], given)
    told = dict(given)
    if given["user"] and not security.is_number_user(given["user"]):
        plain = pod.build(name, row.namespace, words[0], (), {"pull": given["pull"]}, machine)
        told["user"] = run.image_facts(app, run.compiled(app, plain, {}, True), flags, reporter).user(given["user"])
    pod.check(told)
    taken = frozenset(volume["name"] for volume in obj["spec"].get("volumes") or ())
    draft = pod.container(Draft(name, taken), words[0], words[1:], told, machine)
    policy = None if given["restart"] is None else pod.policy(given["restart"])
    whole = pods.joined(obj, draft, policy)
    for warning in draft.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    found = pod.Made((*pod.claims(draft, row.namespace, machine), whole))
    stack = run.compiled(app, found, {"seccomp_profile_root": security.seccomp_root(told, machine)}, True)
    images.prepare(app.engine, stack, stack.pods, flags, False, reporter)
    return name, stack


def _claims(app: App, stack: Any) -> None:
    """The claims of the container's named volumes, and the volumes."""
    from kubeplay.play.up import UpOptions, up

    objects = tuple([one for one in stack.objects if one.key.kind != "Pod"])
    if objects:
        up(app.engine, stack._replace(objects=objects, pods=()), UpOptions())


def start(app: App, row: ContainerRow) -> None:
    """Run a container that has joined; one that cannot be run does not stay."""
    from kubeplay.kube.status import CRASH_LOOP
    from kubeplay.play import lifecycle

    pod = app.store.runtime.pod(row.pod_uid)
    try:
        outcome = lifecycle.start_container(app.engine, pod.uid, row.name)
        # one that waits for its next try has run
        failed = next((one for one in outcome.failures if one.container == row.name and one.reason != CRASH_LOOP), None)
        if failed is not None:
            raise PodError(failed.reason, f"pod {pod.namespace}/{pod.name}, container {row.name}: {failed.reason}: {failed.message}")
    except KubeplayError:
        remove(app, pod.uid, row.name, 0)
        raise


def remove(app: App, uid: str, name: str, seconds: float) -> None:
    """Take a container out of its pod. Raises Conflict for one that is more than an ordinary container."""
    from kubeplay.play import reshape
    from kubeplay.play.imperative import pods

    stored = app.store.objects.by_uid(uid)
    if stored is None:
        return
    whole = pods.left(json.loads(stored.body), name)
    old = resolve.plan(app.store.runtime.pod(uid))
    kept = [volume["name"] for volume in whole["spec"].get("volumes") or ()]
    marks = tuple(sorted((whole["metadata"].get("annotations") or {}).items()))
    left = tuple([container for container in old.containers if container.name != name])
    if left and whole["spec"]["containers"]:  # what was published stays published
        left = _with_ports(left, whole["spec"]["containers"])
    plan = old._replace(containers=left, volumes=tuple([volume for volume in old.volumes if volume.name in kept]), annotations=marks)
    reshape.leave(app.engine, uid, name, pods.text(whole), plan, stored.body, seconds)


def _with_ports(containers: tuple[Any, ...], objects: list[dict[str, Any]]) -> tuple[Any, ...]:
    from kubeplay.play.compile import ports

    by_name = {one["name"]: one for one in objects}
    return tuple([
        one._replace(ports=ports.plan(by_name[one.name], published=True)) if one.name in by_name else one for one in containers
    ])  # fmt: skip
