"""tcpSocket: a connection within the time is a success (PR8)."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.plan.container import Port
from kubeplay.plan.probe import TcpSocket
from kubeplay.reconcile.handlers import ports as numbers
from kubeplay.reconcile.handlers.dial import DialFault, Make, dial, here
from kubeplay.reconcile.handlers.steps import Answer, Steps, complete


def connect(address: str, action: TcpSocket, ports: Sequence[Port], seconds: float) -> Answer:
    """Ask once and wait for the answer; `address` is the pod's."""
    return complete(asking(address, action, ports), seconds)


def asking(address: str, action: TcpSocket, ports: Sequence[Port], make: Make = here) -> Steps:
    try:
        port = numbers.number(action.port, ports)
    except numbers.PortFault as fault:
        return Answer(False, str(fault), errored=True)
    try:
        sock = yield from dial(action.host or address, port, make)
    except DialFault as fault:
        return Answer(False, fault.text)
    sock.close()
    return Answer(True)
