"""A copy of this checkout that another user can run: the files as a clone has them, a Python that the user reaches, our packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
NOT_COPIED = ("mypy*", "ruff*", "pip", "pip-*", "__editable__*", "*__mypyc*")  # of site-packages: linters, and the way to root's checkout


def copy(checkout: Path, uid: int, gid: int) -> None:
    """Make `checkout` for that user; its packages are links to ours where they can be, which nobody but root can write."""
    checkout.mkdir()
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    names = b"\0".join(name for name in listed.split(b"\0") if name and os.path.lexists(os.path.join(os.fsencode(REPOSITORY), name)))
    packed = subprocess.run(["tar", "--null", "-T", "-", "-cf", "-"], cwd=REPOSITORY, input=names, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-C", str(checkout), "-xf", "-"], input=packed, check=True)
    subprocess.run(["chown", "-hR", f"{uid}:{gid}", str(checkout)], check=True)
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    _interpreter(venv, uid)
    _packages(checkout, venv)
    for path in (venv, venv / "bin", *(venv / "bin").iterdir()):  # not lib: those files are root's own
        os.chown(path, uid, gid, follow_symlinks=False)


def _interpreter(venv: Path, uid: int) -> None:
    """Our own Python where the user may run it, Debian's of the same version, or a copy of ours."""
    for python in (f"{sys.base_prefix}/bin/{VERSION}", f"/usr/bin/{VERSION}"):
        # through env: setpriv itself still finds programs with root's powers
        tried = ["setpriv", f"--reuid={uid}", "--regid=65534", "--clear-groups", "env", python, "-c", "import ssl"]
        if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            break
    else:
        copied = venv / "base"
        shutil.copytree(sys.base_prefix, copied, symlinks=True, ignore=shutil.ignore_patterns("site-packages", "test", "__pycache__"))
        python = f"{copied}/bin/{VERSION}"
    version = VERSION.removeprefix("python")
    (venv / "pyvenv.cfg").write_text(f"home = {os.path.dirname(python)}\ninclude-system-site-packages = false\nversion = {version}\n")
    for name in ("python", "python3", VERSION):
        (venv / "bin" / name).symlink_to(python)


def _packages(checkout: Path, venv: Path) -> None:
    ours, theirs = Path(sys.prefix) / "lib" / VERSION / "site-packages", venv / "lib" / VERSION / "site-packages"
    shutil.copytree(ours, theirs, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED), copy_function=_link)
    (theirs / "kubeplay.pth").write_text(f"{checkout}\n")
    shutil.copy(Path(sys.prefix) / ".kubeplay-lock", venv)


def _link(source: str, target: str) -> None:
    """A second name for root's file, which the user cannot write; a copy on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
