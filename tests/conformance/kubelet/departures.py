"""Where a recorded case is not played here, or where we differ from the kubelet on purpose; each with its reason."""

from __future__ import annotations

# case -> what it needs; play refuses these with `not supported`.
LATER: dict[str, str] = {}

_LATE = "its events tell the same error; the record ends before the kubelet's next sync would have shown it, as it does in 173"

# The harness deleted the pod while it was watched.
DELETES: frozenset[str] = frozenset(
    {
        *("153-term-ignored", "155-term-prestop", "157-term-prestop-fail", "159-term-grace0", "161-term-stopsignal"),
        *("200-del-crashloop", "202-del-prestop-http", "237-grace-negative", "255-sleep-pid1"),
    }
)

# case -> {text within a difference: reason}.
DEPARTURES: dict[str, dict[str, str]] = {
    "179-filekey-dup": {"CreateContainerConfigError": _LATE},
    "181-filekey-missing-key": {"CreateContainerConfigError": _LATE},
    "219-token-perms-root": {
        "token-perms-root": "no token is mounted unless asked for: there is no API server that would take it (docs/decisions/0504)"
    },
    "131-sidecar-crash": {
        "side.restartCount": "that node noticed the end of a back-off seconds late, and the pod ended before; ours restarts on time",
        "side.state": "the kubelet lost sight of the sidecar when the pod ended; ours knows how it ended",
        "side.lastState": "as side.restartCount",
    },
    "233-hostip-bad": {"hostip-bad": "hostPort was not wired on that node; ours refuses a host address that this machine does not have"},
}

# case -> why its log lines are bound to that machine.
IGNORED_LOGS: dict[str, str] = {
    "080-privileged": "lists the node's devices",
    "104-cgroup": "prints the node's cgroup hierarchies",
    "106-cgroup-guaranteed": "prints the node's cgroup hierarchies",
    "100-net-hostnetwork-cf": "contains a copy of the node's /etc/hosts",
    "102-net-containers-share": "prints the pod's prefix: ours are routed, a /32 each (DESIGN.md)",
    "186-killed-by-15": "prints a process number",
    "184-killed-by-9": "prints a process number",
    "188-killed-by-1": "prints a process number",
    "233-hostip-bad": "see DEPARTURES",
    "159-term-grace0": "its shell looks once a second and has two seconds (TE2): see e2e/test_fields_hooks.py",
    "161-term-stopsignal": "the kubelet's gate for stopSignal was off there; we honour it, as Podman does",
    "039-vol-projected": "shows the beginning and the length of a token; modes and owners: e2e/test_fields_files.py",
    "219-token-perms-root": "see DEPARTURES",
    "257-cm-update": "goes on for 100 seconds; the harness changed the object after 80: test_cm_update.py does so at once",
    "033-downward-env": "contains the node's storage and CPU capacity",
}
