"""NetworkPolicies as they are stored, pods as they run: whose traffic is ruled now (NP1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.plan.policy import Isolation

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.runtime import SandboxRow
    from kubeplay.kube.isolation import Member

KIND = "NetworkPolicy"
NAME_LABEL = "kubernetes.io/metadata.name"  # NP1: every namespace has it, also one that nobody made


def refresh(engine: Engine) -> None:
    """Hand the network what all policies come to; its next `sync` makes rules of it."""
    from kubeplay.engine.net import kept

    if _bodies(engine) or kept.policies(engine.net.directory) != kept.NOBODY:
        kept.keep_policies(engine.net, lambda: current(engine))


def before_start(engine: Engine, sandbox: SandboxRow) -> None:
    """A pod has its address and no program yet: if policies select it, it is isolated before anything of it runs.

    Raises what `sync` raises; then the sandbox is gone again.
    """
    from kubeplay.engine.net import kept

    if not sandbox.addresses or not _bodies(engine):
        return
    try:
        found = kept.keep_policies(engine.net, lambda: current(engine))
        if {*sandbox.addresses} & {*found.ingress.isolated, *found.egress.isolated}:
            engine.net.sync()
    except BaseException:
        engine.remove_sandbox(sandbox)
        raise


def current(engine: Engine) -> Isolation:
    """What all stored policies come to for the pods that have an address."""
    bodies = _bodies(engine)
    if not bodies:
        return Isolation()
    from kubeplay.kube.isolation import World, isolation
    from kubeplay.reconcile import ingress

    members = tuple(_members(engine))
    spaces = {member.namespace for member in members} | {body["metadata"].get("namespace") or "default" for body in bodies}
    return isolation(bodies, World(members, _namespaces(engine, spaces)), ingress.addresses(engine))


def _bodies(engine: Engine) -> list[dict[str, Any]]:
    import json

    return [json.loads(obj.body) for obj in engine.store.objects.list(KIND) if obj.deleted is None]


def _namespaces(engine: Engine, names: set[str]) -> Mapping[str, Mapping[str, str]]:
    import json

    found: dict[str, dict[str, str]] = {name: {NAME_LABEL: name} for name in names}
    for obj in engine.store.objects.list("Namespace"):
        found[obj.key.name] = {**(json.loads(obj.body)["metadata"].get("labels") or {}), NAME_LABEL: obj.key.name}
    return found


def _members(engine: Engine) -> Iterator[Member]:
    """Pods with a network of their own (NP1: those of the host's are outside), and the cluster DNS at its address."""
    from kubeplay.kube.isolation import Member, NamedPort
    from kubeplay.plan.container import APP, SIDECAR
    from kubeplay.reconcile import system
    from kubeplay.reconcile.observe import plan_of

    addresses: dict[str, tuple[str, ...]] = {}
    for sandbox in engine.store.runtime.sandboxes():
        if sandbox.addresses:
            addresses[sandbox.pod_uid] = tuple(sandbox.addresses)
    for row in engine.store.runtime.pods():
        if row.uid in addresses:
            plan = plan_of(row)
            ports = [port for c in plan.containers if c.kind in (APP, SIDECAR) for port in c.ports if port.name]
            named = tuple([NamedPort(port.name, port.protocol, port.container_port) for port in ports])
            yield Member(plan.namespace, dict(plan.labels), addresses[row.uid], named)
    dns = tuple([one for one in (engine.net.dns_address(), engine.net.dns_address6()) if one])
    if dns:
        ports_of_dns = (NamedPort("dns", "UDP", 53), NamedPort("dns-tcp", "TCP", 53))
        yield Member(system.NAMESPACE, {"k8s-app": system.NAME}, dns, ports_of_dns)
