"""Every recorded manifest of this slice's kinds through the whole way in, against what kube-apiserver 1.36.2 said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kubeplay.kube import check, jobs, kinds
from tests.conformance import departures

HERE = Path(__file__).parent / "verdicts"
_UNKNOWN = re.compile(r'unknown field \\?"((?:[^"\\]|\\u[0-9a-f]{4})+)\\?"')


def _ours(verdict: dict[str, Any]) -> bool:
    """Whether every kind of the file is in this slice, or is no kind at all."""
    names = [document.get("kind") for document in verdict["documents"]]
    known = {kind.kind: kind.support for kind in kinds.table().values()}
    return all(known.get(name, "slice") == "slice" for name in names)


def _verdicts() -> list[dict[str, Any]]:
    lines = (HERE / "verdicts.jsonl").read_text().splitlines()
    return [verdict for verdict in map(json.loads, lines) if _ours(verdict)]


VERDICTS = _verdicts()


def _run(name: str) -> tuple[list[check.Manifest], list[str], list[str]]:
    found = check.inspect((HERE / "manifests" / name).read_bytes(), name)
    return list(found.manifests), [fault.path for fault in found.faults], [str(fault) for fault in found.faults]


def _paths(verdict: dict[str, Any]) -> set[str]:
    """The field paths that the server names: causes, and unknown fields of its strict decoder."""
    causes = {cause["field"] for document in verdict["documents"] for cause in document.get("causes") or []}
    unknown = {found for document in verdict["documents"] for found in _UNKNOWN.findall(document.get("message") or "")}
    return {"" if path == "[]" else path for path in causes | unknown}


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict["file"])
def test_verdict(verdict: dict[str, Any]) -> None:
    name = verdict["file"]
    _, _, faults = _run(name)
    departs = name in departures.VERDICT
    assert (not faults) == (verdict["accepted"] != departs), f"server: {verdict['kubectl'] or 'accepted'}\nours: {faults or 'accepted'}"


REFUSED = [verdict for verdict in VERDICTS if not verdict["accepted"] and _paths(verdict) and verdict["file"] not in departures.PATH]


@pytest.mark.parametrize("verdict", REFUSED, ids=lambda verdict: verdict["file"])
def test_field_path(verdict: dict[str, Any]) -> None:
    _, paths, faults = _run(verdict["file"])
    assert set(paths) == _paths(verdict), faults


@pytest.mark.parametrize("verdict", [verdict for verdict in VERDICTS if not verdict["accepted"]], ids=lambda verdict: verdict["file"])
def test_every_fault_has_a_place(verdict: dict[str, Any]) -> None:
    faults = check.inspect((HERE / "manifests" / verdict["file"]).read_bytes(), "f.yaml").faults
    assert all(fault.line >= 1 and fault.column >= 1 and fault.source == "f.yaml" for fault in faults)


def test_totals_vl(capsys: pytest.CaptureFixture[str]) -> None:
    """At least 99 % of verdicts and 95 % of field paths, the listed departures counted as equal."""
    right = sum((not _run(verdict["file"])[2]) == verdict["accepted"] or verdict["file"] in departures.VERDICT for verdict in VERDICTS)
    same = sum(set(_run(verdict["file"])[1]) == _paths(verdict) for verdict in REFUSED)
    listed = len(departures.VERDICT) + len(departures.PATH)
    with capsys.disabled():
        print(f"\nverdicts {right}/{len(VERDICTS)}, field paths {same}/{len(REFUSED)}, departures {listed}")
    assert right >= 0.99 * len(VERDICTS)
    assert same >= 0.95 * len(REFUSED)


def test_departures_are_recorded_files() -> None:
    names = {verdict["file"] for verdict in VERDICTS}
    assert {*departures.VERDICT, *departures.PATH, *departures.DEFAULTS} <= names


def _server_only(value: Any) -> Any:
    """An object without what only a running server adds."""
    plain = json.loads(json.dumps(value))
    plain.pop("status", None)
    metadata = plain.get("metadata", {})
    for field in ("generation", "uid", "creationTimestamp", "resourceVersion", "managedFields"):
        metadata.pop(field, None)
    # The storage protection plugin's, for controllers that take them away again.
    protection = ("kubernetes.io/pvc-protection", "kubernetes.io/pv-protection")
    metadata["finalizers"] = [name for name in metadata.get("finalizers") or [] if name not in protection]
    if "generateName" in metadata:
        metadata.pop("name", None)
    spec = plain.get("spec") or {}
    _drop_allocated(spec)
    _drop_generated(plain)
    # The DefaultTolerationSeconds plugin's: about nodes that go away, which means nothing here.
    spec["tolerations"] = [item for item in spec.get("tolerations") or [] if not _node_toleration(item)]
    _drop_token(spec)
    return _without_empty(plain)


def _node_toleration(toleration: dict[str, Any]) -> bool:
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    return toleration.get("key") in keys and toleration.get("tolerationSeconds") == 300


def _drop_allocated(spec: dict[str, Any]) -> None:
    for field in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
        if "<" in str(spec.get(field, "")):
            spec.pop(field)
    for port in spec.get("ports") or []:
        if isinstance(port, dict) and "<" in str(port.get("nodePort", "")):
            port.pop("nodePort")


def _drop_generated(obj: dict[str, Any]) -> None:
    """JO2: what a server makes of a Job's uid when it stores it, and we when the pods are made."""
    if obj.get("kind") != "Job":
        return
    spec = obj["spec"]
    template, selector = spec["template"].get("metadata", {}), spec.get("selector", {})
    for holder, field in ((obj["metadata"], "labels"), (template, "labels"), (selector, "matchLabels")):
        for key in (*jobs.UIDS, *jobs.NAMES):
            holder.get(field, {}).pop(key, None)


