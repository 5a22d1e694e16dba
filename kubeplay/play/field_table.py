"""The field table itself: every field of every kind we take, one line each (DESIGN.md, "Rules of the field table").

A line is `path | support | note`. Support is one of
  +          works
  o          no effect on one machine, or not yet: accepted and noted
  -          not supported (unless null or empty);  !  not supported even when empty
  +i, oi     the same, but read only: `generate` does not write it
  =a,b       works with these values, others are not supported;  ~a,b  texts that start so are not supported
`[]` marks a list, `{}` a map whose every key is meant, `{cpu}` one key of a map. A `+` or a condition speaks for its own field
only, the others for everything below too. A note's number is the issue that brings the field.
"""

from __future__ import annotations

from kubeplay.play.field_table_probes import HOOKS, PROBES
from kubeplay.play.field_table_workloads import DEPLOYMENT as DEPLOYMENT
from kubeplay.play.field_table_workloads import REPLICAS as REPLICAS

META = """
name | + | generated from generateName when absent
generateName | +i | the suffix is drawn from the file, so that it stays the same
namespace | + |
labels{} | + |
annotations{} | + | data; which ones change what runs is listed below
ownerReferences[] | oi | owners are set by our own controllers
finalizers[] | oi | nothing here waits for a finalizer
managedFields[] | oi | set by a server, dropped
creationTimestamp | oi | set by a server, dropped
deletionTimestamp | oi | set by a server, dropped
deletionGracePeriodSeconds | oi | set by a server, dropped
generation | oi | set by a server, dropped
resourceVersion | oi | set by a server, dropped
selfLink | oi | set by a server, dropped
uid | oi | set by a server, dropped
"""

ROOT = """
apiVersion | + |
kind | + |
status | oi | set by a server, dropped
"""

POD = """
containers[] | + |
initContainers[] | + | one after the other, each must succeed; with restartPolicy Always it stays beside the others (sidecar)
ephemeralContainers[] | - | as on a cluster, no file creates them: `kubeplay debug` adds one to a running pod
volumes[] | + |
restartPolicy | + | with the kubelet's back-off
terminationGracePeriodSeconds | + |
activeDeadlineSeconds | + | counts from the start; one that is started again by hand has its time anew
dnsPolicy | + |
dnsConfig | + |
dnsConfig.nameservers[] | + |
dnsConfig.searches[] | + |
dnsConfig.options[] | + |
dnsConfig.options[].name | + |
dnsConfig.options[].value | + |
hostAliases[] | + |
hostAliases[].ip | + |
hostAliases[].hostnames[] | + |
hostname | + |
hostnameOverride | + |
subdomain | + |
setHostnameAsFQDN | + |
hostNetwork | + |
hostPID | + |
hostIPC | + |
hostUsers | + | false: 65536 ids of the pod's own (4096 where an ordinary user plays); not with hostNetwork, hostPID, hostIPC
shareProcessNamespace | + |
enableServiceLinks | + |
imagePullSecrets[] | + | Secrets of type dockerconfigjson and dockercfg; after them this machine's own logins are tried
imagePullSecrets[].name | + |
serviceAccountName | o | there are no service accounts; only fieldRef spec.serviceAccountName shows it
serviceAccount | oi | the old name of serviceAccountName
automountServiceAccountToken | + | mounted only where it says true: there is no API server
nodeName | + | of another node: the pod stays Pending
nodeSelector{} | o | there is one node
affinity | o | there is one node
tolerations[] | o | there is one node
topologySpreadConstraints[] | o | there is one node
schedulerName | o | there is one node
priority | o | pods are not preempted
priorityClassName | o | pods are not preempted
preemptionPolicy | o | pods are not preempted
overhead{} | o | belongs to a runtime class
runtimeClassName | - | runtime classes are not available
readinessGates[] | + | `kubeplay pod condition` sets what they wait for
readinessGates[].conditionType | + |
schedulingGates[] | + | the pod stays Pending
schedulingGates[].name | + |
schedulingGroup | - | pod groups are not available
resourceClaims[] | - | dynamic resource allocation is not available
resources | + |
resources.limits{cpu} | + |
resources.limits{memory} | + |
resources.limits{} | + | huge pages
resources.requests{cpu} | + |
resources.requests{memory} | + |
resources.requests{} | + | huge pages
resources.claims[] | - | dynamic resource allocation is not available
os | + |
os.name | =linux | only Linux containers
securityContext | + |
securityContext.runAsUser | + |
securityContext.runAsGroup | + |
securityContext.runAsNonRoot | + |
securityContext.fsGroup | + |
securityContext.fsGroupChangePolicy | + |
securityContext.supplementalGroups[] | + |
securityContext.supplementalGroupsPolicy | + |
securityContext.seLinuxOptions | + | where the host has SELinux
securityContext.seLinuxOptions.user | + |
securityContext.seLinuxOptions.role | + |
securityContext.seLinuxOptions.type | + |
securityContext.seLinuxOptions.level | + |
securityContext.seLinuxChangePolicy | o | volumes are not relabelled
securityContext.seccompProfile | + | without one the runtime's default profile is used
securityContext.seccompProfile.type | + |
securityContext.seccompProfile.localhostProfile | + |
securityContext.appArmorProfile | + | where the host has AppArmor
securityContext.appArmorProfile.type | + |
securityContext.appArmorProfile.localhostProfile | + |
securityContext.sysctls[] | + | the safe ones
securityContext.sysctls[].name | + |
securityContext.sysctls[].value | + |
securityContext.windowsOptions | o | only Linux containers
"""

