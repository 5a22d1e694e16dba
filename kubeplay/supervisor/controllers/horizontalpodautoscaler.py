"""HorizontalPodAutoscaler: the size of a workload after what its pods use of cpu and memory [K: controller/podautoscaler/horizontal.go]."""

from __future__ import annotations

from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.errors import InvalidInput
from kubeplay.kube import quantity, rollout
from kubeplay.play.stack import MAX_REPLICAS
from kubeplay.supervisor.controllers import metrics, pods, scaling
from kubeplay.supervisor.controllers.model import Action, Decision, Note, Status, Thing, Update, World
from kubeplay.supervisor.controllers.scaling import Demand

KIND = "HorizontalPodAutoscaler"
SCALED = ("Deployment", "ReplicaSet", "StatefulSet")
PERIOD = 15.0  # [K: --horizontal-pod-autoscaler-sync-period]
CPU_INITIALIZATION, READINESS_DELAY = 300.0, 30.0  # [K: --horizontal-pod-autoscaler-cpu-initialization-period, -initial-readiness-delay]
Json = dict[str, Any]


def decide(world: World, own: Thing, now: float) -> Decision:
    """The size, when it is to change, and the status; looked at again every 15 s."""
    workload = metrics.target(world, own)
    if workload is None or workload.key.kind not in SCALED or workload.deleted is not None:
        reference = own.body["spec"]["scaleTargetRef"]
        why = f'the HPA controller was unable to get the target\'s current scale: {reference["kind"]} "{reference["name"]}" not found'
        return _Look(world, own, now).failed("AbleToScale", "FailedGetScale", why)
    return _Look(world, own, now).decision(workload)


