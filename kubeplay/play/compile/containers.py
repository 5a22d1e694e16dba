"""One container of a manifest as a ContainerPlan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubeplay.kube import resources
from kubeplay.plan.container import INIT, TERMINATION_PATH, ContainerPlan
from kubeplay.plan.volumes import Volume
from kubeplay.play.compile import env, ports, probes, security, volumes
from kubeplay.play.compile import marks as known
from kubeplay.play.compile.options import CompileOptions


def plan(
    spec: Mapping[str, Any],
    item: Mapping[str, Any],
    kind: str,
    declared: Sequence[Volume],
    marks: Mapping[str, str],
    options: CompileOptions,
) -> ContainerPlan:
    """`spec` is the pod's, `marks` its annotations, `declared` its volumes."""
    image = item.get("image") or ""
    policy, chosen = volumes.pull(image, item.get("imagePullPolicy"), marks)
    limits = known.limits(marks, item["name"])
    return ContainerPlan(
        name=item["name"],
        image=image,
        kind=kind,
        pull_policy=policy,
        pull_policy_set=chosen,
        command=_words(item.get("command")),
        args=_words(item.get("args")),
        working_dir=item.get("workingDir") or "",
        env=env.entries(item),
        env_from=env.sources(item),
        ports=ports.plan(item, published=kind != INIT and not spec.get("hostNetwork")),
        mounts=volumes.mounts(item, declared),
        resources=resources.plan(item),
        security=security.plan(spec, item, options),
        restart_policy=item.get("restartPolicy") or spec.get("restartPolicy") or "Always",
        restart_rules=probes.restart_rules(item),
        startup=probes.probe(item.get("startupProbe")),
        readiness=probes.probe(item.get("readinessProbe")),
        liveness=probes.probe(item.get("livenessProbe")),
        post_start=probes.handler((item.get("lifecycle") or {}).get("postStart")),
        pre_stop=probes.handler((item.get("lifecycle") or {}).get("preStop")),
        tty=bool(item.get("tty")),
        stdin=bool(item.get("stdin")),
        stdin_once=bool(item.get("stdinOnce")),
        stop_signal=(item.get("lifecycle") or {}).get("stopSignal") or "",
        termination_path=item.get("terminationMessagePath") or TERMINATION_PATH,
        termination_policy=item.get("terminationMessagePolicy") or "File",
        pids_limit=limits.pids,
        cpuset=limits.cpuset,
        mems=limits.mems,
        target=item.get("targetContainerName") or "",
        restart_to_resize=_restart_to_resize(item),
    )


def _words(words: list[str] | None) -> tuple[str, ...] | None:
    """CM1: an empty list is the same as none, as for a kubelet, which only sees the length."""
    return tuple([word or "" for word in words]) if words else None


def _restart_to_resize(item: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple([one["resourceName"] for one in item.get("resizePolicy") or [] if one.get("restartPolicy") == "RestartContainer"])
