"""Strategic merges against what kubectl does, and what must hold of any merge.

kubectl-apply.json: the patches that `kubectl apply` (client side, v1.32.4) sent to a server that has `live` and an annotation with `last`.
kubectl-patch.json: what `kubectl patch --local --type=strategic` (the same) made; it writes empty fields that no object has, so they
are left out of both sides.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.errors import InvalidInput
from kubeplay.kube.merge import difference, json_merge, keys, strategic, three_way

Json = dict[str, Any]
HERE = Path(__file__).parent
APPLIES = json.loads((HERE / "kubectl-apply.json").read_text())
PATCHES = json.loads((HERE / "kubectl-patch.json").read_text())
DEPLOYMENT = "Deployment"


def _record(obj: Json) -> str:
    return keys.record_of(obj["apiVersion"], obj["kind"])


def _dense(value: Any) -> Any:
    """Without fields that are empty."""
    if isinstance(value, dict):
        return {key: found for key, item in value.items() if (found := _dense(item)) not in ({}, [], None)}
    return [_dense(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("row", APPLIES, ids=[row["case"] for row in APPLIES])
def test_apply_is_kubectls(row: Json) -> None:
    before = copy.deepcopy(row)
    made = three_way.merge(row["last"], row["file"], row["live"], _record(row["file"]))
    assert made == three_way.Merge(row["patch"], row["body"])
    assert row == before, "the inputs are left as they were"


@pytest.mark.parametrize("row", PATCHES, ids=[json.dumps(row["patch"])[:60] for row in PATCHES])
def test_patch_is_kubectls(row: Json) -> None:
    assert _dense(strategic.apply(row["object"], row["patch"], _record(row["object"]))) == _dense(row["result"])


def _service(*ports: tuple[int, str, str]) -> Json:
    made = [{"port": number, "name": name, "protocol": protocol} for number, name, protocol in ports]
    return {"apiVersion": "v1", "kind": "Service", "spec": {"ports": made}}


def test_ports_of_one_number_are_the_files_as_a_whole() -> None:
    """A departure: kubectl takes the second for the first."""
    last = _service((53, "t", "TCP"), (53, "u", "UDP"))
    file = _service((53, "t", "TCP"), (53, "v", "UDP"))
    assert three_way.merge(last, file, last, "Service").body == file
    single = _service((53, "t", "TCP"))
    assert three_way.merge(single, file, single, "Service").body == file
    assert three_way.merge(last, single, last, "Service").body == single
    assert three_way.merge(single, single, last, "Service").body == single


def test_never_applied_takes_nothing_away() -> None:
    live = {"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 3}}
    assert three_way.merge(None, {"metadata": {}}, live, DEPLOYMENT).body == live


def test_kinds_that_nobody_knows_merge_as_json() -> None:
    live = {"spec": {"items": [{"name": "a"}], "size": 3, "mode": "x"}}
    made = three_way.merge({"spec": {"size": 3}}, {"spec": {"items": [{"name": "b"}]}}, live, keys.OPAQUE)
    assert made.body == {"spec": {"items": [{"name": "b"}], "mode": "x"}}
    assert made.patch == {"spec": {"items": [{"name": "b"}], "size": None}}


@pytest.mark.parametrize(
    ("body", "patch", "expected"),
    [  # RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_json_merge_patch(body: Any, patch: Any, expected: Any) -> None:
    assert json_merge.apply(body, patch) == expected


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ({"spec": {"$patch": "explode"}}, "spec: unknown patch type 'explode'"),
        ({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}, "does not contain declared merge key: name"),
        ({"spec": {"template": {"spec": {"containers": ["x"]}}}}, "the items of this list are maps"),
        ({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}, "does not name rollingUpdate"),
        ({"spec": {"$retainKeys": "type"}}, "must be a list"),
    ],
)
def test_patches_that_mean_nothing(patch: Json, text: str) -> None:
    with pytest.raises(InvalidInput, match=text.replace("$", r"\$")):
        strategic.apply({"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}, patch, DEPLOYMENT)


@pytest.mark.parametrize("env", [[{"name": "a"}, {"name": "b"}, {"name": "a"}], [{"value": "x"}, {}], [{"name": "b"}, {"name": "a"}]])
def test_a_list_that_comes_is_taken_as_it_is(env: list[Json]) -> None:
    container = {"spec": {"containers": [{"name": "c", "env": env}]}}
    assert three_way.merge({}, container, {"spec": {}}, "Pod").body == container
    assert three_way.merge({}, container, {"spec": {"containers": [{"name": "c"}]}}, "Pod").body == container
    one = {"spec": {"containers": [{"name": "c", "env": [{"name": "z"}]}]}}
    assert three_way.merge(one, container, one, "Pod").body == container


def test_kustomize_puts_new_items_first_and_drops_deleted_maps() -> None:
    pod = {"spec": {"containers": [{"name": "a"}, {"name": "b"}], "securityContext": {"runAsUser": 1}}}
    patch = {"spec": {"containers": [{"name": "b", "image": "i"}, {"name": "n"}], "securityContext": {"$patch": "delete"}}}
    made = strategic.apply(pod, patch, "Pod", strategic.KUSTOMIZE)
    assert made == {"spec": {"containers": [{"name": "n"}, {"name": "a"}, {"name": "b", "image": "i"}]}}


# any object
_TEXT = st.sampled_from(["a", "b", "c", "d"])
_MAPS = st.dictionaries(_TEXT, _TEXT, max_size=3)
_NAMED = st.lists(st.fixed_dictionaries({"name": _TEXT}, optional={"value": _TEXT}), max_size=4, unique_by=lambda one: one["name"])
_CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": _TEXT}, optional={"image": _TEXT, "env": _NAMED, "args": st.lists(_TEXT, max_size=3)}),
    max_size=4,
    unique_by=lambda one: one["name"],
)
_VOLUMES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": _TEXT, "emptyDir": _MAPS}),
        st.fixed_dictionaries({"name": _TEXT, "configMap": _MAPS}),
    ),
    max_size=3,
    unique_by=lambda one: one["name"],
)
_SPECS = st.fixed_dictionaries(
    {}, optional={"containers": _CONTAINERS, "volumes": _VOLUMES, "nodeSelector": _MAPS, "dnsPolicy": _TEXT, "replicas": st.integers(0, 1)}
)
_META = st.fixed_dictionaries({}, optional={"labels": _MAPS, "finalizers": st.lists(_TEXT, max_size=4, unique=True)})
_PODS = st.fixed_dictionaries({"metadata": _META, "spec": _SPECS})


@given(_PODS, _PODS)
def test_a_difference_makes_the_one_the_other(old: Json, new: Json) -> None:
    patch = difference.patch(old, new, "Pod")
    assert strategic.apply(old, patch, "Pod") == new
    assert (patch == {}) == (old == new)


@given(_PODS, _PODS, _PODS)
def test_three_ways(last: Json, file: Json, live: Json) -> None:
    made = three_way.merge(last, file, live, "Pod")
    again = three_way.merge(file, file, made.body, "Pod")
    assert again.body == made.body, "what was applied is applied"
    assert three_way.merge(file, file, file, "Pod") == three_way.Merge({}, file)
    assert three_way.merge(live, file, live, "Pod").body == file, "where only files have changed it, it is the file"
    assert _holds(made.body, file)


def _holds(body: Any, file: Any) -> bool:
    """Whether everything that the file says is so."""
    if isinstance(file, dict):
        return isinstance(body, dict) and all(name in body and _holds(body[name], item) for name, item in file.items())
    if isinstance(file, list) and file and isinstance(file[0], dict):
        return all(any(other["name"] == item["name"] and _holds(other, item) for other in body) for item in file)
    return all(item in body for item in file) if isinstance(file, list) else bool(body == file)
