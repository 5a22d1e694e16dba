"""Files that several threads of one process may write at the same moment: each writes its own and renames it into place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host import on_exit
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers import snapshotter
from kubeplay.engine.oci import runtime
from kubeplay.supervisor import start


def writers(where: Path) -> dict[str, Callable[[], None]]:
    paths = Paths(Settings(root=str(where / "root"), runroot=str(where / "run")))
    for directory in (paths.root, paths.runroot):
        os.makedirs(directory)
    host = runtime.Host(*[""] * len(runtime.Host._fields))
    return {
        "snapshotter": lambda: snapshotter._keep(paths, "", snapshotter.Choice("overlay", "")),
        "runtime": lambda: runtime._keep(str(where / "runtime.json"), "", host),
        "supervisor": lambda: start._put(str(where / "loop"), "text"),
        "on-exit": lambda: on_exit.install(paths),
    }


@pytest.mark.parametrize("name", ["snapshotter", "runtime", "supervisor", "on-exit"])
def test_one_comes_between_anothers_writing_and_renaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write, rename, between = writers(tmp_path)[name], os.rename, [True]

    def late(source: str, target: str) -> None:
        if between:
            between.clear()
            os.unlink(target) if os.path.exists(target) else None
            write()
            os.unlink(target)  # what the supervisor's finds as it should be it does not write again
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    write()
    assert not between and not [path for path in tmp_path.rglob("*") if str(os.getpid()) in path.name]
