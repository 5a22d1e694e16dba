"""The plan cache seen from outside: it is filled, it is used, and no Secret is in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.kubeplay import PROGRAM

pytestmark = pytest.mark.root
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: very-hidden-value}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n"


def _run(root: Path, *args: str) -> str:
    argv = [str(PROGRAM), "--root", str(root / "root"), "--runroot", str(root / "run"), *args]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_secrets_stay_out_and_a_changed_file_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    plans = tmp_path / "root/cache/plans"
    try:
        file.write_text(CONFIG)
        _run(tmp_path, "play", "kube", str(file))
        _run(tmp_path, "play", "kube", str(file))
        first = set(os.listdir(plans))
        file.write_text(CONFIG.replace("k: v", "k: w"))
        _run(tmp_path, "play", "kube", "--replace", str(file))
        assert '"w"' in _run(tmp_path, "configmap", "inspect", "c") and len(os.listdir(plans)) == len(first) + 1
        file.write_text(CONFIG + "---\n" + SECRET)
        _run(tmp_path, "play", "kube", "--replace", str(file))
        _run(tmp_path, "kube", "down", str(file))
        kept = [path for path in plans.iterdir() if b"very-hidden" in path.read_bytes() or b"dmVyeS1oaWRk" in path.read_bytes()]
        assert not kept and first
    finally:
        _run(tmp_path, "system", "reset", "--force")
