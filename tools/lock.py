#!/usr/bin/env python3
"""Write requirements.lock: every dependency pinned with its hashes, from pyproject.toml's ranges.

usage: .venv/bin/python tools/lock.py      (needs the package index)
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent.parent


def main() -> None:
    text = tomllib.loads((HERE / "pyproject.toml").read_text())
    project = text["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"], *text["build-system"]["requires"]]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-", *wanted]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    rows = []
    for item in report["install"]:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        rows.append(f"{name.lower()}=={version} --hash=sha256:{digest}")
    lock = "# Written by tools/lock.py; x86-64 Linux, CPython 3.11.\n" + "\n".join(sorted(rows)) + "\n"
    (HERE / "requirements.lock").write_text(lock)


if __name__ == "__main__":
    main()
