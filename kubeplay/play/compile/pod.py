"""A Pod object as a PodPlan: pure, deterministic, everything the object says and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.kube import resources
from kubeplay.plan.container import APP, EPHEMERAL, INIT, SIDECAR
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.play.compile import containers, dns, logs, network, users, volumes
from kubeplay.play.compile import marks as known
from kubeplay.play.compile.options import CompileOptions


def compile_pod(obj: Mapping[str, Any], options: CompileOptions = CompileOptions(), *, controlled: bool = False) -> PodPlan:  # noqa: B008
    """The plan of a defaulted and validated Pod. Raises NotSupported for what the field table should have stopped."""
    meta, spec = obj["metadata"], obj["spec"]
    marks = meta.get("annotations") or {}
    declared = volumes.plan(spec, marks, meta["name"])
    made = [containers.plan(spec, item, _init_kind(item), declared, marks, options) for item in spec.get("initContainers") or []]
    made += [containers.plan(spec, item, APP, declared, marks, options) for item in spec["containers"]]
    made += [containers.plan(spec, item, EPHEMERAL, declared, marks, options) for item in spec.get("ephemeralContainers") or []]
    account = volumes.account(spec, declared)
    if account is not None:
        declared, made = (*declared, account), [volumes.with_account(one, account) for one in made]
    grace = spec.get("terminationGracePeriodSeconds")
    return PodPlan(
        namespace=meta.get("namespace") or "default",
        name=meta["name"],
        sandbox=sandbox(obj, options),
        containers=tuple(made),
        volumes=declared,
        labels=tuple(sorted((meta.get("labels") or {}).items())),
        annotations=tuple(sorted(marks.items())),
        restart_policy=spec.get("restartPolicy") or "Always",
        grace_seconds=30 if grace is None else grace if grace >= 0 else 1,  # DF1, TE1
        service_links=spec.get("enableServiceLinks") is not False,
        service_account=spec.get("serviceAccountName") or spec.get("serviceAccount") or "default",
        node_name=options.node_name,
        log=logs.plan(marks),
        controlled=controlled,
        container_prefix=marks.get(known.CONTAINER_PREFIX) != "false",
        pull_secrets=tuple([s["name"] for s in spec.get("imagePullSecrets") or [] if s.get("name")]),
        deadline_seconds=spec.get("activeDeadlineSeconds"),
        readiness_gates=tuple([g["conditionType"] for g in spec.get("readinessGates") or []]),
        scheduling_gates=tuple([g["name"] for g in spec.get("schedulingGates") or []]),
        resources=resources.plan(spec) if spec.get("resources") else None,
        assigned_node=spec.get("nodeName") or "",
    )


def _init_kind(item: Mapping[str, Any]) -> str:
    """IN3: one that is always restarted runs beside the app containers."""
    return SIDECAR if item.get("restartPolicy") == "Always" else INIT


def sandbox(obj: Mapping[str, Any], options: CompileOptions) -> SandboxPlan:
    meta, spec = obj["metadata"], obj["spec"]
    wanted = network.parse((meta.get("annotations") or {}).get(known.NETWORK, "").split(";"))
    host = bool(spec.get("hostNetwork")) or wanted.host
    sysctls = (spec.get("securityContext") or {}).get("sysctls") or []
    return SandboxPlan(
        hostname=dns.hostname(spec, meta["name"], options.node_name),
        domain=dns.domain(spec, meta.get("namespace") or "default", options.cluster_domain),
        host_network=host,
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        share_pid=bool(spec.get("shareProcessNamespace")),
        fqdn_hostname=bool(spec.get("setHostnameAsFQDN")),
        sysctls=tuple([(s["name"], s.get("value") or "") for s in sysctls]),
        attachments=() if host else wanted.attachments,
        dns=dns.resolver(spec),
        named=bool(spec.get("hostname")) and not host,
        host_aliases=dns.aliases(spec),
        users=users.of(meta, {**spec, "hostNetwork": host}),
    )
