"""What a namespace adds to a new pod: its class's priority, its account's pull secrets, the defaults of LimitRanges. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeplay.kube import limits
from kubeplay.record import Record

Object = dict[str, Any]
KINDS = ("PriorityClass", "ServiceAccount", "LimitRange")
DEFAULT_ACCOUNT = "default"


class Policies(Record):
    """The objects of KINDS that exist, as they are stored."""

    objects: tuple[Object, ...] = ()

    def with_these(self, objects: Iterable[Object]) -> Policies:
        """These too; an object of the same identity replaces the one before it."""
        found = {_identity(one): one for one in self.objects}
        found.update({_identity(one): one for one in objects if one["kind"] in KINDS})
        return Policies(tuple(found.values()))

    def of(self, kind: str, namespace: str = "") -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind and _namespace(one) == namespace]

    def admitted(self, pod: Object) -> Object:
        """The pod as the namespace's rules make it."""
        if not self.objects:
            return pod
        spec = {**pod["spec"], **self._priority(pod["spec"])}
        if not spec.get("imagePullSecrets"):
            name = spec.get("serviceAccountName") or DEFAULT_ACCOUNT
            account = next((one for one in self.of("ServiceAccount", _namespace(pod)) if one["metadata"]["name"] == name), {})
            if account.get("imagePullSecrets"):
                spec["imagePullSecrets"] = list(account["imagePullSecrets"])
        return limits.given({**pod, "spec": spec}, self.of("LimitRange", _namespace(pod)))

    def _priority(self, spec: Object) -> Object:
        """A pod that names no class gets the global default's, where there is one."""
        name = spec.get("priorityClassName") or ""
        fits = [one for one in self.of("PriorityClass") if (one["metadata"]["name"] == name if name else one.get("globalDefault"))]
        chosen = next(iter(fits), None)
        if chosen is None:
            return {}
        return {
            "priorityClassName": chosen["metadata"]["name"],
            "priority": chosen.get("value") or 0,
            "preemptionPolicy": chosen.get("preemptionPolicy") or "PreemptLowerPriority",
        }

    def broken(self, pod: Object) -> str:
        """Which bounds of LimitRanges the admitted pod breaks, as the server words it; "" when none."""
        wrong = limits.broken(pod, self.of("LimitRange", _namespace(pod)))
        if not wrong:
            return ""
        text = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        return f'pods "{pod["metadata"]["name"]}" is forbidden: {text}'


def _namespace(obj: Object) -> str:
    return "" if obj["kind"] == "PriorityClass" else obj["metadata"].get("namespace") or "default"


def _identity(obj: Object) -> tuple[str, str, str]:
    return obj["kind"], _namespace(obj), obj["metadata"]["name"]
