"""The rows of StatefulSet, DaemonSet, HorizontalPodAutoscaler and PodDisruptionBudget; field_table.py says how to read them."""

from __future__ import annotations

_SELECTOR = """
selector | + |
selector.matchLabels{} | + |
selector.matchExpressions[] | + |
selector.matchExpressions[].key | + |
selector.matchExpressions[].operator | + |
selector.matchExpressions[].values[] | + |
"""

# without volumeClaimTemplates[].metadata and .spec, which are a claim's
STATEFUL_SET = (
    _SELECTOR
    + """
replicas | + |
template | + |
serviceName | + | the pods' subdomain; it may be empty
podManagementPolicy | + |
ordinals | + |
ordinals.start | + |
minReadySeconds | + |
revisionHistoryLimit | + |
updateStrategy | + |
updateStrategy.type | + |
updateStrategy.rollingUpdate | + |
updateStrategy.rollingUpdate.partition | + |
updateStrategy.rollingUpdate.maxUnavailable | o | its feature gate is off in Kubernetes 1.36: one pod at a time
persistentVolumeClaimRetentionPolicy | + |
persistentVolumeClaimRetentionPolicy.whenDeleted | + |
persistentVolumeClaimRetentionPolicy.whenScaled | + |
volumeClaimTemplates[] | + | a claim for each pod; one that is there already is used as it is
volumeClaimTemplates[].metadata | + |
volumeClaimTemplates[].apiVersion | + |
volumeClaimTemplates[].kind | + |
volumeClaimTemplates[].status | oi | set by a server, dropped
volumeClaimTemplates[].spec | + |
"""
)
CLAIM_TEMPLATES = "volumeClaimTemplates[]."

DAEMON_SET = (
    _SELECTOR
    + """
template | + | one pod: there is one node
minReadySeconds | + |
revisionHistoryLimit | + |
updateStrategy | + |
updateStrategy.type | + |
updateStrategy.rollingUpdate | + |
updateStrategy.rollingUpdate.maxSurge | + | any makes the new pod come first
updateStrategy.rollingUpdate.maxUnavailable | + | of one pod always that one
"""
)

BUDGET = (
    _SELECTOR
    + """
minAvailable | + |
maxUnavailable | + |
unhealthyPodEvictionPolicy | + |
"""
)

_RULES = """
{0} | + |
{0}.stabilizationWindowSeconds | + |
{0}.selectPolicy | + |
{0}.tolerance | o | its feature gate is off in Kubernetes 1.36: 10 %
{0}.policies[] | + |
{0}.policies[].type | + |
{0}.policies[].value | + |
{0}.policies[].periodSeconds | + |
"""
_METRIC = """
{0} | + |
{0}.name | =cpu,memory | cgroups tell cpu and memory
{0}.target | + |
{0}.target.type | + |
{0}.target.averageUtilization | + |
{0}.target.averageValue | + |
{0}.target.value | o | a pod's resources are compared as an average
"""
AUTOSCALER = (
    """
scaleTargetRef | + |
scaleTargetRef.apiVersion | + |
scaleTargetRef.kind | =Deployment,ReplicaSet,StatefulSet | nothing else can be scaled
scaleTargetRef.name | + |
minReplicas | + |
maxReplicas | + |
targetCPUUtilizationPercentage | + | autoscaling/v1
metrics[] | + |
metrics[].type | =Resource,ContainerResource | there is no server for other metrics
metrics[].containerResource.container | + |
metrics[].external | - | there is no server for other metrics
metrics[].object | - | there is no server for other metrics
metrics[].pods | - | there is no server for other metrics
behavior | + |
"""
    + _METRIC.format("metrics[].resource")
    + _METRIC.format("metrics[].containerResource")
    + _RULES.format("behavior.scaleUp")
    + _RULES.format("behavior.scaleDown")
)
