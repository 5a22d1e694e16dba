"""export: a container's whole root file system as a tar archive, without its volumes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.engine import views
from kubeplay.errors import Exhausted, KubeplayError, StoreError

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.runtime import ContainerRow

_CHUNK = 1 << 20


def export(engine: Engine, row: ContainerRow, target: str) -> None:
    """Write the archive to the file `target`, "" = standard output. Raises NotRunning (it never started), Exhausted, StoreError."""
    with views.root(engine, row) as root:
        if not target:
            _write(root, 1, "standard output")
            return
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
        try:
            _write(root, fd, target)
        except BaseException:
            if os.path.isfile(target):  # half an archive looks like a whole one
                os.unlink(target)
            raise
        finally:
            os.close(fd)


def _write(root: int, fd: int, where: str) -> None:
    from kubeplay.engine.layers.walk import Manner
    from kubeplay.engine.layers.write import tar_tree

    reader = tar_tree(root, Manner())
    try:
        while data := reader.read(_CHUNK):
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _told(error, where) from error
    finally:
        reader.close()


def _told(error: OSError, where: str) -> KubeplayError:
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return Exhausted(f"{where}: no space left for the archive", hint="free some space and try again")
    return StoreError(f"{where}: {error.strerror}")
