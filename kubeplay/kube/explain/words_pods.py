"""Words about pods and their containers; words.py says how to read the lines."""

from __future__ import annotations

_CONTAINER = """
 name | | what it is called in its pod
 image | | the image that it runs
 imagePullPolicy | Always for :latest or no tag, else IfNotPresent | Always, IfNotPresent or Never
 command | the image's entrypoint | the program and its first arguments; $(NAME) is filled in from env
 args | the image's command | arguments of the program; $(NAME) is filled in from env
 workingDir | the image's | where the program starts
 env | | variables, one by one
 envFrom | | variables of whole ConfigMaps and Secrets; env wins
 ports | | ports that it listens on: for people, Services that use names, and hostPort
 resources | | what it asks for and may use
 resizePolicy | | whether a change of resources restarts it
 restartPolicy | | Always, OnFailure or Never of its own; Always makes an init container a sidecar
 restartPolicyRules | | what an exit status leads to
 volumeMounts | | volumes as directories or files
 volumeDevices | | volumes as block devices
 livenessProbe | | a container that fails it is restarted
 readinessProbe | | a container that fails it gets no traffic of Services
 startupProbe | | the other probes wait until it has succeeded
 lifecycle | | what runs after its start and before its end
 securityContext | | its user and rights
 stdin | false | whether its standard input stays open
 stdinOnce | false | whether that closes when the first who is attached goes
 tty | false | whether it has a terminal; needs stdin
 terminationMessagePath | /dev/termination-log | a file whose content tells why it ended
 terminationMessagePolicy | File | File, or FallbackToLogsOnError for the log's end
"""

