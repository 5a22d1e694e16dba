"""The order of the output: kustomize's, which puts first what others need, or that of the files (`sortOptions`)."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.kustomize.model import Resource, Tree, fault

FIRST = (
    "Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy", "Role", "ClusterRole",
    "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret", "Endpoints", "Service", "LimitRange", "PriorityClass", "PersistentVolume",
    "PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob", "PodDisruptionBudget",
)  # fmt: skip
LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def ordered(resources: Sequence[Resource], options: Tree | None, where: str) -> list[Resource]:
    """The resources in the order that the options ask for; without options the order by kinds. Raises InvalidInput."""
    options = options or {}
    order, legacy = options.get("order") or "legacy", options.get("legacySortOptions")
    if order not in ("legacy", "fifo"):
        raise fault(where, "sortOptions.order", f"{order!r} is neither legacy nor fifo")
    if order == "fifo":
        if legacy:
            raise fault(where, "sortOptions", "legacySortOptions go with the order legacy only")
        return list(resources)
    first, last = (legacy.get("orderFirst") or (), legacy.get("orderLast") or ()) if legacy else (FIRST, LAST)
    ranks = {kind: at - len(first) for at, kind in enumerate(first)} | {kind: at + 1 for at, kind in enumerate(last)}
    return sorted(resources, key=lambda one: _key(one, ranks))


def _key(resource: Resource, ranks: dict[str, int]) -> tuple[int, str, str]:
    """A missing part sorts after every other, as `~` does."""
    id = resource.id
    kind = f"{id.group or '~G'}_{id.version or '~V'}_{id.kind or '~K'}"
    return ranks.get(id.kind, 0), kind, f"{kind}|{id.namespace or '~X'}|{id.name or '~N'}"
