"""What `generate kube` writes of what `run` made is what a cluster takes, and plays to the same plan."""

from __future__ import annotations

from typing import Any

import pytest

from tests.roundtrip.test_roundtrip import check, written
from tests.support.machines import built, through
from tests.support.manifests import play

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "program": {"entrypoint": '["sh", "-c"]', "env": ("A=$(HOME) $$",), "workdir": "/x", "tty": True, "interactive": True},
    "limits": {"memory": "64m", "cpus": "1.5", "cpu_shares": 512, "cpuset_cpus": "0", "pids_limit": 10},
    "security": {"user": "5:6", "cap_add": ("NET_ADMIN",), "cap_drop": ("ALL",), "group_add": ("7",),
                 "security_opt": ("no-new-privileges", "seccomp=unconfined")},
    "privileged": {"privileged": True},
    "mounts": {"volume": ("/srv:/a:ro", "data:/b", "/c"), "tmpfs": ("/d:size=1m",), "device": ("/dev/fuse",), "shm_size": "1m",
               "read_only": True, "mount": ("type=image,source=localhost/x:1,target=/e",)},
    "network": {"publish": ("8080:80", "127.0.0.1:53:53/udp"), "hostname": "h", "add_host": ("db:10.0.0.1",), "dns": ("1.1.1.1",),
                "label": ("app=web",), "annotation": ("note=text",)},
    "life": {"restart": "on-failure", "stop_timeout": 3, "stop_signal": "INT", "init": True},
    "removed": {"rm": True, "pull": "newer"},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case: str) -> None:
    first = through(built("sh", "-c", "echo $(date) $$", **CASES[case]))
    text = written(first)
    assert play(text) == first
    check(text)
