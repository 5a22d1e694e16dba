"""The rows of workloads and Services; field_table.py says how to read them."""

from __future__ import annotations

REPLICAS = """
replicas | + | really that many pods
minReadySeconds | + |
selector | + |
selector.matchLabels{} | + |
selector.matchExpressions[] | + |
selector.matchExpressions[].key | + |
selector.matchExpressions[].operator | + |
selector.matchExpressions[].values[] | + |
template | + |
"""

DEPLOYMENT = (
    REPLICAS
    + """
strategy | + |
strategy.type | + |
strategy.rollingUpdate | + |
strategy.rollingUpdate.maxSurge | + |
strategy.rollingUpdate.maxUnavailable | + |
revisionHistoryLimit | + |
progressDeadlineSeconds | + |
paused | + |
"""
)

SERVICE = """
type | =ClusterIP,NodePort | LoadBalancer and ExternalName: issue 6
selector{} | + |
ports[] | + |
ports[].name | + |
ports[].port | + |
ports[].targetPort | + |
ports[].protocol | + |
ports[].nodePort | + |
ports[].appProtocol | o | a hint for load balancers
clusterIP | ~None | headless Services: issue 6
clusterIPs[] | ~None | headless Services: issue 6
externalIPs[] | - | external addresses: issue 6
externalName | - | ExternalName: issue 6
sessionAffinity | + |
sessionAffinityConfig | o | a client keeps its pod without end, while the pods stay the same
externalTrafficPolicy | o | every endpoint is on this machine
internalTrafficPolicy | o | every endpoint is on this machine
trafficDistribution | o | every endpoint is on this machine
healthCheckNodePort | o | there is no load balancer
allocateLoadBalancerNodePorts | o | there is no load balancer
loadBalancerClass | - | LoadBalancer: issue 6
loadBalancerIP | - | LoadBalancer: issue 6
loadBalancerSourceRanges[] | - | LoadBalancer: issue 6
publishNotReadyAddresses | + |
ipFamilies[] | =IPv4 | IPv6: issue 6
ipFamilyPolicy | =SingleStack,PreferDualStack | IPv6: issue 6
"""
