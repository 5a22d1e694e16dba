"""What a person sees of a play and a down: progress on stderr, ids on stdout in podman's form."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from kubeplay.cli.progress import Progress
from kubeplay.cli.table import printable
from kubeplay.errors import Interrupted
from kubeplay.plan.stack import ObjectKey, Played, Stack

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.service import ServicePlan
    from kubeplay.play.down import DownResult
    from kubeplay.play.progress import ProgressEvent
    from kubeplay.play.up import UpResult
    from kubeplay.reconcile.pulls import Flags

LOOK_SECONDS = 0.25  # how soon --wait sees that the last pod has ended


def run(app: App, played: Played, files: Sequence[str], given: dict[str, Any]) -> int | None:
    """Play the stack; with --wait stay until it ends or a signal comes, then remove it."""
    from kubeplay.play.given import origin
    from kubeplay.play.up import UpOptions, up

    pull, stack = registries(given), played.stack
    options = UpOptions(
        given["replace"], given["update"], given["keep_on_failure"], given["wait_ready"], given["timeout"], pull,
        origin=origin(app.namespace, files), given=played.given,
    )  # fmt: skip
    try:
        with Reporter(given["quiet"]) as reporter, app.supervised():
            build(app, stack, files, given, pull, reporter)
            with view(app, stack, given, reporter):
                result = up(app.engine, stack, options, reporter)
    except Interrupted:
        if given.get("service_container") and "NOTIFY_SOCKET" in os.environ:
            return 0  # systemd was told to stop what had not started yet, and it has been undone: nothing failed
        raise
    sys.stdout.write(shown(result))
    sys.stdout.flush()
    if given["quiet"]:  # else the progress display has said it
        _warn(result)
    if given.get("service_container"):
        from kubeplay.play import serving

        serving.become(app.engine, [one.key for one in stack.objects if one.owner is None], given["service_exit_code_propagation"])
    return stay(app, stack, result) if given["wait"] else None


def view(app: App, stack: Stack, given: dict[str, Any], reporter: Reporter) -> AbstractContextManager[object]:
    """While --wait-ready waits: the pods by state, and what each waits for."""
    if not given["wait_ready"] or given["quiet"]:
        return nullcontext()
    from kubeplay.cli.stackview import StackView

    return StackView(app.engine, stack, reporter.progress)


def registries(given: dict[str, Any]) -> Flags | None:
    """The flags about registries, None when none is given. Raises NotFound for a file that is not there."""
    names = ("authfile", "cert_dir", "creds", "tls_verify", "signature_policy")
    if all(given[name] is None for name in names):
        return None
    from kubeplay.errors import NotFound
    from kubeplay.reconcile.pulls import Flags

    if given["authfile"] and not os.path.isfile(given["authfile"]):
        raise NotFound(f"{given['authfile']}: there is no such auth file", hint="`kubeplay login --authfile FILE REGISTRY` writes one")
    creds = given["creds"] or ""
    if creds and ":" not in creds:
        from getpass import getpass

        creds = f"{creds}:{getpass(f'Password for {creds}: ')}"
    return Flags(given["authfile"] or "", given["cert_dir"] or "", creds, given["tls_verify"], given["signature_policy"] or "")


def build(app: App, stack: Stack, files: Sequence[str], given: dict[str, Any], pull: Flags | None, reporter: Reporter) -> None:
    """--build: images that have a directory of their name."""
    from kubeplay.reconcile import images

    if given["build"] is False or not (given["build"] or images.missing(app.engine, stack.pods)):
        return
    from kubeplay.play import builds

    bases = builds.bases(files, given["context_dir"] or "", os.getcwd())
    builds.run(app.engine, stack, bases, bool(given["build"]), given["quiet"], pull, reporter)


def _warn(result: UpResult) -> None:
    from kubeplay.cli.failure import safe

    for pod in result.pods:
        for failure in pod.failures:
            where = "/".join(filter(None, (pod.namespace, pod.name, failure.container)))
            text = f"Warning: pod {where}: {failure.reason}: {failure.message}"
            print(safe(text), file=sys.stderr)


class Reporter:
    """Passes what happens on to the progress display; remembers the ids of the pods that went."""

    def __init__(self, quiet: bool) -> None:
        self.progress = Progress(quiet=quiet)
        self.gone: list[str] = []
        self.blobs: dict[str, Any] = {}

    def _blob(self, event: ProgressEvent) -> None:
        """A bar for each layer, on a terminal."""
        if self.progress.live:
            from kubeplay.cli.pulling import bar

            self.progress.bar(event.name, bar(self.blobs, event))

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.done()

    def __call__(self, event: ProgressEvent) -> None:
        if event.kind == "pod" and event.action == "removed":
            self.gone.append(event.id)
        details = " ".join(part for part in (event.id[:12] if event.kind == "container" else event.id, event.message) if part)
        if event.kind == "build":
            self.progress.say(printable(event.message))
        elif event.kind == "blob":
            self._blob(event)
        elif event.kind == "warning":
            self.progress.say(f"{event.name}: {event.action}: {event.message}" if event.name else event.message, warning=True)
        else:
            self.progress.step(f"{event.kind} {event.name}", f"{event.action} {details}".rstrip())


def shown(result: UpResult) -> str:
    """podman's form: a heading, then an id per line; a blank line ends each pod."""
    lines: list[str] = []
    if result.unchanged:
        lines.append("Nothing has changed.")
    for pod in result.pods:
        ids = [container_id for _, container_id in pod.containers]
        lines += ["Pod:", pod.uid, "Container:" if len(ids) == 1 else "Containers:", *ids, ""]
    if result.services:
        lines += ["Services:", *map(_service, result.services), ""]
    secrets = [key.name for key in result.created if key.kind == "Secret"]
    volumes = [key.name for key in result.created if key.kind == "PersistentVolumeClaim"]
    for heading, names in (("Secrets:", secrets), ("Volumes:", volumes)):
        if names:
            lines += [heading, *names, ""]
    return "".join(f"{line}\n" for line in lines)


