"""The Volumes section of `describe pod`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubeplay.kube.describe.text import NONE, Page

Json = dict[str, Any]


def volumes(page: Page, found: Sequence[Json]) -> None:
    """Each volume with its type and what it is made from."""
    page.line(0, "Volumes:" + ("" if found else f"\t{NONE}"))
    for one in found:
        page.line(1, f"{one['name']}:")
        source = next((name for name in one if name != "name"), "emptyDir")
        write = _WRITERS.get(source)
        if write is None:
            page.pair(2, "Type", source)
        else:
            write(page, one.get(source) or {})


def _empty_dir(page: Page, source: Json) -> None:
    page.pair(2, "Type", "EmptyDir (a temporary directory that shares a pod's lifetime)")
    page.pair(2, "Medium", source.get("medium") or "")
    page.pair(2, "SizeLimit", source.get("sizeLimit") or "<unset>")


def _host_path(page: Page, source: Json) -> None:
    page.pair(2, "Type", "HostPath (bare host directory volume)")
    page.pair(2, "Path", source.get("path", ""))
    page.pair(2, "HostPathType", source.get("type") or "")


def _config_map(page: Page, source: Json) -> None:
    page.pair(2, "Type", "ConfigMap (a volume populated by a ConfigMap)")
    page.pair(2, "Name", source.get("name", ""))
    page.pair(2, "Optional", _word(source.get("optional")))


def _secret(page: Page, source: Json) -> None:
    page.pair(2, "Type", "Secret (a volume populated by a Secret)")
    page.pair(2, "SecretName", source.get("secretName", ""))
    page.pair(2, "Optional", _word(source.get("optional")))


def _claim(page: Page, source: Json) -> None:
    page.pair(2, "Type", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)")
    page.pair(2, "ClaimName", source.get("claimName", ""))
    page.pair(2, "ReadOnly", _word(source.get("readOnly")))


def _downward(page: Page, source: Json) -> None:
    page.pair(2, "Type", "DownwardAPI (a volume populated by information about the pod)")
    page.line(2, "Items:")
    _items(page, source)


def _items(page: Page, source: Json) -> None:
    for item in source.get("items") or []:
        field = (item.get("fieldRef") or {}).get("fieldPath") or (item.get("resourceFieldRef") or {}).get("resource")
        page.line(3, f"{field} -> {item.get('path')}")


def _projected(page: Page, source: Json) -> None:
    page.pair(2, "Type", "Projected (a volume that contains injected data from multiple sources)")
    for one in source.get("sources") or []:
        if one.get("secret"):
            page.pair(2, "SecretName", one["secret"].get("name", ""))
            page.pair(2, "Optional", _word(one["secret"].get("optional")))
        elif one.get("configMap"):
            page.pair(2, "ConfigMapName", one["configMap"].get("name", ""))
            page.pair(2, "Optional", _word(one["configMap"].get("optional")))
        elif one.get("downwardAPI"):
            page.pair(2, "DownwardAPI", "true")
            _items(page, one["downwardAPI"])
        elif one.get("serviceAccountToken"):
            page.pair(2, "TokenExpirationSeconds", one["serviceAccountToken"].get("expirationSeconds", 3600))
        else:
            page.pair(2, next(iter(one), "unknown"), "")


def _image(page: Page, source: Json) -> None:
    page.pair(2, "Type", "Image (a container image or OCI artifact)")
    page.pair(2, "Reference", source.get("reference", ""))
    page.pair(2, "PullPolicy", source.get("pullPolicy", ""))


def _ephemeral(page: Page, source: Json) -> None:
    page.pair(2, "Type", "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)")
    spec = (source.get("volumeClaimTemplate") or {}).get("spec") or {}
    page.pair(2, "StorageClass", spec.get("storageClassName") or "")
    page.pair(2, "Capacity", ((spec.get("resources") or {}).get("requests") or {}).get("storage", ""))
    page.pair(2, "Access Modes", ",".join(spec.get("accessModes") or []))


def _word(value: Any) -> str:
    return "true" if value else "false"


_WRITERS: dict[str, Callable[[Page, Json], None]] = {
    "emptyDir": _empty_dir, "hostPath": _host_path, "configMap": _config_map, "secret": _secret, "persistentVolumeClaim": _claim,
    "downwardAPI": _downward, "projected": _projected, "image": _image, "ephemeral": _ephemeral,
}  # fmt: skip
