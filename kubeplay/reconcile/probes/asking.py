"""The handler that one probe asks by, as steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import PAUSED
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.probe import ExecAction, Grpc, HttpGet, Probe, TcpSocket
from kubeplay.reconcile.handlers.dial import Make, here
from kubeplay.reconcile.handlers.steps import Answer, Steps

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def place(engine: Engine, plan: PodPlan) -> Make:
    """Where a pod is asked from: the network its address belongs to, which is not the host's where an ordinary user has his own (PR11)."""
    return here if plan.sandbox.host_network and not plan.sandbox.engine_network else engine.net.socket


def asking(engine: Engine, plan: ContainerPlan, container_id: str, kind: str, probe: Probe, address: str, make: Make) -> Steps:
    """Ask once. `address` is the pod's; a host that the manifest names is asked from this machine (record 208)."""
    handler = probe.handler
    if isinstance(handler, HttpGet):
        from kubeplay.reconcile.handlers import http

        return http.asking(address, handler, plan.ports, make=make if handler.host in ("", address) else here)
    if isinstance(handler, TcpSocket):
        from kubeplay.reconcile.handlers import tcp

        return tcp.asking(address, handler, plan.ports, make if handler.host in ("", address) else here)
    if isinstance(handler, Grpc):
        from kubeplay.reconcile.handlers import grpc

        return grpc.asking(address, handler, probe.timeout, make=make)
    if isinstance(handler, ExecAction):
        from kubeplay.reconcile.handlers import exec as execs

        row = engine.store.runtime.container(container_id)
        if row is not None and row.reason != PAUSED:  # in one that stands still nothing can be run
            return execs.asking(engine, row, execs.static(handler.command, plan.env), probe.timeout, kind)
    return _nothing()


def _nothing() -> Steps:
    return Answer(False, "missing probe handler", errored=True)
    yield
