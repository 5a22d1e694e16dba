"""Server-side apply's merge for the API server's double: who holds which field, what conflicts, what goes with its last owner. Pure.

The shapes are the real server's: managedFields entries with FieldsV1 (`f:`, `k:`, `v:`), conflicts as causes with paths such as
`.spec.template.spec.containers[name="web"].image`. Lists by key and atomic maps are those of the workload kinds that the tests use.
"""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple

Object = dict[str, Any]
Path = tuple[str, ...]  # steps as in FieldsV1

_KEYS = {
    "containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",), "volumes": ("name",), "env": ("name",),
    "imagePullSecrets": ("name",), "volumeMounts": ("mountPath",), "volumeDevices": ("devicePath",), "hostAliases": ("ip",),
    "conditions": ("type",), "ownerReferences": ("uid",),
}  # fmt: skip
_SETS = frozenset(("finalizers",))
_ATOMIC = frozenset(("nodeSelector", "matchLabels", "selector"))


class Conflict(NamedTuple):
    """A field of another manager's: `path` as the server writes it."""

    path: str
    manager: str
    version: str


class Merged(NamedTuple):
    """The object with its new managedFields, or the conflicts."""

    object: Object
    conflicts: list[Conflict]


def apply(live: Object | None, config: Object, manager: str, force: bool, now: str) -> Merged:
    """`config` applied by `manager` on what is there."""
    wanted = {path for path in leaves(config) if path[0] not in ("f:apiVersion", "f:kind") and path not in _IDENTITY}
    if live is None:
        made = copy.deepcopy(config)
        return Merged(_owned(made, {manager: wanted}, {}, config["apiVersion"], now, manager), [])
    owners, operations = _owners(live)
    others = {name: paths for name, paths in owners.items() if name != manager}
    values, asked = leaves(live), leaves(config)
    fights = [Conflict(text(path), name, config["apiVersion"]) for name, paths in sorted(others.items())
              for path in sorted(paths & wanted) if values.get(path) != asked[path]]  # fmt: skip
    if fights and not force:
        return Merged(live, fights)
    made = copy.deepcopy(live)
    gone = owners.get(manager, set()) - wanted - set().union(*others.values(), set())
    for path in sorted(gone, key=len, reverse=True):
        _remove(made, path)
    _merge(made, config)
    for path in wanted:
        for paths in others.values():
            if path in paths and values.get(path) != asked[path]:
                paths.discard(path)
    return Merged(_owned(made, {**others, manager: wanted}, operations, config["apiVersion"], now, manager), [])


_IDENTITY = {("f:metadata", "f:name"), ("f:metadata", "f:namespace")}


def leaves(value: Any, name: str = "", at: Path = ()) -> dict[Path, Any]:
    """Every leaf of a value by its path; atomic lists and maps are leaves."""
    if isinstance(value, dict) and value and name not in _ATOMIC:
        return {path: leaf for key, item in value.items() for path, leaf in leaves(item, key, (*at, f"f:{key}")).items()}
    if isinstance(value, list) and name in _SETS:
        return {(*at, f"v:{json.dumps(item)}"): item for item in value}
    if isinstance(value, list) and value and (keys := _keys(name, value)):
        found: dict[Path, Any] = {}
        for item in value:
            step = (*at, _key(item, keys))
            found.update(leaves(item, "", step))
        return found
    return {at: value} if at else {}


def _keys(name: str, items: list[Any]) -> tuple[str, ...]:
    if name == "ports" and all(isinstance(item, dict) for item in items):
        return ("containerPort", "protocol") if "containerPort" in items[0] else ("port", "protocol") if "port" in items[0] else ()
    return _KEYS.get(name, ()) if all(isinstance(item, dict) for item in items) else ()


def _key(item: Object, keys: tuple[str, ...]) -> str:
    return "k:" + json.dumps({key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}, separators=(",", ":"))


def text(path: Path) -> str:
    made = ""
    for step in path:
        kind, _, rest = step.partition(":")
        if kind == "f":
            made += f".{rest}"
        elif kind == "k":
            made += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"
        else:
            made += f"[={rest}]"
    return made


def _merge(into: Object, config: Object) -> None:
    for key, value in config.items():
        have = into.get(key)
        if isinstance(value, dict) and value and isinstance(have, dict) and key not in _ATOMIC:
            _merge(have, value)
        elif isinstance(value, list) and isinstance(have, list) and value and have and (keys := _keys(key, value)):
            for item in value:
                same = [one for one in have if _key(one, keys) == _key(item, keys)]
                if same:
                    _merge(same[0], item)
                else:
                    have.append(copy.deepcopy(item))
        elif isinstance(value, list) and key in _SETS and isinstance(have, list):
            have += [item for item in value if item not in have]
        else:
            into[key] = copy.deepcopy(value)


def _remove(obj: Any, path: Path) -> None:
    """Take a leaf away, and what is left empty above it."""
    step, *rest = path
    kind, _, name = step.partition(":")
    if kind == "f" and isinstance(obj, dict) and name in obj:
        if rest:
            _remove(obj[name], tuple(rest))
        if not rest or obj[name] in ({}, []):
            del obj[name]
    elif kind == "k" and isinstance(obj, list):
        wanted = json.loads(name)
        for item in [one for one in obj if _key(one, tuple(wanted)) == step]:
            _remove(item, tuple(rest))
            if set(item) <= set(wanted):
                obj.remove(item)
    elif kind == "v" and isinstance(obj, list) and json.loads(name) in obj:
        obj.remove(json.loads(name))


def _owners(live: Object) -> tuple[dict[str, set[Path]], dict[str, str]]:
    owners: dict[str, set[Path]] = {}
    operations: dict[str, str] = {}
    for entry in live["metadata"].get("managedFields") or []:
        owners[entry["manager"]] = owners.get(entry["manager"], set()) | _paths(entry["fieldsV1"])
        operations[entry["manager"]] = entry["operation"]
    return owners, operations


def _paths(fields: Object, at: Path = ()) -> set[Path]:
    if not fields:
        return {at} if at else set()
    return {path for step, inner in fields.items() if step != "." for path in _paths(inner, (*at, step))}


def _owned(obj: Object, owners: dict[str, set[Path]], operations: dict[str, str], version: str, now: str, applier: str) -> Object:
    entries = []
    for name in sorted(owners):
        fields: Object = {}
        for path in sorted(owners[name]):
            place = fields
            for step in path:
                place = place.setdefault(step, {})
        if fields:
            operation = "Apply" if name == applier else operations.get(name, "Update")
            entries.append({"manager": name, "operation": operation, "apiVersion": version, "time": now, "fieldsType": "FieldsV1",
                            "fieldsV1": fields})  # fmt: skip
    obj["metadata"]["managedFields"] = entries
    return obj


def updated(obj: Object, manager: str, now: str) -> Object:
    """An object written by create or update: all its fields are `manager`'s."""
    paths = {path for path in leaves(obj) if path[0] not in ("f:apiVersion", "f:kind") and path not in _IDENTITY}
    return _owned(obj, {manager: paths}, {}, obj["apiVersion"], now, "")
