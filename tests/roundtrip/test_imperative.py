"""What `generate kube` writes of what `run` made is what a cluster takes, and plays to the same plan."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.play import change
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
    text = written(first, podman_only=True)
    assert play(text) == first
    check(text)


@pytest.mark.parametrize("case", CASES)
def test_for_a_cluster_there_are_no_notes_to_ourselves_and_nothing_else_differs(case: str) -> None:
    first = through(built("sh", "-c", "echo $(date) $$", **CASES[case]))
    text = written(first)
    check(text)
    assert "container-prefix" not in text and "auto-remove" not in text
    again = play(text)
    assert [change.noted(plan, stored) for plan, stored in zip(again.pods, first.pods)] == list(first.pods)
    for one, stored in zip(again.objects, first.objects):
        assert change.as_written(stored.body, one.body) == one.body


@pytest.mark.parametrize("kind", ["deployment", "daemonset", "job"])
def test_a_workload_of_it_plays(kind: str) -> None:
    """`run` makes pods that are not restarted unless asked; what it makes is a server more often than not."""
    text = written(through(built("httpd", memory="64m", publish=("8080:80",))), type=kind, service=kind != "job")
    check(text)
    made = play(text)
    (container,) = made.pods[0].containers
    assert container.resources.memory_request == 64 << 20
    assert made.services == () if kind == "job" else len(made.services) == 1
    assert "restartPolicy" not in text or kind == "job"
