"""Words about Services, Ingresses and policies; words.py says how to read the lines."""

from __future__ import annotations

WORDS = """
Service | one name and address for several pods
ServiceSpec | which pods, at which ports, reached how
 selector | | labels of the pods; without, EndpointSlices of others
 ports | | its ports
 type | ClusterIP | ClusterIP, NodePort, LoadBalancer or ExternalName
 clusterIP | drawn | its address, or None for names only
 clusterIPs | | its addresses, one for each family
 ipFamilies | | IPv4, IPv6
 ipFamilyPolicy | SingleStack | SingleStack, PreferDualStack or RequireDualStack
 externalIPs | | further addresses that lead to it
 externalName | | another name, for ExternalName
 sessionAffinity | None | None, or ClientIP: a client keeps its pod
 sessionAffinityConfig | | how long
 externalTrafficPolicy | Cluster | Cluster, or Local: only pods of the node that was asked
 internalTrafficPolicy | Cluster | Cluster, or Local: only pods of the node that asks
 trafficDistribution | | which pods go first, as PreferClose
 healthCheckNodePort | drawn | where load balancers ask a node, for Local
 allocateLoadBalancerNodePorts | true | whether a LoadBalancer has node ports too
 loadBalancerClass | | which load balancer
 loadBalancerIP | | the address that is wanted of it
 loadBalancerSourceRanges | | networks that may use it
 publishNotReadyAddresses | false | whether pods count that are not ready
ServicePort | a port of a Service
 port | | its own port
 targetPort | the same | the pods' port, or a container port's name
 name | | a name for it; needed where there are several
 protocol | TCP | TCP, UDP or SCTP
 nodePort | drawn | the nodes' port, 30000 to 32767
 appProtocol | | what is spoken, as http, kubernetes.io/h2c
SessionAffinityConfig | how long a client keeps its pod
 clientIP | | for ClientIP
ClientIPConfig | how long a client keeps its pod
 timeoutSeconds | 10800 | seconds
Endpoints | addresses behind a Service, in the old form
 subsets | | the addresses
EndpointSubset | addresses with the same ports
 addresses | | those that are ready
 notReadyAddresses | | those that are not
 ports | | the ports
EndpointAddress | an address
 ip | | the address
 hostname | | its name in the Service
 nodeName | | the node it is on
 targetRef | | the pod it is of
EndpointPort | a port
 name | | its name
 port | | the port
 protocol | TCP | TCP, UDP or SCTP
 appProtocol | | what is spoken
EndpointSlice | addresses behind a Service
 addressType | | IPv4, IPv6 or FQDN
 endpoints | | the addresses
 ports | | the ports
Endpoint | something behind a Service
 addresses | | its address
 conditions | | whether it can be used
 hostname | | its name in the Service
 nodeName | | the node it is on
 targetRef | | the pod it is of
 zone | | the zone it is in
 hints | | who should use it
 deprecatedTopology | | labels of its node, in the old form
EndpointConditions | whether an endpoint can be used
 ready | | whether it gets traffic
 serving | | whether it would answer, ending or not
 terminating | | whether it is ending
EndpointHints | who should use an endpoint
 forNodes | | these nodes
 forZones | | these zones
ForNode | a node
 name | | its name
ForZone | a zone
 name | | its name
DiscoveryEndpointPort | a port
 name | | its name
 port | | the port
 protocol | TCP | TCP, UDP or SCTP
 appProtocol | | what is spoken
Ingress | HTTP from outside, by host and path
IngressSpec | what leads where
 ingressClassName | the default class | which proxy serves it
 rules | | hosts and paths
 defaultBackend | | for what no rule fits
 tls | | certificates
IngressRule | paths of a host
 host | all | the host, *.example.org too
 http | | its paths
HTTPIngressRuleValue | paths
 paths | | the paths
HTTPIngressPath | a path
 path | / | the path
 pathType | | Exact, Prefix or ImplementationSpecific
 backend | | where it leads
IngressBackend | where a path leads
 service | | a port of a Service
 resource | | another object
IngressServiceBackend | a port of a Service
 name | | the Service
 port | | its port
ServiceBackendPort | a port, by one of the two
 name | | its name
 number | | its number
IngressTLS | a certificate
 hosts | | the hosts that it is for
 secretName | | the Secret with tls.crt and tls.key
IngressClass | a proxy for Ingresses
IngressClassSpec | which proxy
 controller | | its name, as example.org/ingress
 parameters | | an object with its settings
IngressClassParametersReference | an object with settings
 apiGroup | | its group
 kind | | its kind
 name | | its name
 namespace | | its namespace
 scope | Cluster | Cluster or Namespace
NetworkPolicy | who may speak with pods
NetworkPolicySpec | which pods, with whom
 podSelector | | the pods; {} is all of the namespace
 policyTypes | Ingress, and Egress where egress is | directions that it is about
 ingress | | what may come in; a policy without lets nothing in
 egress | | what may go out
NetworkPolicyIngressRule | what may come in
 from | anywhere | from whom
 ports | all | to which ports
NetworkPolicyEgressRule | what may go out
 to | anywhere | to whom
 ports | all | to which ports
NetworkPolicyPeer | somebody
 podSelector | | pods with these labels
 namespaceSelector | the policy's own | of namespaces with these labels
 ipBlock | | addresses
IPBlock | addresses
 cidr | | as 10.0.0.0/8
 except | | without these
NetworkPolicyPort | a port
 port | all | the port, or a container port's name
 endPort | | the last one of a range
 protocol | TCP | TCP, UDP or SCTP
"""
