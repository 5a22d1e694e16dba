"""stop, start, restart, kill, rm and wait, for pods and for containers.

What a person stopped stays stopped, a pod as well as a single container of a pod with several. The only container of a
pod stands for the pod.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import Option, argument, command, flag, integer, many, number, text
from kubeplay.cli.resolve import Found
from kubeplay.engine.store import runtime
from kubeplay.engine.store.runtime import PodRow
from kubeplay.errors import Conflict, InvalidInput, KubeplayError, NotFound, NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App

ALL = flag("-a", "--all", help="Every pod of the namespace.")
IGNORE = flag("-i", "--ignore", help="One that is not there is no error.")
TIME = integer(
    "-t",
    "--time",
    "--timeout",
    dest="time",
    help="Seconds to wait before killing, instead of the pod's own grace period.",
    metavar="SECONDS",
)
LATEST = flag("-l", "--latest", help="The newest pod.")
PODS = argument("POD", "Names or ids.", many=True, required=False, complete="pod")
NAMES = argument("NAME", "Pods or containers, by name or id.", many=True, required=False, complete="container")
Target = PodRow | Found
Act = Callable[["App", Target], "str | None"]
Together = Callable[["App", "list[PodRow]"], str]


def targets(
    app: App, names: Sequence[str], all_: bool, latest: bool = False, *, ignore: bool = False, pods_only: bool = False
) -> Iterator[Target]:
    """What is named: pods, or containers. The only container of a pod stands for the pod."""
    if latest:
        rows = [app.store.objects.by_uid(row.uid) for row in app.store.runtime.pods(app.namespace)]
        newest = max((row for row in rows if row), key=lambda row: row.created, default=None)
        names = [newest.key.name] if newest else []
    if all_:
        yield from resolve.pods(app, (), all_=True)
        return
    if not names and not ignore:
        raise InvalidInput("nothing is named", hint="give names or ids, or --all")
    for name in names:
        try:
            yield resolve.pod(app, name) if pods_only else _target(app, name)
        except NotFound:
            if not ignore:
                raise


def _target(app: App, name: str) -> Target:
    if resolve.find_pods(app, name):
        return resolve.pod(app, name)
    found = resolve.container(app, name)
    return found.pod if len(resolve.plan(found.pod).containers) == 1 else found


def each(app: App, found: Iterator[Target], act: Act, together: Together | None = None) -> int:
    """Act on every target, report every failure; the exit status. `together` does it to several pods side by side."""
    from kubeplay.cli.failure import report

    status = 0

    def tried(what: Callable[[], str | None]) -> None:
        nonlocal status
        try:
            text_ = what()
            if text_:
                print(text_)
        except KubeplayError as error:
            status = report(error, app.settings.log_level, app.settings.log_format)

    with app.supervised():
        left = list(found)
        pods = list({target.uid: target for target in left if isinstance(target, PodRow)}.values())
        if together is not None and len(pods) > 1:  # one grace period for all of them, not one after the other
            left = [target for target in left if not isinstance(target, PodRow)]
            tried(partial(together, app, pods))
        for target in left:
            tried(partial(act, app, target))
    return status


def label(target: Target) -> str:
    """What the command prints for a target: its name."""
    return target.name if isinstance(target, PodRow) else resolve.container_name(resolve.plan(target.pod), target.name)


# stop
def _stop(seconds: int | None) -> Act:
    def act(app: App, target: Target) -> str:
        from kubeplay.play import lifecycle

        if isinstance(target, PodRow):
            lifecycle.stop_pods(app.engine, [target.uid], seconds)
        else:
            lifecycle.stop_container(app.engine, _existing(target), seconds)
        return label(target)

    return act


def _stop_pods(seconds: int | None) -> Together:
    def together(app: App, pods: list[PodRow]) -> str:
        from kubeplay.play import lifecycle

        lifecycle.stop_pods(app.engine, [pod.uid for pod in pods], seconds)
        return "\n".join(pod.name for pod in pods)

    return together


def _existing(target: Found) -> runtime.ContainerRow:
    if target.container is None:
        raise NotRunning(f"container {target.pod.name}/{target.name} has not been created yet")
    return target.container


STOP: tuple[Option, ...] = (ALL, LATEST, IGNORE, TIME)


@command("stop", "Stop pods, or single containers of them.", NAMES, STOP)
def stop(app: App, *, name: tuple[str, ...], all: bool, latest: bool, ignore: bool, time: int | None) -> int:
    return each(app, targets(app, name, all, latest, ignore=ignore), _stop(time), _stop_pods(time))


@command("stop", "Stop pods; they stay, and can be started again.", PODS, STOP)
def pod_stop(app: App, *, pod: tuple[str, ...], all: bool, latest: bool, ignore: bool, time: int | None) -> int:
    return each(app, targets(app, pod, all, latest, ignore=ignore, pods_only=True), _stop(time), _stop_pods(time))


# start
def _start(app: App, target: Target) -> str:
    from kubeplay.play import lifecycle

    if isinstance(target, PodRow):
        lifecycle.start_pods(app.engine, [target.uid])
    else:
        lifecycle.start_container(app.engine, target.pod.uid, target.name)
    return label(target)


@command(
    "start",
    "Start pods that were stopped or only created.",
    NAMES,
    flag("--all", help="Every pod of the namespace."),
    LATEST,
    flag("-a", "--attach", help="Stay, and show the output; its exit status becomes ours."),
    flag("-i", "--interactive", help="With --attach: pass standard input on."),
    text("--detach-keys", help="Keys that leave the container to itself.", default="ctrl-p,ctrl-q", metavar="KEYS"),
    flag("--sig-proxy", help="With --attach: pass signals on to the container.", default=True),
)
def start(
    app: App, *, name: tuple[str, ...], all: bool, latest: bool, attach: bool, interactive: bool, detach_keys: str, sig_proxy: bool
) -> int:
    if attach or interactive:
        from kubeplay.cli import attached

        if all or latest or len(name) != 1:
            raise InvalidInput("you cannot start and attach multiple containers at once")
        with app.supervised():
            return attached.start(app, name[0], interactive, detach_keys, sig_proxy)
    return each(app, targets(app, name, all, latest), _start)


@command("start", "Start pods that were stopped or only created.", PODS, ALL, LATEST)
def pod_start(app: App, *, pod: tuple[str, ...], all: bool, latest: bool) -> int:
    return each(app, targets(app, pod, all, latest, pods_only=True), _start)


# restart
def _restart(seconds: int | None) -> Act:
    def act(app: App, target: Target) -> str:
        from kubeplay.play import lifecycle

        if isinstance(target, PodRow):
            lifecycle.restart_pods(app.engine, [target.uid], seconds)
        else:
            lifecycle.restart_container(app.engine, _existing(target), seconds)
        return label(target)

    return act


@command("restart", "Stop and start pods, or single containers of them.", NAMES, ALL, LATEST, TIME)
def restart(app: App, *, name: tuple[str, ...], all: bool, latest: bool, time: int | None) -> int:
    return each(app, targets(app, name, all, latest), _restart(time))


@command("restart", "Stop and start pods.", PODS, ALL, LATEST, TIME)
def pod_restart(app: App, *, pod: tuple[str, ...], all: bool, latest: bool, time: int | None) -> int:
    return each(app, targets(app, pod, all, latest, pods_only=True), _restart(time))


# kill
def _kill(word: str) -> Act:
    number_ = signal_number(word)

    def act(app: App, target: Target) -> str:
        from kubeplay.play import lifecycle

        if isinstance(target, PodRow):
            lifecycle.kill_pods(app.engine, [target.uid], number_)
        else:
            lifecycle.kill_container(app.engine, _existing(target), number_)
        return label(target)

    return act


def signal_number(word: str) -> int:
    """TERM, SIGTERM, 15 or RTMIN+3 as a number. Raises InvalidInput."""
    import signal

    name = word.upper().removeprefix("SIG")
    if name.isdigit() and 1 <= int(name) <= 64:
        return int(name)
    base, plus, offset = name.partition("+")
    found = getattr(signal, f"SIG{base}", None)
    if not isinstance(found, int) or base.startswith("_") or (plus and not offset.isdigit()):
        raise InvalidInput(f"invalid signal: {word}")
    return int(found) + (int(offset) if plus else 0)


SIGNAL = text("-s", "--signal", help="The signal, by name or number.", default="KILL", metavar="SIGNAL")


@command("kill", "Send a signal to the first process of containers.", NAMES, ALL, LATEST, SIGNAL)
def kill(app: App, *, name: tuple[str, ...], all: bool, latest: bool, signal: str) -> int:
    return each(app, targets(app, name, all, latest), _kill(signal))


@command("kill", "Send a signal to the first process of every container of pods.", PODS, ALL, LATEST, SIGNAL)
def pod_kill(app: App, *, pod: tuple[str, ...], all: bool, latest: bool, signal: str) -> int:
    return each(app, targets(app, pod, all, latest, pods_only=True), _kill(signal))


# rm
def _rm(force: bool, seconds: int | None) -> Act:
    def act(app: App, target: Target) -> str:
        from kubeplay.play import lifecycle

        if not isinstance(target, PodRow):
            return _leave(app, target, force, seconds)
        lifecycle.remove_pods(app.engine, [target.uid], force=force, timeout=seconds)
        return target.name

    return act


def _rm_pods(force: bool, seconds: int | None) -> Together | None:
    """Without force each is asked whether it runs, and the others go all the same."""
    if not force:
        return None

    def together(app: App, pods: list[PodRow]) -> str:
        from kubeplay.play import lifecycle

        lifecycle.remove_pods(app.engine, [pod.uid for pod in pods], force=True, timeout=seconds)
        return "\n".join(pod.name for pod in pods)

    return together


def _leave(app: App, target: Found, force: bool, seconds: int | None) -> str:
    """One of several containers of a pod that was made by hand (`run --pod`); what a file says is in a pod stays in it."""
    from kubeplay.cli import joining

    plan = resolve.plan(target.pod)
    if plan.container_prefix:
        hint = f"remove the pod: kubeplay pod rm {target.pod.name}"
        raise Conflict(f"container {target.name} belongs to pod {target.pod.name}", hint=hint)
    if not force and target.container is not None and target.container.state == runtime.RUNNING:
        raise Conflict(f"container {target.name} is running", hint="stop it first, or use --force")
    joining.remove(app, target.pod.uid, target.name, float(plan.grace_seconds) if seconds is None else seconds)
    return target.name


RM: tuple[Option, ...] = (flag("-f", "--force", help="Also when it runs."), ALL, LATEST, IGNORE, TIME)


@command("rm", "Remove pods.", NAMES, RM)
def rm(app: App, *, name: tuple[str, ...], force: bool, all: bool, latest: bool, ignore: bool, time: int | None) -> int:
    return each(app, targets(app, name, all, latest, ignore=ignore), _rm(force, time), _rm_pods(force, time))


@command("rm", "Remove pods.", PODS, RM)
def pod_rm(app: App, *, pod: tuple[str, ...], force: bool, all: bool, latest: bool, ignore: bool, time: int | None) -> int:
    return each(app, targets(app, pod, all, latest, ignore=ignore, pods_only=True), _rm(force, time), _rm_pods(force, time))


# wait
@command(
    "wait",
    "Wait until containers or pods have ended, and print their exit status; or for what --for says.\n\n"
    "    kubeplay wait web-app\n    kubeplay wait pod/web --for=condition=Ready --timeout=60s\n"
    "    kubeplay wait pods -l app=web --for=jsonpath='{.status.phase}'=Running",
    argument("NAME", "Pods or containers; with --for KIND/NAME, or a kind and names.", many=True, complete="container"),
    many(
        "--condition",
        help="Wait for this instead: created, running, ready, exited, stopped, removed (several, with commas: whichever is first).",
    ),
    number("--interval", help="Seconds between two looks.", default=0.25),
    number("--timeout", help="Give up after this time (with --for: 30 s when not given, negative = never).", metavar="DURATION"),
    text("--for", help="As kubectl: delete, create, condition=NAME[=VALUE], jsonpath={PATH}[=VALUE].", metavar="GOAL", dest="goal"),
    text("-l", "--selector", help="With --for and a kind: objects with these labels.", metavar="SELECTOR"),
    flag("-a", "--all", help="With --for and a kind: every object of the namespace."),
    IGNORE,
)
def wait(
    app: App, *, name: tuple[str, ...], condition: tuple[str, ...], interval: float, timeout: float | None, goal: str | None,
    selector: str | None, all: bool, ignore: bool,
) -> None:  # fmt: skip
    if goal:
        from kubeplay.cli import waitingfor

        reached = waitingfor.parse(goal)
        told = lambda line: print(line, flush=True)  # noqa: E731
        waitingfor.wait(app, name, reached, selector=selector, all_=all, timeout=timeout, interval=interval, told=told)
        return
    if selector or all:
        raise InvalidInput("--selector and --all need --for", hint="kubeplay wait pods --all --for=condition=Ready")
    from kubeplay.cli.waiting import wait_for

    wanted = [word for text_ in condition for word in text_.split(",")] or ["exited"]
    for target in list(targets(app, name, False, ignore=ignore)):
        print(wait_for(app, target, wanted, interval, timeout))
