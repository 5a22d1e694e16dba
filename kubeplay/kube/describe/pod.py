"""`describe pod`: kubectl's sections in kubectl's order (kubectl/pkg/describe/describe.go of 1.36)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube import printers
from kubeplay.kube.describe import text
from kubeplay.kube.describe.containers import containers, resources
from kubeplay.kube.describe.text import NONE, Page
from kubeplay.kube.describe.volumes import volumes

Json = dict[str, Any]


def pod(body: Json, events: Sequence[Json], now: float) -> str:
    """The pod in words."""
    page = Page()
    spec, status = body.get("spec", {}), body.get("status", {})
    _who(page, body, spec, status)
    _how(page, body, spec, status, now)
    if spec.get("resources"):
        page.line(0, "Resources:")
        resources(page, spec["resources"], 1)
    for label, specs, statuses in (
        ("Init Containers", "initContainers", "initContainerStatuses"), ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ):  # fmt: skip
        if spec.get(specs):
            containers(page, label, spec[specs], status.get(statuses) or [])
    _conditions(page, spec, status)
    volumes(page, spec.get("volumes") or [])
    page.pair(0, "QoS Class", status.get("qosClass", NONE))
    page.mapping("Node-Selectors", spec.get("nodeSelector"))
    page.several("Tolerations", [toleration(one) for one in spec.get("tolerations") or []])
    text.events(page, events, now)
    return page.text()


def _who(page: Page, body: Json, spec: Json, status: Json) -> None:
    meta = body["metadata"]
    page.pair(0, "Name", meta["name"])
    page.pair(0, "Namespace", meta.get("namespace") or "default")
    page.pair(0, "Priority", spec.get("priority") or 0)
    if spec.get("priorityClassName"):
        page.pair(0, "Priority Class Name", spec["priorityClassName"])
    if spec.get("runtimeClassName"):
        page.pair(0, "Runtime Class Name", spec["runtimeClassName"])
    page.pair(0, "Service Account", spec.get("serviceAccountName") or "default")
    page.pair(0, "Node", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else NONE)
    if status.get("startTime"):
        page.pair(0, "Start Time", text.moment(status["startTime"]))
    text.marks(page, meta)


def _how(page: Page, body: Json, spec: Json, status: Json, now: float) -> None:
    meta = body["metadata"]
    if meta.get("deletionTimestamp"):
        page.pair(0, "Status", f"Terminating (lasts {text.lasted(now - printers.seconds(meta['deletionTimestamp']))})")
        page.pair(0, "Termination Grace Period", f"{meta.get('deletionGracePeriodSeconds') or 0}s")
    else:
        page.pair(0, "Status", status.get("phase", "Pending"))
    for label in ("Reason", "Message"):
        if status.get(label.lower()):
            page.pair(0, label, status[label.lower()])
    profile = (spec.get("securityContext") or {}).get("seccompProfile")
    if profile:
        page.pair(0, "SeccompProfile", profile.get("type", ""))
    page.pair(0, "IP", status.get("podIP", ""))
    page.line(0, "IPs:" + ("" if status.get("podIPs") else f"\t{NONE}"))
    for one in status.get("podIPs") or []:
        page.pair(1, "IP", one.get("ip", ""))
    text.controlled(page, body)


def _conditions(page: Page, spec: Json, status: Json) -> None:
    found = {one["type"]: one["status"] for one in status.get("conditions") or []}
    if spec.get("readinessGates"):
        page.line(0, "Readiness Gates:")
        page.line(1, "Type\tStatus")
        for gate in spec["readinessGates"]:
            page.line(1, f"{gate['conditionType']}\t{found.get(gate['conditionType'], NONE)}")
    if found:
        page.line(0, "Conditions:")
        page.line(1, "Type\tStatus")
        for kind, value in found.items():
            page.line(1, f"{kind}\t{value}")


def toleration(one: Json) -> str:
    """`node.kubernetes.io/not-ready:NoExecute op=Exists for 300s`."""
    found = str(one.get("key") or "")
    if one.get("value"):
        found += f"={one['value']}"
    if one.get("effect"):
        found += f":{one['effect']}"
    if one.get("operator") == "Exists" and not one.get("value"):
        found += " op=Exists"
    if one.get("tolerationSeconds") is not None:
        found += f" for {one['tolerationSeconds']}s"
    return found.strip()
