"""Where quadlet files are: directories, links, templates' instances and drop-ins. The one place that reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from kubeplay.errors import Fault, InvalidInput
from kubeplay.generate.quadlet import names, unitfile
from kubeplay.generate.quadlet.unitfile import UnitFile
from kubeplay.record import Record

VARIABLE = "QUADLET_UNIT_DIRS"  # Podman's too: these directories instead of the usual ones
# Podman's generators (podman-systemd.unit(5)); where one is, it owns the directories that both know.
PODMANS = tuple(f"{base}/systemd/{kind}-generators/podman-{kind}-generator"
                for base in ("/usr/lib", "/usr/local/lib", "/lib", "/etc") for kind in ("system", "user"))  # fmt: skip
MAX_FILES = 10_000  # of all directories: each is read at every daemon-reload
MAX_DEPTH = 16  # directories in directories; links may go round


class Found(Record):
    """A quadlet file by its name, and its drop-ins in the order in which they count."""

    path: str
    dropins: tuple[str, ...] = ()


class Directory(Record):
    """Where to look; `shared` with Podman; `users` is left out of a walk (the files of users, below /etc/containers/systemd)."""

    path: str
    shared: bool = False
    skip: str = ""


def directories(user: bool, environ: Mapping[str, str], home: str, uid: int) -> list[Directory]:
    """Where files are looked for, those that win first."""
    if environ.get(VARIABLE):
        return [Directory(path) for path in environ[VARIABLE].split(":") if path.startswith("/")]
    if not user:
        return _both(("/run", "/etc", "/usr/share"), "", skip=True)
    config = environ.get("XDG_CONFIG_HOME", "")
    bases = (environ.get("XDG_RUNTIME_DIR", ""), config if config.startswith("/") else f"{home}/.config")
    found = _both([base for base in bases if base.startswith("/")], "")
    return [*found, *_both(("/etc",), f"/users/{uid}"), *_both(("/etc", "/usr/share"), "/users", skip=True)]


def _both(bases: Iterable[str], below: str, skip: bool = False) -> list[Directory]:
    """Ours and the one shared with Podman below each base."""
    return [
        Directory(f"{base}/{name}/systemd{below}", name == "containers", _skipped(f"{base}/{name}/systemd{below}") if skip else "")
        for base in bases
        for name in ("kubeplay", "containers")
    ]


def _skipped(path: str) -> str:
    """What of a directory is for others: users' files in the system's, one user's in those of all."""
    return "*" if path.endswith("/users") else "users"


def podmans(user: bool) -> str:
    """The generator of Podman's on this machine, "" = none."""
    kind = "user" if user else "system"
    return next((path for path in PODMANS if path.endswith(f"podman-{kind}-generator") and os.path.exists(path)), "")


def find(places: Iterable[Directory]) -> list[Found]:
    """The quadlet files, by their names; of two with one name the first directory's counts. Raises InvalidInput for too many."""
    found: dict[str, str] = {}
    tops = list(places)
    for place in tops:
        for path in _walk(place.path, place.skip, 0):
            found.setdefault(os.path.basename(path), path)
            if len(found) > MAX_FILES:
                raise InvalidInput(f"{place.path}: more than {MAX_FILES} quadlet files")
    return [Found(path, tuple(_dropins(name, path, tops))) for name, path in sorted(found.items())]


def _walk(directory: str, skip: str, depth: int) -> Iterable[str]:
    """Files of quadlet's endings, in the order of their names; directories below are gone through too."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            below = not entry.name.endswith(".d") and skip not in ("*", entry.name) and depth < MAX_DEPTH
            yield from _walk(entry.path, "", depth + 1) if below else ()
        elif entry.name.rpartition(".")[2] in names.SUFFIXES and not entry.name.startswith("."):
            yield entry.path


def _dropins(name: str, path: str, tops: Iterable[Directory]) -> list[str]:
    """NAME.d, its shorter forms and TYPE.d beside the file and in every directory; one name counts once, in the order of names."""
    found: dict[str, str] = {}
    places = dict.fromkeys([os.path.dirname(path), *(one.path for one in tops)])
    for form in forms(name):
        for place in places:
            try:
                listed = os.listdir(f"{place}/{form}.d")
            except OSError:
                continue
            for each in listed:
                if each.endswith(".conf"):
                    found.setdefault(each, f"{place}/{form}.d/{each}")
    return [found[each] for each in sorted(found)]


def forms(name: str) -> list[str]:
    """The names whose drop-ins are for a file, the nearest first: `a-b@c.kube`, `a-b@.kube`, `a-.kube`, `kube`."""
    stem, _, kind = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    found = [name] + ([f"{prefix}@.{kind}"] if at and instance else [])
    parts = prefix.split("-")
    found += ["-".join(parts[:count]) + f"-.{kind}" for count in range(len(parts) - 1, 0, -1)]
    return [*found, kind]


def read(found: Found) -> UnitFile:
    """A file with its drop-ins. Raises InvalidInput."""
    unit = unitfile.parse(_bytes(found.path), found.path)
    return unit.with_dropins([unitfile.parse(_bytes(path), path) for path in found.dropins])


def _bytes(path: str) -> bytes:
    try:
        # A FIFO or a device instead of a file must not keep the machine from booting.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(fd, "rb") as file:
            import stat

            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise InvalidInput(f"{path}: no ordinary file")
            return file.read(unitfile.MAX_BYTES + 1)
    except OSError as error:
        fault = Fault("", "FieldValueInvalid", error.strerror or str(error), "", path, 1, 1)
        raise InvalidInput(f"{path}: cannot be read", [fault]) from None
