"""Words about volumes and claims; words.py says how to read the lines."""

from __future__ import annotations

WORDS = """
Volume | files that containers of a pod mount; a name and one source
 name | | what mounts call it
 emptyDir | | an empty directory that goes with the pod
 hostPath | | a path of the node
 configMap | | keys of a ConfigMap as files
 secret | | keys of a Secret as files, in memory
 downwardAPI | | fields of the pod as files
 projected | | several of these in one directory
 persistentVolumeClaim | | a volume that outlives the pod
 ephemeral | | a claim that is made for the pod, and goes with it
 image | | the files of an image, read-only
 nfs | | a directory of an NFS server
 csi | | a volume of a storage driver
 gitRepo | | a clone of a git repository
VolumeMount | a volume in a container
 name | | the volume
 mountPath | | where it is seen
 readOnly | false | whether it cannot be written
 recursiveReadOnly | Disabled | Disabled, IfPossible or Enabled: whether that goes for mounts below it too
 subPath | | a directory or file of the volume
 subPathExpr | | the same, with $(NAME) filled in
 mountPropagation | None | None, HostToContainer or Bidirectional: whether later mounts are seen
VolumeDevice | a volume as a block device
 name | | the volume, a claim
 devicePath | | the device in the container
EmptyDirVolumeSource | an empty directory
 medium | "" | "" for the disk, Memory, HugePages
 sizeLimit | | most that it may hold
HostPathVolumeSource | a path of the node
 path | | the path
 type | "" | what must be there: Directory, DirectoryOrCreate, File, FileOrCreate, Socket, ...; "" does not look
ConfigMapVolumeSource | a ConfigMap as files
 name | | the ConfigMap
 items | all keys | which keys, and where
 defaultMode | 0644 | permissions of the files
 optional | false | whether it may be missing
SecretVolumeSource | a Secret as files
 secretName | | the Secret
 items | all keys | which keys, and where
 defaultMode | 0644 | permissions of the files
 optional | false | whether it may be missing
PersistentVolumeClaimVolumeSource | a claim
 claimName | | the claim
 readOnly | false | whether no container may write
EphemeralVolumeSource | a claim of the pod's own
 volumeClaimTemplate | | what it is made of
PersistentVolumeClaimTemplate | what a claim is made of
ImageVolumeSource | an image as files
 reference | | the image
 pullPolicy | Always for :latest or no tag, else IfNotPresent | Always, IfNotPresent or Never
NFSVolumeSource | a directory of an NFS server
 server | | the server
 path | | the directory
 readOnly | false | whether it cannot be written
DownwardAPIVolumeSource | fields of the pod as files
 items | | the files
 defaultMode | 0644 | permissions of the files
DownwardAPIVolumeFile | a field as a file
 path | | the file
 fieldRef | | a field of the pod
 resourceFieldRef | | what a container asks for or may use
 mode | the volume's | permissions of the file
ProjectedVolumeSource | several sources in one directory
 sources | | the sources
 defaultMode | 0644 | permissions of the files
VolumeProjection | one of the sources
 configMap | | a ConfigMap
 secret | | a Secret
 downwardAPI | | fields of the pod
 serviceAccountToken | | a token of the pod's account
 clusterTrustBundle | | certificates that the cluster trusts
 podCertificate | | a certificate of the pod
ConfigMapProjection | a ConfigMap
 name | | its name
 items | all keys | which keys, and where
 optional | false | whether it may be missing
SecretProjection | a Secret
 name | | its name
 items | all keys | which keys, and where
 optional | false | whether it may be missing
DownwardAPIProjection | fields of the pod
 items | | the files
ServiceAccountTokenProjection | a token that is renewed
 path | | the file
 audience | the API server | whom it is for
 expirationSeconds | 3600 | seconds that it is good for
PersistentVolumeClaim | a volume that somebody wants
PersistentVolumeClaimSpec | what is wanted
 accessModes | | ReadWriteOnce (one node), ReadOnlyMany, ReadWriteMany, ReadWriteOncePod
 resources | | how large
 storageClassName | the default class | what kind of storage
 volumeName | | the volume that is meant
 selector | | labels of volumes that would do
 volumeMode | Filesystem | Filesystem or Block
 dataSource | | what it is filled from
 dataSourceRef | | what it is filled from
 volumeAttributesClassName | | settings that can be changed later
VolumeResourceRequirements | sizes
 requests | | the least, as storage: 1Gi
 limits | | the most
PersistentVolume | storage that is there
PersistentVolumeSpec | storage, and who may have it; one source
 capacity | | its size, as storage: 1Gi
 accessModes | | how it can be used
 persistentVolumeReclaimPolicy | Retain | Retain or Delete, when its claim is gone
 storageClassName | | its class
 claimRef | | the claim that has it
 hostPath | | a path of the node
 local | | a path of one node
 nfs | | a directory of an NFS server
 csi | | a volume of a storage driver
 mountOptions | | options of its mount
 nodeAffinity | | nodes that reach it
 volumeMode | Filesystem | Filesystem or Block
 volumeAttributesClassName | | settings that can be changed later
LocalVolumeSource | a path of one node
 path | | the path
 fsType | | its file system
VolumeNodeAffinity | nodes
 required | | what they must be like
StorageClass | a kind of storage
 provisioner | | who makes its volumes
 parameters | | settings for that one
 reclaimPolicy | Delete | Delete or Retain, when a claim is gone
 mountOptions | | options of its mounts
 allowVolumeExpansion | false | whether claims can grow
 volumeBindingMode | Immediate | Immediate, or WaitForFirstConsumer for the first pod
 allowedTopologies | | where its volumes can be
TopologySelectorTerm | places
 matchLabelExpressions | | labels of their nodes
TopologySelectorLabelRequirement | a label of nodes
 key | | the label
 values | | its values
"""
