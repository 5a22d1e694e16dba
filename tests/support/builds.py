"""Builds in this process, on a root of their own with a busybox image: real overlays, a real runtime.

`builds` is a fixture to import; at the end nothing of a build may be left: mounts, cgroups, directories, leases.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kubeplay.config import Settings
from kubeplay.engine.build.request import Request
from kubeplay.engine.build.run import build
from kubeplay.engine.engine import Engine
from kubeplay.engine.host import runroot
from kubeplay.engine.host.syscalls import umount
from kubeplay.engine.layers import overlay
from tests.support.engines import busybox_tar

BASE = "localhost/base:1"


class Told:
    """What a build said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.data = b""

    def line(self, text: str) -> None:
        self.lines.append(text)

    def output(self, stream: int, data: bytes) -> None:
        self.data += data

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")

    @property
    def cached(self) -> int:
        """How many steps came from the cache."""
        return sum(1 for line in self.lines if "Using cache" in line)


class Builds:
    """One root; `told` is what the last build said."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = Settings(root=str(directory / "root"), runroot=str(directory / "run"))
        self.engine = Engine(self.settings)
        self.told = Told()
        self._views = 0
        self._contexts = 0

    def context(self, files: Mapping[str, Any]) -> Path:
        """A directory with files: text or bytes, None = a directory, Path = a link to it."""
        self._contexts += 1
        base = self.directory / f"context{self._contexts}"
        base.mkdir()
        write(base, files)
        return base

    def __call__(self, text: str, files: Mapping[str, Any] | None = None, *, context: Path | None = None, **request: Any) -> str:
        """Build a Containerfile (BASE stands for the busybox image); returns the image's id."""
        where = context or self.context(files or {})
        file = self.directory / f"Containerfile{self._contexts}"
        file.write_text(text.replace("FROM BASE", f"FROM {BASE}"))
        self.told = Told()
        return build(self.engine, Request(context=str(where), files=(str(file),), **request), self.told)

    def tree(self, image: str) -> Path:
        """The image's files, mounted read-only until the test ends."""
        self._views += 1
        target = self.directory / f"view{self._views}"
        target.mkdir()
        row = self.engine.images.get(image)
        overlay.view_rootfs(row.layers, str(target), self.engine.paths)
        return target

    def config(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.engine.images.get(image).config)
        return found

    def layers(self, image: str) -> tuple[str, ...]:
        """The diff ids above the base's."""
        return self.engine.images.get(image).layers[len(self.engine.images.get(BASE).layers) :]

    def members(self, diff_id: str) -> list[str]:
        """The paths that a layer holds."""
        top = Path(self.engine.paths.layer(diff_id)) / "fs"
        return sorted(str(path.relative_to(top)) for path in top.rglob("*"))

    def leaks(self) -> list[str]:
        paths = self.engine.paths
        found = [str(p) for base in (paths.root, paths.runroot) for p in Path(base, "build").glob("*")]
        found += [f"mount {point}" for point in runroot.mounts_below(str(self.directory)) if point != self.settings.runroot]
        found += [f"lease {lease}" for lease in self.engine.store.leases.held() if lease.holder.startswith("build-")]
        found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"*/{self.settings.cgroup_parent}/build")]
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        found += [line for line in links.splitlines() if self.settings.bridge in line]
        return found + [f"layers/{name}" for name in os.listdir(f"{paths.root}/layers") if name.startswith((".tmp", ".del"))]

    def unmount(self) -> None:
        for path in runroot.mounts_below(str(self.directory)):
            if "/view" in path:
                umount(path)

    def destroy(self) -> None:
        try:
            self.unmount()
            self.engine.net.reset()
        finally:
            self.engine.close()
            runroot.release(self.engine.paths)
            self.engine.cgroups.kill(f"/{self.settings.cgroup_parent}")
            self.engine.cgroups.remove(f"/{self.settings.cgroup_parent}")


def write(base: Path, files: Mapping[str, Any]) -> None:
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, Path):
            path.symlink_to(content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture(scope="session")
def shared_builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    made = Builds(tmp_path_factory.mktemp("builds"))
    made.engine.images.import_tar(str(busybox_tar(made.directory)), BASE, ["ENV PATH=/bin", 'CMD ["sh"]'])
    yield made
    made.destroy()


@pytest.fixture
def builds(shared_builds: Builds) -> Iterator[Builds]:
    yield shared_builds
    shared_builds.unmount()
    assert shared_builds.leaks() == []