VOLUME = """
name | + |
emptyDir | + |
emptyDir.medium | + |
emptyDir.sizeLimit | + | kept to by the Memory medium; on the disk a pod that exceeds it is evicted
hostPath | + |
hostPath.path | + |
hostPath.type | + |
configMap | + |
configMap.name | + |
configMap.optional | + |
configMap.defaultMode | + |
configMap.items[] | + |
configMap.items[].key | + |
configMap.items[].path | + |
configMap.items[].mode | + |
secret | + |
secret.secretName | + |
secret.optional | + |
secret.defaultMode | + |
secret.items[] | + |
secret.items[].key | + |
secret.items[].path | + |
secret.items[].mode | + |
persistentVolumeClaim | + |
persistentVolumeClaim.claimName | + |
persistentVolumeClaim.readOnly | + |
image | + |
image.reference | + |
image.pullPolicy | + | as imagePullPolicy
ephemeral | + | the claim is called POD-VOLUME and goes with its pod
ephemeral.volumeClaimTemplate | + |
ephemeral.volumeClaimTemplate.metadata | + |
ephemeral.volumeClaimTemplate.spec | + |
projected | + |
projected.defaultMode | + |
projected.sources[] | + |
projected.sources[].configMap | + |
projected.sources[].configMap.name | + |
projected.sources[].configMap.optional | + |
projected.sources[].configMap.items[] | + |
projected.sources[].configMap.items[].key | + |
projected.sources[].configMap.items[].path | + |
projected.sources[].configMap.items[].mode | + |
projected.sources[].secret | + |
projected.sources[].secret.name | + |
projected.sources[].secret.optional | + |
projected.sources[].secret.items[] | + |
projected.sources[].secret.items[].key | + |
projected.sources[].secret.items[].path | + |
projected.sources[].secret.items[].mode | + |
projected.sources[].downwardAPI | + |
projected.sources[].downwardAPI.items[] | + |
projected.sources[].downwardAPI.items[].path | + |
projected.sources[].downwardAPI.items[].mode | + |
projected.sources[].downwardAPI.items[].fieldRef | + |
projected.sources[].downwardAPI.items[].fieldRef.fieldPath | + |
projected.sources[].downwardAPI.items[].fieldRef.apiVersion | + | only v1 exists
projected.sources[].downwardAPI.items[].resourceFieldRef | + |
projected.sources[].downwardAPI.items[].resourceFieldRef.resource | + |
projected.sources[].downwardAPI.items[].resourceFieldRef.containerName | + |
projected.sources[].downwardAPI.items[].resourceFieldRef.divisor | + |
projected.sources[].serviceAccountToken | + | signed by a key of this root: serviceaccount.jwks verifies it
projected.sources[].serviceAccountToken.path | + |
projected.sources[].serviceAccountToken.audience | + |
projected.sources[].serviceAccountToken.expirationSeconds | + | renewed after 80 % of it
projected.sources[].clusterTrustBundle | ! | there is no cluster that trusts; use a ConfigMap
projected.sources[].podCertificate | ! | nobody signs certificates here; use a Secret
downwardAPI | + |
downwardAPI.defaultMode | + |
downwardAPI.items[] | + |
downwardAPI.items[].path | + |
downwardAPI.items[].mode | + |
downwardAPI.items[].fieldRef | + |
downwardAPI.items[].fieldRef.fieldPath | + |
downwardAPI.items[].fieldRef.apiVersion | + | only v1 exists
downwardAPI.items[].resourceFieldRef | + |
downwardAPI.items[].resourceFieldRef.resource | + |
downwardAPI.items[].resourceFieldRef.containerName | + |
downwardAPI.items[].resourceFieldRef.divisor | + |
awsElasticBlockStore | ! | cloud and network storage is not available
azureDisk | ! | cloud and network storage is not available
azureFile | ! | cloud and network storage is not available
cephfs | ! | cloud and network storage is not available
cinder | ! | cloud and network storage is not available
csi | ! | cloud and network storage is not available
fc | ! | cloud and network storage is not available
flexVolume | ! | cloud and network storage is not available
flocker | ! | cloud and network storage is not available
gcePersistentDisk | ! | cloud and network storage is not available
gitRepo | ! | gone from Kubernetes; clone in an init container
glusterfs | ! | cloud and network storage is not available
iscsi | ! | cloud and network storage is not available
nfs | ! | mount it on the host and use hostPath
photonPersistentDisk | ! | cloud and network storage is not available
portworxVolume | ! | cloud and network storage is not available
quobyte | ! | cloud and network storage is not available
rbd | ! | cloud and network storage is not available
scaleIO | ! | cloud and network storage is not available
storageos | ! | cloud and network storage is not available
vsphereVolume | ! | cloud and network storage is not available
"""

