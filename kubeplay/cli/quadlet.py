"""generate quadlet, system generator and system install-generator: files that systemd plays."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubeplay.cli.declare import OUTSIDE, argument, choice, command, flag, many, text
from kubeplay.errors import AlreadyExists, Forbidden, InvalidInput

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.generate.quadlet.generator import Result
    from kubeplay.generate.quadlet.model import Machine
    from kubeplay.generate.quadlet.places import Found

GENERATOR = "kubeplay-generator"
# systemd.generator(7): of what is installed without a package; a package gives --directory /usr/lib/systemd.
DIRECTORY = "/usr/local/lib/systemd"
_SCRIPT = """#!/bin/sh
# Written by kubeplay system install-generator: makes services of .kube files at boot and at systemctl daemon-reload.
[ -x {first} ] || exit 0
exec {command} system generator{flags} "$@"
"""


@command(
    "quadlet",
    "Write a Quadlet file, from which systemd makes a service that plays these manifests.\n\n"
    "    kubeplay generate quadlet app.yaml > /etc/kubeplay/systemd/app.kube\n"
    "    systemctl daemon-reload && systemctl start app\n\n"
    "`kubeplay system install-generator` has systemd read such files: once. As an ordinary user they are in ~/.config/kubeplay/systemd.",
    argument("FILE", "Manifests, or URLs; paths are written as whole ones.", many=True, complete="file"),
    flag("-f", "--files", help="Write NAME.kube into the current directory, and print its name."),
    text("--name", help="Name of the unit, instead of the first file's."),
    text("--description", help="What the unit is called.", default=""),
    many("--configmap", help="A file of ConfigMaps that the pods may use.", metavar="FILE", complete="file"),
    many("--network", "--net", dest="network", help="Network, or NAME.network for another Quadlet file.", complete="network"),
    many("--publish", help="Publish a container port on the host.", metavar="[[IP:]HOST:]PORT[/PROTOCOL]"),
    text("--userns", help="User namespace of the pods.", default="", metavar="MODE"),
    text("--log-driver", help="Where container output goes.", default="", metavar="DRIVER"),
    choice("--exit-code-propagation", choices=("all", "any", "none"), help="Which failed containers make the service fail (none)."),
    flag("--force", help="Remove volumes too when the service stops."),
    choice("--restart-policy", choices=("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"),
           help="Restart= of the service."),
    many("--wanted-by", help="What starts it at boot; default.target if not given, --wanted-by= for nothing.", metavar="UNIT"),
    where=OUTSIDE,
)  # fmt: skip
def quadlet(
    app: App, *, file: tuple[str, ...], files: bool, name: str | None, description: str, configmap: tuple[str, ...],
    network: tuple[str, ...], publish: tuple[str, ...], userns: str, log_driver: str, exit_code_propagation: str | None, force: bool,
    restart_policy: str | None, wanted_by: tuple[str, ...],
) -> None:  # fmt: skip
    from kubeplay.generate.quadlet import names, writing

    whole = _whole(file)
    called = f"{name.removesuffix('.kube').removesuffix('.service')}.kube" if name else writing.name(file)
    if not names.valid(names.of_file(called)) or "/" in called:
        raise InvalidInput(f"--name {called.removesuffix('.kube')!r} is no name for a unit")
    target = tuple(one for one in wanted_by if one) if wanted_by else ("default.target",)
    written = writing.text(writing.Wanted(
        whole, description, _whole(configmap), network, publish, userns, log_driver, exit_code_propagation or "", force,
        restart_policy or "", target,
    ))  # fmt: skip
    if not files:
        sys.stdout.write(written)
        return
    path = os.path.join(os.getcwd(), called)
    try:
        with open(path, "x", encoding="utf-8") as out:
            out.write(written)
    except FileExistsError:
        raise AlreadyExists(f'cannot write to "{path}"; file exists') from None
    print(path)


def _whole(files: tuple[str, ...]) -> tuple[str, ...]:
    if "-" in files:
        raise InvalidInput("standard input `-` is not there when systemd starts the unit", hint="name the file")
    return tuple(one if one.startswith(("http://", "https://")) else os.path.abspath(one) for one in files)


@command(
    "generator",
    "Make services of Quadlet files (.kube, .network, .volume): what systemd runs at boot and at `systemctl daemon-reload`.\n\n"
    "The files are looked for in kubeplay/systemd below /run, /etc and /usr/share, a user's in $XDG_RUNTIME_DIR, ~/.config and"
    " /etc/kubeplay/systemd/users; where podman has no generator of its own, in containers/systemd below these too. --dryrun shows what"
    " would be made and of which files, and every fault with file and line; then files and directories may be named instead.",
    argument("PATH", "Where to write, as systemd says; with --dryrun what to read.", many=True, required=False, complete="file"),
    flag("--user", help="For a user's own systemd."),
    flag("--dryrun", "--dry-run", dest="dryrun", help="Write nothing; show the services."),
    flag("-v", "--verbose", help="Say which files are read."),
    flag("--no-kmsg-log", help="Say what is wrong on stderr only, not in the kernel's log, from where the journal has it."),
    where=OUTSIDE,
)
def generator(app: App, *, path: tuple[str, ...], user: bool, dryrun: bool, verbose: bool, no_kmsg_log: bool) -> int:
    from kubeplay.generate.quadlet import generator as quadlets
    from kubeplay.generate.quadlet import places

    if not dryrun and len(path) not in (1, 3):
        raise InvalidInput("give the directory to write to, as systemd does", hint="--dryrun shows the services, and needs none")
    own, podmans = places.podmans(user), ""
    if dryrun and path:
        found = _named(path)
    else:
        podmans = own
        tops = places.directories(user, os.environ, os.environ.get("HOME") or "/root", os.getuid())
        found = places.find(quadlets.looked_for(tops, podmans))
    result = quadlets.generate(found, _machine(app, user), alone=dryrun and bool(path))
    lines = quadlets.told(result)
    if verbose:
        lines += [f"read {one}" for each in found for one in (each.path, *each.dropins)]
        lines += [f"{podmans} reads containers/systemd, we do not"] if podmans else []
    if dryrun:
        _show(result)
    else:
        lines += map(str, quadlets.write(result.services, path[0]))
    _say(lines, kernel=not (dryrun or user or no_kmsg_log))
    return 1 if result.faults else 0


def _named(paths: tuple[str, ...]) -> list[Found]:
    """What --dryrun was asked about: files as they are, directories gone through."""
    from kubeplay.errors import NotFound
    from kubeplay.generate.quadlet.places import Directory, find

    found = []
    for path in map(os.path.abspath, paths):
        if not os.path.exists(path):
            raise NotFound(f"{path}: no such file or directory")
        inside = find([Directory(path if os.path.isdir(path) else os.path.dirname(path))])
        found += inside if os.path.isdir(path) else [one for one in inside if one.path == path]
        if not os.path.isdir(path) and (not found or found[-1].path != path):
            raise InvalidInput(f"{path}: no Quadlet file", hint="files end in .kube, .network or .volume")
    return found


def _show(result: Result) -> None:
    """Podman's form: ---NAME---, then the unit."""
    for service in result.services:
        sys.stdout.write(f"---{service.name}---\n{service.text}\n")


