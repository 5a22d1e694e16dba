"""kubectl's JSONPath templates, by the examples of kubernetes.io/docs/reference/kubectl/jsonpath and of people's scripts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.errors import InvalidInput
from kubeplay.kube import jsonpath

LIST: dict[str, Any] = {
    "kind": "List",
    "items": [
        {"kind": "None", "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "one"}},
         "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}]}},
        {"kind": "None", "metadata": {"name": "127.0.0.2"},
         "status": {"capacity": {"cpu": "8"}, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.2"},
                                                            {"type": "another", "address": "127.0.0.3"}]}},
    ],
    "users": [{"name": "myself", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
    "count": 3, "ready": True,
}  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), [
    ("{.kind}", "List"),
    (".kind", "List"),
    ("the {.kind} is", "the List is"),
    ("{['kind']}", "List"),
    ("{.users[0].name}", "myself"),
    ("{.users[-1:].name}", "e2e"),
    ("{.users[-1].name}", "e2e"),
    ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
    ("{.users[*].name}", "myself e2e"),
    ("{.items[*]['metadata.name', 'status.capacity']}", ""),
    ('{.users[?(@.name=="e2e")].user.password}', "secret"),
    ("{.users[?(@.name!='e2e')].name}", "myself"),
    ("{.users[?(@.user.username)].name}", "e2e"),
    ('{range .items[*]}[{.metadata.name}, {.status.capacity.cpu}] {end}', "[127.0.0.1, 4] [127.0.0.2, 8] "),
    ('{range .items[*]}{.metadata.name}{"\\t"}{.status.addresses[*].type}{"\\n"}{end}',
     "127.0.0.1\tLegacyHostIP\n127.0.0.2\tLegacyHostIP another\n"),
    ("{.items[0].metadata.labels.kubernetes\\.io/hostname}", "one"),
    ("{..address}", "127.0.0.1 127.0.0.2 127.0.0.3"),
    ("{.items[0].status.capacity}", '{"cpu":"4"}'),
    ("{.count} {.ready} {.nothing}", "3 true "),
    ("{$.kind}{.items[0:1].kind}", "ListNone"),
    ('{range .users[?(@.name=="e2e")]}{range .user.*}{@}{end}{end}', "adminsecret"),
    ("{.users[?(@.user.port>5)].name}", ""),
])  # fmt: skip
def test_templates(template: str, expected: str) -> None:
    assert jsonpath.render(template, LIST) == expected


@pytest.mark.parametrize("template", [
    "{.items[", "{.items[x]}", "{range .items[*]}", "{end}", "{.a]b}", '{"a}', "{.items[?(@.a==b)]}", "{.b}{",
])  # fmt: skip
def test_what_is_no_template_is_said(template: str) -> None:
    with pytest.raises(InvalidInput, match="jsonpath"):
        jsonpath.render(template, LIST)


@given(st.text(st.sampled_from(list("{}[]().@?*'\"=<>!0:ae\\, $-\n")), max_size=30))
def test_hostile_templates_are_refused_or_rendered(template: str) -> None:
    try:
        jsonpath.render(template, LIST)
    except InvalidInput:
        pass


@pytest.mark.parametrize(("path", "expected"), [
    (".metadata.name", ["x"]), ("metadata.name", ["x"]), ("{.metadata.name}", ["x"]), (".spec", []),
])  # fmt: skip
def test_single_paths(path: str, expected: list[str]) -> None:
    assert jsonpath.values(path, {"metadata": {"name": "x"}}) == expected
