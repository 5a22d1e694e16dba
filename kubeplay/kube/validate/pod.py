"""Pods and the pod templates of workloads: everything in a PodSpec, in the server's order."""

from __future__ import annotations

from kubeplay.kube import names
from kubeplay.kube.validate import (
    container,
    env,
    metadata,
    network,
    operating_system,
    pod_annotations,
    ports,
    resources,
    scheduling,
    security,
    volumes,
)
from kubeplay.kube.validate.report import Faults, Object, record

DEADLINE_MAX = 2**31 - 1


def pod(faults: Faults, obj: Object) -> None:
    """A Pod."""
    meta, spec = obj["metadata"], record(obj, "spec") or {}
    _preemption(faults, spec)
    metadata.check(faults, meta, names.dns_subdomain)
    pod_annotations.check(faults, "metadata.annotations", meta.get("annotations"), spec)
    name = meta.get("name") or (names.generated(meta["generateName"]) if meta.get("generateName") else "")
    check_spec(faults, "spec", spec, name, is_pod=True)
    container.image_spaces(faults, "spec", spec)
    if spec.get("ephemeralContainers"):
        faults.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        faults.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")


def _preemption(faults: Faults, spec: Object) -> None:
    """The Priority admission: a pod may not contradict its class, and both built-in classes preempt."""
    policy = spec.get("preemptionPolicy") or "PreemptLowerPriority"
    if policy != "PreemptLowerPriority":
        text = f"the string value of PreemptionPolicy ({policy}) must not be provided in pod spec"
        faults.denied("spec.preemptionPolicy", text, "remove the field: nothing is preempted here")


def template(faults: Faults, path: str, meta: Object, spec: Object) -> None:
    """The template of a workload; the server leaves `metadata` out of the paths of its labels."""
    metadata.check_labels(faults, f"{path}.labels", meta.get("labels"))
    metadata.check_annotations(faults, f"{path}.annotations", meta.get("annotations"))
    pod_annotations.check(faults, f"{path}.annotations", meta.get("annotations"), spec)
    check_spec(faults, f"{path}.spec", spec, "", is_pod=False)
    if spec.get("ephemeralContainers"):
        faults.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def check_spec(faults: Faults, path: str, spec: Object, pod_name: str, *, is_pod: bool) -> None:
    """A pod spec, of a Pod or of a template."""
    found = volumes.check(faults, f"{path}.volumes", spec, pod_name, is_pod=is_pod)
    claims = resources.pod_claims(faults, f"{path}.resourceClaims", spec)
    around = container.Surroundings(
        volumes=found,
        claims=claims,
        grace=spec.get("terminationGracePeriodSeconds") or 0,
        policy=spec.get("restartPolicy") or "",
        host_users=spec.get("hostUsers") is not False,
    )
    container.check(faults, path, spec, around)
    resources.pod(faults, f"{path}.resources", spec)
    ports.host_network(faults, path, spec, is_pod=is_pod)
    env.check_files(faults, path, spec)
    faults.one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), container.RESTART_POLICIES)
    faults.one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy"), network.DNS_POLICIES)
    metadata.check_labels(faults, f"{path}.nodeSelector", spec.get("nodeSelector"))
    security.pod(faults, f"{path}.securityContext", spec)
    scheduling.affinity(faults, f"{path}.affinity", record(spec, "affinity"))
    network.dns(faults, f"{path}.dnsConfig", spec)
    scheduling.gates(faults, path, spec)
    scheduling.spread(faults, f"{path}.topologySpreadConstraints", spec)
    operating_system.host_process(faults, path, spec)
    security.host_users(faults, path, spec)
    _rest(faults, path, spec)


def _rest(faults: Faults, path: str, spec: Object) -> None:
    for field in ("serviceAccountName", "nodeName"):
        if spec.get(field):
            faults.each(f"{path}.{field}", spec[field], names.dns_subdomain(spec[field]))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= DEADLINE_MAX:
        faults.invalid(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {DEADLINE_MAX}, inclusive")
    network.hostnames(faults, path, spec)
    network.override(faults, path, spec)
    scheduling.tolerations(faults, f"{path}.tolerations", spec)
    network.aliases(faults, f"{path}.hostAliases", spec)
    if spec.get("priorityClassName"):
        faults.each(f"{path}.priorityClassName", spec["priorityClassName"], names.dns_subdomain(spec["priorityClassName"]))
    if spec.get("runtimeClassName") is not None:
        faults.each(f"{path}.runtimeClassName", spec["runtimeClassName"], names.dns_subdomain(spec["runtimeClassName"]))
    if spec.get("preemptionPolicy") is not None:
        faults.one_of(f"{path}.preemptionPolicy", spec["preemptionPolicy"], ("Never", "PreemptLowerPriority"))
    if record(spec, "overhead"):
        resources.overhead(faults, f"{path}.overhead", spec["overhead"])
    operating_system.check(faults, path, spec)
