"""image scp: an image to or from another machine (over ssh, with kubeplay or podman there), or another root of this one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import argument, command
from kubeplay.cli.transfer import QUIET
from kubeplay.errors import CommandFailed, Forbidden, InvalidInput, MissingPrerequisite, NotSupported
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.images.store import ImageStore

_HOST = re.compile(r"(?:ssh://)?(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(?::([0-9]{1,5}))?")
_HANDED = "hand the image over: kubeplay save IMAGE | sudo -iu {0} kubeplay load"
_THERE = "if command -v kubeplay >/dev/null 2>&1; then exec kubeplay {0}; else exec podman {0}; fi"


class _Place(Record):
    """`host` "" is this machine, `root` another root of it, `image` a name, "" on the receiving side."""

    host: str
    root: str
    image: str


@command(
    "scp",
    "Copy an image to or from another machine: IMAGE HOST::, or HOST::IMAGE.\n\nHOST is what ssh takes ([USER@]NAME[:PORT]);"
    " kubeplay or podman must be there. An absolute path in its place is another --root of this machine.",
    argument("SOURCE", "IMAGE, HOST::IMAGE or /ROOT::IMAGE.", complete="image"),
    argument("DESTINATION", "HOST:: or /ROOT::; this machine when not given.", required=False),
    QUIET,
)
def scp(app: App, *, source: str, destination: str | None, quiet: bool) -> None:
    come, go = _place(source), _place(destination or "::")
    if not come.image:
        raise InvalidInput(f"{source[:200]}: names no image", hint="as in kubeplay image scp IMAGE HOST::")
    if go.image:
        raise InvalidInput(f"{destination}: an image keeps its names when it is copied", hint="end it with ::, and tag the image there")
    if (come.host, come.root) == (go.host, go.root):
        raise InvalidInput("source and destination are the same place", hint="as in kubeplay image scp IMAGE HOST::")
    _piped(_sender(app, come, quiet), _receiver(app, go, quiet))


def _place(text: str) -> _Place:
    where, two, image = text.partition("::")
    if not two:
        where, image = "", text
    if image:
        _check_image(image)
    if where.startswith("/"):
        return _Place("", where, image)
    if where and not _HOST.fullmatch(where):
        raise InvalidInput(f"{where[:200]!r} is no host", hint="it is [USER@]NAME[:PORT]")
    if where.endswith("@localhost"):
        name = where.removesuffix("@localhost").removeprefix("ssh://")
        raise NotSupported(f"{where}: other users' images cannot be reached by name", hint=_HANDED.format(name))
    return _Place(where, "", image)


def _check_image(name: str) -> None:
    """A name or an id: it becomes part of a command line on the other side."""
    from kubeplay.engine.images import reference

    if not re.fullmatch(r"(?:sha256:)?[0-9a-f]{3,64}", name):
        reference.parse(name)


Side = Callable[[int], None]  # reads from, or writes to, a descriptor until the end


def _sender(app: App, place: _Place, quiet: bool) -> Side:
    if place.host:
        return lambda fd: _ssh(place.host, f"save {place.image}", stdout=fd)

    def send(fd: int) -> None:
        from kubeplay.cli.bars import Bars
        from kubeplay.engine.images.copying import save

        with Bars(quiet) as bars:
            save.save(_images(app, place), [place.image], f"/proc/self/fd/{fd}", report=bars)

    return send


def _receiver(app: App, place: _Place, quiet: bool) -> Side:
    if place.host:
        return lambda fd: _ssh(place.host, "load", stdin=fd)

    def receive(fd: int) -> None:
        for loaded in _images(app, place).load(f"/proc/self/fd/{fd}"):
            if not quiet:
                print("\n".join(loaded.lines()))

    return receive


def _images(app: App, place: _Place) -> ImageStore:
    if not place.root:
        return app.engine.images
    from kubeplay.engine.host.paths import Paths
    from kubeplay.engine.images.store import ImageStore
    from kubeplay.engine.store.db import Store

    _check_ours(place.root)

    paths = Paths(app.settings._replace(root=place.root))
    return ImageStore(Store(paths.database), paths)


def _check_ours(root: str) -> None:
    """Another user's root has that user's ids and marks: what we wrote there would be of no use, and not the user's. Raises Forbidden."""
    import os
    import pwd

    try:
        owner = os.stat(root).st_uid
    except OSError:
        return  # the store says what is wrong, or makes it
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = str(owner)
        raise Forbidden(f"{root} belongs to {name}, and only {name}'s own commands can use it", hint=_HANDED.format(name))


def _ssh(host: str, command: str, **streams: Any) -> None:
    """Run kubeplay, or podman, on the other side. What it says goes to our standard output and error."""
    import shutil
    import subprocess

    program = shutil.which("ssh")
    if program is None:
        raise MissingPrerequisite("ssh is not installed", hint="apt-get install openssh-client")
    found = _HOST.fullmatch(host)
    assert found is not None
    user, name, port = found.groups()
    argv = [program, *(["-p", port] if port else []), *(["-l", user] if user else []), "--", name.strip("[]"), _THERE.format(command)]
    status = subprocess.run(argv, check=False, **streams).returncode
    if status:
        raise CommandFailed(argv[:-1], status, f"kubeplay or podman {command} on {host} failed")


def _piped(send: Side, receive: Side) -> None:
    """Both sides at once. The first failure is raised; the other side sees its pipe end."""
    import os
    import threading

    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            send(writing)
        except BaseException as error:
            failures.append(error)
        finally:
            os.close(writing)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        receive(reading)
    except BaseException as error:
        failures.append(error)
    finally:
        os.close(reading)
        thread.join()
    for failure in sorted(failures, key=lambda one: isinstance(one, BrokenPipeError)):
        raise failure
