"""The loader: what kubectl's decoder makes of a text, and where we say no on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.kube.compose import BadYaml, compose
from kubeplay.kube.document import parse_path, path_text
from kubeplay.kube.load import MAX_DOCUMENT, MAX_FILE, flatten, load, scan

RECORD = json.loads((Path(__file__).parent / "goyaml-record.json").read_text())


def values(text: str | bytes) -> list[Any]:
    return [document.value for document in load(text.encode() if isinstance(text, str) else text, "f.yaml")]


def fault(text: str | bytes) -> Any:
    with pytest.raises(InvalidInput) as caught:
        load(text.encode() if isinstance(text, str) else text, "f.yaml")
    assert len(caught.value.faults) == 1, caught.value
    return caught.value.faults[0]


# --- against the decoder that kubectl uses

_OURS = ("given twice", "text after", "followed by a comma")


@pytest.mark.parametrize("part", range(8))
def test_vl10_reads_as_goyaml(part: int) -> None:
    """5,331 small texts as sigs.k8s.io/yaml 1.3 on goyaml 2.4 (Debian's packages) reads them; null: it refuses."""
    import yaml

    from kubeplay.kube.load import _json_float, _json_int

    wrong = []
    for text, answer in RECORD[part::8]:
        try:
            got = json.dumps(compose(text.encode())[0], sort_keys=True)
        except (BadYaml, yaml.YAMLError) as error:
            if any(word in str(error) for word in _OURS):
                continue
            got = None
        wanted = None
        if answer is not None:
            wanted = json.dumps(json.loads(answer, parse_int=_json_int, parse_float=_json_float), sort_keys=True)
        if got != wanted:
            wrong.append((text, wanted, got))
    # `[]: ]]`: kubectl never looks behind a complete top-level collection.
    assert len(wrong) <= 1, wrong[:20]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("2024-01-31", "2024-01-31"),
        ("0644", 420),
        ("0o17", 15),
        ("0b11", 3),
        ("0xFF", 255),
        ("089", 89),
        ("1_000", 1000),
        ("1_", 1),
        ("1e3", 1000),
        ("1.0", 1),
        (".5", 0.5),
        ("0.10", 0.1),
        ("yes", True),
        ("Y", True),
        ("OFF", False),
        ("yEs", "yEs"),
        ("~", None),
        ("", None),
        ("#fff", None),
        ("!important", ""),
        ("!!str 1", "1"),
        ("1e400", "1e400"),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", 9.223372036854776e18),
        ("=", "="),
        ("<<", "<<"),
        ("-", [None]),
    ],
)
def test_vl5_scalars(text: str, value: object) -> None:
    got = values(f"a: {text}\n" if text != "-" else "a:\n-\n")[0]["a"]
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("key", "name"), [("y", "true"), ("off", "false"), ("1", "1"), ("1.5", "1.5"), ("1e3", "1000"), ("010", "8"), ("1e6", "1e+06")]
)
def test_vl5_keys(key: str, name: str) -> None:
    assert values(f"{key}: a\n") == [{name: "a"}]


# --- documents


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n---\nb: 2\n",
        "---\na: 1\n---\nb: 2\n",
        "# c\n---\na: 1\n---   \n# only a comment\n---\nb: 2\n---\n",
        "a: 1\n--- # comment\nb: 2",
        "a: 1\r\n---\r\nb: 2\r\n",
        "\ufeffa: 1\n---\n\ufeffb: 2\n",
        "a: 1\n...\n---\nb: 2\n",
        '{"a":1}\n{"b":2}',
        '{"a":1}{"b":2}',
        '{"a":1}\n---\nb: 2\n',
        'a: 1\n---\n{"b":2}\n',
        '{"a":1,}\n---\nb: 2\n',
        "a: 1\n---\nnull\n---\n~\n---\nb: 2\n",
    ],
)
def test_two_documents(text: str) -> None:
    assert values(text) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    assert values((mark + "a: zażółć\n---\nb: 日本\n").encode(encoding)) == [{"a": "zażółć"}, {"b": "日本"}]


def test_bad_utf8_becomes_a_replacement() -> None:
    assert values(b"a: caf\xe9 x\n") == [{"a": "caf\ufffd x"}]
    # One for each bad byte, as Go does it.
    assert values(b"a: \xe2\x82 x\n") == [{"a": "\ufffd\ufffd x"}]


def test_line_ends() -> None:
    assert values("a: |\r\n  one\r\n  two\r\nb: x\r\n") == [{"a": "one\ntwo\n", "b": "x"}]
    assert values("a: 1\rb: 2\r") == [{"a": 1, "b": 2}]


def test_separator_cuts_a_block_scalar() -> None:
    """623: the cut is made before YAML is read."""
    documents, faults = scan(b"a: |\n  x\n---\n  y\n", "f")
    assert documents[0].value == {"a": "x\n"} and len(faults) == 1


