"""The build context: a directory held open for the whole build, and the Containerfile that goes with it."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from kubeplay.engine.build import fetch, lookup, places
from kubeplay.engine.host.syscalls import open_ordinary
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.build.ignore import Matcher
    from kubeplay.engine.build.request import Request
    from kubeplay.engine.build.workspace import Workspace

_LIMIT = 4 << 20  # bytes of a Containerfile or an ignore file


class Context(Record):
    """`root` is an open descriptor. `files` are (name, bytes) of the Containerfiles; `ignore` the rules of the ignore file or None."""

    root: int
    files: tuple[tuple[str, bytes], ...]
    ignore: Matcher | None


def opened(workspace: Workspace, request: Request) -> Context:
    """Open the context of a build. The caller closes `root`. Raises NotFound, InvalidInput, BuildError."""
    text: bytes | None = None
    if request.context == "-":
        directory, text = _stdin(workspace)
    elif fetch.is_git(request.context):
        target = workspace.files()
        inner, _ = fetch.clone(request.context, target)
        directory = _below(target, inner)
    elif fetch.is_url(request.context):
        directory, text = _from_url(workspace, request.context)
    else:
        directory = request.context
    try:
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"the context {request.context}: {error.strerror}", hint="give a directory: kubeplay build .") from error
    try:
        files = (("Containerfile", text),) if text is not None else _containerfiles(root, request)
        return Context(root, files, _ignore(root, request, files[0][0]))
    except BaseException:
        os.close(root)
        raise


def fetched(workspace: Workspace, value: str) -> str:
    """The directory that a --build-context's repository or archive comes to."""
    if fetch.is_git(value):
        target = workspace.files()
        return _below(target, fetch.clone(value, target)[0])
    directory, text = _from_url(workspace, value)
    if text is not None:
        raise InvalidInput(f"--build-context {value}: not an archive")
    return directory


def _below(directory: str, inner: str) -> str:
    if not inner:
        return directory
    root = places.open_root(directory)
    try:
        return f"{directory}{places.true_path(root, inner)}"
    except OSError as error:
        raise NotFound(f"{inner}: {error.strerror} in the repository") from error
    finally:
        os.close(root)


def _stdin(workspace: Workspace) -> tuple[str, bytes | None]:
    """An archive as the context, or a Containerfile with an empty one."""
    from kubeplay.engine.build import archives

    directory = workspace.files()
    path = f"{workspace.files()}/stdin"
    with open(path, "x+b") as file:
        while data := os.read(0, 1 << 20):
            file.write(data)
        file.flush()
        if not archives.looks_like_archive(file.fileno()):
            file.seek(0)
            return directory, _bounded(file.read(_LIMIT + 1), "standard input")
        _unpack(file.fileno(), directory)
    os.unlink(path)
    return directory, None


def _from_url(workspace: Workspace, url: str) -> tuple[str, bytes | None]:
    from kubeplay.engine.build import archives

    directory = workspace.files()
    path = fetch.download(url, workspace.files(), name="context")
    with open(path, "rb") as file:
        if not archives.looks_like_archive(file.fileno()):
            return directory, _bounded(file.read(_LIMIT + 1), url)
        _unpack(file.fileno(), directory)
    os.unlink(path)
    return directory, None


def _unpack(fd: int, directory: str) -> None:
    from kubeplay.engine.build import archives

    root = places.open_root(directory)
    try:
        archives.unpack(fd, root, "")
    finally:
        os.close(root)


def _containerfiles(root: int, request: Request) -> tuple[tuple[str, bytes], ...]:
    if request.files:
        return tuple(_named(root, name) for name in request.files)
    for name in lookup.NAMES:
        data = _inside(root, name)
        if data is not None:
            return ((name, data),)
    raise NotFound(f"there is no Containerfile or Dockerfile in {request.context}", hint="name it: kubeplay build -f FILE")


def _named(root: int, name: str) -> tuple[str, bytes]:
    """-f: standard input, a URL, a path from here, or one in the context."""
    if name == "-":
        return "Containerfile", _bounded(sys.stdin.buffer.read(_LIMIT + 1), "standard input")
    lookup.check(name)
    if os.path.isfile(name):
        with open(name, "rb") as file:
            return name, _bounded(file.read(_LIMIT + 1), name)
    data = None if name.startswith("/") else _inside(root, name)
    if data is None:
        raise NotFound(f"{name}: no such file", hint="-f names a Containerfile, from here or within the context")
    return name, data


def _inside(root: int, name: str) -> bytes | None:
    """A file of the context; its links are followed within it."""
    try:
        fd = open_ordinary(root, name, places.IN_ROOT)
    except OSError:
        return None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return _bounded(file.read(_LIMIT + 1), name)


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > _LIMIT:
        raise InvalidInput(f"{name} is larger than {_LIMIT} bytes")
    return data


def _ignore(root: int, request: Request, file: str) -> Matcher | None:
    from kubeplay.engine.build.ignore import Matcher

    data: bytes | None = None
    if request.ignore_file:
        try:
            with open(request.ignore_file, "rb") as opened:
                data = _bounded(opened.read(_LIMIT + 1), request.ignore_file)
        except OSError as error:
            raise NotFound(f"{request.ignore_file}: {error.strerror}") from error
    for name in () if data is not None else lookup.ignore_names(file):
        if request.files and os.path.isfile(name):  # beside the -f file
            with open(name, "rb") as opened:
                data = _bounded(opened.read(_LIMIT + 1), name)
            break
        data = None if name.startswith("/") else _inside(root, name)
        if data is not None:
            break
    for name in () if data is not None else lookup.IGNORE_NAMES:
        data = _inside(root, name)
        if data is not None:
            break
    if data is None:
        return None
    return Matcher(data.decode(errors="replace"))