def _machine(app: App, user: bool) -> Machine:
    from kubeplay.cli.boot import program
    from kubeplay.config import DEFAULT_ROOT, DEFAULT_RUNROOT
    from kubeplay.generate.quadlet.model import Machine

    usual = (DEFAULT_ROOT, DEFAULT_RUNROOT)
    root, runroot = (given if given != normal else "" for given, normal in zip((app.settings.root, app.settings.runroot), usual))
    return Machine(program(), user, root, runroot)


def _say(lines: list[str], kernel: bool) -> None:
    from kubeplay.cli.failure import safe

    for line in lines:
        print(safe(line), file=sys.stderr)
    if kernel and lines and os.geteuid() == 0 and not sys.stderr.isatty():
        try:
            with open("/dev/kmsg", "w", encoding="utf-8") as log:  # 3 = LOG_ERR, 4 = LOG_WARNING (syslog(3)); one write is one message
                for line in lines:
                    log.write(f"<{4 if line.startswith(('Warning', 'read')) else 3}>{GENERATOR}[{os.getpid()}]: {safe(line)}\n")
                    log.flush()
        except OSError:
            pass


@command(
    "install-generator",
    "Have systemd read Quadlet files: write its generators, for the machine and for users.\n\n"
    "Then `systemctl daemon-reload`, and for a user `systemctl --user daemon-reload`. With --root or --runroot the services use these.",
    text("--directory", help="Where to write, instead of " + DIRECTORY + "; a package takes /usr/lib/systemd.", default=DIRECTORY,
         metavar="DIR", complete="file"),
    flag("--remove", help="Take them away again."),
    where=OUTSIDE,
)  # fmt: skip
def install_generator(app: App, *, directory: str, remove: bool) -> None:
    for kind in ("system", "user"):
        path = os.path.join(os.path.abspath(directory), f"{kind}-generators", GENERATOR)
        try:
            if remove:
                if os.path.lexists(path):
                    os.unlink(path)
                    print(path)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            temporary = f"{path}.{os.getpid()}"
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o755)
            with open(fd, "w", encoding="utf-8") as file:
                file.write(_script(app, kind))
            os.rename(temporary, path)
            print(path)
        except PermissionError:
            hint = "without one, `kubeplay system generator --user ~/.config/systemd/user` writes a user's services"
            raise Forbidden(f"{path}: an administrator writes generators", hint=hint) from None


def _script(app: App, kind: str) -> str:
    import shlex

    machine = _machine(app, kind == "user")
    words = [*machine.program]
    if kind == "system":  # a user's root is below the user's home
        words += [word for flag, path in (("--root", machine.root), ("--runroot", machine.runroot)) if path for word in (flag, path)]
    flags = " --user" if kind == "user" else ""
    return _SCRIPT.format(first=shlex.quote(words[0]), command=shlex.join(words), flags=flags)