@pytest.mark.parametrize("line", ["----", "--- !x", "--- {a: b}", "---a"])
def test_bad_separator(line: str) -> None:
    found = fault(f"a: 1\n{line}\nb: 2\n")
    assert (found.line, found.column, found.reason) == (2, 1, "YAML") and "separator" in found.message


def test_a_bad_separator_is_not_the_end() -> None:
    documents, faults = scan(b"--- !x\na: 1\n----\nb: 2\n---\nc: 3", "f")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert [fault.line for fault in faults] == [1, 3]
    assert documents[2].positions.at(("c",)) == (6, 1)


def test_directive_is_an_error() -> None:
    assert fault("%YAML 1.1\n---\na: 1\n").line <= 2


def test_anchors_stay_in_their_document() -> None:
    found = fault("a: &x 1\n---\nb: *x\n")
    assert (found.line, found.column) == (3, 4) and "anchor" in found.message


def test_all_faults_of_a_file_at_once() -> None:
    documents, faults = scan(b"a: [\n---\nb: 1\n---\nc: *x\n---\n- d\n", "f")
    assert [document.value for document in documents] == [{"b": 1}]
    assert [fault.line for fault in faults] == [2, 5, 7]
    assert [fault.document for fault in faults] == [0, 2, 3]


# --- merge keys


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{<<: {k: 1}, k: 2}", {"k": 2}),
        ("{k: 2, <<: {k: 1}}", {"k": 1}),
        ("{<<: [{k: 1}, {k: 2, l: 3}]}", {"k": 1, "l": 3}),
        ("{<<: {k: 1}, <<: {k: 2}}", {"k": 2}),
        ('{"<<": {k: 1}}', {"<<": {"k": 1}}),
    ],
)
def test_merge_order(text: str, value: object) -> None:
    assert values(f"a: {text}\n") == [{"a": value}]


@pytest.mark.parametrize("text", ["<<: 1", "<<: [1]", "<<:", "x: &l [{a: 1}]\n<<: *l"])
def test_merge_needs_mappings(text: str) -> None:
    assert "merge" in fault(text).message


# --- departures


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1),
        ("a: {b: 1, b: 1}\n", 1, 11),
        ('on: 1\n"true": 2\n', 2, 1),
        ('1: a\n"1": b\n', 2, 1),
        ('{"a":1,"b":{"c":1,"c":2}}', 1, 19),
        ("<<: {a: 1}\na: 2\na: 3\n", 3, 1),
        ("---\n# c\n---\nx:\n- a: 1\n  a: 2\n", 6, 3),
    ],
)
def test_duplicate_keys_are_errors(text: str, line: int, column: int) -> None:
    found = fault(text)
    assert (found.line, found.column) == (line, column) and "twice" in found.message


def test_text_after_the_end_is_an_error() -> None:
    found = fault("a: 1\n...\nb: 2\n")
    assert found.line == 3 and "after the end" in found.message


def _bomb(levels: int) -> str:
    return "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, levels)
    )


def test_alias_bomb_is_refused_quickly() -> None:
    assert "aliasing" in fault(_bomb(9)).message


def test_aliases_must_not_outgrow_a_request() -> None:
    found = fault('a: &a "' + "x" * 100_000 + '"\nb: [' + "*a, " * 90 + "]\n")
    assert "3 MiB" in found.message
    assert values('a: &a "' + "x" * 100_000 + '"\nb: [' + "*a, " * 9 + "]\n")


def test_lone_surrogates_of_json() -> None:
    assert values('{"a": "\\ud800x", "b": "\\ud83d\\ude80"}') == [{"a": "\ufffdx", "b": "\U0001f680"}]


def test_many_json_objects_are_read_in_linear_time() -> None:
    assert len(values('{"a": [1, 2, {"b": null}]}\n' * 20_000)) == 20_000


def test_colons_and_marks_as_kubectl_scans_them() -> None:
    assert values("a: [x:, {y:}, --p=:80, z]\n") == [{"a": ["x:", {"y:": None}, "--p=:80", "z"]}]
    assert values("\ufeffa: [x:]\n") == [{"a": ["x:"]}]
    assert values("a: x\n\ufeffb: z\n") == [{"a": "x", "\ufeffb": "z"}]
    assert load(b"a:\n  k: [b:, c]\n  d: 1\n", "f")[0].positions.at(("a", "k", 1)) == (2, 11)
    assert "quote" in fault("a: {b: x?y}\n").hint
    assert fault('a: "\\/"\n').line == 1


def test_modest_aliases_are_fine() -> None:
    assert len(values(_bomb(3))[0]["a2"]) == 9


