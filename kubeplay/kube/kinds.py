"""The kinds that Kubernetes 1.36 serves, and which of them kubeplay takes.

A kind we know but do not run yet, one that Kubernetes no longer has, and one that nobody knows are three different
mistakes, so they are told apart here. Columns: `kubectl api-resources` of 1.36.
"""

from __future__ import annotations

from functools import lru_cache

from kubeplay.record import Record


class Kind(Record):
    """A kind as the API server names it; `schema` is its record in types.json (empty where we know no fields)."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    support: str
    schema: str

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


# Kinds whose manifests this slice plays; every other line of the table is "later".
_SLICE = frozenset(
    ("Pod", "Deployment", "ReplicaSet", "ConfigMap", "Secret", "PersistentVolumeClaim", "PersistentVolume", "StorageClass", "Namespace",
     "Service", "Endpoints", "EndpointSlice", "StatefulSet", "DaemonSet", "PodDisruptionBudget", "HorizontalPodAutoscaler",
     "Job", "CronJob", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "LimitRange",
     "ResourceQuota", "Ingress", "IngressClass", "NetworkPolicy")
)  # fmt: skip

# Kinds whose fields are known beside those of the slice: what comes with workloads and Services.
_KNOWN = frozenset(
    ("DaemonSet", "StatefulSet", "ControllerRevision", "Job", "CronJob", "Ingress", "IngressClass", "NetworkPolicy",
     "HorizontalPodAutoscaler", "PodDisruptionBudget", "Endpoints", "EndpointSlice")
)  # fmt: skip
# The record of a kind that two versions have: the later one's is named by its version, as the model is.
_VERSIONED = {("autoscaling/v2", "HorizontalPodAutoscaler"): "V2HorizontalPodAutoscaler"}

# group/version, then: Kind plural [short,names] [-cluster]
_TABLE = """
v1
  Binding bindings
  ComponentStatus componentstatuses cs -cluster
  ConfigMap configmaps cm
  Endpoints endpoints ep
  Event events ev
  LimitRange limitranges limits
  Namespace namespaces ns -cluster
  Node nodes no -cluster
  PersistentVolume persistentvolumes pv -cluster
  PersistentVolumeClaim persistentvolumeclaims pvc
  Pod pods po
  PodTemplate podtemplates
  ReplicationController replicationcontrollers rc
  ResourceQuota resourcequotas quota
  Secret secrets
  Service services svc
  ServiceAccount serviceaccounts sa
admissionregistration.k8s.io/v1
  MutatingAdmissionPolicy mutatingadmissionpolicies -cluster
  MutatingAdmissionPolicyBinding mutatingadmissionpolicybindings -cluster
  MutatingWebhookConfiguration mutatingwebhookconfigurations -cluster
  ValidatingAdmissionPolicy validatingadmissionpolicies -cluster
  ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings -cluster
  ValidatingWebhookConfiguration validatingwebhookconfigurations -cluster
apiextensions.k8s.io/v1
  CustomResourceDefinition customresourcedefinitions crd,crds -cluster
apiregistration.k8s.io/v1
  APIService apiservices -cluster
apps/v1
  ControllerRevision controllerrevisions
  DaemonSet daemonsets ds
  Deployment deployments deploy
  ReplicaSet replicasets rs
  StatefulSet statefulsets sts
authentication.k8s.io/v1
  SelfSubjectReview selfsubjectreviews -cluster
  TokenReview tokenreviews -cluster
authorization.k8s.io/v1
  LocalSubjectAccessReview localsubjectaccessreviews
  SelfSubjectAccessReview selfsubjectaccessreviews -cluster
  SelfSubjectRulesReview selfsubjectrulesreviews -cluster
  SubjectAccessReview subjectaccessreviews -cluster
autoscaling/v1
  HorizontalPodAutoscaler horizontalpodautoscalers hpa
autoscaling/v2
  HorizontalPodAutoscaler horizontalpodautoscalers hpa
batch/v1
  CronJob cronjobs cj
  Job jobs
certificates.k8s.io/v1
  CertificateSigningRequest certificatesigningrequests csr -cluster
coordination.k8s.io/v1
  Lease leases
discovery.k8s.io/v1
  EndpointSlice endpointslices
events.k8s.io/v1
  Event events ev
flowcontrol.apiserver.k8s.io/v1
  FlowSchema flowschemas -cluster
  PriorityLevelConfiguration prioritylevelconfigurations -cluster
