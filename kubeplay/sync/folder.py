"""A folder's manifests as texts: what its kustomization builds, or its files."""

from __future__ import annotations

import os

from kubeplay.errors import InvalidInput, KubeplayError, NotFound
from kubeplay.play.sources import MAX_FILES, SUFFIXES, Source, load

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")  # kustomize's own names


def texts(top: str, path: str, shown: str, recursive: bool, *, fetched: bool = False) -> list[Source]:
    """(name, content) of every manifest in the folder `path` of the source that lies at `top`. Raises InvalidInput, NotFound.

    `fetched`: the files are somebody else's, and a kustomization may use nothing beside them.
    A folder without any manifest is an error, never an empty stack: a wrong --path must not take down what runs.
    """
    folder = _inside(top, path, shown)
    within = os.path.realpath(top) if fetched else ""
    found = _kustomized(folder, within)
    if found is None:
        found = _walked(folder, within, shown) if recursive else _flat(folder, shown)
    prefix = os.path.realpath(top) + "/"
    names = [f"{shown}/{name.removeprefix(prefix)}" if name.startswith(prefix) else name for name, _ in found]
    # a name of other bytes than text can be said in no message and stored in no table
    return [(name.encode("utf-8", "replace").decode(), data) for name, (_, data) in zip(names, found)]


def _inside(top: str, path: str, shown: str) -> str:
    real = os.path.realpath(top)
    folder = os.path.realpath(os.path.join(real, path))
    if folder != real and not folder.startswith(f"{real}/"):
        raise InvalidInput(f"--path {path[:200]!r} leads out of {shown}")
    if not os.path.isdir(folder):
        raise NotFound(f"{shown}: there is no folder {path!r} in it" if path else f"{shown}: no such directory")
    return folder


def _kustomized(folder: str, within: str) -> list[Source] | None:
    """What the folder's kustomization builds, None without one."""
    if not _is_kustomization(folder):
        return None
    from kubeplay.kustomize import build

    return [(f"{folder}/kustomization", build.build(folder, within=within).text().encode())]


def _flat(folder: str, shown: str) -> list[Source]:
    try:
        return load([folder], None)
    except InvalidInput as error:
        below = any(os.path.isdir(f"{folder}/{name}") for name in os.listdir(folder) if not name.startswith("."))
        if error.faults or error.hint or not below or any(name.endswith(SUFFIXES) for name in os.listdir(folder)):
            raise
        hint = "-R looks into the folders below, --path names one"
        raise InvalidInput(f"{shown}: no {', '.join(SUFFIXES)} file in this folder", hint=hint) from None


def _walked(folder: str, within: str, shown: str) -> list[Source]:
    """Every manifest below; a folder with a kustomization counts as what it builds."""
    found: list[Source] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        built = _kustomized(here, within)
        if built is not None:
            folders.clear()
            found += built
            continue
        found += load([f"{here}/{name}" for name in sorted(names) if name.endswith(SUFFIXES) and not name.startswith(".")], None)
        if len(found) > MAX_FILES:
            raise InvalidInput(f"{shown}: more than {MAX_FILES} files")
    if not found:
        raise InvalidInput(f"{shown}: no {', '.join(SUFFIXES)} file in this folder or below it")
    return found


def places(top: str, path: str, recursive: bool) -> list[tuple[str, bool]]:
    """The directories to watch, each with whether what lies below it counts: a kustomization may use any file below, and bases beside."""
    folder = os.path.join(top, path) if path else top
    if not _is_kustomization(folder):
        return [(folder, recursive)]
    return [(folder, True), *[(base, False) for base in _bases(folder) if not _below(base, folder)]]


def _is_kustomization(folder: str) -> bool:
    return any(os.path.isfile(f"{folder}/{name}") for name in KUSTOMIZATIONS)


def _bases(folder: str) -> list[str]:
    """The directories of the files that a kustomization is built from; none while it cannot be built."""
    from kubeplay.kustomize import build

    try:
        origins = [one.origin.partition(": ")[0] for one in build.build(folder).objects]
    except KubeplayError:
        return []
    return sorted({one if os.path.isdir(one) else os.path.dirname(one) for one in origins if one.startswith("/")})


def _below(path: str, directory: str) -> bool:
    real = os.path.realpath(directory)
    return path == real or path.startswith(f"{real}/")


def renamed(error: KubeplayError, directory: str, shown: str) -> None:
    """Have an error name the source where it names our copy of it."""
    error.message = error.message.replace(directory, shown)
    error.hint = error.hint.replace(directory, shown)
    if isinstance(error, InvalidInput):
        faults = error.faults
        error.faults = tuple(
            one._replace(source=one.source.replace(directory, shown), message=one.message.replace(directory, shown)) for one in faults
        )