def test_a_loop_of_anchors() -> None:
    assert "contains itself" in fault("a: &x [*x]\n").message


def test_deep_nesting() -> None:
    assert "deep" in fault("a: " + "[" * 1000 + "]" * 1000).message
    assert "deep" in fault('{"a": ' + "[" * 1000 + "]" * 1000 + "}").message
    assert fault("{" * 100_000).reason == "YAML"


def test_over_long_input() -> None:
    assert "3 MiB" in fault("a: " + "x" * MAX_DOCUMENT).message
    _, faults = scan(b" " * (MAX_FILE + 1), "f")
    assert "64 MiB" in faults[0].message


@pytest.mark.parametrize("text", ["~: x", "null: x", "? [a]\n: x", "? {a: b}\n: x", ": x", "18446744073709551615: x"])
def test_bad_keys(text: str) -> None:
    assert "key" in fault(text + "\n").message


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".nan"])
def test_no_infinity(text: str) -> None:
    found = fault(f"a:\n  b: {text}\n")
    assert (found.line, found.column) == (2, 6)


def test_control_character_has_a_place() -> None:
    found = fault("a: 1\nb: x\x07y\n")
    assert (found.line, found.column) == (2, 5)


# --- positions


TEXT = b"""\
# head
---
kind: Pod
metadata: {name: p, labels: {a.b/c: d}}
spec:
  containers:
  - name: one
    env: &e
    - name: A
      value: b
  - name: two
    env: *e
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (3, 1)),
        (("kind",), (3, 1)),
        (("metadata", "name"), (4, 12)),
        (("metadata", "labels", "a.b/c"), (4, 30)),
        (("spec", "containers", 0), (7, 5)),
        (("spec", "containers", 0, "env", 0, "value"), (10, 7)),
        (("spec", "containers", 1, "env"), (12, 5)),
        (("spec", "containers", 1, "env", 0, "value"), (10, 7)),
        (("spec", "containers", 1, "nosuch", "deeper"), (11, 5)),
        (("nosuch",), (3, 1)),
    ],
)
def test_positions(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert load(TEXT, "f")[0].positions.at(path) == place


def test_positions_of_json() -> None:
    document = load(b'\n\n  {"kind": "Pod",\n "spec": {"a": [1, 2]}} {"b": 1}', "f")
    assert document[0].positions.at(("kind",)) == (3, 4)
    assert document[0].positions.at(("spec", "a", 1)) == (4, 20)
    assert document[1].positions.at(("b",)) == (4, 26)


def test_positions_through_a_merge() -> None:
    document = load(b"x: &x\n  a: 1\nz:\n  <<: *x\n  b: 2\n", "f")[0]
    assert document.positions.at(("z", "a")) == (2, 3)
    assert document.positions.at(("z", "b")) == (5, 3)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("spec.containers[0].env[12].name", ("spec", "containers", 0, "env", 12, "name")),
        ("data[a b]", ("data", "a b")),
        ("data[a.b]", ("data", "a.b")),
        ("metadata.annotations[x.y/z]", ("metadata", "annotations", "x.y/z")),
        ("spec.LoadBalancerSourceRanges[0]", ("spec", "LoadBalancerSourceRanges", 0)),
        ("", ()),
    ],
)
def test_parse_path(text: str, steps: tuple[str | int, ...]) -> None:
    assert parse_path(text) == steps


def test_parse_path_with_dotted_keys() -> None:
    value = {"annotations": {"kubernetes.io/ingress.class": "x"}, "data": {"a]b": 1, "0": 1}}
    assert parse_path("annotations.kubernetes.io/ingress.class", value) == ("annotations", "kubernetes.io/ingress.class")
    assert parse_path("data[0]", value) == ("data", "0")
    assert path_text(("a", 0, "b")) == "a[0].b"


# --- lists


def flat(text: str) -> list[dict[str, Any]]:
    return [document.value for document in flatten(load(text.encode(), "f"))]


def test_lists_are_flattened_with_positions() -> None:
    documents = flatten(load(b"kind: List\napiVersion: v1\nextra: 1\nitems:\n- kind: A\n- kind: B\n  x: 1\n", "f"))
    assert [document.value["kind"] for document in documents] == ["A", "B"]
    assert documents[1].positions.at(("x",)) == (7, 3)


def test_a_typed_list_names_its_items() -> None:
    assert flat("kind: ConfigMapList\napiVersion: v1\nitems:\n- metadata: {name: a}\n") == [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    ]


@pytest.mark.parametrize(
    "items", ["", "items:", "items: {}", "items: [~]", "items: [a]", "items: [{kind: List, apiVersion: v1, items: []}]"]
)
def test_bad_lists(items: str) -> None:
    with pytest.raises(InvalidInput):
        flat(f"kind: List\napiVersion: v1\n{items}\n")
