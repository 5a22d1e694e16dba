"""The command line as a person has it: real processes, a root of its own, images from busybox-static."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kubeplay.config import Settings
from tests.support import seen

ROOT = Path(__file__).resolve().parents[2]


class Said(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Kubeplay:
    """`kubeplay` on one root; `kp("ps", "-a")` runs it and gives what it said."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root, self.runroot = directory / "root", directory / "run"
        self.env = {**os.environ, "KUBEPLAY_ROOT": str(self.root), "KUBEPLAY_RUNROOT": str(self.runroot), "PYTHONPATH": str(ROOT)}
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.env["PYTHONPYCACHEPREFIX"] = str(directory / "pycache")

    def __call__(self, *argv: str, stdin: str = "", status: int | None = 0, timeout: float = 300) -> Said:
        """`status` is what is expected; None = anything."""
        done = subprocess.run(self.argv(*argv), env=self.env, input=stdin, capture_output=True, text=True, timeout=timeout, cwd="/")
        said = Said(done.returncode, done.stdout, done.stderr)
        assert status is None or said.status == status, (argv, said)
        return said

    def argv(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "kubeplay", *argv]

    def start(self, *argv: str, **more: Any) -> subprocess.Popen[str]:
        """A command that is not waited for."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(self.argv(*argv), env=self.env, text=True, cwd="/", **pipes)

    def says(self, container: str, wanted: str, seconds: float = 100) -> None:
        """Hold that the container's log is this, soon: `play` returns when it is started."""
        deadline = time.monotonic() + seconds
        while (found := self("logs", container).out) != wanted:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def image(self, name: str = "localhost/bb:1", *changes: str) -> None:
        """An image of busybox with all its applets."""
        tar = self.directory / "bb.tar"
        if not tar.exists():
            tree = self.directory / "bb"
            (tree / "bin").mkdir(parents=True)
            (tree / "etc").mkdir()
            (tree / "tmp").mkdir(mode=0o1777)
            (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345:app:/:/bin/sh\n")
            busybox = subprocess.run(["sh", "-c", "command -v busybox"], capture_output=True, text=True, check=True).stdout.strip()
            (tree / "bin/busybox").write_bytes(Path(busybox).read_bytes())
            (tree / "bin/busybox").chmod(0o755)
            for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
                if applet != "busybox":
                    (tree / "bin" / applet).symlink_to("busybox")
            subprocess.run(["tar", "-C", str(tree), "--owner=0", "--group=0", "-cf", str(tar), "."], check=True)
        options = [word for change in ("ENV PATH=/bin", *changes) for word in ("-c", change)]
        self("image", "import", *options, str(tar), name)


def installed(directory: Path) -> Iterator[Kubeplay]:
    """A root for a fixture; everything of it goes at the end, and that nothing is left is part of the test."""
    kp = Kubeplay(directory)
    try:
        yield kp
    finally:
        said = kp("system", "reset", "--force", status=None)
        mounts = [line for line in seen.mounts() if str(directory) in line]
        assert said.status == 0 and not mounts, (said, mounts)
        tag = Settings(root=str(kp.root)).tag
        left = [line for line in (*seen.links(), *seen.nft_tables()) if tag in line]
        assert not left, (said, left)
