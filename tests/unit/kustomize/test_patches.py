"""JSON patches by RFC 6902, and strategic ones where kubectl's builtin kustomize does less than the API server."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.kustomize import hashing, jsonpatch, strategic

# RFC 6902, appendix A, and indices from the end.
APPLIED = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"grandchild": {}}}], {"foo": "bar", "child": {"grandchild": {}}}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}], {"foo": ["bar", ["abc", "def"]]}),
    ({"foo": ["a", "b"]}, [{"op": "replace", "path": "/foo/-1", "value": "z"}], {"foo": ["a", "z"]}),
    (
        {"a": {"b": 1}},
        [{"op": "copy", "from": "/a", "path": "/c"}, {"op": "replace", "path": "/c/b", "value": 2}],
        {"a": {"b": 1}, "c": {"b": 2}},
    ),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
]
REFUSED = [
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], "testing value /baz failed"),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], "doc is missing path: /baz"),
    ({}, [{"op": "replace", "path": "/a", "value": 1}], "missing value"),
    ({"a": [1]}, [{"op": "add", "path": "/a/2", "value": 1}], "index 2 is out of bounds"),
    ({"a": [1]}, [{"op": "remove", "path": "/a/b"}], "'b' is no index"),
    ({"a": 1}, [{"op": "add", "path": "/a/b", "value": 1}], "neither a mapping nor a list"),
    ({"a": 1}, [{"op": "remove", "path": ""}], "the whole object cannot be removed"),
]


@pytest.mark.parametrize("tree,operations,expected", APPLIED)
def test_json_patches(tree: Any, operations: list[dict[str, Any]], expected: Any) -> None:
    assert not jsonpatch.check(operations)
    assert jsonpatch.applied(tree, operations) == expected


@pytest.mark.parametrize("tree,operations,message", REFUSED)
def test_json_patches_that_cannot_be(tree: Any, operations: list[dict[str, Any]], message: str) -> None:
    before = repr(tree)
    with pytest.raises(jsonpatch.BadPatch, match=message):
        jsonpatch.applied(tree, operations)
    assert repr(tree) == before


@pytest.mark.parametrize(
    "wrong", [{"op": "add"}, [1], [{"op": "add", "path": "/a"}], [{"op": "move", "path": "/a"}], [{"op": "test", "path": "a", "value": 1}]]
)
def test_what_is_no_json_patch(wrong: object) -> None:
    assert jsonpatch.check(wrong)


def test_copies_of_copies_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonpatch, "MAX_NODES", 1000)
    with pytest.raises(jsonpatch.BadPatch, match="more than 1000 parts"):
        jsonpatch.applied({"a": {"b": 1}}, [{"op": "copy", "from": "", "path": f"/c{at}"} for at in range(20)])


def _pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}


def _ports(*ports: tuple[Any, ...]) -> dict[str, Any]:
    fields = ("containerPort", "protocol", "name")
    return _pod(containers=[{"name": "a", "ports": [{k: v for k, v in zip(fields, port) if v} for port in ports]}])


STRATEGIC = [
    # a port without a protocol is a TCP port; kustomize 5.5.0 would lose this patch without a word
    (_ports((80, "", "")), _ports((80, "TCP", "web")), _ports((80, "TCP", "web"))),
    (_ports((80, "TCP", "")), _ports((80, "", "web")), _ports((80, "TCP", "web"))),
    (
        _ports((53, "UDP", ""), (53, "TCP", "")),
        _ports((53, "TCP", "t"), (9, "", "")),
        _ports((9, "", ""), (53, "UDP", ""), (53, "TCP", "t")),
    ),
    # a union: what the file names stays alone (kustomize 5.5.0 would write `$retainKeys` into its output)
    (
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
        {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"strategy": {"type": "Recreate"}}},
    ),
    (
        _pod(containers=[{"name": "a"}, {"name": "b"}]),
        _pod(containers=[{"$patch": "replace"}, {"name": "c"}]),
        _pod(containers=[{"name": "c"}]),
    ),
    (_pod(nodeSelector={"a": "b"}), _pod(nodeSelector={"$patch": "replace", "c": "d"}), _pod(nodeSelector={"c": "d"})),
    (_pod(nodeSelector={"a": "b"}), _pod(nodeSelector={"$patch": "delete"}), _pod()),
    (_pod(tolerations=[{"key": "a"}]), _pod(tolerations=[{"key": "b"}]), _pod(tolerations=[{"key": "b"}])),
    (
        {"kind": "X", "metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
        {"kind": "X", "metadata": {"finalizers": ["b"]}},
    ),
]


@pytest.mark.parametrize("value,patch,expected", STRATEGIC)
def test_strategic_patches(value: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert strategic.merged(value, patch) == expected


def test_a_patch_deletes_its_object() -> None:
    assert strategic.merged(_pod(), {"$patch": "delete"}) is None


def test_strategic_patches_that_cannot_be() -> None:
    for patch in (_pod(containers=[{"image": "a"}]), {"$patch": "remove"}):
        with pytest.raises(strategic.BadPatch):
            strategic.merged(_pod(containers=[{"name": "a"}]), patch)


# As kubectl 1.32 names them; `<`, `&` and U+2028 are escaped before they are hashed.
HASHES = [
    ({"kind": "ConfigMap", "data": {"a": "b"}}, "4h2mbtbbt6"),
    ({"kind": "ConfigMap"}, "6ct58987ht"),
]


@pytest.mark.parametrize("value,expected", HASHES)
def test_hashes(value: dict[str, Any], expected: str) -> None:
    assert hashing.suffix(value) == expected
