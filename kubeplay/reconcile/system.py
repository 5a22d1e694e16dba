"""Our own pods, in namespace kube-system: the DNS server that pods with dnsPolicy ClusterFirst ask (DN1, DN5).

An ordinary pod with the host's network and the host's programs, so that conmon restarts it through the supervisor like any other. It
comes with the first pod that needs it and goes with the last.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.net import nameserver
from kubeplay.engine.store.runtime import DELETE, RUN, PodRow
from kubeplay.errors import AlreadyExists
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import Dns, PodPlan, SandboxPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import HostPath, Mount, Volume
from kubeplay.reconcile.observe import plan_of, remember

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

NAMESPACE, NAME = "kube-system", "kube-dns"
ACCOUNTS = ("passwd", "group")  # it gives up root for `nobody`, which it looks up by name
DNS_SECONDS = 2.0  # by then something is wrong with it, and its own events say what
KEY = ObjectKey("Pod", NAMESPACE, NAME)


def needs_dns(plan: PodPlan) -> bool:
    """Whether a pod's resolv.conf points at our DNS server (DN1)."""
    policy, sandbox = plan.sandbox.dns.policy, plan.sandbox
    if sandbox.host_network:
        return policy == "ClusterFirstWithHostNet"
    return bool(sandbox.attachments) and policy in ("ClusterFirst", "ClusterFirstWithHostNet")


def dns_plan(argv: tuple[str, ...], directory: str) -> PodPlan:
    """The DNS server's pod; `directory` holds its zones on the host."""
    mounts = (Mount("zones", nameserver.SEEN_AT), *[Mount(name, f"/etc/{name}", read_only=True) for name in ACCOUNTS])
    container = ContainerPlan("dns", "host", command=argv, host_rootfs=True, pull_policy="Never", mounts=mounts)
    sandbox = SandboxPlan(NAME, host_network=True, dns=Dns("Default"), engine_network=True)
    volumes = (Volume("zones", HostPath(directory)), *[Volume(name, HostPath(f"/etc/{name}", "File")) for name in ACCOUNTS])
    return PodPlan(NAMESPACE, NAME, sandbox, (container,), volumes, grace_seconds=2, controlled=True)


def ensure_dns(engine: Engine) -> str:
    """Store the DNS pod unless it is there; its uid, to be reconciled. Raises MissingPrerequisite without unbound."""
    row = engine.store.runtime.find_pod(NAMESPACE, NAME)
    argv = tuple(engine.net.dns_argv(processes.program("unbound")))
    if row is not None and row.desired == RUN and plan_of(row).containers[0].command == argv:
        return row.uid
    if row is not None:
        remove(engine, row)
    directory = ensure_directory(engine.net.dns_directory, 0o755)
    plan = dns_plan(argv, directory)
    text = codec.dumps(plan)
    try:
        with engine.store.write():
            stored = engine.store.objects.create(KEY, _body())
            engine.store.runtime.add_pod(PodRow(stored.uid, NAMESPACE, NAME, text, RUN, True, None, 0, False))
    except AlreadyExists:  # another command was quicker
        row = engine.store.runtime.find_pod(NAMESPACE, NAME)
        return row.uid if row else ""
    remember(stored.uid, text, plan)
    return stored.uid


_settled: set[str] = set()  # uids of DNS pods that nobody needs to wait for any more
_one = threading.Lock()


def await_dns(engine: Engine) -> None:
    """Hold a container's start until the DNS server made beside it takes questions, as it always does on a cluster.

    Bounded, because a pod can live without names. Of many containers one asks the database, the others wait for what it learns.
    """
    row = engine.store.runtime.find_pod(NAMESPACE, NAME)
    if row is None or row.uid in _settled:
        return
    with _one:
        until = engine.clock.monotonic() + DNS_SECONDS
        while row is not None and row.uid not in _settled and engine.clock.monotonic() < until:
            if nameserver.listening(engine.net.dns_directory):
                break
            engine.clock.sleep(0.003)
            row = engine.store.runtime.find_pod(NAMESPACE, NAME)
        if row is not None:
            _settled.add(row.uid)


def fault(engine: Engine) -> str:
    """Why names do not work: the server that is to be there does not take questions. "" = it does, or nobody needs one."""
    row = engine.store.runtime.find_pod(NAMESPACE, NAME)
    if row is None or row.desired != RUN or nameserver.listening(engine.net.dns_directory):
        return ""
    from kubeplay.reconcile import logtail

    rows = engine.store.runtime.containers(row.uid)
    said = logtail.tail(rows[-1].log_path, lines=2).strip().replace("\n", "; ") if rows else ""
    return (
        f"the name server does not take questions at {engine.net.dns_address()} port 53 ({said or 'it says nothing'}): pods have no names "
        "until it does, and it is tried again and again; who else has that port: ss -lnptu 'sport = :53'"
    )


def _body() -> str:
    import json

    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"k8s-app": NAME}},
            "spec": {"hostNetwork": True, "containers": [{"name": "dns", "image": "host"}]}}  # fmt: skip
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def remove(engine: Engine, row: PodRow) -> None:
    from kubeplay.reconcile.pod import reconcile

    engine.store.runtime.set_pod(row.uid, desired=DELETE)
    reconcile(engine, row.uid, grace=1.0)


def idle(engine: Engine) -> bool:
    """Whether no pod of a person is left that needs DNS."""
    return not any(row.namespace != NAMESPACE and row.desired != DELETE and needs_dns(plan_of(row)) for row in engine.store.runtime.pods())
