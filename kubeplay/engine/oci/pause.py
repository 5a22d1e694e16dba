"""The pause container: PID 1 for a pod with shareProcessNamespace. catatonit waits and reaps, nothing else is in its root."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host import processes
from kubeplay.engine.host.machine import machine
from kubeplay.engine.oci import seccomp
from kubeplay.engine.oci.mounts import locked

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map

_PROGRAM = "/catatonit"


def write_bundle(bundle: str, sandbox: str, root: str, group: str, score: int, users: Map | None = None) -> None:
    """Write the pause container's config.json; `root` leads to its root file system. Raises MissingPrerequisite without catatonit."""
    facts = machine()
    if not facts.can_raise_limits:
        score = max(score, facts.oom_score_adj)
    with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
        json.dump(_spec(processes.program("catatonit"), sandbox, root, group, score, users), file)


def _spec(program: str, sandbox: str, root: str, group: str, score: int, users: Map | None) -> dict[str, Any]:
    kinds = (("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"))
    pins = [{"type": kind, "path": f"{sandbox}/ns/{name}"} for kind, name in kinds if os.path.exists(f"{sandbox}/ns/{name}")]
    # whoever shares its processes may be allowed to trace it: what is filtered for them must be for it, too
    ids: dict[str, Any] = {}
    if users:
        from kubeplay.engine.oci.mappings import mappings

        ids = mappings(users)
    program_flags = ["bind", "ro", "nosuid", "nodev", *locked(program, users)]
    calls = seccomp.default((), os.uname().machine) if machine().seccomp else None
    return {
        "ociVersion": "1.0.2",
        "process": {
            "args": [_PROGRAM, "-P"], "cwd": "/", "env": ["PATH=/"], "user": {"uid": 0, "gid": 0},  # record 088
            "noNewPrivileges": True, "capabilities": {}, "oomScoreAdj": score,
        },
        "root": {"path": root, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755", "size=64k"]},
            {"destination": _PROGRAM, "type": "bind", "source": program, "options": program_flags},
        ],
        "linux": {
            **({"cgroupsPath": group, "resources": {"cpu": {"shares": 2}}} if group else {}),
            "namespaces": [{"type": "pid"}, {"type": "mount"}, *pins],
            **ids,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            **({"seccomp": calls} if calls else {}),
            "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"],
        },
    }  # fmt: skip
