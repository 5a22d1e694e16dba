"""port-forward: ports of this machine that lead into a pod, for as long as the command runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, command, text
from kubeplay.engine.store.runtime import READY, PodRow
from kubeplay.errors import InvalidInput, NotFound, NotRunning
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.pod import PodPlan


class Wanted(Record):
    """One LOCAL:REMOTE; `local` 0 = any free port; `remote` as typed, a number or a name."""

    local: int
    remote: str


@command(
    "port-forward",
    "Let ports of this machine lead into a pod until interrupted: also to what listens on the pod's localhost only.\n\n"
    "    kubeplay port-forward web 8080:80\n    kubeplay port-forward svc/web :http\n    kubeplay port-forward deploy/web 5000 6000:6001",
    argument("POD", "Pod, or KIND/NAME of a Service or workload: then of one of its pods.", complete="pod"),
    argument("PORT", "[LOCAL:]REMOTE; :REMOTE takes any free port here; REMOTE may be a port's name.", dest="ports", many=True),
    text("--address", help="Addresses to listen on, with commas.", default="localhost", metavar="ADDRESS"),
)
def port_forward(app: App, *, pod: str, ports: tuple[str, ...], address: str) -> None:
    from kubeplay.engine.net import forward

    wanted = [parse(one) for one in ports]
    row, service = _target(app, pod)
    made = resolve.plan(row)
    numbers = [_number(one, made, service) for one in wanted]
    pin = _pin(app, row, made)
    addresses = [one.strip() for one in address.split(",") if one.strip()]
    if not addresses:
        raise InvalidInput("--address names no address")
    listeners = []
    for one, number in zip(wanted, numbers):
        for socket in forward.listen(addresses, one.local):
            host, port = socket.getsockname()[:2]
            listeners.append((socket, pin, number))
            print(f"Forwarding from {f'[{host}]' if ':' in host else host}:{port} -> {number}", flush=True)
    forward.serve(listeners, lambda line: print(line, flush=True), lambda line: print(f"Error: {line}", file=sys.stderr, flush=True))


def parse(word: str) -> Wanted:
    """`80`, `8080:80`, `:80`, `8080:http`. Raises InvalidInput."""
    local, colon, remote = word.partition(":")
    if not colon:
        local, remote = (word if word.isdecimal() else ""), word
    if (local and not _is_port(local)) or not remote or (remote.isdecimal() and not _is_port(remote)):
        raise InvalidInput(f"port {word!r} is not [LOCAL:]REMOTE", hint="8080:80, 80, :80, or 8080:NAME; ports are 1 to 65535")
    return Wanted(int(local or 0), remote)


def _is_port(word: str) -> bool:
    return word.isascii() and word.isdecimal() and 1 <= int(word) <= 65535


def _target(app: App, word: str) -> tuple[PodRow, dict[str, Any] | None]:
    """The pod, and the Service it was asked through."""
    if "/" not in word or resolve.find_pods(app, word):
        return resolve.pod(app, word), None
    from kubeplay.cli import things, workloads

    if not workloads.is_workload(word):
        return resolve.pod(app, word), None
    kind, _, name = word.partition("/")
    one = things.kind(kind)
    return workloads.one_pod(app, word), things.fetched(app, one, name) if one.kind == "Service" else None


def _number(one: Wanted, made: PodPlan, service: dict[str, Any] | None) -> int:
    """The port inside the pod: a Service's port leads to its target, a name is a port's of the Service or of a container."""
    target: Any = one.remote
    if service is not None:
        ports = service["spec"].get("ports") or []
        port = next((p for p in ports if one.remote in (str(p["port"]), p.get("name"))), None)
        if port is None:
            known = ", ".join(str(p["port"]) for p in ports)
            raise NotFound(f"Service {service['metadata']['name']} has no port {one.remote}", hint=f"ports: {known}")
        if (port.get("protocol") or "TCP") != "TCP":
            raise InvalidInput(f"port {one.remote} is {port['protocol']}: only TCP can be forwarded")
        target = port.get("targetPort") or port["port"]
    if str(target).isdecimal():
        return int(target)
    found = [port for c in made.containers for port in c.ports if port.name == target and port.protocol == "TCP"]
    if not found:
        raise NotFound(f"pod {made.name} has no TCP port named {target!r}")
    return found[0].container_port


def _pin(app: App, row: PodRow, made: PodPlan) -> str:
    """Where the pod's network namespace is; "" = it has the host's. Raises NotRunning."""
    app.engine.refresh()
    sandbox = resolve.sandbox(app, row)
    if sandbox is None or sandbox.state != READY:
        raise NotRunning(f"pod {row.namespace}/{row.name} is not running", hint=f"kubeplay pod start {row.name}")
    return "" if made.sandbox.host_network else f"{app.engine.paths.sandbox(sandbox.id)}/ns/net"
