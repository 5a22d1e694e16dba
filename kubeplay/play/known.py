"""What of the store a verdict on a manifest depends on (kube/admission.py), and the making of pods (kube/policies.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store
    from kubeplay.kube.admission import Known

_RULES = ("PriorityClass", "ServiceAccount", "LimitRange")


class Facts(Record):
    """Names of Namespaces, (namespace, name) of ServiceAccounts, the texts of the objects that rule over pods, the Service range."""

    namespaces: tuple[str, ...] = ()
    accounts: tuple[tuple[str, str], ...] = ()
    rules: tuple[str, ...] = ()
    service_range: str = ""


def facts(store: Store, service_range: str = "") -> Facts:
    """Read what exists; cheap, as every play asks."""
    namespaces = tuple(sorted([one.key.name for one in store.objects.list("Namespace")]))
    if not store.controllers.any(_RULES):
        return Facts(namespaces, service_range=service_range)
    found = [one for kind in _RULES for one in store.objects.list(kind)]
    accounts = tuple([(one.key.namespace, one.key.name) for one in found if one.key.kind == "ServiceAccount"])
    return Facts(namespaces, accounts, tuple([one.body for one in found]), service_range)


def known(found: Facts) -> Known:
    """The same for admission."""
    import json

    from kubeplay.kube.admission import Known, classes

    bodies = [json.loads(text) for text in found.rules]
    priorities = tuple(classes([body for body in bodies if body["kind"] == "PriorityClass"]))
    return Known(frozenset(found.namespaces), frozenset(found.accounts), priorities, service_range=found.service_range)