def metric_specs(body: Json) -> list[Json]:
    """The metrics of a v2 autoscaler; of a v1 one its cpu."""
    spec = body["spec"]
    if "metrics" in spec or spec.get("targetCPUUtilizationPercentage") is None:
        return list(spec.get("metrics") or ())
    target = {"type": "Utilization", "averageUtilization": spec["targetCPUUtilizationPercentage"]}
    return [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


class _Failed(Exception):
    """A metric that tells nothing: (reason, message)."""


class _Look:
    """One decision."""

    def __init__(self, world: World, own: Thing, now: float) -> None:
        self.world, self.own, self.now = world, own, now
        self.spec: Json = own.body["spec"]
        self.conditions: list[Json] = list(own.status.get("conditions") or ())
        self.current: list[Json] = []

    def decision(self, workload: Thing) -> Decision:
        self._say("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
        size = rollout.replicas(workload.body["spec"])
        least, most = (min(int(self.spec.get(name) or 1), MAX_REPLICAS) for name in ("minReplicas", "maxReplicas"))
        if size == 0:
            text = "scaling is disabled since the replica count of the target is zero"
            self._say("ScalingActive", "False", "ScalingDisabled", text)
            return self._done(workload, size, size)
        if size > most:
            return self._scaled(workload, size, most, "Current number of replicas above Spec.MaxReplicas")
        if size < least:
            return self._scaled(workload, size, least, "Current number of replicas below Spec.MinReplicas")
        try:
            wanted, name = self._proposed(workload, size)
        except _Failed as failed:
            reason, message = failed.args
            return self.failed("ScalingActive", reason, message, size)
        text = f"the HPA was able to successfully calculate a replica count from {name}"
        self._say("ScalingActive", "True", "ValidMetricFound", text)
        memory = self.world.memory.setdefault(self.own.uid, scaling.Memory())
        step = scaling.step(memory, self.spec.get("behavior") or {}, size, wanted, (least, most), self.now)
        ready = step.held or ("ReadyForNewScale", "recommended size matches current size")
        self._say("AbleToScale", "True", *ready)
        within = ("DesiredWithinRange", "the desired count is within the acceptable range")
        self._say("ScalingLimited", "True" if step.limited else "False", *(step.limited or within))
        reason = f"{name} above target" if step.replicas > size else "All metrics below target"
        return self._scaled(workload, size, step.replicas, reason)

    def _scaled(self, workload: Thing, size: int, wanted: int, reason: str) -> Decision:
        if wanted == size:
            return self._done(workload, size, wanted)
        memory = self.world.memory.setdefault(self.own.uid, scaling.Memory())
        memory.changes.append((self.now, wanted - size))
        body = {**workload.body, "spec": {**workload.body["spec"], "replicas": wanted}}
        text = f"the HPA controller was able to update the target scale to {wanted}"
        self._say("AbleToScale", "True", "SucceededRescale", text)
        note = Note(self.own.key, "Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {reason}")
        done = self._done(workload, size, wanted, rescaled=True)
        return done._replace(actions=(Update(workload.key, body), note, *done.actions))

    def _done(self, workload: Thing, size: int, wanted: int, rescaled: bool = False) -> Decision:
        made: Json = {"currentReplicas": size, "desiredReplicas": wanted}
        since = rfc3339(self.now) if rescaled else self.own.status.get("lastScaleTime")
        if since:
            made["lastScaleTime"] = since
        return Decision((Status(self.own.key, self._status(made)),), self.now + PERIOD)

    def failed(self, condition: str, reason: str, message: str, size: int | None = None) -> Decision:
        """Nothing is scaled while that cannot be known."""
        self._say(condition, "False", reason, message)
        kept = ("currentReplicas", "desiredReplicas", "lastScaleTime")
        made: Json = {"desiredReplicas": 0, **{name: self.own.status[name] for name in kept if name in self.own.status}}
        if size is not None:
            made["currentReplicas"] = size
        actions: list[Action] = [Status(self.own.key, self._status(made))]
        if not any(c.get("reason") == reason and c.get("message") == message for c in self.own.status.get("conditions") or ()):
            actions.append(Note(self.own.key, "Warning", reason, message))
        return Decision(tuple(actions), self.now + PERIOD)

    def _status(self, made: Json) -> Json:
        status = {**made, "conditions": self.conditions}
        status["observedGeneration"] = self.own.generation
        if "metrics" in self.spec:
            status["currentMetrics"] = self.current
            return status
        del status["conditions"]
        shares = [((one.get("resource") or {}).get("current") or {}).get("averageUtilization") for one in self.current]
        return {**status, "currentCPUUtilizationPercentage": shares[0]} if shares and shares[0] is not None else status

    def _say(self, kind: str, state: str, reason: str, message: str) -> None:
        before: Json = next((c for c in self.conditions if c["type"] == kind), {})
        since = before["lastTransitionTime"] if before.get("status") == state else rfc3339(self.now)
        made = {"type": kind, "status": state, "reason": reason, "message": message, "lastTransitionTime": since}
        at = next((at for at, c in enumerate(self.conditions) if c["type"] == kind), None)
        if at is None:
            self.conditions.append(made)
        else:
            self.conditions[at] = made

    # metrics
    def _proposed(self, workload: Thing, size: int) -> tuple[int, str]:
        """The largest size that any metric wants, and its name. Raises _Failed when that cannot be told."""
        found: list[tuple[int, str]] = []
        failed: list[_Failed] = []
        mine = metrics.pods_of(self.world, workload)
        for spec in metric_specs(self.own.body):
            try:
                found.append(self._metric(spec, mine, size))
            except _Failed as one:
                failed.append(one)
                self.current.append({"type": ""})
        best = max(found, default=None)
        if failed and (best is None or best[0] < size):
            raise failed[0]
        if best is None:
            raise _Failed("InvalidMetricSourceType", "the HPA was unable to compute the replica count: there is no metric")
        return best

    def _metric(self, spec: Json, mine: list[Thing], size: int) -> tuple[int, str]:
        kind = spec["type"]
        source = spec.get("resource") or spec.get("containerResource")
        if kind not in ("Resource", "ContainerResource") or source is None:
            text = f"the HPA was unable to compute the replica count: no {kind} metrics here: cpu and memory only"
            raise _Failed(f"FailedGet{kind}Metric", text)
        resource, container, target = source["name"], source.get("container") or "", source["target"]
        share = int(target.get("averageUtilization") or 0)
        try:
            average = 0 if share else _amount(resource, target.get("averageValue") or target.get("value") or "0")
            demand = self._demand(resource, container, mine, size, share, average)
        except _Failed as failed:
            text = f"the HPA was unable to compute the replica count: failed to get {resource} {'utilization' if share else 'usage'}: "
            raise _Failed(f"FailedGet{kind}Metric", text + failed.args[0]) from None
        self.current.append(_shown(kind, resource, container, demand))
        name = f"{resource} {'container ' if container else ''}resource{' utilization (percentage of request)' if share else ''}"
        return scaling.proposal(demand), name

    def _demand(self, resource: str, container: str, mine: list[Thing], size: int, share: int, average: int) -> Demand:
        used: dict[str, int] = {}
        unready, missing, asked = [], [], {}
        for pod in mine:
            if pod.deleted is not None or pods.phase(pod) in ("Failed", "Succeeded"):
                continue
            if share:
                asks = scaling.requests(pod.body, resource, container, lambda text: _amount(resource, text))
                if isinstance(asks, str) or not asks:
                    raise _Failed(f"missing request for {resource} in container {asks or container} of Pod {pod.key.name}")
                asked[pod.key.name] = asks
            amount = self._used(pod, resource, container)
            if pods.phase(pod) == "Pending" or (amount is not None and resource == "cpu" and self._too_young(pod)):
                unready.append(pod.key.name)
            elif amount is None:
                missing.append(pod.key.name)
            else:
                used[pod.key.name] = amount
        if not used:
            raise _Failed(f"did not receive metrics for targeted pods (pods might be unready): {resource}")
        return Demand(size, used, unready, missing, asked, share, average)

    def _used(self, pod: Thing, resource: str, container: str) -> int | None:
        found = self.world.usage.get(pod.uid) or {}
        names = [one["name"] for one in pod.body["spec"].get("containers") or () if container in ("", one["name"])]
        if not names or any(name not in found for name in names):
            return None
        amounts = [found[name].cpu if resource == "cpu" else found[name].memory for name in names]
        return None if None in amounts else sum(amount for amount in amounts if amount is not None)

    def _too_young(self, pod: Thing) -> bool:
        """Whether what a pod burns while it starts says nothing of its load."""
        ready = next((c for c in pod.status.get("conditions") or () if c.get("type") == "Ready"), None)
        started = pods.seconds(pod.status.get("startTime"))
        if ready is None or started is None:
            return True
        turned = pods.seconds(ready.get("lastTransitionTime")) or 0.0
        if started + CPU_INITIALIZATION > self.now:
            usage = min(self.world.usage[pod.uid].values(), key=lambda one: one.at)
            return bool(ready.get("status") != "True" or usage.at < turned + usage.window)
        return bool(ready.get("status") != "True") and started + READINESS_DELAY > turned


def _amount(resource: str, text: Any) -> int:
    """In milli for cpu, else whole."""
    try:
        found = quantity.parse(text)
    except InvalidInput as error:
        raise _Failed(error.message) from None
    return found.milli() if resource == "cpu" else found.value()


def _shown(kind: str, resource: str, container: str, demand: Demand) -> Json:
    """What `status.currentMetrics` says."""
    average = sum(demand.used.values()) // len(demand.used)
    now: Json = {"averageValue": f"{average}m" if resource == "cpu" else str(average)}
    if demand.share:
        now["averageUtilization"] = sum(demand.used.values()) * 100 // sum(demand.requests[name] for name in demand.used)
    field = "containerResource" if kind == "ContainerResource" else "resource"
    return {"type": kind, field: {"name": resource, **({"container": container} if container else {}), "current": now}}
