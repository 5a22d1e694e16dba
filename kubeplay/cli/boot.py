"""system suspend and resume, and generate systemd: pods that come back with the machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, choice, command, flag, integer, many, text
from kubeplay.errors import AlreadyExists, InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.generate.systemd import Unit


@command(
    "suspend",
    "Stop every pod that runs, and remember it for `system resume`: what a unit does when the machine goes down.",
    integer("-t", "--time", "--timeout", dest="time", help="Seconds to wait before killing, instead of each pod's grace."),
)
def suspend(app: App, *, time: int | None) -> None:
    from kubeplay.play import boot

    with app.supervised():
        names = boot.suspend(app.engine, time)
    print("\n".join(names), end="\n" if names else "")


@command(
    "resume",
    "Start the pods that `system suspend` stopped, and those that ran when the machine went down.\n\n"
    "What a person stopped stays stopped. A pod that cannot be started is tried again later, as after any failed start.",
)
def resume(app: App) -> None:
    from kubeplay.play import boot

    with app.supervised():
        names, outcomes = boot.resume(app.engine)
    print("\n".join(names), end="\n" if names else "")
    for name, outcome in zip(names, outcomes):
        for failure in outcome.failures:
            print(f"Warning: pod {name}, container {failure.container}: {failure.reason}: {failure.message}", file=sys.stderr)


@command(
    "systemd",
    "Write a systemd unit that brings pods back at boot: all of them, or one unit for each pod that is named.\n\n"
    "    kubeplay generate systemd > /etc/systemd/system/kubeplay.service\n"
    "    systemctl enable --now kubeplay.service\n\n"
    "As an ordinary user it is a user unit, for ~/.config/systemd/user; `loginctl enable-linger` lets it start without a login.",
    argument("POD", "Pods; none = everything that runs when the machine goes down.", many=True, required=False, complete="pod"),
    flag("-f", "--files", help="Write files into the current directory, and print their names."),
    flag("--name", help="Accepted for podman's sake: units are always named by name.", dest="by_name"),
    flag("--new", help="Refused: a pod's file is what makes it anew (kubeplay play kube)."),
    flag("--template", help="One unit for any pod, whose name is its instance: `systemctl enable pod-@web`."),
    flag("--no-header", help="Leave the comment at the top out."),
    choice("--restart-policy", choices=("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"),
           help="Restart= of the unit (on-failure)."),
    integer("--restart-sec", help="RestartSec= of the unit.", metavar="SECONDS"),
    integer("-t", "--time", "--stop-timeout", dest="time", help="Seconds to wait before killing, instead of each pod's grace."),
    integer("--start-timeout", help="TimeoutStartSec= of the unit.", metavar="SECONDS"),
    text("--pod-prefix", help="Beginning of the names of pods' units.", default="pod", metavar="TEXT"),
    text("--separator", help="Between that and the pod's name.", default="-", metavar="TEXT"),
    many("--wants", help="Unit that this one wants."),
    many("--after", help="Unit that this one comes after."),
    many("--requires", help="Unit that this one requires."),
    many("-e", "--env", help="Set a variable in the unit.", metavar="NAME=VALUE"),
)  # fmt: skip
def systemd(
    app: App, *, pod: tuple[str, ...], files: bool, by_name: bool, new: bool, template: bool, no_header: bool, restart_policy: str | None,
    restart_sec: int | None, time: int | None, start_timeout: int | None, pod_prefix: str, separator: str, wants: tuple[str, ...],
    after: tuple[str, ...], requires: tuple[str, ...], env: tuple[str, ...],
) -> None:  # fmt: skip
    from kubeplay.generate import systemd as units

    if new:
        raise InvalidInput("--new: a unit starts pods that are stored", hint="play the pod's file once; the unit keeps it for good")
    base = units.Options(
        program=program(), root=app.settings.root, runroot=app.settings.runroot, user=_ordinary(), restart=restart_policy or "on-failure",
        restart_seconds=restart_sec, stop_seconds=time, start_seconds=start_timeout, wants=wants, after=after, requires=requires, env=env,
        header=not no_header,
    )  # fmt: skip
    if template and pod:
        raise InvalidInput("--template is for any pod, and takes no names")
    made: list[Unit] = [units.of_template(base, pod_prefix, separator, app.namespace)] if template else []
    for name in pod:
        row = resolve.pod(app, name)
        plan = resolve.plan(row)
        made.append(units.of_pod(base, row.namespace, row.name, f"{pod_prefix}{separator}{row.name}", plan.grace_seconds))
    for unit in made or [units.of_all(base)]:
        if files:
            path = os.path.join(os.getcwd(), unit.name)
            try:
                with open(path, "x", encoding="utf-8") as file:
                    file.write(unit.text)
            except FileExistsError:
                raise AlreadyExists(f'cannot write to "{path}"; file exists') from None
            print(path)
        else:
            sys.stdout.write(unit.text)


def _ordinary() -> bool:
    from kubeplay.engine.host import userns

    return userns.rootless()


def program() -> tuple[str, ...]:
    """The program as a unit can start it: by its whole path."""
    import shutil

    own = sys.argv[0]
    found = os.path.abspath(own) if os.path.basename(own) == "kubeplay" and os.access(own, os.X_OK) else shutil.which("kubeplay")
    beside = os.path.join(os.path.dirname(sys.executable), "kubeplay")
    found = found or (beside if os.access(beside, os.X_OK) else "")
    return (found,) if found else (sys.executable, "-m", "kubeplay")
