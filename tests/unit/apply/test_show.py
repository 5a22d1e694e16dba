"""A plan and a difference as people and tools get them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubeplay.apply import fields, unified
from kubeplay.apply.model import CREATE, LEAVE, REFUSE, REMOVE, REPLACE, UPDATE, Change, Effect, FieldChange, Planned
from kubeplay.cli import planshow
from kubeplay.cli.objects import redacted
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.play import change
from kubeplay.play.given import LAST_APPLIED
from kubeplay.play.kinds import base
from tests.support.stored import Cluster, config, deployment, pod

Json = dict[str, Any]
WEB = ObjectKey("Deployment", "default", "web")


def planned(*changes: Change) -> Planned:
    return Planned(tuple(changes), Stack(), ())


def one(action: str, **more: Any) -> Change:
    return Change(WEB, "apps/v1", action, "", "", **more)


def pods(action: str, *names: str) -> tuple[Effect, ...]:
    return tuple([Effect(ObjectKey("Pod", "default", name), action) for name in names])


def test_text() -> None:
    change = one(
        UPDATE,
        fields=(FieldChange("spec.paused", None, True), FieldChange("data.pw", "a", "b", secret=True)),
        why=("a reason",),
        effects=(*pods("replace", "a", "b"), Effect(ObjectKey("Pod", "default", "p"), "restart", ("c",))),
    )
    assert planshow.as_text(planned(change, one(LEAVE))).splitlines() == [
        "~ Deployment default/web is updated in place",
        "    spec.paused: (none) -> true",
        "    data.pw: *** -> *** (changed)",
        "    # a reason",
        "    > pod p: container c restarts",
        "    > pods a, b are made anew",
        "",
        "Plan: 0 to create, 1 to update, 0 to replace, 0 to remove, 1 unchanged.",
    ]


@pytest.mark.parametrize(
    ("action", "line", "paint"),
    [
        (CREATE, "+ Deployment default/web is created", "32"),
        (UPDATE, "~ Deployment default/web is updated in place", "33"),
        (REPLACE, "-/+ Deployment default/web is replaced", "35"),
        (REMOVE, "- Deployment default/web is removed", "31"),
        (REFUSE, "! Deployment default/web is refused: it cannot become so, and an apply would touch nothing", "31"),
    ],
)
def test_signs_and_colours(action: str, line: str, paint: str) -> None:
    assert planshow.as_text(planned(one(action))).splitlines()[0] == line
    assert planshow.as_text(planned(one(action)), True).splitlines()[0] == f"\x1b[{paint}m{line}\x1b[0m"


def test_nothing_to_do() -> None:
    assert planshow.as_text(planned(one(LEAVE))) == "Nothing would change: 1 object is as the files have it.\n"


def test_many_pods_and_long_values_are_cut() -> None:
    change = one(UPDATE, fields=(FieldChange("data.a", "x" * 500, "y"),), effects=pods("create", *"abcdefg"))
    text = planshow.as_text(planned(change))
    assert "pods a, b, c, d, e and 2 more are made\n" in text
    assert max(map(len, text.splitlines())) < 140


def test_a_hostile_value_does_not_drive_the_terminal() -> None:
    change = one(UPDATE, fields=(FieldChange("metadata.annotations.a", None, "\x1b[2J\u202e"),), why=("\x1b]0;title\x07",))
    assert "\x1b" not in planshow.as_text(planned(change)) and "\u202e" not in planshow.as_text(planned(change))


def test_json() -> None:
    change = one(UPDATE, fields=(FieldChange("a.b", 1, None), FieldChange("data.pw", "x", "y", secret=True)), why=("w",),
                 effects=pods("replace", "p"))  # fmt: skip
    made = json.loads(planshow.as_json(planned(change, Change(ObjectKey("Namespace", "", "n"), "v1", LEAVE, "", ""))))
    assert made["changes"][0] == {
        "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "default", "name": "web", "action": "update",
        "fields": [{"path": "a.b", "old": 1, "new": None}, {"path": "data.pw", "secret": True}], "why": ["w"],
        "pods": [{"namespace": "default", "name": "p", "action": "replace"}],
    }  # fmt: skip
    assert made["changes"][1] == {
        "apiVersion": "v1", "kind": "Namespace", "name": "n", "action": "unchanged", "fields": [], "why": [], "pods": []
    }
    assert made["summary"] == {"create": 0, "update": 1, "replace": 0, "remove": 0, "unchanged": 1, "refuse": 0}


# which fields
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (config({"a": "1"}), config({"a": "1"}), []),
        (config({"a": "1"}), config({"b": "1"}), ["data.a", "data.b"]),
        (config({"a.conf": "1"}), config({"a.conf": "2"}), ["data[a.conf]"]),
        (pod(), pod(containers=[{"name": "web", "image": "nginx:1", "args": ["a"]}]), ["spec.containers[name=web].args"]),
        (pod(), pod(containers=[{"name": "web", "image": "nginx:1"}, {"name": "b"}]), ["spec.containers[name=b]"]),
        (pod(containers=[{"name": "a"}, {"name": "b"}]), pod(containers=[{"name": "b"}, {"name": "a"}]), ["spec.containers (order)"]),
        (pod(tolerations=[{"key": "a"}]), pod(tolerations=[{"key": "a", "value": "b"}, {"key": "c"}]),
         ["spec.tolerations[0].value", "spec.tolerations[1]"]),
        (deployment(replicas=1), deployment(replicas=True), ["spec.replicas"]),
    ],
)  # fmt: skip
def test_paths(old: Json, new: Json, expected: list[str]) -> None:
    assert [found.path for found in fields.changes(old, new)] == expected


def test_as_much_as_deepdiff_sees() -> None:
    from deepdiff import DeepDiff

    old, new = deployment(replicas=1), deployment({"name": "web", "image": "nginx:2", "env": [{"name": "A"}]}, replicas=2)
    assert len(fields.changes(old, new)) == sum(len(group) for group in DeepDiff(old, new).values())


# the unified form
def _change(old: Json | None, new: Json | None) -> Change:
    given = new or old
    assert given is not None
    return Change(base.key(given), given["apiVersion"], UPDATE, base.body(old) if old else "", base.body(new) if new else "")


def test_a_difference_is_yaml_without_defaults(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.apply(deployment(replicas=2))
    (change,) = cluster.plan(deployment({"name": "web", "image": "nginx:2"}, replicas=2))
    cluster.store.close()
    assert unified.text(unified.pair(change)).splitlines() == [
        "diff -u -N LIVE/apps.v1.Deployment.default.d MERGED/apps.v1.Deployment.default.d",
        "--- LIVE/apps.v1.Deployment.default.d",
        "+++ MERGED/apps.v1.Deployment.default.d",
        "@@ -14,4 +14,4 @@",
        "     spec:",
        "       containers:",
        "       - name: web",
        "-        image: nginx:1",
        "+        image: nginx:2",
    ]


def test_secrets_are_masked_as_kubectl_does() -> None:
    def secret(**data: str) -> Json:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "data": data}

    change = _change(secret(a="QQ==", b="QQ==", c="QQ=="), secret(a="QQ==", b="Qg==", d="QQ=="))
    text = unified.text(unified.pair(change))
    assert [line for line in text.splitlines() if line[0] in "+-" and line[:3] not in ("---", "+++")] == [
        '-  b: "*** (before)"', '-  c: "***"', '+  b: "*** (after)"', '+  d: "***"'
    ]  # fmt: skip
    assert "QQ==" not in text and "Qg==" in unified.text(unified.pair(change, True))


def test_what_comes_and_goes_is_there_on_one_side() -> None:
    assert "@@ -0,0 +1,6 @@" in unified.text(unified.pair(_change(None, config({"a": "1"}))))
    assert "@@ -1,6 +0,0 @@" in unified.text(unified.pair(_change(config({"a": "1"}), None)))


def test_a_huge_text_is_shown_as_a_whole() -> None:
    many = ["\n".join(str(at % 7) for at in range(start, start + 15_000)) for start in (0, 3)]
    text = unified.text(unified.pair(_change(config({"a": many[0]}), config({"a": many[1]}))))
    assert text.count("\n-") > 15_000 and text.count("\n+") > 15_000


@pytest.mark.parametrize("before", [None, {"x": "1"}])
def test_kubectls_annotation_does_not_show_a_secrets_values(before: Json | None) -> None:
    def secret(annotations: Json | None) -> Json:
        meta = {"name": "s", "namespace": "default", **({"annotations": annotations} if annotations else {})}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"p": "aHVudGVy"}}

    old, new = secret(before), secret({"x": "2", LAST_APPLIED: '{"data":{"p":"aHVudGVy"}}'})
    for one in fields.changes(old, new):
        assert one.secret or "aHVudGVy" not in repr(one)
    assert "aHVudGVy" not in repr(change.describe("Secret", json.dumps(old), json.dumps(new)))
    assert "aHVudGVy" not in repr(redacted(new)) and redacted(new)["metadata"]["annotations"]["x"] == "2"
