"""What files came to, kept on disk: playing or removing the same files again need not parse, check and compile them.

An entry is found by the digest of everything the result depends on: the bytes of the files, the flags, this version's own sources, and
what the store knows (namespaces). Only clean results are kept, those without a warning to print. Entries hold Secrets as the database
does: 0600 in the root's 0700. Losing the directory loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from kubeplay import __version__
from kubeplay.plan import codec
from kubeplay.play.sources import Source

KEEP = 64  # entries; a person plays a handful of stacks, and each entry is about as large as its files
MAX_ENTRY = 4 << 20  # bytes; reading a larger one back saves nothing worth the disk

_SOURCES = ("kube", "play", "play/compile", "play/kinds", "plan")  # what decides on a result, relative to the package


def key(texts: Sequence[Source], *inputs: object) -> str:
    """The name of an entry: a digest over the texts and every other input's repr."""
    try:  # a few kilobytes of text are not worth the 4 ms of loading OpenSSL, which hashlib does
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
    except ImportError:  # another Python
        from hashlib import sha256

    digest = sha256(repr((__version__, _own_sources(), inputs)).encode())
    for name, data in texts:
        digest.update(f"\0{len(name.encode())} {len(data)}\0".encode() + name.encode() + data)
    return str(digest.hexdigest())


def get(directory: str, name: str) -> Any | None:
    """The record kept under `name`, None when there is none that this version can read."""
    try:
        with open(os.open(f"{directory}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as file:
            return codec.loads(file.read())
    except Exception:  # a cache: whatever is wrong with an entry, the files are still there
        return None


def put(directory: str, name: str, record: object) -> None:
    """Keep a record; failing to is no error (a full disk says so elsewhere)."""
    text = codec.dumps(record).encode()
    if len(text) > MAX_ENTRY:
        return
    temporary = f"{directory}/.{name}.{os.getpid()}"
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(text)
        os.rename(temporary, f"{directory}/{name}")
        _prune(directory)
    except OSError:
        _forget(temporary)


def through(directory: str, name: str, make: Callable[[], tuple[Any, bool]]) -> Any:
    """The record kept under `name`, or what `make` gives: (record, whether it may be kept)."""
    found = get(directory, name)
    if found is not None:
        return found
    made, clean = make()
    if clean:
        put(directory, name, made)
    return made


def _prune(directory: str) -> None:
    with os.scandir(directory) as entries:
        ages = sorted((entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries)
    for _, path in ages[:-KEEP]:
        _forget(path)


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _own_sources() -> float:
    """When our own code was last changed, so that a developer's edit is not answered from yesterday."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    newest = 0.0
    for room in _SOURCES:
        with os.scandir(f"{package}/{room}") as entries:
            newest = max(newest, max((entry.stat().st_mtime for entry in entries if entry.name.endswith((".py", ".json"))), default=0.0))
    return newest