networking.k8s.io/v1
  IPAddress ipaddresses ip -cluster
  Ingress ingresses ing
  IngressClass ingressclasses -cluster
  NetworkPolicy networkpolicies netpol
  ServiceCIDR servicecidrs -cluster
node.k8s.io/v1
  RuntimeClass runtimeclasses -cluster
policy/v1
  Eviction evictions
  PodDisruptionBudget poddisruptionbudgets pdb
rbac.authorization.k8s.io/v1
  ClusterRole clusterroles -cluster
  ClusterRoleBinding clusterrolebindings -cluster
  Role roles
  RoleBinding rolebindings
resource.k8s.io/v1
  DeviceClass deviceclasses -cluster
  ResourceClaim resourceclaims
  ResourceClaimTemplate resourceclaimtemplates
  ResourceSlice resourceslices -cluster
scheduling.k8s.io/v1
  PriorityClass priorityclasses pc -cluster
storage.k8s.io/v1
  CSIDriver csidrivers -cluster
  CSINode csinodes -cluster
  CSIStorageCapacity csistoragecapacities
  StorageClass storageclasses sc -cluster
  VolumeAttachment volumeattachments -cluster
  VolumeAttributesClass volumeattributesclasses vac -cluster
"""

# Where kinds lived once; the releases that removed them are in the deprecation guide of kubernetes.io.
_REMOVED_TEXT = """
extensions/v1beta1 apps/v1beta1 apps/v1beta2 batch/v1beta1 batch/v2alpha1 networking.k8s.io/v1beta1 policy/v1beta1
rbac.authorization.k8s.io/v1beta1 autoscaling/v2beta1 autoscaling/v2beta2 storage.k8s.io/v1beta1 scheduling.k8s.io/v1beta1
discovery.k8s.io/v1beta1 node.k8s.io/v1beta1 apiextensions.k8s.io/v1beta1 admissionregistration.k8s.io/v1beta1
coordination.k8s.io/v1beta1 events.k8s.io/v1beta1
"""
_REMOVED = frozenset(_REMOVED_TEXT.split())


@lru_cache(maxsize=1)
def table() -> dict[tuple[str, str], Kind]:
    """All kinds by (apiVersion, kind)."""
    kinds: dict[tuple[str, str], Kind] = {}
    api_version = ""
    for line in _TABLE.strip().splitlines():
        if not line.startswith(" "):
            api_version = line
            continue
        words = line.split()
        cluster = words[-1] == "-cluster"
        short = tuple(words[2].split(",")) if len(words) > 2 and words[2] != "-cluster" else ()
        group, _, version = api_version.rpartition("/")
        name = words[0]
        here = name in _SLICE
        kinds[api_version, name] = Kind(
            group, version, name, words[1], name.lower(), short, not cluster, "slice" if here else "later",
            _VERSIONED.get((api_version, name), name) if here or name in _KNOWN else "",
        )  # fmt: skip
    return kinds


def find(api_version: str, kind: str) -> Kind | None:
    """The kind of that exact name and version."""
    return table().get((api_version, kind))


def named(name: str) -> Kind | None:
    """The kind that a person means by `deploy`, `deployments`, `Deployment` or `deployment.apps`."""
    word, _, group = name.lower().partition(".")
    for kind in table().values():
        if word in (kind.singular, kind.plural, *kind.short_names) and group in ("", kind.group):
            return kind
    return None


def hint(api_version: str, kind: str) -> str:
    """What to write instead of a kind that does not exist."""
    known = table().values()
    right = [entry for entry in known if entry.kind == kind]
    if right:
        served = " or ".join(f"`apiVersion: {entry.api_version}`" for entry in right)
        gone = f"{api_version} is no longer served; " if api_version in _REMOVED else ""
        return f"{gone}{kind} is in {served}"
    meant = named(kind)
    if meant is None:
        from difflib import get_close_matches

        close = get_close_matches(kind, [entry.kind for entry in known], 1, 0.7)
        meant = next((entry for entry in known if entry.kind in close), None)
    if meant is None:
        return "kubeplay has no custom resources" if "." in api_version.partition("/")[0] else ""
    where = "" if meant.api_version == api_version else f" with `apiVersion: {meant.api_version}`"
    return f"did you mean `kind: {meant.kind}`{where}?"
