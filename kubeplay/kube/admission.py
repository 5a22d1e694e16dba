"""What a cluster's admission refuses before it validates: references that must exist when an object is made.

References inside of a pod's containers and volumes are not among them: a kubelet waits for those. What must exist is the
namespace, and for a Pod its ServiceAccount, PriorityClass and RuntimeClass (kubernetes-surprises.md: 403 and 404, and
they hide the faults that validation would find).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeplay.errors import Fault
from kubeplay.kube.document import Document
from kubeplay.kube.kinds import Kind
from kubeplay.record import Record

# What every cluster has from its first second.
_NAMESPACES = frozenset(("default", "kube-system", "kube-public", "kube-node-lease"))
# scheduling/v1: the two built-in classes and their values.
_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Known(Record):
    """What exists outside of the file.

    `priorities` are PriorityClasses with their values (a global default's name is also ""); `any_namespace` says not to ask for the
    namespace, `service_range` "" is the API server's usual.
    """

    namespaces: frozenset[str] = frozenset()
    service_accounts: frozenset[tuple[str, str]] = frozenset()
    priorities: tuple[tuple[str, int], ...] = ()
    any_namespace: bool = False
    service_range: str = ""


def with_file(known: Known, documents: list[Document], namespace: str) -> Known:
    """`known` and what the file itself brings; the namespace asked for on the command line is taken to exist."""
    namespaces = set(known.namespaces) | _NAMESPACES | {namespace}
    accounts = set(known.service_accounts)
    priorities = dict(known.priorities)
    for document in documents:
        metadata = document.value.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            continue
        if document.value.get("kind") == "Namespace":
            namespaces.add(metadata["name"])
        elif document.value.get("kind") == "ServiceAccount":
            accounts.add((str(metadata.get("namespace") or namespace), metadata["name"]))
        elif document.value.get("kind") == "PriorityClass" and isinstance(document.value.get("value", 0), int):
            priorities.update(classes([document.value]))
    return known._replace(
        namespaces=frozenset(namespaces), service_accounts=frozenset(accounts), priorities=tuple(sorted(priorities.items()))
    )


def classes(found: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """The names and values of PriorityClasses; the one for pods that name none also as ""."""
    made = [(str(one["metadata"]["name"]), int(one.get("value") or 0)) for one in found]
    return made + [("", int(one.get("value") or 0)) for one in found if one.get("globalDefault") is True]


def admit(obj: dict[str, Any], kind: Kind, known: Known) -> list[Fault]:
    """The first thing that admission refuses, or nothing."""
    namespace = obj["metadata"].get("namespace", "")
    if kind.namespaced and not known.any_namespace and namespace not in known.namespaces:
        hint = f"add a Namespace {namespace} to the file, or make it first"
        return [Fault("metadata.namespace", "NotFound", f'namespace "{namespace}" not found', hint)]
    if kind.kind == "Pod" and kind.group == "":
        return _pod(obj.get("spec") or {}, namespace, known)
    return []


def _pod(spec: dict[str, Any], namespace: str, known: Known) -> list[Fault]:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    field = "spec.serviceAccountName" if spec.get("serviceAccountName") else "spec.serviceAccount"
    if account != "default" and (namespace, account) not in known.service_accounts:
        hint = "make the ServiceAccount first, or remove the field"
        return [Fault(field, "Forbidden", f'service account "{namespace}/{account}" not found', hint)]
    name = spec.get("priorityClassName")
    priorities = {**_PRIORITIES, **dict(known.priorities)}
    if name and name not in priorities:
        hint = "make the PriorityClass first; built in are system-cluster-critical and system-node-critical"
        return [Fault("spec.priorityClassName", "Forbidden", f"no PriorityClass with name {name} was found", hint)]
    computed = priorities.get(name or "", 0)
    if spec.get("priority") is not None and spec["priority"] != computed:
        message = f"the integer value of priority ({spec['priority']}) must not be provided; the class gives {computed}"
        return [Fault("spec.priority", "Forbidden", message, "remove the field, or name a priorityClassName")]
    runtime = spec.get("runtimeClassName")
    if runtime:
        hint = "remove the field: one runtime runs all pods here"
        return [Fault("spec.runtimeClassName", "Forbidden", f'RuntimeClass "{runtime}" not found', hint)]
    if spec.get("overhead"):
        return [Fault("spec.overhead", "Forbidden", "overhead needs a RuntimeClass that defines it", "remove the field")]
    return []
