"""A git repository of a test's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HERE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@a", "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@a", "PATH": os.environ["PATH"]}  # fmt: skip


class Repository:
    """A work tree; `repository("tag", "v1")` runs git in it, apart from this person's configuration."""

    def __init__(self, path: Path) -> None:
        self.path, self.home = path, path.parent / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        path.mkdir()
        self("init", "-q", "-b", "main")

    def __call__(self, *words: str) -> str:
        argv = ["git", "-C", str(self.path), *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, env={**HERE, "HOME": str(self.home)}).stdout.strip()

    def commit(self, **files: str) -> str:
        """Write files (`base__app_yaml` is base/app.yaml) and commit all that there is; the commit's name."""
        for name, text in files.items():
            place = self.path / name.replace("__", "/").replace("_yaml", ".yaml")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", "x")
        return self("rev-parse", "HEAD")
