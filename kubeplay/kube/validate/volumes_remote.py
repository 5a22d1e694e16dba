"""Volume sources of storage elsewhere: kubeplay mounts none of them (VO14), their manifests are checked alike."""

from __future__ import annotations

from collections.abc import Callable

from kubeplay.kube import names
from kubeplay.kube.validate import paths
from kubeplay.kube.validate.report import Faults, Object, record

Check = Callable[[Faults, str, Object], None]


def _needs(*fields: str) -> Check:
    """A source that is right when these fields are there."""

    def check(faults: Faults, path: str, source: Object) -> None:
        for field in fields:
            if not source.get(field):
                faults.required(f"{path}.{field}")

    return check


def _disk(field: str) -> Check:
    """A cloud disk: its id and a partition 0..255."""

    def check(faults: Faults, path: str, source: Object) -> None:
        if not source.get(field):
            faults.required(f"{path}.{field}")
        if not 0 <= (source.get("partition") or 0) <= 255:
            faults.invalid(f"{path}.partition", source["partition"], "must be between 0 and 255, inclusive")

    return check


def _nfs(faults: Faults, path: str, source: Object) -> None:
    if not source.get("server"):
        faults.required(f"{path}.server")
    text = source.get("path") or ""
    if not text:
        faults.required(f"{path}.path")
    if not text.startswith("/"):
        faults.invalid(f"{path}.path", text, "must be an absolute path")


def _git(faults: Faults, path: str, source: Object) -> None:
    if not source.get("repository"):
        faults.required(f"{path}.repository")
    paths.inside(faults, f"{path}.directory", source.get("directory") or "")


def _iscsi(faults: Faults, path: str, source: Object) -> None:
    if not source.get("targetPortal"):
        faults.required(f"{path}.targetPortal")
    name = source.get("iqn") or ""
    if not name:
        faults.required(f"{path}.iqn")
    elif not name.startswith(("iqn", "eui", "naa")):
        faults.invalid(f"{path}.iqn", name, "must be valid format starting with iqn, eui, or naa")
    if not 0 <= (source.get("lun") or 0) <= 255:
        faults.invalid(f"{path}.lun", source["lun"], "must be between 0 and 255, inclusive")


def _csi(faults: Faults, path: str, source: Object) -> None:
    driver = source.get("driver") or ""
    if not driver:
        faults.required(f"{path}.driver")
    else:
        faults.each(
            f"{path}.driver",
            driver,
            [*(["must be no more than 63 characters"] if len(driver) > 63 else []), *names.dns_subdomain(driver.lower())],
        )
    secret = record(source, "nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        faults.required(f"{path}.nodePublishSecretRef.name")


def _fc(faults: Faults, path: str, source: Object) -> None:
    wide, world = source.get("targetWWNs") or [], source.get("wwids") or []
    if not wide and not world:
        faults.required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    elif wide and world:
        faults.invalid(f"{path}.targetWWNs", wide, "targetWWNs and wwids can not be specified simultaneously")
    if wide and source.get("lun") is None:
        faults.required(f"{path}.lun", "lun is required if targetWWNs is specified")


def _flocker(faults: Faults, path: str, source: Object) -> None:
    name, uuid = source.get("datasetName") or "", source.get("datasetUUID") or ""
    if not name and not uuid:
        faults.required(path, "one of datasetName and datasetUUID is required")
    elif name and uuid:
        faults.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        faults.invalid(f"{path}.datasetName", name, "must not contain '/'")


REMOTE: dict[str, Check] = {
    "gitRepo": _git,
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "nfs": _nfs,
    "iscsi": _iscsi,
    "glusterfs": _needs("endpoints", "path"),
    "rbd": _needs("monitors", "image"),
    "cinder": _needs("volumeID"),
    "cephfs": _needs("monitors"),
    "flocker": _flocker,
    "quobyte": _needs("registry", "volume"),
    "fc": _fc,
    "flexVolume": _needs("driver"),
    "azureFile": _needs("secretName", "shareName"),
    "vsphereVolume": _needs("volumePath"),
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "azureDisk": _needs("diskName", "diskURI"),
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "storageos": _needs("volumeName"),
    "csi": _csi,
}
