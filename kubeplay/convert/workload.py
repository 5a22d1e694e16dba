"""The workload of a service: a Deployment, a DaemonSet (`mode: global`) or, where it is not to be restarted, a Job."""

from __future__ import annotations

from kubeplay.convert.model import Object
from kubeplay.convert.part import Part
from kubeplay.convert.section import Section

_ONCE = {"no": "Never", "false": "Never", "none": "Never", "on-failure": "OnFailure"}
_UNBOUNDED = 2**31 - 1  # docker tries again without end


def form(found: Section) -> str:
    """Deployment, DaemonSet or Job."""
    wanted = found.pairs("labels").get("kompose.controller.type") or ""
    mode = found.section("deploy").text("mode", "replicated")
    if mode not in ("replicated", "global", "replicated-job", "global-job"):
        found.section("deploy").fault("mode", f"{mode!r} is none of replicated, global, replicated-job, global-job")
    if wanted.lower() == "daemonset" or mode == "global":
        return "DaemonSet"
    if mode == "global-job":
        found.section("deploy").note("mode", "a Job on every node is none of Kubernetes': it runs on one")
    return "Job" if mode.endswith("-job") or _restart(found)[0] in _ONCE else "Deployment"


def _restart(found: Section) -> tuple[str, int]:
    """(policy, tries) of `deploy.restart_policy`, or of `restart`."""
    policy = found.section("deploy").section("restart_policy")
    policy.only("condition delay max_attempts window")
    if "condition" in policy or "max_attempts" in policy:
        policy.unsaid(dict.fromkeys(("delay", "window"), "Kubernetes waits longer each time: 10 s, 20 s, ... 5 min"))
        return policy.text("condition", "any"), policy.integer("max_attempts") or 0
    word, _, tries = found.text("restart").partition(":")
    if word not in ("", "no", "false", "always", "on-failure", "unless-stopped") or (tries and not tries.isdecimal()):
        found.fault("restart", f"{found.text('restart')!r} is none of no, always, on-failure[:N], unless-stopped")
    return word, int(tries) if tries.isdecimal() and len(tries) < 10 else 0


def build(part: Part, spec: Object) -> Object:
    """The workload whose pods have this spec."""
    found = part.section
    kind = form(found)
    deploy = found.section("deploy")
    deploy.only("mode replicas labels update_config rollback_config resources restart_policy placement endpoint_mode")
    _placement(deploy, spec)
    meta: Object = {"name": part.name, "labels": dict(part.labels)}
    if labels := {key: value or "" for key, value in deploy.pairs("labels").items()}:
        meta["annotations"] = labels
    template: Object = {"metadata": {"labels": {**part.labels}}, "spec": spec}
    if part.annotations:
        template["metadata"]["annotations"] = part.annotations
    replicas = deploy.integer("replicas", found.integer("scale"))
    if kind == "Job":
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": meta, "spec": _job(found, replicas, template, spec)}
    body: Object = {"selector": {"matchLabels": {"app": part.labels["app"]}}, "template": template}
    if kind == "Deployment":
        if replicas is not None:
            body["replicas"] = replicas
        body |= _strategy(deploy, spec)
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": body}


def _job(found: Section, replicas: int | None, template: Object, spec: Object) -> Object:
    word, tries = _restart(found)
    spec["restartPolicy"] = _ONCE.get(word, "OnFailure")
    made: Object = {"backoffLimit": 0 if spec["restartPolicy"] == "Never" else tries or _UNBOUNDED, "template": template}
    if replicas is not None and replicas != 1:
        made |= {"completions": replicas, "parallelism": replicas}
    if word in _ONCE:
        found.note("restart" if "restart" in found else "deploy", f"{word}: a Job, as Deployments restart always")
    return made


def _strategy(deploy: Section, spec: Object) -> Object:
    """How pods are replaced. Two pods cannot write one claim, or have one port of the node: the old one goes first."""
    update = deploy.section("update_config")
    update.only("parallelism delay failure_action monitor max_failure_ratio order")
    update.unsaid(dict.fromkeys(("delay", "monitor", "max_failure_ratio"), "minReadySeconds and progressDeadlineSeconds pace a rollout"))
    update.unsaid({"failure_action": "a rollout that fails stops; `kubeplay rollout undo` takes it back"})
    deploy.unsaid({"rollback_config": "a rollback goes as an update does"})
    writes = any("persistentVolumeClaim" in volume for volume in spec.get("volumes") or [])
    hosts = any(port.get("hostPort") for container in spec["containers"] for port in container.get("ports") or [])
    if writes or hosts or spec.get("hostNetwork"):
        return {"strategy": {"type": "Recreate"}}
    if not update.map:
        return {}
    count = max(update.integer("parallelism", 1) or 1, 1)
    surge, gone = (count, 0) if update.text("order") == "start-first" else (0, count)
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": gone}}}


def _placement(deploy: Section, spec: Object) -> None:
    placement = deploy.section("placement")
    placement.only("constraints preferences max_replicas_per_node")
    placement.unsaid(dict.fromkeys(("preferences", "max_replicas_per_node"), "topologySpreadConstraints spread pods over nodes"))
    for word in placement.words("constraints"):
        key, equals, value = (part.strip() for part in word.partition("=="))
        if equals and key.startswith("node.labels."):
            spec.setdefault("nodeSelector", {})[key.removeprefix("node.labels.")] = value
        else:
            placement.note("constraints", f"{word}: only labels of nodes can be said (nodeSelector)")
