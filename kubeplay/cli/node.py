"""This machine as the Node of a cluster: nothing of it is stored but what a person has written on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]


def node(app: App) -> Json:
    """The Node, with its status of now."""
    import json

    from kubeplay.clock import rfc3339
    from kubeplay.plan.stack import ObjectKey

    name = app.engine.node_name
    stored = app.store.objects.find(ObjectKey("Node", "", name))
    own: Json = json.loads(stored.body) if stored else {}
    meta = {"name": name, "creationTimestamp": rfc3339(_since_boot()), **own.get("metadata", {})}
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    base = {"kubernetes.io/arch": arch, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    meta["labels"] = {**base, **(meta.get("labels") or {})}
    if stored is not None:
        meta |= {"uid": stored.uid, "resourceVersion": str(stored.resource_version)}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": own.get("spec") or {}, "status": _status(app, name, arch)}


def _status(app: App, name: str, arch: str) -> Json:
    from kubeplay.clock import rfc3339
    from kubeplay.engine.host import machine
    from kubeplay.reconcile.observe import host_ip

    amounts = {
        key: f"{amount // 1000}" if key == "cpu" else f"{amount // 1024}Ki" for key, amount in machine.capacity(app.settings.root).items()
    }
    amounts["pods"] = "1000"  # as many as a play takes (play/stack.py)
    now = rfc3339(app.engine.clock.now())
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubeplay can start containers",
             "lastHeartbeatTime": now, "lastTransitionTime": rfc3339(_since_boot())}  # fmt: skip
    return {
        "capacity": amounts, "allocatable": dict(amounts), "conditions": [ready],
        "addresses": [{"type": "InternalIP", "address": host_ip(app.engine)}, {"type": "Hostname", "address": name}],
        "nodeInfo": _info(arch),
    }  # fmt: skip


def _info(arch: str) -> Json:
    from kubeplay import __version__
    from kubeplay.cli.facts import KUBERNETES
    from kubeplay.engine.host.machine import boot_id

    return {
        "architecture": arch, "bootID": boot_id(), "containerRuntimeVersion": f"kubeplay://{__version__}",
        "kernelVersion": os.uname().release, "kubeletVersion": f"v{KUBERNETES}+kubeplay.{__version__}", "operatingSystem": "linux",
        "osImage": _os_image(),
    }  # fmt: skip


def _os_image() -> str:
    import platform

    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _since_boot() -> float:
    """When the machine came up (proc(5), btime)."""
    with open("/proc/stat", encoding="ascii") as file:
        return next((float(line.split()[1]) for line in file if line.startswith("btime ")), 0.0)
