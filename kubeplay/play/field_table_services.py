"""The rows of Services and of users' own EndpointSlices and Endpoints; field_table.py says how to read them."""

from __future__ import annotations

SERVICE = """
type | + |
selector{} | + |
ports[] | + |
ports[].name | + |
ports[].port | + |
ports[].targetPort | + |
ports[].protocol | + |
ports[].nodePort | + |
ports[].appProtocol | o | a hint for load balancers; shown in EndpointSlices
clusterIP | + |
clusterIPs[] | + |
externalIPs[] | + |
externalName | + |
sessionAffinity | + |
sessionAffinityConfig | + |
sessionAffinityConfig.clientIP | + |
sessionAffinityConfig.clientIP.timeoutSeconds | + | counted from a client's last new connection
externalTrafficPolicy | o | every endpoint is on this machine, and clients keep their addresses
internalTrafficPolicy | o | every endpoint is on this machine
trafficDistribution | o | every endpoint is on this machine
healthCheckNodePort | o | nobody outside asks whether this machine has endpoints
allocateLoadBalancerNodePorts | + |
loadBalancerClass | + | whatever it names is not here: the Service stays pending
loadBalancerIP | + | an address of this machine
loadBalancerSourceRanges[] | + | the machine itself is always let in
publishNotReadyAddresses | + |
ipFamilies[] | + | IPv6 where the default network has it
ipFamilyPolicy | + | IPv6 where the default network has it
"""

ENDPOINTS = """
subsets[] | + | of a Service without selector
subsets[].addresses[] | + |
subsets[].addresses[].ip | + |
subsets[].addresses[].hostname | + |
subsets[].addresses[].nodeName | o | shown only
subsets[].addresses[].targetRef | o | shown only
subsets[].notReadyAddresses[] | + |
subsets[].notReadyAddresses[].ip | + |
subsets[].notReadyAddresses[].hostname | + |
subsets[].notReadyAddresses[].nodeName | o | shown only
subsets[].notReadyAddresses[].targetRef | o | shown only
subsets[].ports[] | + |
subsets[].ports[].name | + |
subsets[].ports[].port | + |
subsets[].ports[].protocol | + |
subsets[].ports[].appProtocol | o | shown only
"""

ENDPOINT_SLICE = """
addressType | + | FQDN leads nowhere, as in kube-proxy
endpoints[] | + |
endpoints[].addresses[] | + | the first one
endpoints[].conditions | + |
endpoints[].conditions.ready | + |
endpoints[].conditions.serving | + |
endpoints[].conditions.terminating | + |
endpoints[].hostname | + |
endpoints[].nodeName | o | there is one node
endpoints[].targetRef | o | shown only
endpoints[].zone | o | there is one node
endpoints[].hints | o | there is one node
endpoints[].deprecatedTopology{} | o | there is one node
ports[] | + |
ports[].name | + |
ports[].port | + |
ports[].protocol | + |
ports[].appProtocol | o | shown only
"""
