"""`get`: kubectl's columns of every kind, from objects alone (KC3)."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.clock import rfc3339
from kubeplay.kube import printers

NOW = 1_000_000.0
META = {"name": "web", "namespace": "shop", "creationTimestamp": rfc3339(NOW - 300)}


def cells(kind: str, body: dict[str, Any]) -> dict[str, str]:
    printer = printers.printer(kind)
    return dict(zip([column.header for column in printer.columns], printer.cells({"kind": kind, "metadata": META, **body}, NOW)))


def some(kind: str, headers: str, **body: Any) -> list[str]:
    found = cells(kind, body)
    return [found[header] for header in headers.split(",")]


@pytest.mark.parametrize("kind", printers._ELSEWHERE)
def test_every_kind_has_as_many_cells_as_columns_even_when_it_is_empty(kind: str) -> None:
    printer = printers.printer(kind)
    assert len(printer.columns) == len(printer.cells({"kind": kind, "metadata": META}, NOW))


def test_ingress() -> None:
    rules = [{"host": f"{name}.example"} for name in "abcde"]
    found = some("Ingress", "CLASS,HOSTS,ADDRESS,PORTS,AGE", spec={"ingressClassName": "nginx", "rules": rules, "tls": [{}]},
                 status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "x"}]}})  # fmt: skip
    assert found == ["nginx", "a.example,b.example,c.example + 2 more...", "192.0.2.1,x", "80, 443", "5m"]
    assert some("Ingress", "CLASS,HOSTS,ADDRESS,PORTS", spec={"defaultBackend": {}}) == ["<none>", "*", "", "80"]


def test_networks() -> None:
    assert some("IngressClass", "CONTROLLER,PARAMETERS", spec={"controller": "k8s.io/x"}) == ["k8s.io/x", "<none>"]
    given = {"controller": "c", "parameters": {"apiGroup": "g.io", "kind": "K", "name": "n"}}
    assert some("IngressClass", "PARAMETERS", spec=given) == ["K.g.io/n"]
    assert some("NetworkPolicy", "POD-SELECTOR", spec={"podSelector": {"matchLabels": {"a": "b"}}}) == ["a=b"]
    assert some("NetworkPolicy", "POD-SELECTOR", spec={"podSelector": {}}) == ["<none>"]
    subsets = [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": [{"port": 80}, {"port": 443}]}]
    assert some("Endpoints", "ENDPOINTS", subsets=subsets) == ["10.0.0.1:80,[fd00::1]:80,10.0.0.1:443 + 1 more..."]
    assert some("Endpoints", "ENDPOINTS") == ["<none>"]
    found = some("EndpointSlice", "ADDRESSTYPE,PORTS,ENDPOINTS", addressType="IPv4", ports=[{"port": 80}, {}],
                 endpoints=[{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}])  # fmt: skip
    assert found == ["IPv4", "80,*", "10.0.0.1,10.0.0.2"]
    assert some("EndpointSlice", "PORTS,ENDPOINTS") == ["<unset>", "<unset>"]


def test_autoscaler_in_both_versions() -> None:
    v1 = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}
    headers = "REFERENCE,TARGETS,MINPODS,MAXPODS,REPLICAS"
    found = some("HorizontalPodAutoscaler", headers, spec=v1, status={"currentReplicas": 3, "currentCPUUtilizationPercentage": 7})
    assert found == ["Deployment/web", "cpu: 7%/50%", "2", "5", "3"]
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
        {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "64Mi"}}},
        {"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"averageValue": "10"}}},
    ]
    now = [{}, {"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "32Mi"}}}]
    found = some("HorizontalPodAutoscaler", "TARGETS,MINPODS", spec={"metrics": metrics, "maxReplicas": 5}, status={"currentMetrics": now})
    assert found == ["cpu: <unknown>/80%, memory: 32Mi/64Mi + 1 more...", "<unset>"]
    assert some("HorizontalPodAutoscaler", "TARGETS", spec={}) == ["<none>"]


def test_bounds() -> None:
    headers = "MIN AVAILABLE,MAX UNAVAILABLE,ALLOWED DISRUPTIONS"
    assert some("PodDisruptionBudget", headers, spec={"minAvailable": "50%"}, status={"disruptionsAllowed": 1}) == ["50%", "N/A", "1"]
    assert some("PodDisruptionBudget", headers, spec={"maxUnavailable": 0}) == ["N/A", "0", "0"]
    status = {"hard": {"pods": "10", "limits.cpu": "2", "requests.cpu": "1"}, "used": {"pods": "3", "limits.cpu": "500m"}}
    assert some("ResourceQuota", "REQUEST,LIMIT", status=status) == ["pods: 3/10, requests.cpu: 0/1", "limits.cpu: 500m/2"]
    assert some("LimitRange", "CREATED AT") == [META["creationTimestamp"]]


def test_cluster() -> None:
    node = {"spec": {"unschedulable": True}, "status": {
        "conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"kubeletVersion": "v1", "kernelVersion": "6"}}}  # fmt: skip
    assert some("Node", "STATUS,ROLES,VERSION,INTERNAL-IP,KERNEL-VERSION,OS-IMAGE", **node) == [
        "Ready,SchedulingDisabled", "<none>", "v1", "10.0.0.1", "6", "<unknown>"]  # fmt: skip
    found = some("PriorityClass", "VALUE,GLOBAL-DEFAULT,PREEMPTIONPOLICY", value=7, globalDefault=True)
    assert found == ["7", "true", "PreemptLowerPriority"]
    subjects = [{"kind": "User", "name": "me"}, {"kind": "ServiceAccount", "name": "sa", "namespace": "shop"}]
    found = some("RoleBinding", "ROLE,USERS,GROUPS,SERVICEACCOUNTS", roleRef={"kind": "Role", "name": "r"}, subjects=subjects)
    assert found == ["Role/r", "me", "", "shop/sa"]
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": True}
    made = some("ControllerRevision", "CONTROLLER,REVISION", metadata={**META, "ownerReferences": [owner]}, revision=3)
    assert made == ["statefulset.apps/db", "3"]
