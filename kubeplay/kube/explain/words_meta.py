"""Words about objects as a whole, and about what several kinds have; words.py says how to read the lines."""

from __future__ import annotations

WORDS = """
* | what several kinds have
 apiVersion | | group and version of the kind, as apps/v1
 kind | | the kind of the object
 metadata | | name, namespace, labels and the like
 spec | | what is wanted
 status | | what is there; written by controllers, not by people
ObjectMeta | name, labels and history of an object
 name | | what it is called: once for each kind in a namespace
 generateName | | the beginning of a name whose end is drawn
 namespace | default | which namespace it lives in
 labels | | short words to select objects by
 annotations | | notes of any length for people and tools
 ownerReferences | | objects that it goes with when they are deleted
 finalizers | | who must agree before it is gone
 managedFields | | who set which field, kept by the server
 creationTimestamp | | when it was made
 deletionTimestamp | | when it is to be gone
 deletionGracePeriodSeconds | | seconds that it has to end
 generation | | counts changes of the spec
 resourceVersion | | changes with every write; compared to find conflicts
 selfLink | | no longer filled
 uid | | tells it from an earlier one of its name
OwnerReference | an object that this one goes with
 apiVersion | | version of the owner
 kind | | kind of the owner
 name | | name of the owner
 uid | | uid of the owner
 controller | | whether the owner looks after this object
 blockOwnerDeletion | | whether the owner waits for this object when it is deleted in the foreground
LabelSelector | chooses objects by their labels; all conditions must hold
 matchLabels | | labels that must have exactly these values
 matchExpressions | | conditions on labels
LabelSelectorRequirement | a condition on one label
 key | | the label
 operator | | In, NotIn, Exists or DoesNotExist
 values | | the values for In and NotIn
LocalObjectReference | an object of the same namespace
 name | | its name
ObjectReference | another object
 apiVersion | | its version
 fieldPath | | a part of it
 kind | | its kind
 name | | its name
 namespace | | its namespace
 resourceVersion | | the version that is meant
 uid | | its uid
SecretReference | a Secret of any namespace
 name | | its name
 namespace | | its namespace
TypedLocalObjectReference | an object of the same namespace
 apiGroup | | its group
 kind | | its kind
 name | | its name
TypedObjectReference | another object
 apiGroup | | its group
 kind | | its kind
 name | | its name
 namespace | | its namespace
CrossVersionObjectReference | what is scaled
 apiVersion | | its version
 kind | | its kind
 name | | its name
V2CrossVersionObjectReference | what is scaled
 apiVersion | | its version
 kind | | its kind
 name | | its name
KeyToPath | one key as one file
 key | | the key
 path | | the file, relative to the mount
 mode | | its permissions; the volume's defaultMode where absent
ConfigMap | settings for containers: variables or files
 data | | values that are text
 binaryData | | values that are not, as base64
 immutable | false | whether it never changes again
Secret | settings that are nobody's business
 data | | values as base64
 stringData | | values as plain text, put over data when it is stored
 immutable | false | whether it never changes again
 type | Opaque | what the keys mean, as kubernetes.io/tls
Namespace | a room for names
NamespaceSpec | what a namespace is
 finalizers | | who must agree before it is gone
ServiceAccount | whom a pod speaks as
 secrets | | Secrets that its pods may use
 imagePullSecrets | | credentials for the images of its pods
 automountServiceAccountToken | true | whether its pods get a token
Role | permissions in a namespace
 rules | | what may be done
ClusterRole | permissions everywhere
 rules | | what may be done
 aggregationRule | | takes the rules of other ClusterRoles together
AggregationRule | which ClusterRoles are taken together
 clusterRoleSelectors | | labels of those
PolicyRule | something that may be done
 apiGroups | | groups of the kinds
 resources | | plurals of the kinds, as pods/log
 resourceNames | | names that it is limited to
 nonResourceURLs | | paths of the server that are no objects
 verbs | | get, list, watch, create, update, patch, delete, ... or *
RoleBinding | who has a Role's permissions
 roleRef | | the Role
 subjects | | users, groups and accounts
ClusterRoleBinding | who has a ClusterRole's permissions everywhere
 roleRef | | the ClusterRole
 subjects | | users, groups and accounts
RoleRef | a Role
 apiGroup | | rbac.authorization.k8s.io
 kind | | Role or ClusterRole
 name | | its name
Subject | somebody
 apiGroup | | "" for an account, else rbac.authorization.k8s.io
 kind | | User, Group or ServiceAccount
 name | | the name
 namespace | | of an account
PriorityClass | how important pods are
 value | | the priority; higher goes first
 globalDefault | false | whether pods that name no class have this one
 description | | whom it is for
 preemptionPolicy | PreemptLowerPriority | PreemptLowerPriority or Never: whether pods make room for it
LimitRange | bounds and defaults for what new pods ask for
LimitRangeSpec | the bounds
 limits | | one entry for each type
LimitRangeItem | bounds for one type of thing
 type | | Container, Pod or PersistentVolumeClaim
 default | | limits of containers that have none
 defaultRequest | | requests of containers that have none
 max | | most that may be asked for
 min | | least that must be asked for
 maxLimitRequestRatio | | most that a limit may be above its request, as a factor
ResourceQuota | how much a namespace may have of something
ResourceQuotaSpec | the amounts
 hard | | amounts by name, as pods, requests.cpu, count/jobs.batch
 scopes | | only pods of these scopes count, as Terminating, BestEffort
 scopeSelector | | the same by conditions
ScopeSelector | chooses pods by scope
 matchExpressions | | the conditions; all must hold
ScopedResourceSelectorRequirement | a condition on a scope
 scopeName | | the scope
 operator | | In, NotIn, Exists or DoesNotExist
 values | | the values for In and NotIn
"""