def _service(plan: ServicePlan) -> str:
    ports = ",".join(f"{p.port}{f':{p.node_port}' if p.node_port else ''}/{p.protocol}" for p in plan.ports)
    return f"{plan.namespace}/{plan.name} {plan.cluster_ip} {ports}"


def stay(app: App, stack: Stack, result: UpResult) -> int:
    """--wait: until every pod has ended, or a signal."""
    from kubeplay.play.down import down

    stop = _on_signal()
    print("Use ctrl+c to clean up or wait for pods to exit", file=sys.stderr, flush=True)
    uids = [pod.uid for pod in result.pods]
    while not stop() and not _ended(app, uids):
        app.engine.clock.sleep(LOOK_SECONDS)
    print("Cleaning up containers, pods, and volumes", file=sys.stderr)
    with Reporter(True) as reporter, app.supervised():
        gone = down(app.engine, [one.key for one in stack.objects], force=True, progress=reporter)
    sys.stdout.write(removed(gone, reporter.gone))
    return 0


def _on_signal() -> Callable[[], bool]:
    """Whether SIGINT, SIGTERM or SIGHUP has come."""
    hit: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, frame: hit.append(got))
    return lambda: bool(hit)


def _ended(app: App, uids: Sequence[str]) -> bool:
    from kubeplay.cli.podstatus import statuses
    from kubeplay.errors import NotFound

    rows = []
    for uid in uids:
        try:
            rows.append(app.store.runtime.pod(uid))
        except NotFound:
            continue
    return all(status.get("phase") in ("Succeeded", "Failed") for status in statuses(app, rows).values())


def take_down(app: App, keys: Sequence[ObjectKey], *, force: bool, timeout: float | None, quiet: bool) -> None:
    """kube down."""
    from kubeplay.play.down import down

    with Reporter(quiet) as reporter, app.supervised():
        result = down(app.engine, keys, force=force, timeout=timeout, progress=reporter)
    sys.stdout.write(removed(result, reporter.gone))


def removed(result: DownResult, ids: Sequence[str]) -> str:
    """podman's form of what has gone."""
    lines = ["Pods stopped:", *ids, "Pods removed:", *ids]
    kinds: dict[str, list[str]] = {}
    for key in result.objects:
        kinds.setdefault(key.kind, []).append(key.name)
    for kind in sorted(kinds):
        lines += [f"{kind}s removed:", *kinds[kind]]
    if result.volumes:
        lines += ["Volumes removed:", *(key.name for key in result.volumes)]
    if result.kept:
        lines += ["Volumes kept, as pods use them:", *(key.name for key in result.kept)]
    return "".join(f"{line}\n" for line in lines)