# Of a claim template's metadata the API server takes these two.
CLAIM_META = "\n".join(
    line if line.startswith(("labels", "annotations")) else f"{line.split(' ')[0]} | - | the claim's name and owner are its pod's"
    for line in META.strip().splitlines()
).replace("| data; which ones change what runs is listed below", "|")

CONTAINER = PROBES + HOOKS + """
name | + |
image | + |
imagePullPolicy | + | an Always that is the default of `:latest` falls back on the local image; localhost/ names are never pulled
command[] | + |
args[] | + |
workingDir | + |
tty | + |
stdin | + |
stdinOnce | + |
terminationMessagePath | + |
terminationMessagePolicy | + |
ports[] | + |
ports[].name | + |
ports[].containerPort | + |
ports[].hostPort | + |
ports[].hostIP | + |
ports[].protocol | + |
env[] | + |
env[].name | + |
env[].value | + | with $(VAR) expanded
env[].valueFrom | + |
env[].valueFrom.configMapKeyRef | + |
env[].valueFrom.configMapKeyRef.name | + |
env[].valueFrom.configMapKeyRef.key | + |
env[].valueFrom.configMapKeyRef.optional | + |
env[].valueFrom.secretKeyRef | + |
env[].valueFrom.secretKeyRef.name | + |
env[].valueFrom.secretKeyRef.key | + |
env[].valueFrom.secretKeyRef.optional | + |
env[].valueFrom.fieldRef | + |
env[].valueFrom.fieldRef.fieldPath | + |
env[].valueFrom.fieldRef.apiVersion | + | only v1 exists
env[].valueFrom.resourceFieldRef | + |
env[].valueFrom.resourceFieldRef.resource | + |
env[].valueFrom.resourceFieldRef.containerName | + |
env[].valueFrom.resourceFieldRef.divisor | + |
env[].valueFrom.fileKeyRef | + | a file of lines KEY='value' in an emptyDir
env[].valueFrom.fileKeyRef.volumeName | + |
env[].valueFrom.fileKeyRef.path | + |
env[].valueFrom.fileKeyRef.key | + |
env[].valueFrom.fileKeyRef.optional | + |
envFrom[] | + |
envFrom[].prefix | + |
envFrom[].configMapRef | + |
envFrom[].configMapRef.name | + |
envFrom[].configMapRef.optional | + |
envFrom[].secretRef | + |
envFrom[].secretRef.name | + |
envFrom[].secretRef.optional | + |
volumeMounts[] | + |
volumeMounts[].name | + |
volumeMounts[].mountPath | + |
volumeMounts[].readOnly | + |
volumeMounts[].subPath | + |
volumeMounts[].subPathExpr | + |
volumeMounts[].mountPropagation | + |
volumeMounts[].recursiveReadOnly | + |
volumeDevices[] | - | block volumes are not available
resources | + |
resources.limits{cpu} | + |
resources.limits{memory} | + |
resources.limits{ephemeral-storage} | + | a pod that exceeds it is evicted
resources.limits{} | + | huge pages; devices by their CDI name (`vendor.com/class=name`); with others the pod stays Pending
resources.requests{cpu} | + |
resources.requests{memory} | + |
resources.requests{ephemeral-storage} | o | no pod is evicted for another; resourceFieldRef shows it
resources.requests{} | + | huge pages; devices by their CDI name (`vendor.com/class=name`); with others the pod stays Pending
resources.claims[] | - | dynamic resource allocation is not available
resizePolicy[] | + | for `kubeplay update`
resizePolicy[].resourceName | + |
resizePolicy[].restartPolicy | + |
restartPolicy | + | Always makes an init container a sidecar
restartPolicyRules[] | + | the first that fits; a probe's kill goes by restartPolicy
restartPolicyRules[].action | + |
restartPolicyRules[].exitCodes | + |
restartPolicyRules[].exitCodes.operator | + |
restartPolicyRules[].exitCodes.values[] | + |
lifecycle | + |
lifecycle.stopSignal | + |
securityContext | + |
securityContext.runAsUser | + |
securityContext.runAsGroup | + |
securityContext.runAsNonRoot | + |
securityContext.privileged | + |
securityContext.allowPrivilegeEscalation | + |
securityContext.readOnlyRootFilesystem | + |
securityContext.procMount | + |
securityContext.capabilities | + |
securityContext.capabilities.add[] | + |
securityContext.capabilities.drop[] | + |
securityContext.seLinuxOptions | + | where the host has SELinux
securityContext.seLinuxOptions.user | + |
securityContext.seLinuxOptions.role | + |
securityContext.seLinuxOptions.type | + |
securityContext.seLinuxOptions.level | + |
securityContext.seccompProfile | + |
securityContext.seccompProfile.type | + |
securityContext.seccompProfile.localhostProfile | + |
securityContext.appArmorProfile | + | where the host has AppArmor
securityContext.appArmorProfile.type | + |
securityContext.appArmorProfile.localhostProfile | + |
securityContext.windowsOptions | o | only Linux containers
"""

