"""What this machine can give to pods: stands in for limits that are not set (DA3, LR2)."""

from __future__ import annotations

import os

from kubeplay.kube.downward import NodeFacts


def facts() -> NodeFacts:
    from kubeplay.engine.host.machine import machine

    disk = os.statvfs("/")
    return NodeFacts((os.cpu_count() or 1) * 1000, machine().memory, disk.f_blocks * disk.f_frsize)
