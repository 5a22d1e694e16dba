"""Rules over new pods: LimitRanges, quotas, priorities, pull secrets; and what the API server refuses of these kinds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeplay.kube import check, limits, quota
from kubeplay.kube.policies import Policies

Json = dict[str, Any]


def pod(*containers: Json, init: tuple[Json, ...] = (), **spec: Any) -> Json:
    made = [{"name": f"c{number}", "resources": one} for number, one in enumerate(containers)]
    whole = {"containers": made, "initContainers": list(init), **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": whole}


def ranges(**item: Any) -> list[Json]:
    return [{"kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **item}]}}]


def test_defaults_go_where_nothing_is_said() -> None:
    rules = ranges(default={"memory": "64Mi", "cpu": "1"}, defaultRequest={"memory": "32Mi"})
    found = limits.given(pod({}, {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}), rules)
    first, second = (one["resources"] for one in found["spec"]["containers"])
    assert first == {"requests": {"memory": "32Mi"}, "limits": {"memory": "64Mi", "cpu": "1"}}
    assert second == {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi", "cpu": "1"}}
    text = found["metadata"]["annotations"][limits.ANNOTATION]
    assert text == "LimitRanger plugin set: memory request cpu, memory limit for container c0; cpu limit for container c1"


def test_a_pod_that_says_everything_stays_as_it_is() -> None:
    given = pod({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}})
    assert limits.given(given, ranges(default={"cpu": "2"}, defaultRequest={"cpu": "2"})) is given


@pytest.mark.parametrize(("item", "resources", "said"), [
    ({"min": {"cpu": "1"}}, {}, ["minimum cpu usage per Container is 1.  No request is specified"]),
    ({"min": {"cpu": "1"}}, {"requests": {"cpu": "500m"}}, ["minimum cpu usage per Container is 1, but request is 500m"]),
    ({"max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, ["maximum cpu usage per Container is 1, but limit is 2"]),
    ({"max": {"cpu": "1"}}, {"requests": {"cpu": "1"}}, ["maximum cpu usage per Container is 1.  No limit is specified"]),
    ({"maxLimitRequestRatio": {"cpu": "2"}}, {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}},
     ["cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"]),
    ({"max": {"cpu": "1"}, "min": {"cpu": "1"}}, {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, []),
])  # fmt: skip
def test_bounds(item: Json, resources: Json, said: list[str]) -> None:
    assert limits.broken(pod(resources), ranges(**item)) == said


def test_in6_a_pods_bounds_count_what_runs_at_once() -> None:
    side = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}
    init = {"name": "i", "resources": {"requests": {"cpu": "3"}}}
    one = pod({"requests": {"cpu": "1"}}, {"requests": {"cpu": "1"}}, init=(side, init))
    assert limits.total(one["spec"], "requests")["cpu"].canonical() == "4"  # the init container beside the sidecar
    rule = [{"spec": {"limits": [{"type": "Pod", "max": {"cpu": "3"}}]}}]
    assert limits.broken(one, rule) == ["maximum cpu usage per Pod is 3.  No limit is specified"]


def _quota(hard: Json, **spec: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard, **spec}}


def test_what_is_used() -> None:
    running, ended = pod({"requests": {"cpu": "200m"}, "limits": {"memory": "1Gi"}}), {**pod({}), "status": {"phase": "Failed"}}
    ports = {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}
    web = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": ports}
    hard = {"pods": "5", "requests.cpu": "1", "limits.memory": "2Gi", "services.nodeports": "3", "count/pods": "9", "secrets": "1"}
    used = quota.used(_quota(hard), [running, ended, web])
    wanted = {"pods": "1", "requests.cpu": "200m", "limits.memory": "1Gi", "services.nodeports": "2", "count/pods": "2", "secrets": "0"}
    assert used == wanted


@pytest.mark.parametrize(("hard", "one", "said"), [
    ({"pods": "0"}, pod({}), "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"),
    ({"pods": "1"}, pod({}), ""),
    ({"limits.cpu": "1"}, pod({}, {}), "failed quota: q: must specify limits.cpu for: c0,c1"),
    ({"requests.cpu": "1"}, pod({"requests": {"cpu": "2"}}),
     "exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1"),
    ({"count/deployments.apps": "0"}, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}},
     "exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0"),
])  # fmt: skip
def test_what_does_not_fit(hard: Json, one: Json, said: str) -> None:
    assert quota.refusal(_quota(hard), [], one) == said


@pytest.mark.parametrize(("scope", "inside", "outside"), [
    ("Terminating", pod({}, activeDeadlineSeconds=1), pod({})),
    ("NotTerminating", pod({}), pod({}, activeDeadlineSeconds=1)),
    ("BestEffort", pod({}), pod({"requests": {"cpu": "1"}})),
    ("NotBestEffort", pod({"limits": {"cpu": "1"}}), pod({})),
    ("PriorityClass", pod({}, priorityClassName="high"), pod({})),
])  # fmt: skip
def test_scopes(scope: str, inside: Json, outside: Json) -> None:
    rule = _quota({"pods": "0"}, scopes=[scope])
    assert quota.refusal(rule, [], inside) and not quota.refusal(rule, [], outside)


def test_priorities_and_pull_secrets() -> None:
    usual = {"kind": "PriorityClass", "metadata": {"name": "usual"}, "value": 5, "globalDefault": True}
    high = {"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 9, "preemptionPolicy": "Never"}
    account = {"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}, "imagePullSecrets": [{"name": "s"}]}
    rules = Policies().with_these([usual, high, account])
    plain = rules.admitted(pod({}))["spec"]
    named = rules.admitted(pod({}, priorityClassName="high", imagePullSecrets=[{"name": "t"}]))["spec"]
    assert (plain["priorityClassName"], plain["priority"], plain["imagePullSecrets"]) == ("usual", 5, [{"name": "s"}])
    assert (named["priority"], named["preemptionPolicy"], named["imagePullSecrets"]) == (9, "Never", [{"name": "t"}])
    assert Policies().admitted(given := pod({})) is given


def _faults(**obj: Any) -> list[str]:
    found = check.inspect(json.dumps({"metadata": {"name": "n"}, **obj}).encode(), "f").faults
    return [fault.path for fault in found]


RBAC = "rbac.authorization.k8s.io/v1"


@pytest.mark.parametrize(("obj", "paths"), [
    ({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 2 * 10**9}, ["value"]),
    ({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "system-x"}}, ["metadata.name"]),
    ({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "preemptionPolicy": "x"}, ["preemptionPolicy"]),
    ({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "Thing"}]}}, ["spec.limits[0].type"]),
    ({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "Pod", "default": {"cpu": 1}}]}}, ["spec.limits[0].default"]),
    ({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "Container", "min": {"cpu": 2}, "max": {"cpu": 1}}]}},
     ["spec.limits[0].min[cpu]", "spec.limits[0].defaultRequest[cpu]", "spec.limits[0].default[cpu]"]),
    ({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "PersistentVolumeClaim"}]}}, ["spec.limits[0].limits"]),
    ({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "Container"}, {"type": "Container"}]}},
     ["spec.limits[1].type"]),
    ({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"bananas": 1, "pods": -1}}},
     ["spec.hard[bananas]", "spec.hard[pods]"]),
    ({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": 1}, "scopes": ["BestEffort", "NotBestEffort"]}},
     ["spec.scopes"]),
    ({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"services": 1}, "scopes": ["Terminating"]}}, ["spec.scopes"]),
    ({"apiVersion": RBAC, "kind": "Role", "rules": [{}]}, ["rules[0].verbs", "rules[0].apiGroups", "rules[0].resources"]),
    ({"apiVersion": RBAC, "kind": "Role", "rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, ["rules[0].nonResourceURLs"]),
    ({"apiVersion": RBAC, "kind": "RoleBinding", "roleRef": {"kind": "Thing", "name": "r"}}, ["roleRef.kind"]),
    ({"apiVersion": RBAC, "kind": "ClusterRoleBinding", "roleRef": {"kind": "ClusterRole", "name": "r"},
      "subjects": [{"kind": "ServiceAccount", "name": "a"}, {"kind": "Dog", "name": "d"}]}, ["subjects[0].namespace", "subjects[1].kind"]),
    ({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "No"}}, ["metadata.name"]),
])  # fmt: skip
def test_what_is_refused(obj: Json, paths: list[str]) -> None:
    assert sorted(_faults(**obj)) == sorted(paths)