WORDS = f"""
Pod | containers that run together on one machine, with one address
PodTemplateSpec | what pods are made of
PodSpec | containers that run together, and what they share
 containers | | the containers; at least one
 initContainers | | run before them, one after the other
 ephemeralContainers | | added to a running pod to look at it
 volumes | | what containers can mount
 restartPolicy | Always | Always, OnFailure or Never, when a container ends
 terminationGracePeriodSeconds | 30 | seconds between being told to end and being ended
 activeDeadlineSeconds | | seconds that the pod may run
 dnsPolicy | ClusterFirst | ClusterFirst, ClusterFirstWithHostNet, Default (the node's) or None
 dnsConfig | | further name servers and settings of the resolver
 hostAliases | | lines of /etc/hosts
 hostname | the pod's name | its host name
 hostnameOverride | | the host name as it is, whatever the other fields say
 subdomain | | its domain: HOSTNAME.SUBDOMAIN.NAMESPACE.svc
 setHostnameAsFQDN | false | whether the host name is the whole one
 hostNetwork | false | whether it has the node's network
 hostPID | false | whether it sees the node's processes
 hostIPC | false | whether it shares the node's memory segments
 hostUsers | true | false gives it user ids of its own
 shareProcessNamespace | false | whether its containers see each other's processes
 enableServiceLinks | true | whether containers have variables about the namespace's Services
 imagePullSecrets | | credentials for its images
 serviceAccountName | default | whom it speaks as
 serviceAccount | | old name of serviceAccountName
 automountServiceAccountToken | | whether it gets a token of its account
 nodeName | | the node that it runs on
 nodeSelector | | labels that its node must have
 affinity | | where it wants to be, near or far from what
 tolerations | | taints of nodes that it does not mind
 topologySpreadConstraints | | how pods of its like are spread
 schedulerName | default-scheduler | who chooses its node
 priority | | its importance, of its class
 priorityClassName | | the class that says how important it is
 preemptionPolicy | PreemptLowerPriority | whether others make room for it
 overhead | | what its runtime class uses beside its containers
 runtimeClassName | | the runtime that runs it
 readinessGates | | conditions that must be true beside its containers' readiness
 schedulingGates | | while there is one it is not started
 schedulingGroup | | pods that are placed together
 resourceClaims | | devices that it claims
 resources | | what all its containers together ask for and may use
 os | | the system that its containers are for
 securityContext | | user, groups and rights of all its containers
Container | a program of an image, with what is around it
{_CONTAINER.strip(chr(10))}
EphemeralContainer | a container that is added to a running pod
{_CONTAINER.strip(chr(10))}
 targetContainerName | | the container whose processes it sees
ContainerPort | a port that a container listens on
 containerPort | | the port
 name | | a name for it, which Services and probes can use
 protocol | TCP | TCP, UDP or SCTP
 hostPort | | the port of the node that leads to it
 hostIP | | the node's address that hostPort is on
EnvVar | a variable
 name | | its name
 value | | its value; $(NAME) is filled in from those before it
 valueFrom | | where its value comes from
EnvVarSource | where a variable comes from; one of these
 configMapKeyRef | | a key of a ConfigMap
 secretKeyRef | | a key of a Secret
 fieldRef | | a field of the pod
 resourceFieldRef | | what a container asks for or may use
 fileKeyRef | | a line of a file in a volume
EnvFromSource | all keys of one object as variables
 configMapRef | | the ConfigMap
 secretRef | | the Secret
 prefix | | put before each name
ConfigMapEnvSource | a ConfigMap
 name | | its name
 optional | false | whether it may be missing
SecretEnvSource | a Secret
 name | | its name
 optional | false | whether it may be missing
ConfigMapKeySelector | a key of a ConfigMap
 name | | the ConfigMap
 key | | the key
 optional | false | whether either may be missing
SecretKeySelector | a key of a Secret
 name | | the Secret
 key | | the key
 optional | false | whether either may be missing
FileKeySelector | a variable of a file
 volumeName | | the volume, an emptyDir
 path | | the file in it
 key | | the variable in the file
 optional | false | whether it may be missing
ObjectFieldSelector | a field of the pod
 fieldPath | | as metadata.name, status.podIP, metadata.labels['app']
 apiVersion | v1 | the version that the path is of
ResourceFieldSelector | an amount of a container
 resource | | as limits.cpu, requests.memory
 containerName | its own, for variables | the container
 divisor | 1 | the unit that it is told in, as 1Mi
ResourceRequirements | what is asked for, and what may be used
 limits | | most that may be used, by name: cpu, memory, ephemeral-storage
 requests | the limits | what is asked for: what the node keeps free
 claims | | claims of the pod that it uses
ResourceClaim | a claim of the pod
 name | | its name there
 request | | a part of it
ContainerResizePolicy | how one resource is resized
 resourceName | | cpu or memory
 restartPolicy | NotRequired | NotRequired, or RestartContainer
ContainerRestartRule | what an exit status leads to
 action | | Restart
 exitCodes | | for which statuses
ContainerRestartRuleOnExitCodes | exit statuses
 operator | | In or NotIn
 values | | the statuses
Probe | how a container is asked how it is; one of exec, httpGet, tcpSocket, grpc
 exec | | runs a command in the container; exit status 0 is a success
 httpGet | | asks by HTTP; 200 to 399 is a success
 tcpSocket | | opens a connection
 grpc | | asks gRPC's health service
 initialDelaySeconds | 0 | seconds after its start before it is first asked
 periodSeconds | 10 | seconds between two questions
 timeoutSeconds | 1 | seconds that an answer may take
 successThreshold | 1 | successes in a row that make it well; 1 but for readiness
 failureThreshold | 3 | failures in a row that make it ill
 terminationGracePeriodSeconds | the pod's | seconds to end when this probe ends it
ExecAction | a command
 command | | program and arguments; there is no shell
HTTPGetAction | a question by HTTP
 path | / | the path
 port | | the port, or a container port's name
 host | the pod's address | whom to ask
 scheme | HTTP | HTTP or HTTPS; certificates are not checked
 httpHeaders | | further headers
HTTPHeader | a header
 name | | its name
 value | | its value
TCPSocketAction | a connection
 port | | the port, or a container port's name
 host | the pod's address | whom to connect to
GRPCAction | a question to gRPC's health service
 port | | the port
 service | "" | the name that is asked for
SleepAction | a pause
 seconds | | how long
Lifecycle | what runs at a container's start and end
 postStart | | runs right after the start, beside the program
 preStop | | runs before the program is told to end
 stopSignal | the image's, or SIGTERM | the signal that tells the program to end; needs spec.os.name
LifecycleHandler | what a hook does; one of these
 exec | | runs a command in the container
 httpGet | | asks by HTTP
 sleep | | waits
 tcpSocket | | nothing: it was never made
SecurityContext | user and rights of a container; goes before the pod's
 runAsUser | the image's | user id
 runAsGroup | the image's | group id
 runAsNonRoot | | whether user id 0 is refused
 privileged | false | whether it may nearly everything that root may on the node
 allowPrivilegeEscalation | true | whether programs can gain rights, as by setuid
 readOnlyRootFilesystem | false | whether its image's files cannot be written
 procMount | Default | Default, or Unmasked for the whole of /proc
 capabilities | | rights of root, one by one
 seLinuxOptions | | SELinux label
 seccompProfile | | which system calls it may make
 appArmorProfile | | AppArmor profile
 windowsOptions | | for Windows
Capabilities | rights of root
 add | | those beyond the usual, as NET_ADMIN, or ALL
 drop | | those to take away, as CHOWN, or ALL
SELinuxOptions | an SELinux label
 user | | its user
 role | | its role
 type | | its type
 level | | its level
SeccompProfile | which system calls are let through
 type | | RuntimeDefault, Localhost or Unconfined
 localhostProfile | | the file on the node, for Localhost
AppArmorProfile | an AppArmor profile
 type | | RuntimeDefault, Localhost or Unconfined
 localhostProfile | | its name on the node, for Localhost
PodSecurityContext | user, groups and rights of all containers of a pod
 runAsUser | the image's | user id
 runAsGroup | the image's | group id
 runAsNonRoot | | whether user id 0 is refused
 fsGroup | | a group that volumes belong to, and each program is in
 fsGroupChangePolicy | Always | Always, or OnRootMismatch to look at the volume's root only
 supplementalGroups | | further group ids
 supplementalGroupsPolicy | Merge | Merge with the image's, or Strict
 seLinuxOptions | | SELinux label
 seLinuxChangePolicy | | how volumes get the label
 seccompProfile | | which system calls they may make
 appArmorProfile | | AppArmor profile
 sysctls | | kernel settings of the pod's namespaces
 windowsOptions | | for Windows
Sysctl | a kernel setting
 name | | as net.ipv4.tcp_syncookies
 value | | its value
HostAlias | names of an address in /etc/hosts
 ip | | the address
 hostnames | | its names
PodDNSConfig | settings of the resolver
 nameservers | | addresses of name servers
 searches | | domains that short names are tried in
 options | | options of resolv.conf
PodDNSConfigOption | an option of resolv.conf
 name | | its name, as ndots
 value | | its value
PodReadinessGate | a condition that must be true
 conditionType | | its type
PodSchedulingGate | what holds a pod back
 name | | its name
PodSchedulingGroup | pods that are placed together
 podGroupName | | the group
PodResourceClaim | a claim of devices
 name | | what containers call it
 resourceClaimName | | a claim that is there
 resourceClaimTemplateName | | what a claim of the pod's own is made of
PodOS | a system
 name | | linux or windows
Toleration | a taint that a pod does not mind
 key | | the taint
 operator | Equal | Equal, Exists, Lt or Gt
 value | | its value
 effect | | NoSchedule, PreferNoSchedule or NoExecute; all where absent
 tolerationSeconds | | seconds that it stays after NoExecute
Affinity | where pods want to be
 nodeAffinity | | on which nodes
 podAffinity | | near which pods
 podAntiAffinity | | far from which pods
NodeAffinity | which nodes
 requiredDuringSchedulingIgnoredDuringExecution | | nodes that it needs
 preferredDuringSchedulingIgnoredDuringExecution | | nodes that it likes
NodeSelector | nodes; one term must fit
 nodeSelectorTerms | | the terms
NodeSelectorTerm | nodes; all conditions must hold
 matchExpressions | | on labels
 matchFields | | on fields
NodeSelectorRequirement | a condition on a node
 key | | the label
 operator | | In, NotIn, Exists, DoesNotExist, Gt or Lt
 values | | the values
PreferredSchedulingTerm | nodes, and how much they are liked
 weight | | 1 to 100
 preference | | the nodes
PodAffinity | near which pods
 requiredDuringSchedulingIgnoredDuringExecution | | pods that it needs near
 preferredDuringSchedulingIgnoredDuringExecution | | pods that it likes near
PodAntiAffinity | far from which pods
 requiredDuringSchedulingIgnoredDuringExecution | | pods that must be elsewhere
 preferredDuringSchedulingIgnoredDuringExecution | | pods that it likes elsewhere
WeightedPodAffinityTerm | pods, and how much they matter
 weight | | 1 to 100
 podAffinityTerm | | the pods
PodAffinityTerm | pods, and what near means
 labelSelector | | their labels
 matchLabelKeys | | labels whose values must be this pod's
 mismatchLabelKeys | | labels whose values must not be this pod's
 namespaceSelector | | labels of their namespaces
 namespaces | its own | their namespaces
 topologyKey | | the node's label that is the same for near ones
TopologySpreadConstraint | how pods are spread
 maxSkew | | most that two places may differ by
 topologyKey | | the node's label that makes a place
 whenUnsatisfiable | | DoNotSchedule or ScheduleAnyway
 labelSelector | | the pods that are counted
 matchLabelKeys | | labels whose values must be this pod's
 minDomains | | fewest places
 nodeAffinityPolicy | Honor | whether only nodes of its affinity count
 nodeTaintsPolicy | Ignore | whether tainted nodes count
"""
