"""`describe` of workloads, networks and policies: kubectl's sections and words."""

from __future__ import annotations

from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.kube.describe import batch, network, node, policy, workloads

NOW = 1_000_000.0
META: dict[str, Any] = {"name": "web", "namespace": "shop", "creationTimestamp": rfc3339(NOW - 300), "labels": {"a": "1"}}
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "main", "image": "i:1", "ports": [{"containerPort": 80}]}], "initContainers": [{"name": "first"}]},
}
SELECTOR = {"matchLabels": {"app": "web"}}
PODS = [{"status": {"phase": phase}} for phase in ("Running", "Running", "Pending", "Failed")]


def words(text: str) -> str:
    return " ".join(text.split())


def the_set(name: str, revision: str, replicas: int) -> dict[str, Any]:
    marks = {workloads.REVISION: revision}
    return {"metadata": {"name": name, "annotations": marks}, "spec": {"replicas": replicas}, "status": {"replicas": replicas}}


def test_deployment() -> None:
    body = {
        "metadata": {**META, "annotations": {workloads.REVISION: "2"}},
        "spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE, "strategy": {
            "type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}},
        "status": {"replicas": 4, "updatedReplicas": 2, "availableReplicas": 3, "unavailableReplicas": 1, "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}]},
    }  # fmt: skip
    shown = words(workloads.deployment(body, PODS, [the_set("web-1", "1", 2), the_set("web-2", "2", 2)], [], NOW))
    for part in ("Replicas: 3 desired | 2 updated | 4 total | 3 available | 1 unavailable",
                 "StrategyType: RollingUpdate MinReadySeconds: 0",
                 "RollingUpdateStrategy: 1 max unavailable, 25% max surge", "Pod Template: Labels: app=web Init Containers: first:",
                 "main: Image: i:1 Port: 80/TCP", "Available True MinimumReplicasAvailable",
                 "OldReplicaSets: web-1 (2/2 replicas created) NewReplicaSet: web-2 (2/2 replicas created)", "Events: <none>"):  # fmt: skip
        assert part in shown, (part, shown)
    assert "Container ID" not in shown


def test_sets() -> None:
    spec = {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}
    body: dict[str, Any] = {"metadata": META, "spec": spec, "status": {"replicas": 2}}
    shown = words(workloads.replica_set(body, PODS, [], [], NOW))
    assert "Replicas: 2 current / 3 desired Pods Status: 2 Running / 1 Waiting / 0 Succeeded / 1 Failed" in shown
    body["spec"] |= {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, "volumeClaimTemplates": [
        {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}]}  # fmt: skip
    shown = words(workloads.stateful_set(body, PODS, [], [], NOW))
    assert "Replicas: 3 desired | 2 total Update Strategy: RollingUpdate Partition: 1" in shown
    assert "Volume Claims: Name: data" in shown and "Capacity: 1Gi Access Modes: [ReadWriteOnce]" in shown
    body["status"] = {"desiredNumberScheduled": 1, "numberAvailable": 1}
    shown = words(workloads.daemon_set(body, PODS, [], [], NOW))
    assert "Desired Number of Nodes Scheduled: 1" in shown and "Number of Nodes Scheduled with Available Pods: 1" in shown


def test_batch() -> None:
    spec = {"selector": SELECTOR, "template": TEMPLATE, "completions": 3, "parallelism": 2, "backoffLimit": 6, "completionMode": "Indexed"}
    status = {"startTime": rfc3339(NOW - 60), "completionTime": rfc3339(NOW - 10), "succeeded": 3, "completedIndexes": "0-2",
              "conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}]}  # fmt: skip
    shown = words(batch.job({"metadata": META, "spec": spec, "status": status}, PODS, [], [], NOW))
    for part in ("Parallelism: 2 Completions: 3 Completion Mode: Indexed Suspend: false Backoff Limit: 6", "Duration: 50s",
                 "Pods Statuses: 0 Active (0 Ready) / 3 Succeeded / 0 Failed Completed Indexes: 0-2",
                 "DeadlineExceeded too long"):  # fmt: skip
        assert part in shown, (part, shown)
    cron = {"metadata": META, "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}}}
    shown = words(batch.cron_job(cron, [], [], [], NOW))
    assert "Schedule: */5 * * * * Concurrency Policy: Allow Suspend: False" in shown and "Active Jobs: <none>" in shown


def test_networks() -> None:
    paths = [{"path": "/api", "backend": {"service": {"name": "api", "port": {"number": 80}}}}]
    spec = {"rules": [{"host": "x.example", "http": {"paths": paths}}], "tls": [{"hosts": ["x.example"], "secretName": "s"}]}
    shown = words(network.ingress({"metadata": META, "spec": spec}, lambda name, port: [f"10.0.0.1:8{port}"], [], NOW))
    assert "s terminates x.example" in shown and "x.example /api api:80 (10.0.0.1:880)" in shown and "Default backend: <default>" in shown
    rules = [{"from": [{"podSelector": {"matchLabels": {"b": "c"}}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
              "ports": [{"port": 80, "endPort": 90}]}, {}]  # fmt: skip
    body = {"metadata": META, "spec": {"podSelector": {}, "ingress": rules, "egress": [], "policyTypes": ["Ingress", "Egress"]}}
    shown = words(network.network_policy(body, [], NOW))
    for part in ("PodSelector: <none> (Allowing the specific traffic to all pods in this namespace)",
                 "To Port: 80-90/TCP", "PodSelector: b=c",
                 "IPBlock: CIDR: 10.0.0.0/8 Except: 10.1.0.0/16 ----------", "From: <any> (traffic not restricted by source)",
                 "<none> (Selected pods are isolated for egress connectivity)", "Policy Types: Ingress, Egress"):  # fmt: skip
        assert part in shown, (part, shown)
    assert "Controller: c" in words(network.ingress_class({"metadata": META, "spec": {"controller": "c"}}, [], NOW))


def test_policies() -> None:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 4, "metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}}}  # fmt: skip
    shown = words(policy.autoscaler({"metadata": META, "spec": spec, "status": {"currentReplicas": 2}}, [], NOW))
    assert "resource cpu on pods (as a percentage of request): <unknown> / 50%" in shown
    assert "Deployment pods: 2 current / 0 desired" in shown
    assert "Scale Down: Stabilization Window: 60 seconds" in shown
    bounded = {"metadata": META, "spec": {"minAvailable": 2, "selector": SELECTOR}, "status": {"expectedPods": 3}}
    shown = words(policy.budget(bounded, [], NOW))
    assert "Min available: 2 Selector: app=web Status: Allowed disruptions: 0 Current: 0 Desired: 0 Total: 3" in shown
    quota = {"metadata": META, "status": {"hard": {"pods": "2"}, "used": {"pods": "1"}}}
    limits = {"metadata": META, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "default": {"memory": "64Mi"}}]}}
    assert "pods 1 2" in words(policy.quota(quota, [], NOW))
    assert "Container cpu - 1 - - - Container memory - - - 64Mi -" in words(policy.limits(limits, [], NOW))
    shown = words(policy.namespace({"metadata": {"name": "shop"}}, [quota], []))
    assert "Status: Active Resource Quotas Name: web" in shown and "No LimitRange resource." in shown
    role = {"metadata": META, "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}]}
    assert "deployments.apps [] [] [get list]" in words(policy.role(role, [], NOW))
    bound = {"metadata": META, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "me"}]}
    assert "Role: Kind: Role Name: r Subjects:" in words(policy.binding(bound, [], NOW))
    assert "Name: web Value: 5 GlobalDefault: false" in words(policy.priority_class({"metadata": META, "value": 5}, [], NOW))
    assert "Image pull secrets: <none>" in words(policy.service_account({"metadata": META}, [], NOW))
    subsets = [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]
    shown = words(policy.endpoints({"metadata": META, "subsets": subsets}, [], NOW))
    assert "Addresses: 10.0.0.1 NotReadyAddresses: <none> Ports:" in shown


def test_node() -> None:
    body = {"metadata": {"name": "vm"}, "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}, "capacity": {"cpu": "2"}}}
    resources = {"requests": {"cpu": "250m", "memory": "64Mi"}}
    pod = {"metadata": {"name": "p", "namespace": "shop"}, "spec": {
        "containers": [{"resources": resources}, {"resources": resources}], "initContainers": [{"resources": {"requests": {"cpu": "1"}}}]}}
    ended = {"metadata": {"name": "q"}, "spec": {}, "status": {"phase": "Succeeded"}}
    shown = words(node.node(body, [pod, ended], [], NOW))
    assert "(1 in total)" in shown and "shop p 1 (50%) 0 (0%) 128Mi (12%) 0 (0%)" in shown and "memory 128Mi (12%) 0 (0%)" in shown
