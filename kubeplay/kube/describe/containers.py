"""The container sections of `describe pod`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube.describe.text import NONE, Page, moment

Json = dict[str, Any]


def containers(page: Page, label: str, specs: Sequence[Json], statuses: Sequence[Json] | None) -> None:
    """`Containers:`, each with what it should be and how it is; those of a template (None) have no state."""
    known = {one["name"]: one for one in statuses or ()}
    page.line(0, f"{label}:")
    for spec in specs:
        page.line(1, f"{spec['name']}:")
        _basics(page, spec, None if statuses is None else known.get(spec["name"], {}))
        _words(page, "Command", spec.get("command"))
        _words(page, "Args", spec.get("args"))
        if spec["name"] in known:
            _status(page, known[spec["name"]])
        resources(page, spec.get("resources") or {}, 2)
        for name in ("liveness", "readiness", "startup"):
            if spec.get(f"{name}Probe"):
                page.pair(2, name.capitalize(), probe(spec[f"{name}Probe"]))
        _sources(page, spec.get("envFrom") or [])
        _environment(page, spec.get("env") or [])
        _mounts(page, spec)


def _basics(page: Page, spec: Json, status: Json | None) -> None:
    if status is not None:
        page.pair(2, "Container ID", status.get("containerID", ""))
    page.pair(2, "Image", spec.get("image", ""))
    if status is not None:
        page.pair(2, "Image ID", status.get("imageID", ""))
    ports = spec.get("ports") or []
    s = "s" if len(ports) > 1 else ""
    page.pair(2, f"Port{s}", ", ".join(map(_port, ports)) or NONE)
    page.pair(2, f"Host Port{s}", ", ".join(f"{p.get('hostPort', 0)}/{p.get('protocol') or 'TCP'}" for p in ports) or NONE)
    profile = (spec.get("securityContext") or {}).get("seccompProfile")
    if profile:
        page.pair(2, "SeccompProfile", profile.get("type", ""))
    if spec.get("targetContainerName"):
        page.pair(2, "Target Container", spec["targetContainerName"])
    if spec.get("restartPolicy"):
        page.pair(2, "Restart Policy", spec["restartPolicy"])


def _port(port: Json) -> str:
    named = f" ({port['name']})" if port.get("name") else ""
    return f"{port.get('containerPort')}/{port.get('protocol') or 'TCP'}{named}"


def _words(page: Page, label: str, words: Sequence[str] | None) -> None:
    if words:
        page.line(2, f"{label}:")
        for word in words:
            for line in str(word).split("\n"):
                page.line(3, line)


def _status(page: Page, status: Json) -> None:
    _state(page, "State", status.get("state") or {})
    if status.get("lastState"):
        _state(page, "Last State", status["lastState"])
    page.pair(2, "Ready", str(bool(status.get("ready"))))
    page.pair(2, "Restart Count", status.get("restartCount", 0))


def _state(page: Page, label: str, state: Json) -> None:
    if "running" in state:
        page.pair(2, label, "Running")
        page.pair(3, "Started", moment(state["running"].get("startedAt")))
    elif "terminated" in state:
        ended = state["terminated"]
        page.pair(2, label, "Terminated")
        _given(page, ended, "Reason", "Message")
        page.pair(3, "Exit Code", ended.get("exitCode", 0))
        _given(page, ended, "Signal")
        page.pair(3, "Started", moment(ended.get("startedAt")))
        page.pair(3, "Finished", moment(ended.get("finishedAt")))
    else:
        page.pair(2, label, "Waiting")
        _given(page, state.get("waiting") or {}, "Reason", "Message")  # kubectl leaves the message out, which is what one looks for


def _given(page: Page, values: Json, *labels: str) -> None:
    for label in labels:
        if values.get(label.lower()):
            page.pair(3, label, values[label.lower()])


def resources(page: Page, found: Json, level: int) -> None:
    """Limits and Requests, where there are any."""
    for label in ("limits", "requests"):
        if found.get(label):
            page.line(level, f"{label.capitalize()}:")
            for name, amount in sorted(found[label].items()):
                page.pair(level + 1, name, amount)


def probe(found: Json) -> str:
    """`http-get http://:8080/healthz delay=0s timeout=1s period=10s #success=1 #failure=3`."""
    numbers = (("delay", "initialDelaySeconds", 0), ("timeout", "timeoutSeconds", 1), ("period", "periodSeconds", 10))
    times = " ".join(f"{label}={found.get(name, usual)}s" for label, name, usual in numbers)
    return f"{_handler(found)} {times} #success={found.get('successThreshold', 1)} #failure={found.get('failureThreshold', 3)}"


def _handler(found: Json) -> str:
    if found.get("exec"):
        return f"exec [{' '.join(found['exec'].get('command') or [])}]"
    if found.get("httpGet"):
        get = found["httpGet"]
        return f"http-get {str(get.get('scheme') or 'HTTP').lower()}://{get.get('host', '')}:{get.get('port')}{get.get('path') or '/'}"
    if found.get("tcpSocket"):
        return f"tcp-socket {found['tcpSocket'].get('host', '')}:{found['tcpSocket'].get('port')}"
    if found.get("grpc"):
        return f"grpc <pod>:{found['grpc'].get('port')} {found['grpc'].get('service') or ''}".rstrip()
    return "unknown"


def _sources(page: Page, found: Sequence[Json]) -> None:
    if found:
        page.line(2, "Environment Variables from:")
    for one in found:
        kind = "ConfigMap" if one.get("configMapRef") else "Secret"
        ref = one.get("configMapRef") or one.get("secretRef") or {}
        prefix = f" with prefix '{one['prefix']}'" if one.get("prefix") else ""
        page.line(3, f"{ref.get('name', '')}\t{kind}{prefix}\tOptional: {_word(ref.get('optional'))}")


def _word(value: Any) -> str:
    return "true" if value else "false"


def _environment(page: Page, found: Sequence[Json]) -> None:
    page.line(2, "Environment:" + ("" if found else f"\t{NONE}"))
    for one in found:
        page.pair(3, one["name"], _value(one))


def _value(one: Json) -> str:
    source = one.get("valueFrom") or {}
    if source.get("fieldRef"):
        return f" ({source['fieldRef'].get('apiVersion', 'v1')}:{source['fieldRef'].get('fieldPath')})"
    if source.get("resourceFieldRef"):
        return f" ({source['resourceFieldRef'].get('resource')})"
    if source.get("secretKeyRef"):
        ref = source["secretKeyRef"]
        return f"<set to the key '{ref.get('key')}' in secret '{ref.get('name')}'>\tOptional: {_word(ref.get('optional'))}"
    if source.get("configMapKeyRef"):
        ref = source["configMapKeyRef"]
        return f"<set to the key '{ref.get('key')}' of config map '{ref.get('name')}'>\tOptional: {_word(ref.get('optional'))}"
    if source.get("fileKeyRef"):
        ref = source["fileKeyRef"]
        return f"<set to the key '{ref.get('key')}' of file '{ref.get('path')}' in volume '{ref.get('volumeName')}'>"
    return str(one.get("value") or "")


def _mounts(page: Page, spec: Json) -> None:
    found = sorted(spec.get("volumeMounts") or [], key=lambda one: str(one.get("mountPath", "")))
    page.line(2, "Mounts:" + ("" if found else f"\t{NONE}"))
    for one in found:
        marks = ["ro" if one.get("readOnly") else "rw"]
        sub = one.get("subPath") or one.get("subPathExpr")
        marks += [f'path="{sub}"'] if sub else []
        page.line(3, f"{one.get('mountPath')} from {one.get('name')} ({','.join(marks)})")
    devices = spec.get("volumeDevices") or []
    if devices:
        page.line(2, "Devices:")
        for one in devices:
            page.line(3, f"{one.get('devicePath')} from {one.get('name')}")