def _drop_token(spec: dict[str, Any]) -> None:
    """DF3: the service account volume, which only an API server can fill."""
    for containers in ("containers", "initContainers"):
        for container in spec.get(containers) or []:
            mounts = [mount for mount in container.get("volumeMounts") or [] if not mount["name"].startswith("kube-api-access-")]
            container["volumeMounts"] = mounts
    if "volumes" in spec:
        spec["volumes"] = [volume for volume in spec["volumes"] if not volume["name"].startswith("kube-api-access-")]


def _without_empty(value: Any) -> Any:
    """Go leaves out empty fields (omitempty), so an empty list or text is an absent one."""
    if isinstance(value, dict):
        found = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in ("", [], {}, None) and item is not False}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _defaulted(verdict: dict[str, Any]) -> Path:
    return HERE / "defaulted" / verdict["file"].replace(".yaml", ".json")


DEFAULTED = [
    verdict
    for verdict in VERDICTS
    if verdict["accepted"] and verdict["file"] not in {**departures.VERDICT, **departures.DEFAULTS} and _defaulted(verdict).exists()
]


@pytest.mark.parametrize("verdict", DEFAULTED, ids=lambda verdict: verdict["file"])
def test_defaulted_df1(verdict: dict[str, Any]) -> None:
    manifests, _, faults = _run(verdict["file"])
    assert not faults
    # The server's answers to a file of several objects stand one after the other, or in a List.
    wanted = _objects(_defaulted(verdict).read_text())
    got = [_server_only(manifest.object) for manifest in manifests]
    assert got == [_server_only(item) for item in wanted], "defaults differ"


def _objects(text: str) -> list[dict[str, Any]]:
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at)
        found += value["items"] if value["kind"] == "List" else [value]
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


@pytest.mark.parametrize("verdict", REFUSED, ids=lambda verdict: verdict["file"])
def test_looking_further_adds_nothing_that_the_server_does_not_say(verdict: dict[str, Any]) -> None:
    """Each recorded file has one thing wrong: what the command line looks for beyond it must not be its consequence."""
    faults = check.inspect((HERE / "manifests" / verdict["file"]).read_bytes(), verdict["file"], further=True).faults
    assert {fault.path for fault in faults} == _paths(verdict)


ACCEPTED = [verdict for verdict in VERDICTS if verdict["accepted"]]


@pytest.mark.parametrize("verdict", ACCEPTED, ids=lambda verdict: verdict["file"])
def test_looking_further_survives_any_value_of_a_wrong_type(verdict: dict[str, Any]) -> None:
    import copy
    import random

    import yaml

    try:
        document = next(iter(yaml.safe_load_all((HERE / "manifests" / verdict["file"]).read_bytes())))
    except yaml.YAMLError:
        return  # ours alone reads it
    chosen = random.Random(verdict["file"])
    places = list(_leaves(document))
    for path in chosen.sample(places, min(10, len(places))):
        broken = copy.deepcopy(document)
        holder = broken
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = chosen.choice([[1], {"a": 1}, 7, "x", True, 1.5, [None], [{}]])
        check.inspect(yaml.safe_dump(broken).encode(), "f", further=True)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        found += [(*path, step), *_leaves(item, (*path, step))]
    return found