CLAIM = """
accessModes[] | + | ReadWriteOncePod: one pod at a time
resources | + |
resources.requests{storage} | + | asks for a volume of that size; a directory is not limited to it
resources.requests{} | o | a claim asks for storage only
resources.limits{} | o | a directory is not limited
storageClassName | + | a class that is not here is served by the built-in one, `local`
volumeAttributesClassName | o | there is one kind of storage
volumeMode | =Filesystem | block volumes are not available
volumeName | + |
selector | + |
selector.matchLabels{} | + |
selector.matchExpressions[] | + |
selector.matchExpressions[].key | + |
selector.matchExpressions[].operator | + |
selector.matchExpressions[].values[] | + |
dataSource | - | cloning of volumes is not available
dataSourceRef | - | cloning of volumes is not available
"""

PERSISTENT_VOLUME = """
capacity{} | + | what claims are matched by; a directory is not limited to it
accessModes[] | + |
claimRef | + |
claimRef.namespace | + |
claimRef.name | + |
claimRef.uid | oi | set by a server, dropped
claimRef.resourceVersion | oi | set by a server, dropped
claimRef.apiVersion | oi | it is always a claim
claimRef.kind | oi | it is always a claim
claimRef.fieldPath | oi | it is always a claim
persistentVolumeReclaimPolicy | =Retain,Delete | a directory of yours is never emptied
storageClassName | + |
volumeMode | =Filesystem | block volumes are not available
mountOptions[] | - | a directory takes no mount options
nodeAffinity | o | there is one node
volumeAttributesClassName | o | there is one kind of storage
hostPath | + |
hostPath.path | + |
hostPath.type | + |
local | + |
local.path | + |
local.fsType | - | a directory has its file system already
nfs | ! | mount it on the host and use hostPath
awsElasticBlockStore | ! | cloud and network storage is not available
azureDisk | ! | cloud and network storage is not available
azureFile | ! | cloud and network storage is not available
cephfs | ! | cloud and network storage is not available
cinder | ! | cloud and network storage is not available
csi | ! | cloud and network storage is not available
fc | ! | cloud and network storage is not available
flexVolume | ! | cloud and network storage is not available
flocker | ! | cloud and network storage is not available
gcePersistentDisk | ! | cloud and network storage is not available
glusterfs | ! | cloud and network storage is not available
iscsi | ! | cloud and network storage is not available
photonPersistentDisk | ! | cloud and network storage is not available
portworxVolume | ! | cloud and network storage is not available
quobyte | ! | cloud and network storage is not available
rbd | ! | cloud and network storage is not available
scaleIO | ! | cloud and network storage is not available
storageos | ! | cloud and network storage is not available
vsphereVolume | ! | cloud and network storage is not available
"""

STORAGE_CLASS = """
provisioner | + | any makes a directory of this machine, kubernetes.io/no-provisioner makes none
parameters{} | o | a directory has none
reclaimPolicy | + |
volumeBindingMode | + |
allowVolumeExpansion | + |
mountOptions[] | o | a directory takes no mount options
allowedTopologies[] | o | there is one node
"""

DATA = """
data{} | + |
binaryData{} | + |
stringData{} | +i | becomes data
immutable | + |
type | + | kept; the API server's rules for each type are checked
"""

NAMESPACE = """
finalizers[] | o | nothing here waits for a finalizer
"""
