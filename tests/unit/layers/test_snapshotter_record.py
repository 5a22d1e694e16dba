"""What was found out about stacking layers is written by several threads at once."""

from __future__ import annotations

import threading
from pathlib import Path

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers import snapshotter


def test_several_threads_note_it_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    for number in range(20):
        root = tmp_path / str(number)
        root.mkdir()
        paths = Paths(Settings(root=str(root), runroot=f"{root}/run"))

        def note(paths: Paths = paths) -> None:
            try:
                snapshotter._keep(paths, "", snapshotter.Choice("overlay"))
            except OSError as error:
                errors.append(error)

        threads = [threading.Thread(target=note) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [path.name for path in root.iterdir()] == [snapshotter.FILE]
    assert not errors
