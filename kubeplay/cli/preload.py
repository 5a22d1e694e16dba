"""Modules from one file: a command imports some 150 modules, and finding, opening and reading each costs more than running it.

`python -m kubeplay.cli.preload` writes the compiled code of ours and of the standard library's modules that we use into one file beside
the other bytecode; `install` puts a finder for it before Python's own. A module that has changed since (time or size), or any other
Python, is not served from it, so the worst a stale file does is nothing. See docs/decisions/0004-preload.md.
"""

from __future__ import annotations

import marshal
import posix
import sys

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

_MAGIC = "kubeplay-preload-1"
_LONGEST = 1 << 22  # bytes of a table; ours has some 80 KB


def _path() -> str:
    """The file of this Python's, in the package's own __pycache__."""
    package = __file__.rpartition("/cli/")[0]
    return f"{package}/__pycache__/preload.{sys.implementation.cache_tag}"


def install() -> None:
    """Serve imports from the file, when there is one for this very Python at this very place."""
    try:
        fd = posix.open(_path(), posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW)
    except OSError:
        return
    try:
        length = int.from_bytes(posix.read(fd, 8), "little")
        magic, version, place, table = marshal.loads(posix.read(fd, min(length, _LONGEST)))
        if (magic, version, place) == (_MAGIC, sys.version, __file__):
            sys.meta_path.insert(0, _Finder(fd, 8 + length, table))
            return
    except (ValueError, EOFError, TypeError):
        pass
    posix.close(fd)


class _Finder:
    """Finder and loader over the open file.

    `table`: name -> (package?, origin, mtime_ns, size, offset, length); mtime_ns 0 = comes and goes with this Python, not looked at.
    """

    def __init__(self, fd: int, start: int, table: dict[str, Any]) -> None:
        self._fd = fd
        self._start = start
        self._table = table
        self._spec: Any = type(sys.__spec__)  # importlib.machinery.ModuleSpec, without the import

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        entry = self._table.get(name)
        if entry is None:
            return None
        package, origin, mtime, size, _, _ = entry
        if mtime:
            try:
                info = posix.stat(origin)
            except OSError:
                return None
            if info.st_mtime_ns != mtime or info.st_size != size:
                return None
        spec: Any = self._spec(name, self, origin=origin, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations.append(origin.rpartition("/")[0])
        found: ModuleSpec = spec
        return found

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        _, _, _, _, offset, length = self._table[name]
        code: CodeType = marshal.loads(posix.pread(self._fd, length, self._start + offset))
        return code

    def get_filename(self, name: str) -> str:
        return str(self._table[name][1])

    def is_package(self, name: str) -> bool:
        return bool(self._table[name][0])

    def get_source(self, name: str) -> str:
        with open(self._table[name][1], encoding="utf-8") as file:
            return file.read()


def write() -> str:
    """Write the file for this Python; returns its path. Raises OSError."""
    import os

    codes = {}
    for name, module in sorted(_modules().items()):
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        if spec is None or not origin or not origin.endswith(".py") or not hasattr(spec.loader, "get_code"):
            continue
        info = os.stat(origin)
        trusted = name.partition(".")[0] in sys.stdlib_module_names  # comes and goes with sys.version
        stamp = (0, 0) if trusted else (info.st_mtime_ns, info.st_size)
        codes[name] = (spec.submodule_search_locations is not None, origin, *stamp, marshal.dumps(spec.loader.get_code(name)))
    table, offset = {}, 0
    for name, entry in codes.items():
        table[name] = (*entry[:4], offset, len(entry[4]))
        offset += len(entry[4])
    return _save(marshal.dumps((_MAGIC, sys.version, __file__, table)), [entry[4] for entry in codes.values()])


def _save(head: bytes, codes: list[bytes]) -> str:
    import os

    path = _path()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.{os.getpid()}", "wb") as file:
        file.write(len(head).to_bytes(8, "little") + head + b"".join(codes))
    os.rename(file.name, path)
    return path


def _modules() -> dict[str, ModuleType]:
    """Everything of ours imported, and what came with it; not what only tests and generators use."""
    import importlib
    import os

    package = __file__.rpartition("/cli/")[0]
    for directory, _, files in os.walk(package):
        for file in files:
            name = os.path.relpath(f"{directory}/{file}", os.path.dirname(package)).removesuffix(".py").replace("/", ".")
            if file.endswith(".py") and not name.endswith(("__main__", "kube.models", "cli.preload")):
                importlib.import_module(name.removesuffix(".__init__"))
    wanted = {*sys.stdlib_module_names, "kubeplay", "yaml"}
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in wanted and name != "__main__"}


if __name__ == "__main__":
    print(write())
