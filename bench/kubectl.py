"""kubectl as a peer: $KUBECTL, or the one on the PATH. Debian's is in the package kubernetes-client."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from bench.peers import Peer


def find() -> Peer | None:
    """The program, None where there is none; its name is with its version."""
    path = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not path:
        return None
    done = subprocess.run([path, "version", "--client"], capture_output=True, text=True, check=False)
    found = re.search(r"v[0-9]+\.[0-9]+\.[0-9]+", done.stdout + done.stderr)
    return Peer(f"kubectl {found[0] if found else '?'}", [path])
