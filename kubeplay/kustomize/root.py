"""The files of kustomizations: what may be read, and how much of it.

As kustomize has it, a kustomization reads files in or below its own directory only, symlinks followed first; other directories are
named as resources and stand for themselves. `within` narrows this: for what came from elsewhere (a git repository), no directory
outside of it counts.
"""

from __future__ import annotations

import os
import stat

from kubeplay.errors import InvalidInput, NotFound, NotSupported

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
# A file of a manifest or of data; an object of a cluster has 1.5 MiB at most (etcd), a file may hold many.
MAX_FILE = 64 * 1024 * 1024
# Bounds of one build: far above what people write (kustomize's own examples read some dozens), low enough to stop one that doubles itself.
MAX_READS, MAX_TOTAL, MAX_DIRECTORIES, MAX_DEPTH = 20_000, 256 * 1024 * 1024, 2_000, 60
_REMOTE = ("://", "github.com/", "git@", "git::", "bitbucket.org/", "gitlab.com/")


class Budget:
    """What one build may still read."""

    def __init__(self) -> None:
        self.reads = MAX_READS
        self.bytes = MAX_TOTAL
        self.directories = MAX_DIRECTORIES

    def directory(self, name: str) -> None:
        self.directories -= 1
        if self.directories < 0:
            raise InvalidInput(f"{name}: this build reads more than {MAX_DIRECTORIES} kustomizations")

    def file(self, name: str, size: int) -> None:
        self.reads -= 1
        self.bytes -= size
        if self.reads < 0 or self.bytes < 0:
            raise InvalidInput(f"{name}: this build reads more than {MAX_READS} files or {MAX_TOTAL >> 20} MiB")


class Root:
    """The directory of one kustomization. `shown` is how a person names it."""

    def __init__(self, path: str, shown: str, budget: Budget, within: str = "", parents: tuple[str, ...] = ()) -> None:
        self.path, self.shown, self.budget, self.within, self.parents = path, shown, budget, within, parents

    def read(self, name: str, what: str = "file") -> bytes:
        """A file in or below this directory. Raises NotFound, InvalidInput."""
        if not name:
            raise InvalidInput(f"{self.shown}: an empty {what} name")
        _not_remote(name, self.shown)
        path = self.below(name)
        shown = self.name(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"{shown}: no such file") from None
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{shown}: {getattr(error, 'strerror', None) or error}") from None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidInput(f"{shown}: is no regular file")
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise InvalidInput(f"{shown}: larger than {MAX_FILE >> 20} MiB")
        self.budget.file(shown, len(data))
        return data

    def below(self, name: str) -> str:
        """The real path of a file. Raises InvalidInput when it is not in or below this directory."""
        path = _real(os.path.join(self.path, name), self.name(name))
        if not inside(path, self.path):
            raise InvalidInput(
                f"{self.name(name)}: is not in or below {self.shown}",
                hint="a kustomization reads files of its own directory only; another directory with a kustomization can be a resource",
            )
        return path

    def is_directory(self, name: str) -> bool:
        return os.path.isdir(os.path.join(self.path, name))

    def name(self, name: str) -> str:
        return os.path.normpath(os.path.join(self.shown, name))

    def child(self, name: str) -> Root:
        """The directory of another kustomization that this one names. Raises InvalidInput, NotFound."""
        _not_remote(name, self.shown)
        return root(os.path.join(self.path, name), self.name(name), self.budget, self.within, (*self.parents, self.path))

    def kustomization(self) -> tuple[str, bytes]:
        """The name and text of the kustomization file. Raises NotFound, InvalidInput."""
        found = [name for name in NAMES if os.path.lexists(os.path.join(self.path, name))]
        if not found:
            wanted = "', '".join(NAMES[:-1])
            raise NotFound(f"unable to find one of '{wanted}' or '{NAMES[-1]}' in directory '{self.shown}'")
        if len(found) > 1:
            raise InvalidInput(f"Found multiple kustomization files under: {self.shown}: {', '.join(found)}", hint="keep one of them")
        return self.name(found[0]), self.read(found[0])


def root(path: str, shown: str, budget: Budget, within: str = "", parents: tuple[str, ...] = ()) -> Root:
    """A directory, its symlinks followed. Raises InvalidInput for a cycle or one outside of `within`, NotFound."""
    real = _real(path, shown)
    if within and not inside(real, within):
        raise InvalidInput(f"{shown}: is outside of the source it belongs to")
    if not os.path.isdir(real):
        raise NotFound(f"{shown}: no such directory")
    for parent in parents:
        if inside(parent, real):
            raise InvalidInput(f"cycle detected: candidate root '{shown}' contains visited root '{parent}'")
    if len(parents) >= MAX_DEPTH:
        raise InvalidInput(f"{shown}: kustomizations are nested more than {MAX_DEPTH} deep")
    budget.directory(shown)
    return Root(real, shown, budget, within, parents)


def inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def is_remote(name: str) -> bool:
    return any(mark in name for mark in _REMOTE[:1]) or name.startswith(_REMOTE[1:])


def _not_remote(name: str, shown: str) -> None:
    if is_remote(name):
        raise NotSupported(
            f"{shown}: {name!r} is remote: kustomizations are built from local directories only",
            hint="fetch it first (git clone, git submodule, curl) and name the local copy",
        )


def _real(path: str, shown: str) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{shown}: {error}") from None
