"""`kubectl get` columns of the machine and of who may do what: Node, PriorityClass, ServiceAccount, roles, ControllerRevision (KC3)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.printers import NONE, UNKNOWN, Printer, columns_of, created, since

Json = dict[str, Any]


def _node(body: Json, now: float) -> list[str]:
    spec, status = body.get("spec") or {}, body.get("status") or {}
    ready = next((one["status"] for one in status.get("conditions") or [] if one["type"] == "Ready"), "Unknown")
    state = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown") + (",SchedulingDisabled" if spec.get("unschedulable") else "")
    info, where = status.get("nodeInfo") or {}, {one["type"]: one["address"] for one in status.get("addresses") or []}
    return [
        state, roles(body), since(body, now), info.get("kubeletVersion", ""), where.get("InternalIP", NONE), where.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN, info.get("kernelVersion") or UNKNOWN, info.get("containerRuntimeVersion") or UNKNOWN,
    ]  # fmt: skip


def roles(body: Json) -> str:
    """From labels `node-role.kubernetes.io/ROLE`."""
    prefix = "node-role.kubernetes.io/"
    found = sorted(label.removeprefix(prefix) for label in body["metadata"].get("labels") or {} if label.startswith(prefix))
    return ",".join(found) or NONE


def _priority_class(body: Json, now: float) -> list[str]:
    default = "true" if body.get("globalDefault") else "false"
    return [str(body.get("value", 0)), default, since(body, now), body.get("preemptionPolicy") or "PreemptLowerPriority"]


def _service_account(body: Json, now: float) -> list[str]:
    return [str(len(body.get("secrets") or [])), since(body, now)]


def _role(body: Json, now: float) -> list[str]:
    return [created(body)]


def _binding(body: Json, now: float) -> list[str]:
    role = body.get("roleRef") or {}
    names: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for one in body.get("subjects") or []:
        scope = f"{one.get('namespace', '')}/" if one.get("kind") == "ServiceAccount" else ""
        names.setdefault(one.get("kind", ""), []).append(f"{scope}{one.get('name', '')}")
    who = [", ".join(names[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [f"{role.get('kind', '')}/{role.get('name', '')}", since(body, now), *who]


def _revision(body: Json, now: float) -> list[str]:
    owner = next((one for one in body["metadata"].get("ownerReferences") or [] if one.get("controller")), None)
    group = str((owner or {}).get("apiVersion", "")).rpartition("/")[0]
    name = f"{str(owner['kind']).lower()}{'.' + group if group else ''}/{owner['name']}" if owner else NONE
    return [name, str(body.get("revision", 0)), since(body, now)]


PRINTERS = {
    "Node": Printer(columns_of("STATUS,ROLES,AGE,VERSION|INTERNAL-IP,EXTERNAL-IP,OS-IMAGE,KERNEL-VERSION,CONTAINER-RUNTIME"), _node),
    "PriorityClass": Printer(columns_of("VALUE,GLOBAL-DEFAULT,AGE,PREEMPTIONPOLICY"), _priority_class),
    "ServiceAccount": Printer(columns_of("SECRETS,AGE"), _service_account),
    "Role": Printer(columns_of("CREATED AT"), _role),
    "ClusterRole": Printer(columns_of("CREATED AT"), _role),
    "RoleBinding": Printer(columns_of("ROLE,AGE|USERS,GROUPS,SERVICEACCOUNTS"), _binding),
    "ClusterRoleBinding": Printer(columns_of("ROLE,AGE|USERS,GROUPS,SERVICEACCOUNTS"), _binding),
    "ControllerRevision": Printer(columns_of("CONTROLLER,REVISION,AGE"), _revision),
}
