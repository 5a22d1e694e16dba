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
