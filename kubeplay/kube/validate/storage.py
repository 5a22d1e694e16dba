"""PersistentVolume and StorageClass (PV1, PV2)."""

from __future__ import annotations

from kubeplay.kube import names
from kubeplay.kube.validate import metadata, paths, volumes
from kubeplay.kube.validate.claim import MODES, more_than_nothing
from kubeplay.kube.validate.report import Faults, Object, record
from kubeplay.kube.validate.volumes_remote import REMOTE

_POLICIES = ("Delete", "Recycle", "Retain")
_BINDING = ("Immediate", "WaitForFirstConsumer")
_ONE_TYPE = "may not specify more than 1 volume type"
_PARAMETERS, _PARAMETERS_SIZE = 512, 256 * 1024  # [K: pkg/apis/storage/validation maxProvisionerParameterLen, ...Size]


def volume(faults: Faults, obj: Object) -> None:
    """A PersistentVolume."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain, namespaced=False)
    spec = obj.get("spec") or {}
    _modes(faults, spec)
    _capacity(faults, spec.get("capacity") or {})
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _POLICIES:
        faults.unsupported("spec.persistentVolumeReclaimPolicy", policy, _POLICIES)
    _sources(faults, spec)
    if (record(spec, "hostPath") or {}).get("path") == "/" and policy == "Recycle":
        faults.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    if spec.get("storageClassName"):
        faults.each("spec.storageClassName", spec["storageClassName"], names.dns_subdomain(spec["storageClassName"]))
    if spec.get("volumeMode") not in (None, "Block", "Filesystem"):
        faults.unsupported("spec.volumeMode", spec["volumeMode"], ("Block", "Filesystem"))


def _modes(faults: Faults, spec: Object) -> None:
    modes = spec.get("accessModes") or []
    if not modes:
        faults.required("spec.accessModes", hint="ReadWriteOnce is the usual one")
    for mode in modes:
        if mode not in MODES:
            faults.unsupported("spec.accessModes", mode, MODES)
    if "ReadWriteOncePod" in modes and any(mode in MODES[:3] for mode in modes):
        faults.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes")


def _capacity(faults: Faults, capacity: Object) -> None:
    if not capacity:
        faults.required("spec.capacity", hint="capacity.storage says how much, as 1Gi")
    if "storage" not in capacity or len(capacity) > 1:
        faults.unsupported("spec.capacity", capacity or None, ("storage",))
    for name, text in capacity.items():
        more_than_nothing(faults, f"spec.capacity[{name}]", text)


def _sources(faults: Faults, spec: Object) -> None:
    found = [field for field in ("hostPath", "local", *REMOTE) if record(spec, field) is not None]
    if not found:
        faults.required("spec", "must specify a volume type", "hostPath or local name a directory of this machine")
    for first, field in zip([True] + [False] * len(found), found):
        if not first:
            faults.forbidden(f"spec.{field}", _ONE_TYPE)
        elif field == "hostPath":
            volumes.host_path(faults, "spec.hostPath", spec["hostPath"])
        elif field == "local":
            _local(faults, spec)


def _local(faults: Faults, spec: Object) -> None:
    path = spec["local"].get("path") or ""
    if not path:
        faults.required("spec.local.path")
    else:
        paths.no_steps_back(faults, "spec.local.path", path)
    if not (record(record(spec, "nodeAffinity"), "required") or {}).get("nodeSelectorTerms"):
        faults.required("spec.nodeAffinity", "Local volume requires node affinity", "or use hostPath")


def storage_class(faults: Faults, obj: Object) -> None:
    """A StorageClass."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain, namespaced=False)
    provisioner = obj.get("provisioner") or ""
    if not provisioner:
        faults.required("provisioner")
    else:
        faults.each("provisioner", provisioner, names.qualified(provisioner.lower()))
    _parameters(faults, obj.get("parameters") or {})
    if obj.get("reclaimPolicy") not in (None, "", "Delete", "Retain"):
        faults.unsupported("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    _topologies(faults, obj.get("allowedTopologies") or [])
    mode = obj.get("volumeBindingMode")
    if mode is None:
        faults.required("volumeBindingMode")
    elif mode not in _BINDING:
        faults.unsupported("volumeBindingMode", mode, _BINDING)


def _topologies(faults: Faults, terms: list[Object]) -> None:
    """[K: pkg/apis/core/validation ValidateTopologySelectorTerm]"""
    for at, term in enumerate(terms):
        for index, wanted in enumerate(term.get("matchLabelExpressions") or []):
            path = f"allowedTopologies[{at}].matchLabelExpressions[{index}]"
            if not wanted.get("values"):
                faults.required(f"{path}.values")
            key = wanted.get("key") or ""
            faults.each(f"{path}.key", key, names.qualified(key))


def _parameters(faults: Faults, parameters: Object) -> None:
    if len(parameters) > _PARAMETERS:
        faults.too_long("parameters", _PARAMETERS)
        return
    if "" in parameters:
        faults.invalid("parameters", "", "field can not be empty.")
    if sum(len(key) + len(str(value)) for key, value in parameters.items()) > _PARAMETERS_SIZE:
        faults.too_long("parameters", _PARAMETERS_SIZE)
