"""What must be true when the monkey has gone: looked at from outside, by the notes of the pods and the processes of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.chaos import stack
from tests.support.kubeplay import Machine, processes


def faults(machine: Machine, names: list[str], notes: Path, version: int) -> list[str]:
    """Everything that is not as it should be, one line each; none is what a run waits for."""
    shown = {pod["metadata"]["name"]: pod for pod in _pods(machine, names)}
    lines = [(pid, words) for pid, words in processes() if f"chaos-{machine.tag}-" in words and "sh -c echo" in words]
    found: list[str] = []
    for name in names:
        if name not in shown:
            found.append(f"{name}: is not there")
            continue
        found += _status(shown[name])
        for container in stack.containers(name):
            alive = [pid for pid, words in lines if f"chaos-{machine.tag}-{name}-{container};" in words]
            if len(alive) != 1:
                found.append(f"{name}/{container}: runs {len(alive)} times: {alive}")
            found += _restarts(shown[name], container, notes)
        if name.startswith("configured") and (said := _version(machine, name)) != str(version):
            found.append(f"{name}: sees version {said} of the ConfigMap, not {version}")
    return found + doubles(notes)


def doubles(notes: Path) -> list[str]:
    """Probes that ran while another of their kind did."""
    return [f"{path.parent.name}: probes at once: {path.read_text().splitlines()}" for path in sorted(notes.glob("*/doubles"))]


def _pods(machine: Machine, names: list[str]) -> list[dict[str, Any]]:
    said = machine("pod", "inspect", *names, "--format", "json", status=None)
    if said.status:  # one is not there: the others one by one
        return [machine.pod(name) for name in names if not machine("pod", "exists", name, status=None).status]
    shown = said.json
    return shown if isinstance(shown, list) else [shown]


def _status(pod: dict[str, Any]) -> list[str]:
    name, status = pod["metadata"]["name"], pod["status"]
    found = [] if status.get("phase") == "Running" else [f"{name}: {status.get('phase')}"]
    found += [f"{name}: {c['type']} {c['status']} {c.get('message', '')}" for c in status.get("conditions", []) if c["status"] != "True"]
    return found + [f"{name}/{c['name']}: {c['state']}" for c in status.get("containerStatuses", []) if "running" not in c["state"]]


def _restarts(pod: dict[str, Any], container: str, notes: Path) -> list[str]:
    """restartCount against the container's own notes: one line an instance of this very pod."""
    path = notes / pod["metadata"]["name"] / "starts"
    lines = path.read_text().splitlines() if path.exists() else []
    starts = lines.count(f"{pod['metadata']['uid']} {container}")
    counted = next((c["restartCount"] for c in pod["status"].get("containerStatuses", []) if c["name"] == container), -1)
    return [] if starts == counted + 1 else [f"{pod['metadata']['name']}/{container}: restartCount {counted}, but started {starts} times"]


def _version(machine: Machine, pod: str) -> str:
    return machine("exec", f"{pod}-main", "cat", "/conf/version", status=None).out.strip()
