"""The texts of /etc/hosts, /etc/hostname and /etc/resolv.conf of a pod (DN1, DN3, DN4), rendered by net.resolv."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import SandboxRow
from kubeplay.plan.pod import PodPlan, SandboxPlan

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

_LIMIT = 1 << 20  # bytes of the node's own files; the pod's tmpfs has 4 MiB


def texts(engine: Engine, row: SandboxRow, plan: PodPlan) -> dict[str, str]:
    """File name -> content, for the directory the containers' binds come from."""
    from kubeplay.engine.net import resolv
    from kubeplay.engine.pod import kernel_hostname

    sandbox = plan.sandbox
    if sandbox.host_network:
        hosts = resolv.host_network_hosts(_node("/etc/hosts"), sandbox.host_aliases)
    else:
        hosts = resolv.hosts(row.addresses, sandbox.hostname, sandbox.domain, sandbox.host_aliases)
    cluster_dns = engine.net.dns_address() if sandbox.host_network else _cluster_dns(engine, row, sandbox)
    node = _node("/etc/resolv.conf") if sandbox.host_network else engine.net.node_resolver()
    resolver = resolv.resolv_conf(sandbox.dns, node, plan.namespace, cluster_dns, host_network=sandbox.host_network)
    return {"hostname": kernel_hostname(plan) + "\n", "hosts": hosts, "resolv.conf": resolver}


def _cluster_dns(engine: Engine, row: SandboxRow, sandbox: SandboxPlan) -> str:
    """The name server's address as the pod can reach it; "" where its networks do not lead there or were made with --disable-dns."""
    named = [one.network for one in sandbox.attachments]
    if not row.addresses:
        return ""
    if "" in named:
        return engine.net.dns_address()
    rows = [engine.store.resources.network(name) for name in named]
    leading = [found for found in rows if found is not None and found.dns and found.routed]
    if any(found.subnet for found in leading):
        return engine.net.dns_address()
    return engine.net.dns_address6() if leading else ""


def _node(path: str) -> str:
    """A file of this machine; "" when it is not there."""
    try:
        with open(path, "rb") as file:
            return file.read(_LIMIT).decode(errors="replace")
    except OSError:
        return ""
