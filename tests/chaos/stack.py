"""What runs: pods that note each of their starts, probes that note when they meet themselves, hooks, a file that changes.

The notes are in directories of the host, so that they are not what is tested: `DIRECTORY/POD/starts` has a line for each instance, with
the pod's uid and the container's name; `DIRECTORY/POD/doubles` a line for each probe that ran while the one before it did.
"""

from __future__ import annotations

import json
from pathlib import Path

KINDS = ("plain", "probed", "hooked", "double", "configured")

_START = "echo $POD_UID {name} >> /note/starts; : chaos-{tag}-{pod}-{name}"
_REST = "trap 'exit 0' TERM; while true; do sleep 3600 & wait; done"
_PROBE = (
    "o=$(cat /note/{kind} 2>/dev/null) && grep -q chaos-probe-{kind} /proc/$o/cmdline 2>/dev/null && echo {kind} $o $$ >> /note/doubles;"
    " : chaos-probe-{kind}; echo $$ > /note/{kind}; usleep 300000; rm -f /note/{kind}"
)


def pods(count: int) -> list[str]:
    return [f"{KINDS[number % len(KINDS)]}{number}" for number in range(count)]


def containers(pod: str) -> list[str]:
    return ["main", "other"] if pod.startswith("double") else ["main"]


def manifest(names: list[str], directory: Path, tag: str, version: int) -> str:
    """A ConfigMap of this version and the pods, as a file for play."""
    documents = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"version": str(version)}}]
    return "---\n".join(json.dumps(one) + "\n" for one in [*documents, *[_pod(name, directory, tag) for name in names]])


def _pod(name: str, directory: Path, tag: str) -> dict[str, object]:
    volumes: list[dict[str, object]] = [{"name": "note", "hostPath": {"path": str(directory / name), "type": "DirectoryOrCreate"}}]
    if name.startswith("configured"):
        volumes.append({"name": "conf", "configMap": {"name": "conf"}})
    made = [_container(name, one, tag) for one in containers(name)]
    spec = {"terminationGracePeriodSeconds": 3, "volumes": volumes, "containers": made}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"chaos": tag}}, "spec": spec}


def _container(pod: str, name: str, tag: str) -> dict[str, object]:
    start = _START.format(name=name, tag=tag, pod=pod)
    uid = {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    made: dict[str, object] = {
        "name": name, "image": "busybox:1", "command": ["sh", "-c", f"{start}; {_REST}"], "env": [uid],
        "volumeMounts": [{"name": "note", "mountPath": "/note"}],
    }  # fmt: skip
    if pod.startswith("configured"):
        made["volumeMounts"] = [{"name": "note", "mountPath": "/note"}, {"name": "conf", "mountPath": "/conf"}]
    if pod.startswith("probed"):
        made.update({f"{kind}Probe": _probe(kind) for kind in ("readiness", "liveness")})
    if pod.startswith("hooked"):
        made["lifecycle"] = {"postStart": _exec("usleep 200000; touch /hooked"), "preStop": _exec("usleep 200000")}
    return made


def _probe(kind: str) -> dict[str, object]:
    """One that a busy machine does not make fail."""
    return {**_exec(_PROBE.format(kind=kind)), "periodSeconds": 1, "timeoutSeconds": 30, "failureThreshold": 20}


def _exec(script: str) -> dict[str, object]:
    return {"exec": {"command": ["sh", "-c", script]}}
